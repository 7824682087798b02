"""Evaluations of every image, through the worker: encoded once, kept, dropped and made anew."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from api.submission.planning import plan_evaluation
from ml.datasets.protocol import data_folder
from ml.evaluation.population import GridCodes
from ml.metrics.information import information_metric
from ml.networks.model import Encoding, Model
from store import queries
from store.errors import NotFound
from store.experiments.evaluations import evaluate_run
from store.states import EvaluationState, RunState
from tests.worker.workplace import Workplace, on_sqlite, spec
from worker import collecting
from worker.evaluation import evaluate_next
from worker.training import train_next

pytestmark = [on_sqlite, pytest.mark.usefixtures("no_pictures")]

GRID = "grid_codes.npz"


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many images the model has encoded, call by call."""
    calls: list[int] = []
    encode = Model.encode

    def counted(self: Model, images: Any) -> Encoding:
        calls.append(len(images))
        return encode(self, images)

    monkeypatch.setattr(Model, "encode", counted)
    return calls


def images_of(*sizes: int, but: int = 0) -> dict[str, str]:
    """An image table of a grid, without its first images if `but` is given."""
    factors = np.indices(sizes).reshape(len(sizes), -1)[:, but:]
    images = np.random.default_rng(0).integers(0, 256, (factors.shape[1], 16, 16), dtype=np.uint8)
    data_folder().mkdir(parents=True, exist_ok=True)
    columns = dict(zip("abc", factors, strict=False))
    np.savez(data_folder() / "table.npz", images=images, **columns)
    return {"name": "image_table", "path": "table.npz"}


def asking(dataset: Any, **evaluation: Any) -> dict[str, Any]:
    return {
        **spec(steps=2),
        "dataset": dataset,
        "evaluation": {"metrics": ["mig"], "rows": "all", **evaluation},
    }


def once_more(workplace: Workplace, run_id: str, **body: Any) -> str:
    """Ask for another evaluation of a run by itself, as the API does."""
    database = workplace.stores.database
    evaluation, key = plan_evaluation(body, queries.spec_of(database, run_id))
    return evaluate_run(database, run_id, spec=evaluation, evaluation_key=key, owner=None).id


def test_the_grid_is_encoded_in_training_and_read_by_every_evaluation(
    workplace: Workplace, encoded: list[int]
) -> None:
    run_id = workplace.post(asking(images_of(4, 5, 3)))
    train_next()
    # The sample, which is all of so few images, and the grid.
    assert sum(encoded) == 60 + 60
    grid = workplace.content(run_id, GRID)
    assert GridCodes.from_npz(grid).mean.shape == (60, 4)
    encoded.clear()
    evaluate_next()
    second = once_more(workplace, run_id, metrics=["modularity", "elbo"], rows="all")
    evaluate_next()
    assert encoded == [] and workplace.run(run_id).state is RunState.SUCCEEDED
    first = [one.document for one in queries.scores(workplace.stores.database, run_id)]
    (mig,) = [one for one in first if one["name"] == "mig"]
    assert (mig["population"], mig["rows"]) == (True, 60)
    assert mig["null"]["replicates"] == information_metric.MOST_REPLICATES
    assert mig["ci95"] == [mig["value"]] * 2 and mig["factors"] == ["a", "b", "c"]
    kinds = {one["name"]: (one["population"], one["rows"]) for one in workplace.scores(second)}
    assert kinds["modularity"] == (True, 60) and kinds["elbo"] == (False, 20)
    assert workplace.content(run_id, GRID) == grid


def test_grid_codes_that_were_dropped_or_never_made_are_made_and_kept(
    workplace: Workplace, encoded: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = workplace.post(asking(images_of(4, 5, 3), rows=40))
    train_next()
    evaluate_next()
    with pytest.raises(NotFound):
        workplace.content(run_id, GRID)
    encoded.clear()
    once_more(workplace, run_id, metrics=["mig"], rows="all")
    evaluate_next()
    # The rows that the run keeps are others than those of this sample.
    assert sum(encoded) == 60 + 60
    made = workplace.content(run_id, GRID)

    monkeypatch.setattr(collecting, "_next", 0.0)
    workplace.configure(keep_grid_codes_days=0)
    thread = collecting.collect_when_due()
    assert thread is not None
    thread.join()
    names = [one.name for one in queries.artifacts(workplace.stores.database, run_id)]
    assert GRID not in names and "codes.npz" in names
    once_more(workplace, run_id, metrics=["dcimig"], rows="all")
    evaluate_next()
    assert workplace.content(run_id, GRID) == made


def test_other_data_than_the_kept_codes_are_of_are_encoded(
    workplace: Workplace, encoded: list[int]
) -> None:
    part = {**images_of(4, 5, 3), "only": {"a": [0, 2]}}
    run_id = workplace.post(asking(part))
    train_next()
    evaluate_next()
    assert len(GridCodes.from_npz(workplace.content(run_id, GRID)).mean) == 30
    once_more(workplace, run_id, metrics=["mig"], rows="all", images="all")
    evaluate_next()
    (_, score) = queries.scores(workplace.stores.database, run_id)
    assert (score.document["rows"], score.document["images"]) == (60, "all")


def test_a_run_that_can_have_no_population_is_not_trained(workplace: Workplace) -> None:
    run_id = workplace.post(asking(images_of(4, 5, 3, but=1)))
    train_next()
    error = workplace.run(run_id).error
    assert error is not None and error["type"] == "NoPopulation"
    assert "59 images for 60 combinations" in error["message"]
    assert "evaluation.rows" in error["advice"]


def test_a_trained_run_loses_nothing_by_an_evaluation_without_a_population(
    workplace: Workplace,
) -> None:
    run_id = workplace.post(asking(images_of(4, 5, 3, but=1), rows=40))
    train_next()
    evaluate_next()
    second = once_more(workplace, run_id, metrics=["mig"], rows="all")
    evaluate_next()
    refused = workplace.evaluation(second)
    assert refused.state is EvaluationState.FAILED
    assert refused.error is not None and refused.error["type"] == "NoPopulation"
    assert workplace.run(run_id).state is RunState.SUCCEEDED
    assert len(queries.scores(workplace.stores.database, run_id)) == 1
