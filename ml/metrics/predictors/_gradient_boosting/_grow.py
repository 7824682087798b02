r"""Regression trees on presorted features, equal to scikit-learn's to the last bit.

Growing one tree of depth three on n rows and m features takes about 3 n m steps to find the splits
and 2 n m to keep every feature's rows sorted within the nodes. Nothing is sorted after the start.

A tree is the same as scikit-learn's, and not only as good, because sums are taken in the same order
and features are examined in the same order. The search for a split is the one exception. A screen,
which adds in whatever order is fast, finds the best and the second best split. If their gains
differ by more than all possible rounding, scikit-learn finds the same best split. Otherwise the
features whose gains come that close are searched again with scikit-learn's own formula.

All compiled functions that call each other are in this file. numba's cache checks only the file of
the outermost function, and would keep using outdated code compiled from other files.

References:
    Breiman et al., Classification and Regression Trees, 1984;
    scikit-learn 1.9.1, tree/_tree.pyx, _splitter.pyx, _partitioner.pyx, _criterion.pyx
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from ml.metrics.predictors._gradient_boosting._nodes import LEAF

#: Values of a feature that are no further apart than this, in single precision, count as equal.
_SAME = np.float32(1e-7)
_EPSILON = float(np.finfo(np.float64).eps)
_ROUNDING = _EPSILON / 2


class Workspace(NamedTuple):
    """Memory for growing one tree, and then the next. One thread may use it at a time.

    Below, the node is the one that is being split.
    """

    segments: np.ndarray
    """(2, features, samples): rows sorted by each feature, node by node. Nodes of even depth are in
    the first part, of odd depth in the second. The root's rows are the presorted features."""
    centred: np.ndarray
    """(samples,): targets less the node's mean. Later it has the gradients, leaf by leaf."""
    weights: np.ndarray
    """(samples,): the factor of a squared sum at each place. Later it has the hessians."""
    goes_left: np.ndarray
    """(samples,): whether the row goes to the node's left child."""
    ordered: np.ndarray
    """(3, samples): the node's rows in scikit-learn's order, and two lists of rows to place."""
    leaf_of: np.ndarray
    """(samples,): the leaf in which each row ends."""


def workspace(features: int, samples: int) -> Workspace:
    """Memory for growing trees on (samples, features)."""
    return Workspace(
        np.empty((2, features, samples), np.uint32),
        np.empty(samples),
        np.empty(samples),
        np.empty(samples, np.uint8),
        np.empty((3, samples), np.uint32),
        np.empty(samples, np.int32),
    )


def most_nodes(samples: int, max_depth: int) -> int:
    """Most nodes of a tree, which is full at this depth or has a leaf for every row."""
    full: int = 2 ** (max_depth + 1) - 1
    return min(full, 2 * samples - 1)


