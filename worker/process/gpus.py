"""The GPU of this process as NVIDIA's management library (NVML) knows it.

NVML needs no CUDA context, which would take hundreds of megabytes of the device. A value is None
where NVML has no answer: without a driver, without permission, or on a device without such a
counter.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol, TypeVar

import psutil

T = TypeVar("T")

LEAST_BYTES = 256 << 20
"""A process that uses less memory of a GPU is ignored, as a desktop or a monitor."""

FIRST_NAMESPACE = "pid:[4026531836]"
"""The namespace of the machine's own processes, whose ids NVML reports. A container has its own."""

GIB = 1 << 30


class Nvml(Protocol):
    """The functions of `pynvml` that are used here."""

    NVMLError: type[Exception]

    def nvmlInit(self) -> None: ...  # noqa: N802
    def nvmlDeviceGetCount(self) -> int: ...  # noqa: N802
    def nvmlDeviceGetHandleByIndex(self, index: int, /) -> Any: ...  # noqa: N802
    def nvmlDeviceGetHandleByUUID(self, uuid: str, /) -> Any: ...  # noqa: N802
    def nvmlDeviceGetUUID(self, handle: Any, /) -> str: ...  # noqa: N802
    def nvmlDeviceGetIndex(self, handle: Any, /) -> int: ...  # noqa: N802
    def nvmlDeviceGetName(self, handle: Any, /) -> str: ...  # noqa: N802
    def nvmlDeviceGetMemoryInfo(self, handle: Any, /) -> Any: ...  # noqa: N802
    def nvmlDeviceGetComputeRunningProcesses(self, handle: Any, /) -> Sequence[Any]: ...  # noqa: N802
    def nvmlDeviceGetTotalEnergyConsumption(self, handle: Any, /) -> int: ...  # noqa: N802


@dataclass(frozen=True)
class OnGpu:
    """A process that uses memory of a GPU."""

    pid: int
    used_bytes: int


class Gpu:
    """One GPU."""

    def __init__(self, nvml: Nvml, handle: Any) -> None:
        self._nvml, self._handle = nvml, handle

    @property
    def index(self) -> int | None:
        """Its number, as nvidia-smi counts."""
        return self._ask(self._nvml.nvmlDeviceGetIndex)

    @property
    def name(self) -> str | None:
        return self._ask(self._nvml.nvmlDeviceGetName)

    def memory(self) -> tuple[int, int] | None:
        """The total and the free memory, in bytes."""
        found = self._ask(self._nvml.nvmlDeviceGetMemoryInfo)
        return None if found is None else (int(found.total), int(found.free))

    def joules(self) -> float | None:
        """The energy that it has used since its driver was loaded."""
        found = self._ask(self._nvml.nvmlDeviceGetTotalEnergyConsumption)
        return None if found is None else found / 1000

    def processes(self) -> list[OnGpu]:
        """The processes on it whose memory use is known."""
        found = self._ask(self._nvml.nvmlDeviceGetComputeRunningProcesses) or []
        return [OnGpu(one.pid, one.usedGpuMemory) for one in found if one.usedGpuMemory]

    def _ask(self, question: Callable[[Any], T]) -> T | None:
        try:
            return question(self._handle)
        except self._nvml.NVMLError:
            return None


def find_gpu(nvml: Nvml, environment: Mapping[str, str]) -> Gpu | None:
    """The GPU that CUDA takes first in a process with this environment; None if it is not known.

    With several GPUs it is known only if CUDA_DEVICE_ORDER is PCI_BUS_ID. Otherwise CUDA numbers
    them in an order of its own.
    """
    try:
        nvml.nvmlInit()
        handle = _first_visible(nvml, environment)
    except nvml.NVMLError:
        return None
    return None if handle is None else Gpu(nvml, handle)


def _first_visible(nvml: Nvml, environment: Mapping[str, str]) -> Any | None:
    first = environment.get("CUDA_VISIBLE_DEVICES", "0").partition(",")[0].strip()
    count = nvml.nvmlDeviceGetCount()
    if first.isdecimal():
        in_order = count == 1 or environment.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID"
        known = in_order and int(first) < count
        return nvml.nvmlDeviceGetHandleByIndex(int(first)) if known else None
    if first.startswith("MIG-"):
        return nvml.nvmlDeviceGetHandleByUUID(first)
    if first.startswith("GPU-"):
        # CUDA accepts the beginning of a UUID, too.
        for index in range(count):
            handle = nvml.nvmlDeviceGetHandleByIndex(index)
            if nvml.nvmlDeviceGetUUID(handle).startswith(first):
                return handle
    return None


def count_as_nvml() -> None:
    """Have CUDA number GPUs as NVML and nvidia-smi do. Call it before CUDA is first used."""
    os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")


@cache
def _of_process(_pid: int) -> Gpu | None:
    try:
        import pynvml
    except ImportError:
        return None
    return find_gpu(pynvml, os.environ)


def gpu() -> Gpu | None:
    """The GPU of this process. A forked child looks for it again."""
    return _of_process(os.getpid())


def foreign_use(gpu: Gpu, own: Collection[int]) -> str | None:
    """A sentence about a process that uses a GPU and is not one of our `own`; None without one."""
    found = [
        one
        for one in gpu.processes()
        if one.used_bytes >= LEAST_BYTES and one.pid not in own and psutil.pid_exists(one.pid)
    ]
    if not found:
        return None
    found.sort(key=lambda one: one.used_bytes, reverse=True)
    first, *others = found
    more = f" and {len(others)} more" if others else ""
    until = "they end" if others else "it ends"
    name = f" ({gpu.name})" if gpu.name else ""
    return (
        f"GPU {gpu.index}{name} is used by process {first.pid} ({_description(first)}){more};"
        f" waits until {until}"
    )


def knows_processes() -> bool:
    """Whether NVML and this process mean the same processes by their ids."""
    try:
        return str(Path("/proc/self/ns/pid").readlink()) == FIRST_NAMESPACE
    except OSError:
        return False


def relatives() -> set[int]:
    """The ids of this process, its ancestors, and all descendants of its parent."""
    own = {os.getpid()}
    with suppress(psutil.Error):
        parents = psutil.Process().parents()
        own |= {parent.pid for parent in parents}
        # All processes descend from process 1.
        if parents and parents[0].pid != 1:
            own |= {child.pid for child in parents[0].children(recursive=True)}
    return own


def _description(one: OnGpu) -> str:
    size = f"{one.used_bytes / GIB:.1f} GiB"
    try:
        process = psutil.Process(one.pid)
        words = process.cmdline()[:2] or [process.name()]
        # Only the program and its script are shown: other arguments may be long or secret.
        said = [Path(word).name for word in words if not word.startswith("-")]
        return f"{' '.join(said)[:100]} of user {process.username()}, {size}"
    except psutil.Error:
        return size
