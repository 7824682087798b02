"""What the numbers of a run depend on besides its spec."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

LIBRARIES = ("heddle", "torch", "numpy", "scipy", "scikit-learn")


def library_versions() -> dict[str, str]:
    """Versions of the libraries that compute numbers, and of Python."""
    return {"python": platform.python_version(), **{name: _version(name) for name in LIBRARIES}}


@cache
def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "not installed"  # Used from its folder, as Heddle itself may be.


def environment(device: torch.device) -> dict[str, Any]:
    """Device model, threads and library versions: equal ones give equal bits."""
    if device.type == "cuda":
        model = torch.cuda.get_device_name(device)
    else:
        model = f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
    return {
        "device": device.type,
        "device_model": model,
        "threads": torch.get_num_threads(),
        "versions": library_versions(),
    }


def default_device() -> torch.device:
    """The first CUDA device, else the CPU."""
    return torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")
