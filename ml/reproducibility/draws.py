"""Randomness as a function of (seed, purpose, block of 256 steps).

Everything a run draws comes from numpy's Philox on the CPU, keyed by these three alone: the same
on every device, in every process, and after any interruption. Resuming needs no generator
state, only the step.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Generic, TypeVar

import numpy as np

BLOCK = 256
MAX_SEED = 2**63 - 1
"""The largest seed that may be asked for."""
T = TypeVar("T")


def generator(seed: int, purpose: str, block: int = 0) -> np.random.Generator:
    """The generator of one block of one purpose."""
    digest = hashlib.sha256(f"heddle draws 1\n{seed}\n{purpose}\n{block}".encode()).digest()
    return np.random.Generator(np.random.Philox(key=np.frombuffer(digest[:16], dtype="<u8")))


class Stream(Generic[T]):
    """What one purpose draws at each step, in any order of asking.

    Steps of a block are drawn one after another from the block's generator, so memory stays that of
    one step; going back, or on by more than one, draws the block again up to there.
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
