"""A service under test, and a worker that does its work by the store's own functions."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from starlette.testclient import TestClient

from api.main import create_app
from api.state.settings import ApiSettings
from ml.evaluation.score import score
from ml.metrics.protocol import Score
from store.database.connection import Database
from store.files.checkpoint_folder import CheckpointFolder
from store.files.objects import ObjectFolder
from store.jobs.checkpoints import record_checkpoint
from store.jobs.claim import Claim, claim
from store.jobs.finish import NewArtifact, fail, finish_evaluation, finish_training
from store.jobs.heartbeat import beat
from store.queries import run
from store.settings import Settings
from store.states import JobKind

SPEC: dict[str, Any] = {"dataset": "digits", "objective": "beta_vae"}
"""The least that an experiment needs."""

RECORD = {"device": "cpu", "threads": 1}
PICTURE = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b55"
    "0000000a49444154789c6360000000020001e221bc330000000049454e44ae426082"
)
"""A PNG file of one black pixel."""


class Service:
    """A client of the service, with the service's own stores at hand."""

    def __init__(self, client: TestClient, settings: Settings) -> None:
        self.client = client
        self.database = Database(settings.database_url)
        self.objects = ObjectFolder(settings.objects)
        self.checkpoints = CheckpointFolder(settings.checkpoints)

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.client.get(path, headers=headers)

    def json(self, path: str) -> Any:
        """The document at a path, which must be there."""
        answer = self.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def send(self, content: bytes, **headers: str) -> httpx.Response:
        """POST bytes as an experiment."""
        headers = {"content-type": "application/json"} | headers
        return self.client.post("/v1/experiments", content=content, headers=headers)

    def post(self, spec: Mapping[str, Any] = SPEC, query: str = "") -> dict[str, Any]:
        """Post an experiment that must be accepted."""
        answer = self.client.post(f"/v1/experiments{query}", json=spec)
        assert answer.status_code == 202, answer.text
        document: dict[str, Any] = answer.json()
        return document

    def upload(self, file: bytes, spec: Any = None, name: str = "codes.npz") -> httpx.Response:
        """Send a file of codes, with a spec if there is one."""
        parts: dict[str, Any] = {"file": (name, file, "application/octet-stream")}
        if spec is not None:
            parts["spec"] = (None, json.dumps(spec), "application/json")
        return self.client.post("/v1/evaluations", files=parts)

    def accepted(self, answer: httpx.Response) -> dict[str, Any]:
        """The document of an answer that must be 202."""
        assert answer.status_code == 202, answer.text
        document: dict[str, Any] = answer.json()
        return document

    def run_of(self, experiment: Mapping[str, Any]) -> str:
        """The id of an experiment's only run."""
        [run] = experiment["runs"]
        return str(run["id"])

    def take(self, kind: JobKind = JobKind.TRAIN) -> Claim:
        [taken] = claim(self.database, kind, worker="a worker", lease_seconds=60)
        return taken

    def finish(
        self, record: Mapping[str, Any] = RECORD, measured: Mapping[str, Any] | None = None
    ) -> None:
        """Train and evaluate the run whose turn it is."""
        taken = self.take()
        progress = {"stage": "training", "measured": measured}
        curves = {"loss": [(step, 100.0 / step) for step in range(1, 101)], "kl": [(1, 0.5)]}
        beat(self.database, taken, lease_seconds=60, progress=progress, points=curves)
        codes = self._put("codes.npz", "application/x-npz", _codes())
        finish_training(self.database, taken, record=dict(record), artifacts=[codes])
        self.evaluate()

    def keep_state(self) -> None:
        """Have the run whose turn it is leave a checkpoint at its end, which it keeps."""
        taken = self.take()
        steps = run(self.database, taken.run_id).steps
        path, sha256, size = self.checkpoints.write(taken.run_id, taken.fence, steps, b"a state")
        record_checkpoint(
            self.database,
            taken,
            step=steps,
            path=path,
            sha256=sha256,
            size=size,
            width=1,
            device_model="cpu",
        )
        finish_training(self.database, taken, record=dict(RECORD))
        self.evaluate()

    def evaluate(self) -> None:
        """Make the evaluation whose turn it is."""
        pictures = [
            # What follows the end of a PNG is not looked at, and makes other content of it.
            self._put(f"{plot}.png", "image/png", PICTURE + plot.encode())
            for plot in ("curves", "reconstructions", "traversal")
        ]
        finish_evaluation(
            self.database, self.take(JobKind.EVALUATE), scores=scores(), artifacts=pictures
        )

    def fail(self) -> None:
        """Fail the training whose turn it is."""
        error = {"type": "Diverged", "message": "the loss is NaN", "advice": "lower the rate"}
        fail(self.database, self.take(), error)

    def _put(self, name: str, media_type: str, data: bytes) -> NewArtifact:
        sha256, size = self.objects.put(data)
        return NewArtifact(name, sha256, media_type, size)


def scores() -> list[dict[str, Any]]:
    """What mig makes of two perfect codes and a useless one."""
    return [one.model_dump(mode="json") for one in _scored()]


@cache
def _scored() -> list[Score]:
    factors = np.stack(np.unravel_index(np.arange(60), (3, 4, 5)), axis=1)[:, :2]
    codes = np.column_stack([factors, np.zeros(60)]).astype(float)
    return score(codes, factors, ["mig"])


@contextmanager
def serving(home: Path, limits: ApiSettings | None = None, **settings: Any) -> Iterator[Service]:
    """A service over a home folder; its database must have been migrated."""
    known = Settings(home=home, **settings)
    with TestClient(
        create_app(known, limits=limits),
        base_url="http://127.0.0.1",
        raise_server_exceptions=False,
        follow_redirects=False,
    ) as client:
        service = Service(client, known)
        yield service
        service.database.dispose()


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    """The problem document of an answer that must be one, with this status."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert set(document) == {"type", "title", "status", "detail", "errors"}
    assert document["status"] == status
    assert document["title"] and document["detail"]
    for error in document["errors"]:
        assert set(error) == {"path", "got", "expected", "nearest"}
    return document


def _codes() -> bytes:
    file = io.BytesIO()
    np.savez(file, mean=np.arange(6.0).reshape(3, 2))
    return file.getvalue()
