"""NVML of a machine that has as many GPUs as a test says."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any


class NotAnswered(Exception):
    """As the driver lacks it, or does not permit it."""


@dataclass
class FakeGpu:
    """What NVML tells of one; None is not answered."""

    uuid: str = "GPU-11111111-2222"
    name: str | None = "NVIDIA H100"
    memory: tuple[int, int] | None = (80 << 30, 79 << 30)
    #: Of each process, the bytes that it has.
    processes: dict[int, int | None] | None = field(default_factory=dict)
    millijoules: int | None = 5_000_000


class FakeNvml:
    """Has the real one's interface."""

    NVMLError: type[Exception] = NotAnswered

    def __init__(self, *gpus: FakeGpu, driver: bool = True) -> None:
        self._gpus, self._driver = gpus, driver

    def nvmlInit(self) -> None:  # noqa: N802
        if not self._driver:
            raise NotAnswered

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return len(self._gpus)

    def nvmlDeviceGetHandleByIndex(self, index: int, /) -> Any:  # noqa: N802
        return self._gpus[index]

    def nvmlDeviceGetHandleByUUID(self, uuid: str, /) -> Any:  # noqa: N802
        for gpu in self._gpus:
            if gpu.uuid == uuid:
                return gpu
        raise NotAnswered

    def nvmlDeviceGetUUID(self, handle: FakeGpu, /) -> str:  # noqa: N802
        return handle.uuid

    def nvmlDeviceGetIndex(self, handle: FakeGpu, /) -> int:  # noqa: N802
        return [gpu is handle for gpu in self._gpus].index(True)

    def nvmlDeviceGetName(self, handle: FakeGpu, /) -> str:  # noqa: N802
        return _answered(handle.name)

    def nvmlDeviceGetMemoryInfo(self, handle: FakeGpu, /) -> Any:  # noqa: N802
        total, free = _answered(handle.memory)
        return SimpleNamespace(total=total, free=free)

    def nvmlDeviceGetComputeRunningProcesses(self, handle: FakeGpu, /) -> list[Any]:  # noqa: N802
        return [
            SimpleNamespace(pid=pid, usedGpuMemory=used)
            for pid, used in _answered(handle.processes).items()
        ]

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: FakeGpu, /) -> int:  # noqa: N802
        return _answered(handle.millijoules)


def _answered(value: Any) -> Any:
    if value is None:
        raise NotAnswered
    return value
