"""Linear algebra whose bits do not depend on the number of threads."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache

from threadpoolctl import ThreadpoolController


def single_threaded() -> AbstractContextManager[object]:
    """Linear algebra in one thread.

    Decompositions, and products of large matrices, are rounded differently with other threads.
    Products with a few latents are so small that threads take longer to meet than to multiply.
    """
    limit: AbstractContextManager[object] = _linear_algebra().limit(limits=1, user_api="blas")
    return limit


@cache
def _linear_algebra() -> ThreadpoolController:
    # scipy has a library of its own, and what is loaded later is not found. The import is slow, and
    # a process that only trains does not need it.
    import scipy.linalg  # noqa: F401

    return ThreadpoolController()
