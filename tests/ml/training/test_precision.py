"""Which precision a device trains in, with made-up measurements and a real one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from ml import train
from ml.datasets.protocol import dataset
from ml.recorder import Stopped
from ml.spec.choices import Precision
from ml.training import precision
from ml.training.precision import Measured, known_rates, measured, quickest_of
from ml.training.state import ForeignCheckpoint
from tests.ml.recorders import Kept

CPU, DIGITS = torch.device("cpu"), dataset("digits")


def spec(of: str, steps: int = 4) -> dict[str, Any]:
    model = {"name": "mlp", "latent_dim": 2}
    training = {"steps": steps, "batch_size": 2, "precision": of}
    return {"dataset": "digits", "model": model, "objective": "vae", "training": training}


@pytest.fixture
def claim(monkeypatch: pytest.MonkeyPatch) -> Callable[[float, float | None], None]:
    """Pretend that this was measured of the CPU."""

    def pretend(float32: float, bfloat16: float | None) -> None:
        monkeypatch.setattr(precision, "_found", {CPU: Measured(float32, bfloat16, 1.0, "cpu")})

    return pretend


@pytest.mark.parametrize(
    ("bfloat16", "faster"),
    [(250, "bfloat16"), (120, "bfloat16"), (119, "float32"), (20, "float32"), (None, "float32")],
)
def test_bfloat16_is_chosen_where_it_is_clearly_faster(
    bfloat16: float | None, faster: Precision
) -> None:
    assert Measured(100.0, bfloat16, 1.0, "cpu").faster == faster


@pytest.mark.parametrize(("bfloat16", "explicit"), [(200.0, "bfloat16"), (20.0, "float32")])
def test_a_run_of_measured_precision_is_that_of_the_spec_that_says_so(
    bfloat16: float, explicit: Precision, claim: Callable[[float, float | None], None]
) -> None:
    claim(100.0, bfloat16)
    auto = train(spec("auto"), data=DIGITS)
    wanted = train(spec(explicit), data=DIGITS)
    assert auto.spec == wanted.spec
    assert auto.spec.training.precision == auto.record["precision"] == explicit
    assert auto.to_bytes() == wanted.to_bytes()


def test_a_run_taken_up_again_keeps_its_precision(
    claim: Callable[[float, float | None], None],
) -> None:
    claim(100.0, 200.0)
    undisturbed = Kept()
    train(spec("bfloat16"), undisturbed, data=DIGITS)
    first = Kept(pause_at=2)
    with pytest.raises(Stopped):
        train(spec("auto"), first, data=DIGITS)
    # Other work on the machine, or another machine, may give another measurement.
    claim(100.0, 50.0)
    second = Kept(start=first.files[-1])
    assert train(spec("auto"), second, data=DIGITS).spec.training.precision == "bfloat16"
    assert second.files[-1] == undisturbed.files[-1]
    with pytest.raises(ForeignCheckpoint):
        train(spec("auto") | {"seed": 1}, Kept(start=first.files[-1]), data=DIGITS)


def test_nothing_is_measured_unless_a_spec_asks_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "_found", {})
    train(spec("float32"), data=DIGITS)
    assert known_rates(CPU) is None


class Steps:
    """A step that takes these seconds."""

    def __init__(self, *seconds: float) -> None:
        self.seconds, self.made = seconds, 0

    def __call__(self) -> float:
        self.made += 1
        return self.seconds[min(self.made, len(self.seconds)) - 1]


def test_the_quickest_step_counts_and_not_the_first() -> None:
    steps = {"float32": Steps(9.0, 3.0, 2.0, 5.0), "bfloat16": Steps(9.0, 4.0, 4.0, 1.5, 4.0)}
    assert quickest_of(steps) == {"float32": 2.0, "bfloat16": 1.5}
    assert {one.made for one in steps.values()} == {1 + precision.ROUNDS}
    assert quickest_of({"float32": Steps(9.0, 1.0)}) == {"float32": 1.0}


def test_no_time_is_lost_with_a_precision_that_is_much_slower() -> None:
    steps = {"float32": Steps(1.0), "bfloat16": Steps(20.0)}
    assert quickest_of(steps) == {"float32": 1.0, "bfloat16": 20.0}
    assert [one.made for one in steps.values()] == [1, 1]


def test_this_device_is_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "_found", {})
    monkeypatch.setattr(precision, "ROUNDS", 1)
    found = measured(CPU)
    assert found.float32 > 0 and found.bfloat16 is not None and found.bfloat16 > 0
    assert measured(CPU) is found is known_rates(CPU)
    assert found.document()["faster"] in ("float32", "bfloat16")
