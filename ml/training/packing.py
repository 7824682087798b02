"""How many runs of a kind a device can train side by side, from the memory that they take."""

from __future__ import annotations

import dataclasses
import errno
from collections.abc import Callable
from typing import Protocol

import torch

from ml.datasets.dataset import Dataset
from ml.spec.identity import cohort_key
from ml.spec.run_spec import RunSpec
from ml.training.loop import train_cohort

WIDEST = 64
KEPT_FREE = 0.1
"""Share of the device's memory that is left for encoding, fragmentation and other processes."""
TRIAL_STEPS = 2
"""The optimizer allocates its buffers in the first step. The second is like all later ones."""


_OUT_OF_MEMORY = (
    "DefaultCPUAllocator: ",
    "Cannot allocate memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error says that memory ran out: the device's or the machine's."""
    # The errors of numpy and of scikit-learn's compiled parts are MemoryErrors.
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    # torch has no class of its own for the other errors.
    return isinstance(error, RuntimeError) and any(said in str(error) for said in _OUT_OF_MEMORY)


class Meter(Protocol):
    """Measures how much memory work takes on a device, and how much is available, in bytes."""

    def peak(self, work: Callable[[], None]) -> int:
        """Do this work, and return the most memory that was in use at once."""

    def available(self) -> int:
        """The memory that this process has or could have now."""


class CudaMeter:
    """Measures by the counters of torch's allocator."""

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
    """The largest power of two that is at most `most`."""
    return 1 << (most.bit_length() - 1)


@dataclasses.dataclass(frozen=True)
class Memory:
    """The memory that a cohort takes, in bytes: `base`, and `per_run` for each run."""

    base: float
    per_run: float

    def widest(self, available: int, most: int) -> int:
        """The largest width (a power of two, at most `most`) that leaves a tenth of memory free.

        It is at least 1: whether a single run fits is seen when it is trained.
        """
        room = (1 - KEPT_FREE) * available - self.base
        fitting = int(room / self.per_run) if self.per_run > 0 else most
        return power_of_two(max(1, min(most, fitting)))


def measured(spec: RunSpec, data: Dataset, device: torch.device, meter: Meter) -> Memory:
    """Train two runs and then three for a few steps. A run takes what the third one adds."""
    short = spec.model_copy(
        update={
            # Other initial weights take the same memory.
            "origin": None,
            "training": spec.training.model_copy(
                update={"steps": TRIAL_STEPS, "checkpoint_minutes": 1440}
            ),
        }
    )

    def peak(width: int) -> int:
        return meter.peak(lambda: _train(short, width, device, data))

    # From two runs on, the networks of all runs are one call, whose buffers grow with each run.
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
    """How many runs like this one to train side by side: a power of two, at most `most`.

    On a CPU it is 1 unless `asked` is given, as a step of many runs takes as long as their steps
    one by one. On other devices `asked` is an upper bound, and the memory of a run is measured the
    first time that a run of its kind comes up.
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
    """Record that runs like this one did not fit at this width: half as many are tried at most."""
    _too_wide[cohort_key(spec), str(device)] = width


_known: dict[tuple[str, str], Memory] = {}
_too_wide: dict[tuple[str, str], int] = {}