@njit(nogil=True, cache=True, error_model="numpy")
def grow(columns, sorted_rows, targets, seed, max_depth, work, nodes):
    """Grow a tree on (features, samples) columns and write it to `nodes`.

    `sorted_rows` are each column's rows in ascending order. `targets`, (samples,), lie in [-1, 1].
    Leaves keep the value 0, and `work.leaf_of` gets the leaf of each row.
    """
    n_features, samples = columns.shape
    # Nodes wait here after their parent's split. Their turn comes depth first, left child first.
    # `places` has the start and end of a node's rows, its depth, its parent and its number of
    # constant features. `sums` has its impurity, sum and sum of squares.
    places = np.empty((max_depth + 2, 5), np.int64)
    sums = np.empty((max_depth + 2, 3))
    features = np.arange(n_features)
    constant_features = np.empty(n_features, np.int64)
    varying = np.empty(n_features, np.int64)
    state = np.int64(seed)

    total, squares = _sums(targets, np.arange(samples).astype(np.uint32))
    mean = total / samples
    places[0] = 0, samples, 0, -1, 0
    sums[0] = squares / samples - mean * mean, total, squares
    waiting = 1
    count = 0
    while waiting:
        waiting -= 1
        start, end, depth, parent, constants = places[waiting]
        impurity, total, squares = sums[waiting]
        size = end - start
        node = count
        count += 1
        if parent >= 0 and node != nodes[parent].left:
            nodes[parent].right = node
        nodes[node].left = nodes[node].right = LEAF
        nodes[node].feature = LEAF
        nodes[node].samples = size
        nodes[node].impurity = impurity
        nodes[node].threshold = nodes[node].value = 0.0

        # Look for the best split, with features in the order in which they are drawn.
        n_left = 0
        rows = sorted_rows if depth == 0 else work.segments[depth % 2]
        if depth < max_depth and size >= 2 and impurity > _EPSILON:
            state, n_varying, constants, last = _draw_features(
                state,
                columns,
                rows,
                start,
                end,
                features,
                constant_features,
                constants,
                varying,
            )
            if n_varying:
                best_feature, n_left = _best_split(
                    columns, rows, start, end, varying[:n_varying], targets, total, squares, work
                )

        # Split there, unless rounding turned the gain negative.
        if n_left:
            chosen = rows[best_feature, start:end]
            _mark(chosen, n_left, work.goes_left)
            _scramble(rows[last, start:end], n_left, work.goes_left, work.ordered)
            left, right = _halves(targets, work.ordered[0, :size], n_left, total, squares)
            improvement = (size / samples) * (
                impurity - (size - n_left) / size * right[0] - n_left / size * left[0]
            )
            if improvement + _EPSILON >= 0.0:
                nodes[node].left = node + 1
                nodes[node].feature = best_feature
                below = columns[best_feature, chosen[n_left - 1]]
                above = columns[best_feature, chosen[n_left]]
                nodes[node].threshold = np.float64(below) / 2.0 + np.float64(above) / 2.0
                nodes[node].value = total / size
                if depth + 1 < max_depth:
                    children = work.segments[(depth + 1) % 2]
                    for feature in varying[:n_varying]:
                        _partition(
                            rows[feature, start:end],
                            n_left,
                            work.goes_left,
                            children[feature, start:end],
                        )
                middle = start + n_left
                places[waiting] = middle, end, depth + 1, node, constants
                sums[waiting] = right
                places[waiting + 1] = start, middle, depth + 1, node, constants
                sums[waiting + 1] = left
                waiting += 2

        if nodes[node].left == LEAF:
            if parent < 0:
                work.leaf_of[:] = node
            else:
                # The parent's rows are still in memory, as only its other child may have written.
                kept = sorted_rows if depth == 1 else work.segments[(depth - 1) % 2]
                for row in kept[nodes[parent].feature, start:end]:
                    work.leaf_of[row] = node


@njit(nogil=True, cache=True, error_model="numpy")
def _draw_features(state, columns, rows, start, end, features, constant_features, known, varying):
    """Draw features without replacement until only constant ones remain.

    `features` is a permutation whose first `known` features are constant in an ancestor already.
    The feature that is drawn first wins a tie, so scikit-learn's generator and its handling of
    constant features are followed exactly.

    Returns the generator's state, how many features it wrote to `varying`, how many are now known
    to be constant, and the last feature by which scikit-learn sorts the node's rows. (Sorting by a
    feature of a single value does not move them.)
    """
    remaining = len(features)
    drawn = found = n_varying = 0
    last = -1
    while remaining > known + found:
        state = _xorshift(state)
        j = drawn + (state & 0x7FFFFFFF) % (remaining - found - drawn)
        if j < known:
            features[drawn], features[j] = features[j], features[drawn]
            drawn += 1
            continue
        j += found
        feature = features[j]
        lowest = columns[feature, rows[feature, start]]
        highest = columns[feature, rows[feature, end - 1]]
        if highest > lowest:
            last = feature
        if highest <= lowest + _SAME:
            features[j], features[known + found] = features[known + found], feature
            found += 1
            continue
        remaining -= 1
        features[remaining], features[j] = feature, features[remaining]
        varying[n_varying] = feature
        n_varying += 1
    features[:known] = constant_features[:known]
    constant_features[known : known + found] = features[known : known + found]
    return state, n_varying, known + found, last


@njit(nogil=True, cache=True, error_model="numpy")
def _xorshift(state):
    """The next state, in [1, 2^32), of Marsaglia's generator with the triple (13, 17, 5).

    References:
        Marsaglia, Xorshift RNGs, 2003, https://doi.org/10.18637/jss.v008.i14
    """
    if state == 0:
        state = np.int64(1)
    state ^= (state << 13) & 0xFFFFFFFF
    state ^= state >> 17
    state ^= (state << 5) & 0xFFFFFFFF
    return state


