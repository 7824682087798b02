"""What the numbers of a run depend on besides its spec."""

from __future__ import annotations

import platform
from dataclasses import asdict
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from ml.reproducibility.processor import GPU_SETTINGS, processor, settings, told

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
    """Device model, threads and library versions: equal ones give equal bits.

    The model of a CPU names all that its libraries choose kernels by; `processor` tells it in full.
    """
    found: dict[str, Any] = {
        "device": device.type,
        "threads": torch.get_num_threads(),
        "versions": library_versions(),
    }
    if device.type == "cuda":
        model = [torch.cuda.get_device_name(device), *told(settings(GPU_SETTINGS))]
        return {**found, "device_model": " ".join(model)}
    here = processor()
    return {**found, "device_model": here.model(), "processor": asdict(here)}


def default_device() -> torch.device:
    """The first CUDA device, else the CPU."""
    return torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")
