"""At which steps a run keeps its weights for pictures."""

from __future__ import annotations


def snapshot_steps(steps: int, count: int) -> frozenset[int]:
    r"""`count` steps before the last one, evenly spaced on a logarithmic axis, the first being 1.

    .. math:: \operatorname{round}(steps^{k / count}), k = 0 \dots count - 1

    Where short training has the same step twice, there are fewer.
    """
    found = {round(steps ** (place / count)) for place in range(count)}
    return frozenset(step for step in found if step < steps)
