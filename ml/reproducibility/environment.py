"""The environment that the numbers of a run depend on besides its spec."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import torch

from ml.reproducibility.library_versions import library_versions
from ml.reproducibility.processor import GPU_SETTINGS, assignments, processor, settings


def environment(device: torch.device) -> dict[str, Any]:
    """Device model, threads and library versions. Equal environments give equal bits.

    The model of a CPU stands for everything by which libraries choose kernels. `processor` has all
    of that in full.
    """
    found: dict[str, Any] = {
        "device": device.type,
        "threads": torch.get_num_threads(),
        "versions": library_versions(),
    }
    if device.type == "cuda":
        model = [torch.cuda.get_device_name(device), *assignments(settings(GPU_SETTINGS))]
        return {**found, "device_model": " ".join(model)}
    here = processor()
    return {**found, "device_model": here.model(), "processor": asdict(here)}


def default_device() -> torch.device:
    """The first CUDA device, else the CPU."""
    return torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")
