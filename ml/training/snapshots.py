"""The steps at which a run keeps its weights for pictures."""

from __future__ import annotations


def snapshot_steps(steps: int, count: int) -> frozenset[int]:
    r"""`count` steps before the last one, evenly spaced on a logarithmic axis, beginning at 1.

    .. math:: \operatorname{round}(steps^{k / count}), k = 0 \dots count - 1

    There are fewer if the formula gives the same step several times, as in short training.
    """
    found = {round(steps ** (place / count)) for place in range(count)}
    return frozenset(step for step in found if step < steps)
