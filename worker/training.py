"""Training runs: claim those that go together, train, encode for their evaluations, record."""

from __future__ import annotations

import logging
import time
from contextlib import ExitStack

import torch

from ml.encode import encode_rows
from ml.environment import default_device, environment
from ml.identity import train_id
from ml.model import Model
from ml.packing import WIDEST, power_of_two, widest
from ml.spec import Evaluation, RunSpec
from ml.train import train_cohort
from store.claim import Claim, Cohort, claim_cohort, next_cohort
from store.finish import finish_training
from store.queries import evaluations, spec_of
from worker.files import CODES, NPZ, WEIGHTS, put
from worker.lease import Lease
from worker.outcome import recorded
from worker.settings import worker_settings
from worker.stores import Stores, stores, worker_name

logger = logging.getLogger(__name__)


def train_next() -> bool:
    """Train the run whose turn it is and those that go with it; False when none waits."""
    here, device = stores(), default_device()
    torch.set_num_threads(worker_settings().train_threads)
    model = environment(device)["device_model"]
    while True:
        cohort = next_cohort(here.database, device=model, most=WIDEST)
        if cohort is None:
            return False
        width = cohort.width or _width(here, cohort, device)
        claims = claim_cohort(
            here.database,
            cohort,
            device=model,
            width=width,
            worker=worker_name(),
            lease_seconds=here.settings.lease_seconds,
        )
        # None: others were faster, and somebody else's turn has come.
        if claims:
            break
    for claim in claims:
        logger.info("training of %s, attempt %d, begins", claim.run_id, claim.attempts)
    _train(here, claims, cohort.width or len(claims), device)
    return True


def _width(here: Stores, cohort: Cohort, device: torch.device) -> int:
    """How many to train side by side: a power of two."""
    asked = worker_settings().cohort_width
    most = min(cohort.waiting, asked or WIDEST)
    if device.type == "cpu" and asked is not None:
        return power_of_two(most)
    try:
        return widest(RunSpec.parse(spec_of(here.database, cohort.run_id)), device, most)
    except Exception:
        # Whatever is wrong with it is that run's own affair, and will be told as its error.
        logger.exception("could not tell how many runs like %s fit", cohort.run_id)
        return 1


def _train(here: Stores, claims: list[Claim], width: int, device: torch.device) -> None:
    # Each run is held, ends and fails by itself.
    runs: list[_Held] = []
    for claim in claims:
        run = _Held(here, claim)
        try:
            run.spec = RunSpec.parse(spec_of(here.database, claim.trains))
        except Exception as error:
            run.end(error)
        else:
            runs.append(run)
    if not runs:
        return
    try:
        outcomes = train_cohort(
            [run.spec for run in runs],
            [run.lease for run in runs],
            width=width,
            device=device,
        )
        for place, outcome in outcomes:
            runs[place].end(outcome)
    except Exception as error:
        # Memory that ran out, a device that failed: whoever still trained has it.
        for run in runs:
            run.end(error)


class _Held:
    """A run that is being trained, from its claim to its end."""

    spec: RunSpec

    def __init__(self, here: Stores, claim: Claim) -> None:
        self._here, self._claim, self._began = here, claim, time.monotonic()
        self._contexts = ExitStack()
        self._contexts.enter_context(recorded(here, claim))
        self.lease = self._contexts.enter_context(Lease(here, claim))
        self._ended = False

    def end(self, outcome: Model | Exception) -> None:
        """Record how it ended, the first time; what the record itself meets is recorded too."""
        if self._ended:
            return
        self._ended = True
        with self._contexts:
            if isinstance(outcome, Exception):
                raise outcome
            self._finish(outcome)

    def _finish(self, model: Model) -> None:
        here, run_id = self._here, self._claim.trains
        artifacts = [put(here, WEIGHTS, "application/octet-stream", model.to_bytes())]
        # The model is on the device now: encode here what scoring will most likely want.
        for wanted in evaluations(here.database, run_id)[:1]:
            evaluation = Evaluation.model_validate(wanted.spec["evaluation"])
            data = self.spec.dataset.open()
            codes = encode_rows(model, data, evaluation, self.lease).to_npz()
            artifacts.append(put(here, CODES, NPZ, codes))
        record = self._record(model)
        self.lease.conclude(
            lambda: finish_training(here.database, self._claim, record=record, artifacts=artifacts)
        )
        here.checkpoints.clear(run_id)

    def _record(self, model: Model) -> dict[str, object]:
        return {
            **model.record,
            "train_id": train_id(model.spec),
            "worker": worker_name(),
            "attempts": self._claim.attempts,
            "last_attempt_seconds": round(time.monotonic() - self._began, 3),
        }
