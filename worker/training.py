"""Training a run: claim it, train, encode what its evaluations need, record."""

from __future__ import annotations

import time

from ml.encode import encode_rows
from ml.identity import train_id
from ml.model import Model
from ml.spec import Evaluation, RunSpec
from ml.train import open_data, train
from store.claim import Claim
from store.finish import finish_training
from store.queries import evaluations, spec_of
from store.states import JobKind
from worker.files import CODES, NPZ, WEIGHTS, put
from worker.lease import Lease
from worker.next_job import work_on_next
from worker.settings import worker_settings
from worker.stores import Stores, worker_name


def train_next() -> bool:
    """Train the run whose turn it is; False when none waits."""
    return work_on_next(JobKind.TRAIN, worker_settings().train_threads, _train)


def _train(here: Stores, claim: Claim) -> None:
    began = time.monotonic()
    run_id = claim.trains
    with Lease(here, claim) as lease:
        spec = RunSpec.parse(spec_of(here.database, run_id))
        data = open_data(spec, lease)
        model = train(spec, lease, data=data)
        artifacts = [put(here, WEIGHTS, "application/octet-stream", model.to_bytes())]
        # The model is on the device now: encode here what scoring will most likely want.
        for wanted in evaluations(here.database, run_id)[:1]:
            evaluation = Evaluation.model_validate(wanted.spec["evaluation"])
            codes = encode_rows(model, data, evaluation, lease).to_npz()
            artifacts.append(put(here, CODES, NPZ, codes))
        record = _record(model, claim, began)
        lease.conclude(
            lambda: finish_training(here.database, claim, record=record, artifacts=artifacts)
        )
    here.checkpoints.clear(run_id)


def _record(model: Model, claim: Claim, began: float) -> dict[str, object]:
    return {
        **model.record,
        "train_id": train_id(model.spec),
        "worker": worker_name(),
        "attempts": claim.attempts,
        "last_attempt_seconds": round(time.monotonic() - began, 3),
    }
