"""What NVML tells of this process's GPU: memory, energy, and who else is on it.

NVML makes no context on the GPU, so that idle workers take none of its memory. Where there is no
NVIDIA driver, or it does not tell, the answer is None.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import psutil
import pynvml
import torch

logger = logging.getLogger(__name__)

LEAST_BYTES = 256 << 20
"""A process that holds less of a GPU is in nobody's way: a desktop, a monitor."""

FIRST_NAMESPACE = "pid:[4026531836]"
"""Linux gives this number to the PID namespace that the machine starts with."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Of a device, in bytes."""

    total: int
    free: int


@dataclass(frozen=True, slots=True)
class Foreign:
    """A process of somebody else's on a GPU."""

    pid: int
    bytes: int


@cache
def _started() -> bool:
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        logger.debug("no NVML: %s", error)
        return False
    return True


def _handle(device: torch.device) -> Any:
    """NVML's word for a device of torch's; None where it has none."""
    if device.type != "cuda" or not _started():
        return None
    index = device.index or 0
    visible = [one for one in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if one.strip()]
    try:
        if not visible:
            return pynvml.nvmlDeviceGetHandleByIndex(index)
        name = visible[index].strip()
        if name.isdigit():
            return pynvml.nvmlDeviceGetHandleByIndex(int(name))
        return pynvml.nvmlDeviceGetHandleByUUID(name)
    except (pynvml.NVMLError, IndexError) as error:
        logger.debug("NVML does not know %s: %s", device, error)
        return None


def name(device: torch.device) -> str | None:
    """The model of a GPU, as torch names it too."""
    handle = _handle(device)
    try:
        return None if handle is None else str(pynvml.nvmlDeviceGetName(handle))
    except pynvml.NVMLError:
        return None


def memory(device: torch.device) -> Memory | None:
    """How much memory a GPU has, and has left."""
    handle = _handle(device)
    try:
        if handle is None:
            return None
        found = pynvml.nvmlDeviceGetMemoryInfo(handle)
        return Memory(int(found.total), int(found.free))
    except pynvml.NVMLError:
        return None


def joules(device: torch.device) -> float | None:
    """What a GPU has used since its driver was loaded, all its processes together."""
    handle = _handle(device)
    try:
        if handle is None:
            return None
        return int(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)) / 1000
    except pynvml.NVMLError:
        return None


def foreign(device: torch.device, own: Collection[int]) -> list[Foreign]:
    """Processes on a GPU that are none of Heddle's, the largest first.

    Inside a PID namespace of its own, a container mostly, NVML's numbers mean other processes, and
    none is told.

    Args:
        device: where to look.
        own: processes of Heddle's on this machine; their children count as well.
    """
    handle = _handle(device)
    if handle is None or not _in_first_namespace():
        return []
    try:
        found = pynvml.nvmlDeviceGetComputeRunningProcesses(handle)
    except pynvml.NVMLError:
        return []
    others = [
        Foreign(int(one.pid), int(one.usedGpuMemory or 0))
        for one in found
        if (one.usedGpuMemory or 0) >= LEAST_BYTES and not _is_own(int(one.pid), own)
    ]
    return sorted(others, key=lambda one: -one.bytes)


def _is_own(pid: int, own: Collection[int]) -> bool:
    if pid in own:
        return True
    try:
        return any(parent.pid in own for parent in psutil.Process(pid).parents())
    except psutil.Error:
        return False


def _in_first_namespace() -> bool:
    try:
        return str(Path("/proc/self/ns/pid").readlink()) == FIRST_NAMESPACE
    except OSError:
        return False


def described(device: torch.device, one: Foreign) -> str:
    """Who holds a GPU, for people."""
    where = f"GPU {device.index or 0}"
    model = name(device)
    if model is not None:
        where += f" ({model})"
    try:
        process = psutil.Process(one.pid)
        who = f"process {one.pid} ({process.name()} of user {process.username()})"
    except psutil.Error:
        who = f"process {one.pid}"
    return f"{where} is used by {who}, which holds {one.bytes / 2**30:.1f} GiB of it."
