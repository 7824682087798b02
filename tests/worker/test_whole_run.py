from __future__ import annotations

import hashlib
import io

import numpy as np
import torch
from PIL import Image

from ml.evaluation.encode import EncodedRows
from ml.networks.model import Model
from store import queries
from store.states import JobState, RunState
from tests.worker.workplace import STEPS, Trained, Workplace, on_sqlite, spec
from worker.evaluation import evaluate_next
from worker.training import train_next


def test_nothing_waiting_is_no_work(workplace: Workplace) -> None:
    assert not train_next()
    assert not evaluate_next()


@on_sqlite
def test_a_run_is_trained_and_then_evaluated(workplace: Workplace, undisturbed: Trained) -> None:
    run_id = workplace.post()
    assert workplace.run(run_id).state is RunState.QUEUED

    assert train_next()
    run = workplace.run(run_id)
    assert run.state is RunState.EVALUATING
    assert run.record is not None
    assert run.record["train_id"] == run.train_id
    assert [stretch["threads"] for stretch in run.record["history"]] == [1]
    assert workplace.trained(run_id).same(undisturbed)
    assert workplace.only_ends_are_kept(run_id)
    assert not train_next()

    assert evaluate_next()
    assert workplace.run(run_id).state is RunState.SUCCEEDED
    assert workplace.job(run_id).state is JobState.DONE
    assert not evaluate_next()
    _check_scores(workplace, run_id)
    _check_artifacts(workplace, run_id)


def _check_scores(workplace: Workplace, run_id: str) -> None:
    documents = [score.document for score in queries.scores(workplace.stores.database, run_id)]
    values = {document["name"]: document["value"] for document in documents}
    assert documents[0]["metric"] == "mig"
    assert 0 <= values["mig"] <= 1
    assert values["elbo"] < 0
    assert all(document["error"] is None for document in documents)


def _check_artifacts(workplace: Workplace, run_id: str) -> None:
    artifacts = {item.name: item for item in queries.artifacts(workplace.stores.database, run_id)}
    assert {"weights.safetensors", "codes.npz", "traversal.png"} <= artifacts.keys()
    for name, item in artifacts.items():
        content = workplace.content(run_id, name)
        assert hashlib.sha256(content).hexdigest() == item.sha256
        assert len(content) == item.bytes
        if name.endswith(".png"):
            Image.open(io.BytesIO(content)).verify()

    model = Model.from_bytes(workplace.content(run_id, "weights.safetensors"))
    assert model.steps == STEPS
    codes = model.encode(torch.rand(3, 1, 64, 64)).mean
    assert codes.shape == (3, 4)
    assert model.decode(codes).shape == (3, 64, 64, 1)

    encoded = EncodedRows.from_npz(workplace.content(run_id, "codes.npz"))
    assert encoded.mean.shape == (80, 4)
    assert np.isfinite(encoded.mean).all()
    assert int(encoded.train_rows) == 60


@on_sqlite
def test_a_run_keeps_snapshots_and_where_its_curves_ended(workplace: Workplace) -> None:
    run_id = workplace.post(spec(snapshots=2))
    assert train_next()
    final = workplace.run(run_id).record["final"]
    curves = workplace.trained(run_id).curves
    encoded = EncodedRows.from_npz(workplace.content(run_id, "codes.npz"))
    assert final["loss"] == np.mean(curves["loss"][-max(1, len(curves["loss"]) // 20) :], 0)[1]
    np.testing.assert_allclose(final["reconstruction"], encoded.reconstruction.mean())
    np.testing.assert_allclose(final["kl"], encoded.kl.sum(axis=1).mean(), rtol=1e-6)
    names = [item.name for item in queries.artifacts(workplace.stores.database, run_id)]
    kept = [name for name in names if name.startswith("snapshots/")]
    assert len(kept) == 2 and kept[0] == "snapshots/00000001.safetensors"
    steps = [Model.from_bytes(workplace.content(run_id, name)).steps for name in kept]
    assert steps == [int(name[10:18]) for name in kept] and steps[-1] < STEPS
