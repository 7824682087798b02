"""Linear support vector machines on a single code, solved exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Shaped

from ml.metrics.predictors.classes import Classes

MOST_STEPS = 100
MOST_HALVINGS = 40
SMALLEST_SCALE = 1e-100
"""A code of a smaller range is scaled by this. Its slope is zero, and the penalty on the scaled
code stays finite."""


def accuracies(
    code: Shaped[np.ndarray, "train"],
    test: Shaped[np.ndarray, "test"],
    factors: Sequence[Classes],
    c: float,
) -> Float[np.ndarray, "factors"]:
    """Held-out accuracy of one code's linear SVM on the classes of each factor.

    Each class has one machine against the others, and the largest decision value wins. Two classes
    have a single machine. `code` and `test` are the code's training and test rows.
    """
    slopes, offsets = separators(code, factors, c)
    decisions = np.outer(test.astype(np.float64), slopes)
    decisions += offsets
    found, begin = np.empty(len(factors)), 0
    for k, factor in enumerate(factors):
        if factor.number == 2:
            predicted = (decisions[:, begin] > 0).astype(np.int64)
            begin += 1
        else:
            predicted = decisions[:, begin : begin + factor.number].argmax(1)
            begin += factor.number
        found[k] = (predicted == factor.test).mean()
    return found


def separators(
    code: Shaped[np.ndarray, "train"], factors: Sequence[Classes], c: float
) -> tuple[Float[np.ndarray, "machines"], Float[np.ndarray, "machines"]]:
    r"""Slope and offset of each machine, in the order of the factors and their classes.

    Each is the minimum that scikit-learn's LinearSVC(C=c, class_weight="balanced") approximates:

    .. math:: \min_{w, b} \tfrac12 (w^2 + b^2) + \sum_i c_i \max(0, 1 - y_i (w x_i + b))^2

    with c_i = c n / (K n_k) for the n_k of n rows of the class. For the other rows c_i has the same
    form if K = 2, but is the plain c if K > 2, as in LIBLINEAR. LIBLINEAR stops when its gradient
    is small enough. Here the minimum is found up to rounding.

    References:
        Fan et al., 2008, https://www.jmlr.org/papers/v9/fan08a.html
    """
    x = code.astype(np.float64)
    # The code is centred and scaled, so that sums of squares neither cancel nor overflow. The
    # penalty stays that of the code as given.
    low, high = x.min(), x.max()
    centre = low + (high - low) / 2
    scale = max(high - low, SMALLEST_SCALE) if high > low else 1.0
    machines = _machines((x - centre) / scale, factors, c)
    slopes, offsets = _minimum(machines, centre / scale, scale)
    return slopes / scale, offsets - slopes * (centre / scale)


@dataclass(frozen=True)
class _Machines:
    """One-against-others problems on one code, with running sums over its rows in order.

    A squared hinge counts the rows on one side of a threshold. So the sums of 1, x and x² over
    these rows are differences of running sums over the rows in order of x.
    """

    x: np.ndarray
    """The code in order."""
    running: np.ndarray
    """Sums of 1, x, x² over the first rows in order, (samples + 1, 3)."""
    members: np.ndarray
    """machine * (samples + 1) + place in order, for each machine's own rows, ascending."""
    members_running: np.ndarray
    """Sums of 1, x, x² over the first of these rows."""
    own: np.ndarray
    """c_i of a machine's own rows, (machines,)."""
    others: np.ndarray
    """c_i of the other rows."""

    def own_below(self, rank: np.ndarray) -> np.ndarray:
        """Sums over each machine's own rows among the first `rank` in order, (machines, 3)."""
        first = np.arange(len(self.own)) * (len(self.x) + 1)
        begin, end = np.searchsorted(self.members, [first, first + rank])
        sums: np.ndarray = self.members_running[end] - self.members_running[begin]
        return sums


