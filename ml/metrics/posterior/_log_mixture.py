r"""The log density of a mixture of Gaussians at many points, summed without overflow.

The exponential is our own, as numba has no vectorised one without Intel's library. It is a
polynomial of 2^r for r in [-1/2, 1/2] and an addition to the exponent's bits. Its relative error is
below 1e-10. A pair of a point and a component takes about 2 ns in one dimension.

All compiled functions that call each other are in this file (see `_gradient_boosting/_grow.py`).
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

_BLOCK = 256
"""Components at a time. Their ten dimensions fit into the fastest cache."""
_TILE = 64
"""Points at a time."""
_LOG2_E = 1 / math.log(2)
_LEAST = -1000.0
"""2^-1000 and less is nothing beside the largest term, which is 1."""
_ROUNDS = 1.5 * 2**52
"""A number of size 2^51 and less is rounded to an integer if this is added."""
_C0, _C1, _C2, _C3, _C4, _C5, _C6, _C7 = (
    float(coefficient)
    for coefficient in np.polynomial.Chebyshev.interpolate(lambda r: 2.0**r, 7, domain=[-0.5, 0.5])
    .convert(kind=np.polynomial.Polynomial)
    .coef
)


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract"})
def log_mixture(points, means, scales, offsets, out):
    r"""Write the log density at `points`, (points, dimensions), to `out`, (points,).

    It is log sum_n exp(offsets[n] - sum_d ((points[., d] - means[d, n]) scales[d, n])^2) with
    `means` and `scales`, (dimensions, components), and `offsets`, (components,). A Gaussian of
    deviation s has the scale 1 / (s sqrt 2) and the offset -log s, without log(2 pi) / 2.
    """
    dimensions, components = means.shape
    exponents = np.empty(_BLOCK)
    whole, terms = np.empty(_BLOCK), np.empty(_BLOCK)
    whole_bits, term_bits = whole.view(np.int64), terms.view(np.int64)
    for first in range(0, len(points), _TILE):
        last = min(first + _TILE, len(points))
        top, total = np.full(_TILE, -np.inf), np.zeros(_TILE)
        for start in range(0, components, _BLOCK):
            size = min(_BLOCK, components - start)
            for point in range(first, last):
                exponents[:size] = offsets[start : start + size]
                for d in range(dimensions):
                    # Views, as an index that may be negative keeps loops from being vectorised.
                    mean, scale = means[d, start : start + size], scales[d, start : start + size]
                    _subtract(exponents, points[point, d], mean, scale)
                high = _highest(exponents, size)
                k = point - first
                if high > top[k]:
                    total[k] *= math.exp(top[k] - high)
                    top[k] = high
                _exponentials(exponents, size, top[k], whole, whole_bits, terms, term_bits)
                total[k] += _sum(terms, size)
        for point in range(first, last):
            out[point] = top[point - first] + math.log(total[point - first])


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract"})
def _subtract(exponents, at, mean, scale):
    for n in range(len(mean)):
        t = (at - mean[n]) * scale[n]
        exponents[n] -= t * t


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract"})
def _exponentials(exponents, size, top, whole, whole_bits, terms, term_bits):
    """Write e^(exponent - top), where no exponent is above top, to `terms`."""
    for n in range(size):
        x = max((exponents[n] - top) * _LOG2_E, _LEAST)
        # The last bits of `whole` are x rounded to an integer.
        whole[n] = x + _ROUNDS
        r = x - (whole[n] - _ROUNDS)
        terms[n] = _C0 + r * (
            _C1 + r * (_C2 + r * (_C3 + r * (_C4 + r * (_C5 + r * (_C6 + r * _C7)))))
        )
    for n in range(size):
        term_bits[n] += whole_bits[n] << 52


# These may be vectorised, as the order of a maximum and of a sum is left open.
@njit(nogil=True, cache=True, error_model="numpy", fastmath={"nnan", "nsz"})
def _highest(values, size):
    high = values[0]
    for n in range(1, size):
        if values[n] > high:
            high = values[n]
    return high


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"reassoc"})
def _sum(values, size):
    total = 0.0
    for n in range(size):
        total += values[n]
    return total
