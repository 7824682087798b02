"""How many runs of a kind a device can train side by side, by what they are measured to take."""

from __future__ import annotations

import dataclasses
import errno
from collections.abc import Callable
from typing import Protocol

import torch

from ml.datasets.protocol import Dataset
from ml.spec.identity import cohort_key
from ml.spec.run_spec import RunSpec
from ml.training.loop import train_cohort

WIDEST = 64
KEPT_FREE = 0.1
"""Share of the device's memory that is left to encoding, to fragments and to others."""
TRIAL_STEPS = 2
"""The optimizer's first step brings its buffers; the second is as all others are."""


_OUT_OF_MEMORY = (
    "DefaultCPUAllocator: ",
    "Cannot allocate memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error says that memory ran out: the device's or the machine's."""
    # numpy's own error is a MemoryError, and so are those of scikit-learn's compiled parts.
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    # torch has no class of its own for these.
    return isinstance(error, RuntimeError) and any(said in str(error) for said in _OUT_OF_MEMORY)


class Meter(Protocol):
    """How much memory work takes on a device, and how much there is; all in bytes."""

    def peak(self, work: Callable[[], None]) -> int:
        """The most that was in use at once while this work was done."""

    def available(self) -> int:
        """What this process has or could have now."""


class CudaMeter:
    """By the counters of torch's allocator."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def peak(self, work: Callable[[], None]) -> int:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(self._device)
        work()
        return torch.cuda.max_memory_reserved(self._device)

    def available(self) -> int:
        torch.cuda.empty_cache()
        free, _ = torch.cuda.mem_get_info(self._device)
        kept = torch.cuda.memory_reserved(self._device) - torch.cuda.memory_allocated(self._device)
        return free + kept


def power_of_two(most: int) -> int:
    """The largest power of two that is at most this many."""
    return 1 << (most.bit_length() - 1)


@dataclasses.dataclass(frozen=True)
class Memory:
    """What a cohort takes, in bytes: so much in any case, and so much a run."""

    base: float
    per_run: float

    def widest(self, available: int, most: int) -> int:
        """The largest power of two, at most `most`, that leaves a tenth of the memory free.

        At least 1: whether a single run fits, it finds out by itself.
        """
        room = (1 - KEPT_FREE) * available - self.base
        fitting = int(room / self.per_run) if self.per_run > 0 else most
        return power_of_two(max(1, min(most, fitting)))


def measured(spec: RunSpec, data: Dataset, device: torch.device, meter: Meter) -> Memory:
    """Train a few steps of two runs and of three; what the third adds is what each takes."""
    short = spec.model_copy(
        update={
            # The numbers that it begins with take the same memory.
            "origin": None,
            "training": spec.training.model_copy(
                update={"steps": TRIAL_STEPS, "checkpoint_minutes": 1440}
            ),
        }
    )

    def peak(width: int) -> int:
        return meter.peak(lambda: _train(short, width, device, data))

    # From two on the networks of all runs are one call, whose buffers grow by the run.
    two, three = peak(2), peak(3)
    per_run = max(0, three - two)
    return Memory(base=two - 2 * per_run, per_run=per_run)


def _train(spec: RunSpec, width: int, device: torch.device, data: Dataset) -> None:
    for _, outcome in train_cohort([spec] * width, device=device, data=data):
        if isinstance(outcome, Exception):
            raise outcome


def widest(
    spec: RunSpec,
    device: torch.device,
    most: int,
    *,
    asked: int | None = None,
    meter: Meter | None = None,
) -> int:
    """How many runs like this one to train side by side, at most `most`: a power of two.

    On a CPU, where a step of many costs as much as many steps, one, unless more are `asked` for.
    Elsewhere at most as many as are asked for; a run's memory is measured the first time that its
    like is asked about.
    """
    key = (cohort_key(spec), str(device))
    most = min(most, WIDEST, asked or WIDEST, _too_wide.get(key, 2 * WIDEST) // 2)
    if most < 2:
        return 1
    if meter is None and device.type != "cuda":
        return power_of_two(most) if asked else 1
    meter = meter or CudaMeter(device)
    if key not in _known:
        try:
            _known[key] = measured(spec, spec.dataset.open(), device, meter)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            return 1
    return _known[key].widest(meter.available(), most)


def ran_out(spec: RunSpec, device: torch.device, width: int) -> None:
    """Runs like this one did not fit at this width: from now on half as many are tried at most."""
    _too_wide[cohort_key(spec), str(device)] = width


_known: dict[tuple[str, str], Memory] = {}
_too_wide: dict[tuple[str, str], int] = {}