@njit(nogil=True, cache=True, error_model="numpy")
def _best_split(columns, rows, start, end, varying, targets, total, squares, work):
    """The feature that splits the node best, and how many of its rows go left.

    The first of `varying` wins a tie. No row goes left if all neighbouring values are the same.
    """
    gains = np.empty(len(varying))
    _centre(targets, rows[varying[0], start:end], total, work.centred, work.weights)
    best = second = -np.inf
    best_feature = n_left = 0
    for j, feature in enumerate(varying):
        gains[j], runner_up, place = _screen(
            columns[feature], rows[feature, start:end], work.centred, work.weights
        )
        if gains[j] > best:
            second = max(best, runner_up)
            best, best_feature, n_left = gains[j], feature, place
        else:
            second = max(second, gains[j])
    enough = best - _slack(end - start, squares)
    if second >= enough:
        best = -np.inf
        for j, feature in enumerate(varying):
            if gains[j] >= enough:
                by_feature = rows[feature, start:end]
                best, place = _search(columns[feature], by_feature, targets, total, best)
                if place:
                    best_feature, n_left = feature, place
    return best_feature, n_left


@njit(nogil=True, cache=True, error_model="numpy")
def _centre(targets, rows, total, centred, weights):
    r"""Prepare the screen of a node.

    With `a` the targets less the node's mean, l and r rows on the left and right, and n in all,

    .. math:: \frac{S_l^2}{l} + \frac{S_r^2}{r} = \frac{S^2}{n} + n \frac{(\sum_{left} a)^2}{l r}

    so the last fraction orders splits by their gain.
    """
    size = len(rows)
    mean = total / size
    for row in rows:
        centred[row] = targets[row] - mean
    for left in range(1, size):
        weights[left] = 1.0 / (np.float64(left) * np.float64(size - left))


@njit(nogil=True, cache=True, error_model="numpy")
def _slack(size, squares):
    r"""How much one split's screened gain must exceed another's to be certainly the greater gain.

    Adding n numbers one by one errs by at most n u times the sum of their absolute values, where u
    is the unit roundoff. So for targets y in [-1, 1] the errors of two splits' gains, both in
    `_screen` and in `_search`, sum to less than :math:`(44 n + 64) u \sum |y|`. The screen's gains
    are divided by n, and :math:`\sum |y| \le \sqrt{n \sum y^2}`.
    """
    return 128.0 * _ROUNDING * np.sqrt(size * squares)


@njit(nogil=True, cache=True, error_model="numpy")
def _screen(column, rows, centred, weights):
    """The feature's best and second best gain up to rounding, and how many rows the best puts left.

    It takes four places at a time, so that only one addition in four waits for the one before.
    """
    best = second = -np.inf
    n_left = 0
    total = 0.0
    fours = (len(rows) - 1) // 4
    whole = 4 * fours
    rows_by_four = rows[:whole].reshape(fours, 4)
    weights_by_four = weights[1 : 1 + whole].reshape(fours, 4)
    for i in range(fours):
        four, weight = rows_by_four[i], weights_by_four[i]
        a = centred[four[0]]
        b = a + centred[four[1]]
        c = b + centred[four[2]]
        d = c + centred[four[3]]
        a, b, c, total = a + total, b + total, c + total, d + total
        a *= a * weight[0]
        b *= b * weight[1]
        c *= c * weight[2]
        d = total * total * weight[3]
        if a > second or b > second or c > second or d > second:
            for place, gain in ((4 * i + 1, a), (4 * i + 2, b), (4 * i + 3, c), (4 * i + 4, d)):
                if gain > second and _differ(column, rows, place):
                    if gain > best:
                        best, second, n_left = gain, best, place
                    else:
                        second = gain
    for i in range(whole, len(rows) - 1):
        total += centred[rows[i]]
        gain = total * total * weights[i + 1]
        if gain > second and _differ(column, rows, i + 1):
            if gain > best:
                best, second, n_left = gain, best, i + 1
            else:
                second = gain
    return best, second, n_left


@njit(nogil=True, cache=True, error_model="numpy")
def _differ(column, rows, place):
    """Whether the row at this place has a higher value than the one before it."""
    return not column[rows[place]] <= column[rows[place - 1]] + _SAME


