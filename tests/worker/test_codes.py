from __future__ import annotations

from typing import Any

import pytest

from api.submission.planning import plan_evaluation
from ml.evaluation.encode import EncodedRows, draw_rows
from ml.networks.model import Encoding, Model
from store import queries
from store.experiments.cancel import resume_run
from store.experiments.evaluations import evaluate_run
from store.states import RunState
from tests.worker.workplace import Workplace, flip_a_bit, on_sqlite, spec
from worker.evaluation import evaluate_next
from worker.training import train_next

pytestmark = [on_sqlite, pytest.mark.usefixtures("no_pictures")]


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


def asking(**evaluation: Any) -> dict[str, Any]:
    document = spec(steps=2)
    document["evaluation"] |= evaluation
    return document


def test_training_leaves_the_codes_that_its_evaluation_needs(
    workplace: Workplace, encoded: list[int]
) -> None:
    workplace.post(asking())
    train_next()
    assert sum(encoded) == 80
    encoded.clear()
    assert evaluate_next()
    assert encoded == []


def test_another_evaluation_of_the_same_rows_uses_their_codes(
    workplace: Workplace, encoded: list[int]
) -> None:
    run_id = workplace.post(asking())
    train_next()
    evaluate_next()
    encoded.clear()
    assert workplace.post(asking(metrics=["elbo"])) == run_id
    assert not train_next()
    assert evaluate_next()
    assert encoded == []
    assert workplace.run(run_id).state is RunState.SUCCEEDED
    first, second = queries.evaluations(workplace.stores.database, run_id)
    names = [_names(workplace, run_id, evaluation.id) for evaluation in (first, second)]
    assert "mig" in names[0]
    assert "mig" not in names[1]
    assert "elbo" in names[1]


@pytest.mark.parametrize("other", [{"rows": 40}, {"seed": 7}])
def test_an_evaluation_of_other_rows_encodes_anew(
    other: dict[str, int], workplace: Workplace, encoded: list[int]
) -> None:
    run_id = workplace.post(asking())
    train_next()
    evaluate_next()
    encoded.clear()
    assert workplace.post(asking(**other)) == run_id
    assert evaluate_next()
    rows = other.get("rows", 60) + 20
    assert sum(encoded) == rows
    found = queries.scores(workplace.stores.database, run_id)
    assert {score.document["rows"] for score in found if score.document["name"] == "mig"} == {
        60,
        other.get("rows", 60),
    }
    # What others look at stays as it was.
    after = EncodedRows.from_npz(workplace.content(run_id, "codes.npz"))
    wanted = draw_rows(1797, rows=60, test_rows=20, seed=0)
    assert after.index.tolist() == wanted[0].tolist()


@pytest.mark.parametrize("other", [{}, {"rows": 40}], ids=["of the same rows", "of other rows"])
def test_damaged_codes_are_made_anew_as_they_were(
    other: dict[str, int], workplace: Workplace
) -> None:
    run_id = workplace.post(asking())
    train_next()
    evaluate_next()
    whole = workplace.content(run_id, "codes.npz")
    sha256 = queries.artifact(workplace.stores.database, run_id, "codes.npz").sha256
    flip_a_bit(workplace.stores.objects.path(sha256))
    workplace.post(asking(metrics=["elbo"], **other))
    assert evaluate_next()
    assert workplace.run(run_id).state is RunState.SUCCEEDED
    assert workplace.content(run_id, "codes.npz") == whole


def test_damaged_weights_fail_the_evaluation_until_they_are_restored(workplace: Workplace) -> None:
    run_id = workplace.post(asking())
    train_next()
    sha256 = queries.artifact(workplace.stores.database, run_id, "weights.safetensors").sha256
    flip_a_bit(workplace.stores.objects.path(sha256))
    assert evaluate_next()
    error = workplace.run(run_id).error
    assert error is not None and error["type"] == "DamagedObject"
    assert sha256 in error["message"]
    assert "backup" in error["advice"] and "force" in error["advice"]

    flip_a_bit(workplace.stores.objects.path(sha256))
    resume_run(workplace.stores.database, run_id)
    assert evaluate_next()
    assert workplace.run(run_id).state is RunState.SUCCEEDED


def test_pictures_are_drawn_again_only_where_others_are_asked_for(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[int] = []

    def draw(model: Model, *_: object) -> dict[str, bytes]:
        drawn.append(model.spec.traversal.frames)
        return {"traversal": b"a picture"}

    monkeypatch.setattr("worker.evaluation.draw_pictures", draw)
    workplace.post(asking())
    train_next()
    evaluate_next()
    workplace.post(asking(rows=40))
    assert evaluate_next()
    assert drawn == [3]
    workplace.post({**asking(rows=50), "traversal": {"frames": 5}})
    assert evaluate_next()
    assert drawn == [3, 5]


def test_a_trained_run_is_evaluated_once_more_by_itself(
    workplace: Workplace, encoded: list[int]
) -> None:
    run_id = workplace.post(asking(metrics=["mig"]))
    train_next()
    evaluate_next()
    encoded.clear()
    database = workplace.stores.database
    body = {"metrics": [{"name": "mig", "bins": 7}], "rows": 60, "test_rows": 20}
    evaluation, key = plan_evaluation(body, queries.spec_of(database, run_id))
    asked = evaluate_run(database, run_id, spec=evaluation, evaluation_key=key, owner=None)
    assert workplace.run(run_id).state is RunState.EVALUATING
    assert evaluate_next()
    assert workplace.run(run_id).state is RunState.SUCCEEDED
    # The same rows, whose codes were there.
    assert encoded == []
    both = [score.document for score in queries.scores(database, run_id)]
    assert [one["params"]["bins"] for one in both] == [20, 7]
    assert {one["definition"] for one in both} == {both[0]["definition"]}
    assert workplace.scores(asked.id) == both[1:]


def _names(workplace: Workplace, run_id: str, evaluation_id: str) -> set[str]:
    found = queries.scores(workplace.stores.database, run_id, evaluation_id=evaluation_id)
    return {score.document["name"] for score in found}
