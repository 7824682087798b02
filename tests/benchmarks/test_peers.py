"""The ways of training that `benchmarks.peers` compares compute the same."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.contenders.contender import Clock, Losses, Task
from benchmarks.contenders.matrix_products import flops_an_image
from benchmarks.contenders.plain_loops import VAE, beta_vae_loss, decoder, encoder
from benchmarks.peers import HEDDLE, LIMITS, LOOPS, PYTHAE, Unequal, check_equal, table
from benchmarks.record import Figure
from ml.spec.run_spec import RunSpec


def test_the_plain_network_is_burgess() -> None:
    spec = RunSpec.parse({"dataset": "dsprites", "model": "burgess", "objective": "beta_vae"})
    draws = torch.Generator().manual_seed(0)
    images = torch.rand(2, 1, 64, 64, generator=draws)
    latents = torch.randn(2, 10, generator=draws)
    for ours, plain, given in (
        (spec.model.encoder((64, 64, 1), 20), encoder(), images),
        (spec.model.decoder((64, 64, 1)), decoder(), latents),
    ):
        for theirs, own in zip(plain.parameters(), ours.parameters(), strict=True):
            theirs.data.copy_(own.data)
        assert torch.equal(ours(given), plain(given))


def test_torch_counts_the_operations_of_a_step_that_the_limits_do() -> None:
    model, images = VAE(), torch.zeros(2, 1, 64, 64)
    with FlopCounterMode(display=False) as counted:
        logits, mean, log_variance = model(images)
        beta_vae_loss(logits, images, mean, log_variance).backward()  # type: ignore[no-untyped-call]
    assert counted.get_total_flops() / 2 == flops_an_image() == 73_708_544


def test_a_contender_that_computes_something_else_ends_the_comparison() -> None:
    ours = Losses([2000.0, 1990.0], 60.0)
    check_equal("the same", ours, Losses([2000.001, 1990.0], 60.0), "float32")
    for other in (Losses([2000.0, 1991.0], 60.0), Losses([2000.0, 1990.0], 60.1)):
        with pytest.raises(Unequal, match="another"):
            check_equal("another", ours, other, "float32")


def test_only_the_steps_after_the_warm_ones_are_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    task = Task(folder="", batch=64, threads=1, precision="float32", warm=2, steps=3)
    seconds = iter(np.arange(10.0, 20.0))
    monkeypatch.setattr("time.perf_counter", lambda: next(seconds))
    clock = Clock(task)
    for _ in range(5):
        clock.step()
    assert task.images == 5 * 64
    assert clock.found().wall == 1.0


def test_the_table_has_ratios_by_round_and_says_why_pythae_is_missing() -> None:
    def rate(*values: float) -> Figure:
        return Figure(values, "images/s", places=0)

    square = LIMITS[1]
    found = {
        HEDDLE: (rate(400, 500), rate(300, 300)),
        LOOPS[0]: (rate(200, 200), rate(300, 100)),
        square: (rate(800, 500), rate(600, 400)),
    }
    rows = {row.labels[0]: row.figures for row in table(found, "", "peers", "has none").rows}
    over = rows[LOOPS[0].title]["Heddle over it"]
    assert isinstance(over, Figure) and over.values == [2.0, 2.5]
    limit = rows[square.title]["Heddle over it"]
    assert isinstance(limit, Figure) and limit.values == [0.5, 1.0]
    assert rows[PYTHAE.title] == {"of a CPU second": "has none"}
    ours = rows[HEDDLE.title]["of a CPU second"]
    assert isinstance(ours, Figure) and ours.alternative == [200, 200]
