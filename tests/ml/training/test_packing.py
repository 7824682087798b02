"""How many runs fit beside each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from ml.spec.run_spec import RunSpec
from ml.training import packing
from ml.training.packing import Memory, is_out_of_memory, power_of_two, ran_out, widest

CPU = torch.device("cpu")


def spec(*, seed: int = 0, **training: Any) -> RunSpec:
    return RunSpec.parse(
        {
            "seed": seed,
            "dataset": {"name": "digits", "size": 32},
            "model": {"name": "mlp", "hidden": [8], "latent_dim": 2},
            "objective": "beta_vae",
            "training": {"steps": 1000, "batch_size": 4, **training},
        }
    )


class FakeMeter:
    """A device on which a cohort takes 400 bytes and 600 a run."""

    def __init__(self, available: int) -> None:
        self._available = available
        self._peaks = iter([1600, 2200])

    def peak(self, work: Callable[[], None]) -> int:
        work()
        return next(self._peaks)

    def available(self) -> int:
        return self._available


@pytest.fixture(autouse=True)
def nothing_known() -> Iterator[None]:
    packing._known.clear()
    packing._too_wide.clear()
    yield
    packing._known.clear()
    packing._too_wide.clear()


@pytest.mark.parametrize(
    ("available", "most", "width"),
    [
        # 0.9 of it, less 400, by 600 a run.
        (1100, 64, 1),
        (1777, 64, 1),
        (1778, 64, 2),
        (4000, 64, 4),
        (1_000_000, 64, 64),
        (1_000_000, 100, 64),
        (1_000_000, 7, 4),
        (0, 64, 1),
    ],
)
def test_as_many_runs_as_leave_a_tenth_of_the_memory(available: int, most: int, width: int) -> None:
    assert widest(spec(), CPU, most, meter=FakeMeter(available)) == width


def test_two_runs_and_three_are_trained_for_the_measure(monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[tuple[int, int]] = []
    train_cohort = packing.train_cohort

    def watched(specs: Any, **options: Any) -> Any:
        trained.append((len(specs), specs[0].training.steps))
        return train_cohort(specs, **options)

    monkeypatch.setattr(packing, "train_cohort", watched)
    meter = FakeMeter(4000)
    assert widest(spec(), CPU, 64, meter=meter) == 4
    assert trained == [(2, 2), (3, 2)]
    # What is known of a kind of run is not measured again, whatever its numbers are.
    assert widest(spec(gradient_clip=3), CPU, 64, meter=meter) == 4
    assert len(trained) == 2


def test_runs_that_go_on_from_others_are_measured_without_them() -> None:
    forked = RunSpec.parse(
        {**spec().document(), "seed": 9, "origin": {"objective": "vae", "training.steps": 1}}
    )
    assert widest(forked, CPU, 64, meter=FakeMeter(4000)) == 4


def test_on_a_cpu_one_is_trained_after_the_other() -> None:
    assert widest(spec(), CPU, 64) == 1


def test_a_run_alone_is_not_measured() -> None:
    meter = FakeMeter(4000)
    assert widest(spec(), CPU, 1, meter=meter) == 1
    assert next(meter._peaks) == 1600


def test_where_three_runs_do_not_fit_one_is_trained() -> None:
    class Small(FakeMeter):
        def peak(self, work: Callable[[], None]) -> int:
            raise torch.OutOfMemoryError

    assert widest(spec(), CPU, 64, meter=Small(4000)) == 1


def test_memory_that_a_second_run_does_not_add_to_is_no_bound() -> None:
    assert Memory(base=1000, per_run=0).widest(10_000, 16) == 16


def test_powers_of_two() -> None:
    assert [power_of_two(most) for most in (1, 2, 3, 4, 63, 64)] == [1, 2, 2, 4, 32, 64]


@pytest.mark.parametrize(("asked", "most", "width"), [(8, 64, 8), (8, 7, 4), (1, 64, 1), (2, 1, 1)])
def test_on_a_cpu_as_many_as_are_asked_for(asked: int, most: int, width: int) -> None:
    assert widest(spec(), CPU, most, asked=asked) == width


def test_elsewhere_at_most_as_many_as_are_asked_for() -> None:
    assert widest(spec(), CPU, 64, asked=3, meter=FakeMeter(1_000_000)) == 2


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (MemoryError(), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling"), True),
        (RuntimeError("shapes cannot be multiplied"), False),
        (ValueError("DefaultCPUAllocator: "), False),
    ],
)
def test_what_says_that_memory_ran_out(error: Exception, expected: bool) -> None:
    assert is_out_of_memory(error) is expected


def test_torch_says_so_of_the_machine_s_own_memory() -> None:
    with pytest.raises(RuntimeError) as refusal:
        torch.empty(2**55, dtype=torch.uint8)
    assert is_out_of_memory(refusal.value)


def test_what_ran_out_of_memory_is_tried_at_half_the_width() -> None:
    ran_out(spec(), CPU, 8)
    assert widest(spec(seed=3), CPU, 64, meter=FakeMeter(1_000_000)) == 4
    ran_out(spec(), CPU, 2)
    assert widest(spec(), CPU, 64, asked=64) == 1
    # Others are not touched by it.
    assert widest(spec(steps=9), CPU, 64, asked=16) == 16
