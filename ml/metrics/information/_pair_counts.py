"""Counting pairs of classes, which is most of the work of a null of many permutations."""

from __future__ import annotations

import numpy as np
from numba import njit

_ROWS = 1024
"""Rows that are counted for one latent before the next latent has its turn. The counters of a
latent and the classes of so many rows stay in the processor's nearest cache."""


@njit(nogil=True, cache=True, error_model="numpy")
def count_pairs(codes, places, order, counts):
    """Add to `counts` how often each class of each latent occurs with each class of each factor.

    Row i has the codes `codes[:, i]` and the factors of row `order[i]`.

    Args:
        codes: class indices (latents, samples), unsigned.
        places: (samples, factors), unsigned. Each class of each factor has its own place.
        order: (samples,).
        counts: (latents, classes of a code, places), int64.
    """
    latents, classes, width = counts.shape
    factors = places.shape[1]
    cells = counts.reshape(latents * classes * width)
    block = np.empty((_ROWS, factors), np.uint64)
    for start in range(0, len(order), _ROWS):
        rows = min(_ROWS, len(order) - start)
        for row in range(rows):
            for factor in range(factors):
                block[row, factor] = places[order[start + row], factor]
        for latent in range(latents):
            # Indices are unsigned, as numba checks whether a signed index is negative.
            first = np.uint64(latent * classes * width)
            for row in range(rows):
                at = first + np.uint64(codes[latent, start + row]) * np.uint64(width)
                for factor in range(factors):
                    cells[at + block[row, factor]] += 1
