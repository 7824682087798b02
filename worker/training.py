"""Training runs: claim those that go together, train, encode for their evaluations, record."""

from __future__ import annotations

import gc
import logging
import time
from contextlib import ExitStack
from types import TracebackType

import torch

from ml.encode import encode_rows
from ml.environment import default_device, environment
from ml.identity import cohort_key, train_id
from ml.model import Model
from ml.packing import WIDEST, ran_out, widest
from ml.recorder import Stopped, Wish
from ml.spec import Evaluation, RunSpec
from ml.train import train_cohort
from store.checkpoints import unbind_width
from store.claim import Claim, claim, claim_beside, count_beside
from store.finish import finish_training
from store.queries import evaluations, spec_of
from store.states import JobKind
from worker.files import CODES, NPZ, WEIGHTS, put
from worker.lease import Lease
from worker.outcome import recorded
from worker.settings import worker_settings
from worker.stores import Stores, stores, worker_name

logger = logging.getLogger(__name__)

OUT_OF_MEMORY = (torch.OutOfMemoryError, MemoryError)


def train_next() -> bool:
    """Train the run whose turn it is, and those that go with it; False when none waits."""
    here = stores()
    try:
        device = default_device()
        device_model = str(environment(device)["device_model"])
    except Exception:
        # Celery would hand it to its parent, which would import torch for it.
        logger.exception("there is no device to train on")
        return False
    torch.set_num_threads(worker_settings().train_threads)
    lease_seconds = here.settings.lease_seconds
    claims = claim(
        here.database,
        JobKind.TRAIN,
        worker=worker_name(),
        lease_seconds=lease_seconds,
        device_model=device_model,
    )
    if not claims:
        return False
    with ExitStack() as held:
        head = held.enter_context(_Held(here, claims[0]))
        if head.understood():
            # Measured while the first is held: what measuring meets is that run's affair.
            width = head.claim.cohort_width or _width(head, device, device_model)
            others = claim_beside(
                here.database,
                head.claim,
                device_model=device_model,
                width=width - 1,
                worker=worker_name(),
                lease_seconds=lease_seconds,
            )
            runs = [head, *(held.enter_context(_Held(here, other)) for other in others)]
            # Keys are the client's version's word; what goes together is this one's to say.
            key = cohort_key(head.spec)
            together = [run for run in runs if run.understood()]
            for run in together:
                if cohort_key(run.spec) != key:
                    run.release()
            _train([run for run in together if not run.ended], head.claim.cohort_width, device)
    # Errors hold the frames that they came through, and those the tensors of the cohort.
    gc.collect()
    return True


def _width(head: _Held, device: torch.device, device_model: str) -> int:
    """How many runs to train side by side, the head included."""
    beside = count_beside(
        head.here.database, head.claim, device_model=device_model, most=WIDEST - 1
    )
    try:
        return widest(head.spec, device, 1 + beside, asked=worker_settings().cohort_width)
    except Exception:
        # The run will meet it by itself, and then it is told as its error.
        logger.exception("could not measure how many runs like %s fit", head.claim.run_id)
        return 1


def _train(runs: list[_Held], bound: int | None, device: torch.device) -> None:
    width = bound or len(runs)
    try:
        outcomes = train_cohort(
            [run.spec for run in runs], [run.lease for run in runs], width=width, device=device
        )
        for index, outcome in outcomes:
            runs[index].end(outcome)
    except OUT_OF_MEMORY as error:
        ran_out(runs[0].spec, device, width)
        for run in runs:
            if width > 1:
                run.make_narrower()
            else:
                run.end(error)
    except Exception as error:
        # A device that failed, or a fault of ours: whoever still trained has it.
        for run in runs:
            run.end(error)


class _Held:
    """A run that is being trained, from its claim to its end; what it meets ends no other.

    Leaving it without an end gives it to the sweep.
    """

    spec: RunSpec

    def __init__(self, here: Stores, claim: Claim) -> None:
        self.here, self.claim, self._began = here, claim, time.monotonic()
        self.lease = Lease(here, claim)
        self.ended = False
        self._contexts = ExitStack()

    def __enter__(self) -> _Held:
        logger.info("training of %s, attempt %d, begins", self.claim.run_id, self.claim.attempts)
        self._contexts.enter_context(recorded(self.here, self.claim))
        self._contexts.enter_context(self.lease)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self.ended:
            self.end(error if isinstance(error, Exception) else Unfinished(self.claim.run_id))

    def understood(self) -> bool:
        """Whether this version can read the run's spec; if not, the run ends with the reason."""
        try:
            self.spec = RunSpec.parse(spec_of(self.here.database, self.claim.trains))
        except Exception as error:
            self.end(error)
        return not self.ended

    def release(self) -> None:
        """Let others train it."""
        self.end(Stopped(Wish.PAUSE))

    def make_narrower(self) -> None:
        """Let it be trained in a narrower cohort, at the price of its bits at this width."""
        if not self.ended:
            logger.warning("memory ran out; %s is tried in a narrower cohort", self.claim.run_id)
            try:
                unbind_width(self.here.database, self.claim)
            except Exception as error:
                self.end(error)
            else:
                self.release()

    def end(self, outcome: Model | Exception) -> None:
        """Record how it ended, the first time that it does."""
        if self.ended:
            return
        self.ended = True
        try:
            with self._contexts:
                if isinstance(outcome, Exception):
                    raise outcome
                self._finish(outcome)
        except Exception:
            logger.exception("the end of %s is left to the sweep", self.claim.run_id)

    def _finish(self, model: Model) -> None:
        here, run_id = self.here, self.claim.trains
        artifacts = [put(here, WEIGHTS, "application/octet-stream", model.to_bytes())]
        # The model is on the device now: encode here what scoring will most likely want.
        for wanted in evaluations(here.database, run_id)[:1]:
            evaluation = Evaluation.model_validate(wanted.spec["evaluation"])
            data = self.spec.dataset.open()
            codes = encode_rows(model, data, evaluation, self.lease).to_npz()
            artifacts.append(put(here, CODES, NPZ, codes))
        record = self._record(model)
        self.lease.conclude(
            lambda: finish_training(here.database, self.claim, record=record, artifacts=artifacts)
        )
        here.checkpoints.clear(run_id)

    def _record(self, model: Model) -> dict[str, object]:
        return {
            **model.record,
            "train_id": train_id(model.spec),
            "worker": worker_name(),
            "attempts": self.claim.attempts,
            "last_attempt_seconds": round(time.monotonic() - self._began, 3),
        }


class Unfinished(RuntimeError):
    """Training was left without a result for this run; that is a fault of the worker."""

    def __init__(self, run_id: str | None) -> None:
        super().__init__(f"training was left without a result for {run_id}")
