"""Randomness as a function of (seed, purpose, block of 256 steps).

Everything that a run draws comes from numpy's Philox on the CPU, keyed by these three alone. So it
is the same on every device, in every process and after any interruption, and resuming needs only
the step and no generator state.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Generic, TypeVar

import numpy as np

BLOCK = 256
MAX_SEED = 2**63 - 1
"""The largest seed that a spec may have."""
T = TypeVar("T")


def generator(seed: int, purpose: str, block: int = 0) -> np.random.Generator:
    """The generator of one block of one purpose."""
    digest = hashlib.sha256(f"heddle draws 1\n{seed}\n{purpose}\n{block}".encode()).digest()
    return np.random.Generator(np.random.Philox(key=np.frombuffer(digest[:16], dtype="<u8")))


class Stream(Generic[T]):
    """The draws of one purpose at each step, which may be asked for in any order.

    The steps of a block are drawn one after another from the block's generator, so only one step is
    in memory. To go back, or forward by more than one step, the block is drawn again up to the step
    that is asked for.
    """

    def __init__(self, seed: int, purpose: str, draw: Callable[[np.random.Generator], T]) -> None:
        self._seed, self._purpose, self._draw = seed, purpose, draw
        self._next = -1
        self._generator = generator(seed, purpose)

    def at(self, step: int) -> T:
        if step != self._next or step % BLOCK == 0:
            block, offset = divmod(step, BLOCK)
            self._generator = generator(self._seed, self._purpose, block)
            for _ in range(offset):
                self._draw(self._generator)
        self._next = step + 1
        return self._draw(self._generator)
