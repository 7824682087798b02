"""A run that a worker holds for training, and how its end is recorded."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any, NoReturn

import torch

from ml.evaluation.encode import EncodedRows, encode_rows, open_data
from ml.evaluation.population import encode_grid
from ml.networks.model import Model
from ml.recorder import Stopped, Wish
from ml.reproducibility.environment import default_device, environment
from ml.reproducibility.library_versions import library_versions
from ml.spec.identity import cohort_key, course_id, train_id
from ml.spec.parts import Evaluation
from ml.spec.run_spec import RunSpec
from ml.training.packing import is_out_of_memory, ran_out
from ml.training.precision import known_rates
from store.files.artifact_names import CODES, CURVES, GRID_CODES, WEIGHTS
from store.files.curves import Curves, to_bytes
from store.jobs.checkpoints import unbind_width
from store.jobs.claim import Claim
from store.jobs.finish import NewArtifact, finish_training
from store.queries import evaluations, spec_of
from worker.lease.files import JSON, NPZ, TENSORS, NewFile
from worker.lease.job_log import Log
from worker.lease.lease import Lease
from worker.lease.outcome import recorded
from worker.process import gpus
from worker.process.commit import commit
from worker.process.stores import Stores, worker_name

logger = logging.getLogger(__name__)

LAST_PART = 20


class HeldRun:
    """A run in training, from its claim to its end. An error of one run ends no other run.

    If the context is left before the run has ended, the reaper takes the run back. If the process
    is about to end, the run is queued again at once.
    """

    spec: RunSpec
    key: str

    def __init__(self, here: Stores, claim: Claim) -> None:
        self.here, self.claim = here, claim
        self.lease = Lease(here, claim, energy=self._joules)
        self._log = Log(claim.job_id)
        self.ended = False
        self._width = 1
        self._device = torch.device("cpu")
        self._contexts = ExitStack()

    def __enter__(self) -> HeldRun:
        self._contexts.enter_context(recorded(self.here, self.claim))
        self.log("training of %s, attempt %d, begins", self.claim.run_id, self.claim.attempts)
        self._contexts.enter_context(self.lease)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.ended:
            return
        if error is None or isinstance(error, Exception):
            self.ended = True
            logger.error("%s was left without an end; the reaper takes it back", self.claim.run_id)
            self._contexts.close()
        else:
            self.end(error)

    def _joules(self) -> float | None:
        gpu = gpus.gpu() if self._device.type == "cuda" else None
        return None if gpu is None else gpu.joules()

    def log(self, message: str, *values: object) -> None:
        """Write a line into this run's own log and the worker's."""
        self._log.info(message, *values)

    def understood(self) -> bool:
        """Whether this version can read the run's spec; if not, the run ends with the reason."""
        try:
            self.spec = RunSpec.parse(spec_of(self.here.database, self.claim.trains))
            self.key = cohort_key(self.spec)
        except Exception as error:
            self.end(error)
        return not self.ended

    def goes_with(self, head: HeldRun) -> bool:
        return self.key == head.key and self.claim.cohort_width in (None, head.claim.cohort_width)

    def place_of(self, device: torch.device, width: int) -> None:
        """Note the device and the width at which the run is trained from now on."""
        self._device, self._width = device, width
        noted = self._noted()
        self.lease.note(noted)
        versions = ", ".join(f"{name} {version}" for name, version in noted["versions"].items())
        code = f", commit {noted['commit']}" if noted["commit"] else ""
        model = environment(device)["device_model"]
        self.log("on %s (%s), %d side by side, %s%s", device, model, width, versions, code)

    def release(self) -> None:
        """Give the run back, for any worker to train."""
        self.end(Stopped(Wish.PAUSE))

    def end(self, outcome: Model | BaseException) -> None:
        """Record how the run ended; only the first call counts."""
        if self.ended:
            return
        self.ended = True
        try:
            with self._contexts:
                try:
                    if isinstance(outcome, BaseException):
                        raise outcome
                    self._finish(outcome)
                except Exception as error:
                    if self._width == 1 or not is_out_of_memory(error):
                        raise
                    self._make_narrower()
        except Exception:
            logger.exception("the end of %s is left to the reaper", self.claim.run_id)

    def _make_narrower(self) -> NoReturn:
        """Queue the run for a narrower cohort, where its last bits will differ."""
        logger.warning("memory ran out; %s is tried in a narrower cohort", self.claim.run_id)
        ran_out(self.spec, self._device, self._width)
        unbind_width(self.here.database, self.claim)
        raise Stopped(Wish.PAUSE)

    def _finish(self, model: Model) -> None:
        here, run_id = self.here, self.claim.trains
        files = [NewFile(WEIGHTS, TENSORS, model.to_bytes())]
        # The model is on the device now, so the rows of the first evaluation are encoded here.
        source: str | None = None
        known = self.lease.curves()
        final = _final(known)
        for wanted in evaluations(here.database, run_id)[:1]:
            evaluation = Evaluation.model_validate(wanted.spec["evaluation"])
            data = open_data(self.spec, self.lease, evaluation.images)
            source = data.source
            encoded = encode_rows(model, data, evaluation, self.lease)
            final |= _evidence(encoded)
            files.append(NewFile(CODES, NPZ, encoded.to_npz()))
            # If the images are no complete grid, the evaluation fails and says so.
            if evaluation.scores_population() and data.is_population():
                grid = encode_grid(model, data, evaluation.images, self.lease)
                files.append(NewFile(GRID_CODES, NPZ, grid.to_npz()))
        record = self._record(model, source) | {"final": final}
        files.append(NewFile(CURVES, JSON, to_bytes(known)))
        keep: list[str] = []

        def finish(kept: Sequence[NewArtifact]) -> None:
            keep[:] = finish_training(
                here.database,
                self.claim,
                record=record,
                artifacts=kept,
                keep_state=here.settings.keep_states,
                course_id=course_id(self.spec),
            )

        self.lease.conclude(finish, files)
        here.checkpoints.clear(run_id, keep)
        self.log("%s is trained, after %d steps", run_id, self.spec.training.steps)

    def _record(self, model: Model, source: str | None) -> dict[str, Any]:
        noted, rates = self._noted(), known_rates(default_device())
        return {
            **model.record,
            **noted,
            "dataset": noted["dataset"] | {"source": source},
            "train_id": train_id(model.spec),
            "worker": worker_name(),
            **({} if rates is None else {"precisions": rates.document()}),
        }

    def _noted(self) -> dict[str, Any]:
        """What the run's record holds from the beginning on."""
        return {
            "versions": library_versions(),
            "commit": commit(),
            "dataset": self.spec.dataset.identity(),
        }


def _final(curves: Curves) -> dict[str, float]:
    """Where each curve ended: the mean of its last twentieth, as a single batch is noisy."""
    ends: dict[str, float] = {}
    for tag, points in curves.items():
        last = [value for _, value in points[-max(1, len(points) // LAST_PART) :]]
        finite = [value for value in last if value is not None]
        if "/" not in tag and finite:
            ends[tag] = math.fsum(finite) / len(finite)
    return ends


def _evidence(encoded: EncodedRows) -> dict[str, float]:
    """Reconstruction and KL of the evaluation's rows, which are less noisy than a batch's."""
    found = {
        "reconstruction": float(encoded.reconstruction.mean()),
        "kl": float(encoded.kl.sum(axis=1).mean()),
    }
    return {tag: value for tag, value in found.items() if math.isfinite(value)}
