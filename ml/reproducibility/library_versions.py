"""The versions of the libraries that compute numbers."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version

LIBRARIES = ("heddle", "torch", "numpy", "scipy", "scikit-learn")


def library_versions() -> dict[str, str]:
    """Versions of the libraries that compute numbers, and of Python."""
    return {"python": platform.python_version(), **{name: _version(name) for name in LIBRARIES}}


@cache
def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "not installed"  # Heddle, for one, may be used from its folder.