@njit(nogil=True, cache=True, error_model="numpy")
def _search(column, rows, targets, total, best):
    """The feature's best split by scikit-learn's arithmetic, if its gain is above `best`.

    The sum on the left grows row by row. After many equal values it is shorter to take it anew from
    the right. Returns the gain and how many rows go left, or `best` and 0.
    """
    size = len(rows)
    n_left = summed = 0
    left_sum = 0.0
    for place in range(1, size):
        if not _differ(column, rows, place):
            continue
        if place - summed <= size - place:
            for row in rows[summed:place]:
                left_sum += targets[row]
        else:
            left_sum = _less(total, targets, rows[place:])
        summed = place
        right_sum = total - left_sum
        gain = left_sum * left_sum / place + right_sum * right_sum / (size - place)
        if gain > best:
            best, n_left = gain, place
    return best, n_left


@njit(nogil=True, cache=True, error_model="numpy")
def _less(total, targets, rows):
    """The total less the targets of some rows, last row first."""
    for i in range(len(rows) - 1, -1, -1):
        total -= targets[rows[i]]
    return total


@njit(nogil=True, cache=True, error_model="numpy")
def _mark(rows, n_left, goes_left):
    for row in rows[:n_left]:
        goes_left[row] = 1
    for row in rows[n_left:]:
        goes_left[row] = 0


@njit(nogil=True, cache=True, error_model="numpy")
def _scramble(rows, n_left, goes_left, ordered):
    """Write the node's rows to `ordered[0]` in the order scikit-learn has them after a split.

    scikit-learn starts from `rows`, sorted by the feature it saw last, and goes from the front. It
    swaps a right row with the last row that is not placed yet, and examines that row next. The
    result is:

    - In the left part, a left row stays, and a right row gives its place to the next left row from
      the back.
    - In the right part, from the back on, each place takes the row of the place behind it. If that
      is a left row, or there is no place behind, it takes the next right row from the front.
    """
    result, from_front, from_back = ordered
    size = len(rows)
    count = 0
    for row in rows[:n_left]:
        from_front[count] = row
        count += 1 - goes_left[row]
    # At the place where front and back meet, the row is the next right row, if it is one.
    from_front[count] = rows[n_left]
    count = 0
    for i in range(size - 1, n_left - 1, -1):
        row = rows[i]
        from_back[count] = row
        count += goes_left[row]
    count = 0
    for i in range(n_left):
        row = rows[i]
        stays = goes_left[row]
        result[i] = row if stays else from_back[count]
        count += 1 - stays
    count = 0
    behind, behind_went = rows[size - 1], 1
    for i in range(size - 1, n_left - 1, -1):
        result[i] = from_front[count] if behind_went else behind
        count += behind_went
        behind = rows[i]
        behind_went = goes_left[behind]


@njit(nogil=True, cache=True, error_model="numpy")
def _halves(targets, ordered, n_left, total, squares):
    """Impurity, sum and sum of squares of both children. The left rows are first in `ordered`."""
    left_rows, right_rows = ordered[:n_left], ordered[n_left:]
    n_right = len(right_rows)
    left_total, left_squares = _sums(targets, left_rows)
    right_total, right_squares = _sums(targets, right_rows)
    # Impurities come from the parent's sums less the smaller child's, not from the children's own.
    moved = left_total if n_left <= n_right else _less(total, targets, right_rows)
    left_mean, right_mean = moved / n_left, (total - moved) / n_right
    left_impurity = left_squares / n_left - left_mean * left_mean
    right_impurity = (squares - left_squares) / n_right - right_mean * right_mean
    return (
        (left_impurity, left_total, left_squares),
        (right_impurity, right_total, right_squares),
    )


@njit(nogil=True, cache=True, error_model="numpy")
def _sums(targets, rows):
    total = squares = 0.0
    for row in rows:
        target = targets[row]
        total += target
        squares += target * target
    return total, squares


@njit(nogil=True, cache=True, error_model="numpy")
def _partition(rows, n_left, goes_left, result):
    """Write left rows first, then right rows, each in their present order."""
    # Indices are unsigned, as numba checks whether a signed index is negative.
    left, right = np.uint64(0), np.uint64(n_left)
    for row in rows:
        goes = np.uint64(goes_left[row])
        result[left if goes else right] = row
        left += goes
        right += np.uint64(1) - goes