def _machines(x: np.ndarray, factors: Sequence[Classes], c: float) -> _Machines:
    order = np.argsort(x, kind="stable")
    n = len(x)
    members: list[np.ndarray] = []
    own: list[float] = []
    others: list[float] = []
    for factor in factors:
        labels = factor.fit[order]
        sizes = np.bincount(labels)
        number = len(sizes)
        balanced = c * n / (number * sizes)
        # The places of each label in turn, ascending. numpy sorts 16 bits in two passes.
        narrow = labels.astype(np.uint16) if number <= 2**16 else labels
        places = np.argsort(narrow, kind="stable")
        begin = np.concatenate([[0], np.cumsum(sizes)])
        for label in [1] if number == 2 else range(number):
            members.append(len(own) * (n + 1) + places[begin[label] : begin[label + 1]])
            own.append(balanced[label])
            others.append(balanced[0] if number == 2 else c)
    together = np.concatenate(members)
    x = x[order]
    return _Machines(
        x,
        _running_sums(x),
        together,
        _running_sums(x[together % (n + 1)]),
        np.array(own),
        np.array(others),
    )


def _running_sums(x: np.ndarray) -> np.ndarray:
    sums = np.zeros((len(x) + 1, 3))
    sums[:, 0] = np.arange(len(x) + 1)
    # Sums along memory take a fraction of the time of sums across it.
    np.cumsum(x, out=sums[1:, 1])
    np.cumsum(x * x, out=sums[1:, 2])
    return sums


def _minimum(machines: _Machines, centre: float, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Slope and offset of every machine, by Newton steps that are halved until they descend.

    The objective is convex and piecewise quadratic, so a step within the right piece ends at the
    minimum (Mangasarian, 2002, A finite Newton method for classification).
    """
    # (w² + b²) / 2 in terms of the scaled code: w = slope / scale, b = offset - slope centre.
    penalty = np.array([[(1 / scale) ** 2 + centre**2, -centre], [-centre, 1.0]])
    at = np.zeros((len(machines.own), 2))
    for _ in range(MOST_STEPS):
        curvature, pull, value = _piece(machines, at)
        value += 0.5 * np.einsum("mi,ij,mj->m", at, penalty, at)
        step = np.linalg.solve(penalty + curvature, pull[:, :, None])[:, :, 0] - at
        slope = np.einsum("mij,mi,mj->m", penalty + curvature, step, step)
        moving = slope > 1e-24 * (1 + value)
        if not moving.any():
            break
        length = np.where(moving, 1.0, 0.0)
        for _ in range(MOST_HALVINGS):
            ahead = at + length[:, None] * step
            reached = _piece(machines, ahead)[2]
            reached += 0.5 * np.einsum("mi,ij,mj->m", ahead, penalty, ahead)
            # Rounding of the values hides the last, smallest descents.
            descended = reached <= value - 1e-4 * length * slope + 1e-13 * value
            if descended.all():
                break
            length = np.where(descended, length, 0.5 * length)
        at = at + length[:, None] * step
    return at[:, 0], at[:, 1]


def _piece(machines: _Machines, at: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The quadratic piece of the loss around `at`, and the loss at `at`, (machines,).

    The piece is θ'Aθ / 2 - p'θ + const, with A (machines, 2, 2) and p (machines, 2).
    """
    slope, offset = at.T
    n = np.full(len(at), len(machines.x))
    below_one = np.searchsorted(machines.x, _threshold(1 - offset, slope))
    below_minus_one = np.searchsorted(machines.x, _threshold(-1 - offset, slope))
    rising = (slope >= 0)[:, None]
    # Own rows count where the decision value is below 1, the others where it is above -1.
    lower, whole = machines.own_below(below_one), machines.own_below(n)
    own = np.where(rising, lower, whole - lower)
    lower = machines.running[below_minus_one] - machines.own_below(below_minus_one)
    whole = machines.running[n] - whole
    others = np.where(rising, whole - lower, lower)
    own, others = own * machines.own[:, None], others * machines.others[:, None]
    both = 2 * (own + others)
    curvature = both[:, [2, 1, 1, 0]].reshape(-1, 2, 2)
    pull = 2 * (own - others)[:, [1, 0]]
    constant = (own + others)[:, 0]
    loss = constant - (pull * at).sum(1) + 0.5 * np.einsum("mij,mi,mj->m", curvature, at, at)
    return curvature, pull, loss


def _threshold(distance: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """The x at which slope x = distance. It is beyond all x if the slope is zero."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        where: np.ndarray = distance / slope
    return np.where(slope == 0, np.copysign(np.inf, distance), where)
