"""Training a run: claim it, train, encode what its evaluations need, record."""

from __future__ import annotations

import logging
import time

import torch

from ml.encode import encode_rows
from ml.identity import train_id
from ml.model import Model
from ml.spec import Evaluation, RunSpec
from ml.train import open_data, train
from store.claim import Claim, claim
from store.finish import finish_training
from store.queries import evaluations, spec_of
from store.states import JobKind
from worker.files import CODES, NPZ, WEIGHTS, put
from worker.lease import Lease
from worker.outcome import recorded
from worker.settings import worker_settings
from worker.stores import Stores, stores, worker_name

logger = logging.getLogger(__name__)


def train_next() -> bool:
    """Train the run whose turn it is; False when none waits."""
    here = stores()
    claims = claim(
        here.database,
        JobKind.TRAIN,
        worker=worker_name(),
        lease_seconds=here.settings.lease_seconds,
    )
    if not claims:
        return False
    logger.info("training %s, attempt %d", claims[0].run_id, claims[0].attempts)
    torch.set_num_threads(worker_settings().train_threads)
    with recorded(here, claims[0]):
        _train(here, claims[0])
    return True


def _train(here: Stores, claim: Claim) -> None:
    began = time.monotonic()
    with Lease(here, claim) as lease:
        spec = RunSpec.parse(spec_of(here.database, claim.run_id))
        data = open_data(spec, lease)
        model = train(spec, lease, data=data)
        artifacts = [put(here, WEIGHTS, "application/octet-stream", model.to_bytes())]
        # The model is on the device now: encode here what scoring will most likely want.
        for wanted in evaluations(here.database, claim.run_id)[:1]:
            evaluation = Evaluation.model_validate(wanted.spec["evaluation"])
            codes = encode_rows(model, data, evaluation, lease).to_npz()
            artifacts.append(put(here, CODES, NPZ, codes))
        record = _record(model, claim, began)
        done = lease.conclude(
            lambda: finish_training(here.database, claim, record=record, artifacts=artifacts)
        )
    here.checkpoints.remove(done)


def _record(model: Model, claim: Claim, began: float) -> dict[str, object]:
    return {
        **model.record,
        "train_id": train_id(model.spec),
        "worker": worker_name(),
        "attempts": claim.attempts,
        "last_attempt_seconds": round(time.monotonic() - began, 3),
    }
