"""Experiments, runs, scores and files of a Heddle server, from Python.

import heddle.client

client = heddle.client.connect()
experiment = client.submit("sweep.yaml").wait()
for run in experiment.runs():
    print(run.id, run.scores())
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self
from uuid import uuid4

import httpx

from heddle.download import fetch_artifact, fetch_file
from heddle.errors import HeddleError, ServerUnreachable, SpecError
from heddle.problem import checked, pause_asked_for
from heddle.spec import read_spec

DEFAULT_URL = "http://127.0.0.1:8000"
POLL_SECONDS = 0.5
ATTEMPTS = 5
#: How long a wait or a submission bears a server that is not there, as while it is restarted.
PATIENCE_SECONDS = 60.0
#: A server was there: a request may have come through, or its answer may be lost.
BROKEN = (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError, httpx.ReadTimeout)

#: The server looks at every number of a file before it answers.
UPLOAD_TIMEOUT = httpx.Timeout(600.0, connect=5.0)

ENDED = frozenset({"succeeded", "failed", "cancelled"})


class ExperimentFailed(HeddleError):
    """An experiment ended without all its runs succeeding: names the failed, why, and advice.

    `experiment` is the experiment as it ended, `failed` its failed runs (the first
    `MOST_NAMED` of them with their errors).
    """

    MOST_NAMED = 10

    def __init__(self, experiment: Experiment) -> None:
        failed = [run for run in experiment.runs() if run.state == "failed"]
        how = "was cancelled" if experiment.state == "cancelled" else "failed"
        lines = [f"  {run.refresh().label}: {run.reason}" for run in failed[: self.MOST_NAMED]]
        if len(failed) > self.MOST_NAMED:
            lines.append(f"  and {len(failed) - self.MOST_NAMED} more")
        super().__init__("\n".join([f"Experiment {experiment.id} {how}", *lines]))
        self.experiment = experiment
        self.failed = failed


class EvaluationFailed(HeddleError):
    """An evaluation ended without scores: why, and advice. `evaluation` is as it ended."""

    def __init__(self, evaluation: Evaluation) -> None:
        how = "was cancelled" if evaluation.state == "cancelled" else "failed"
        why = f": {evaluation.reason}" if evaluation.reason else ""
        super().__init__(f"Evaluation {evaluation.id} {how}{why}")
        self.evaluation = evaluation


def connect(url: str | None = None, *, home: str | Path | None = None) -> Client:
    """A client of the server at `url`; nothing is sent yet.

    Without a URL: the one that `heddle up` wrote into `home`, when a home is given and served,
    else the environment's HEDDLE_URL, else http://127.0.0.1:8000. HEDDLE_KEY, when set, is sent
    as the bearer token.
    """
    if url is None and home is not None:
        url = served_url(Path(home))
    url = url or os.environ.get("HEDDLE_URL") or DEFAULT_URL
    return Client(url, key=os.environ.get("HEDDLE_KEY"))


def served_url(home: Path) -> str | None:
    """The URL at which `heddle up` serves this home, or None when it does not."""
    try:
        return str(json.loads((home / "service.json").read_text())["url"])
    except (OSError, ValueError, KeyError):
        return None


class Client:
    """One server. Safe to use from several threads; close it, or use it as a context manager."""

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self._http = httpx.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx.Timeout(60.0, connect=5.0),
            transport=transport or httpx.HTTPTransport(retries=2),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def submit(
        self, spec: Mapping[str, Any] | str | Path, *, idempotency_key: str | None = None
    ) -> Experiment:
        """Post a spec (a mapping, a file, or YAML text); work that exists already is joined.

        While the connection breaks or the server is busy or restarted, the same request is sent
        again for a minute. Its key makes one experiment of it, however often it arrives.

        Args:
            spec: what to run.
            idempotency_key: a name for this request, with which a later process may send it
                again; a random one by default.

        Raises:
            HeddleError: what the server answered, when it is not a success.
            ServerUnreachable: when there is no server, or no answer for a minute.
        """
        key = str(uuid4()) if idempotency_key is None else idempotency_key
        headers = {"Idempotency-Key": key.encode()}
        return Experiment(
            self, self._repeat("/v1/experiments", json=read_spec(spec), headers=headers)
        )

    def experiment(self, experiment_id: str) -> Experiment:
        return Experiment(self, self.get(f"/v1/experiments/{experiment_id}"))

    def run(self, run_id: str) -> Run:
        response = self.get(f"/v1/runs/{run_id}")
        return Run(self, response.json(), response.content)

    def evaluate_file(
        self, path: str | Path, spec: Mapping[str, Any] | str | Path | None = None
    ) -> Evaluation:
        """Send an npz file of codes and factors to be scored; what was scored before is joined.

        Args:
            path: with the arrays codes (samples, latents) and factors (samples, factors), and
                maybe others; read piece by piece.
            spec: metrics, seed, train_rows, …: a mapping, a file, or YAML text; the server's
                defaults without one.

        Raises:
            SpecError: when the file cannot be opened, or the spec cannot be read.
            HeddleError: what the server answered, when it is not a success.
            ServerUnreachable: when there is no answer.
        """
        document = json.dumps({} if spec is None else read_spec(spec))
        try:
            opened = Path(path).open("rb")  # noqa: SIM115 (a reading error is another matter)
        except OSError as error:
            raise SpecError(f"Cannot read the file {path}", detail=str(error)) from error
        with opened as file:
            parts = {
                "spec": (None, document, "application/json"),
                "file": (Path(path).name, file, "application/octet-stream"),
            }
            response = self._send("/v1/evaluations", files=parts, timeout=UPLOAD_TIMEOUT)
        return Evaluation(self, response)

    def evaluate_run(
        self, run_id: str, spec: Mapping[str, Any] | str | Path | None = None
    ) -> Evaluation:
        """Ask for one more evaluation of a trained run, with the `evaluation` part of a spec.

        Raises:
            HeddleError: what the server answered, when it is not a success: 409 for a run that
                is not trained yet.
            ServerUnreachable: when there is no answer.
        """
        document = {} if spec is None else read_spec(spec)
        return Evaluation(self, self.post(f"/v1/runs/{run_id}/evaluations", document))

    def evaluation(self, evaluation_id: str) -> Evaluation:
        return Evaluation(self, self.get(f"/v1/evaluations/{evaluation_id}"))

    def iterate(self, path: str, **params: Any) -> Iterator[dict[str, Any]]:
        """Every item of a list, over all its pages."""
        while True:
            page = self.get(path, **params).json()
            yield from page["items"]
            if not page.get("next_cursor"):
                return
            params["cursor"] = page["next_cursor"]

    def get(self, path: str, **params: Any) -> httpx.Response:
        """A GET, tried again over broken connections and while the server says to come back.

        Raises:
            HeddleError: what the server answered, when it is not a success.
            ServerUnreachable: when there is no answer.
        """
        for attempt in range(1, ATTEMPTS + 1):
            try:
                response = self._http.get(path, params=params)
            except httpx.TransportError as error:
                # The transport has tried a few times already to connect.
                hopeless = isinstance(error, (httpx.ConnectError, httpx.TimeoutException))
                if hopeless or attempt == ATTEMPTS:
                    raise ServerUnreachable(self.url, cause_of(error)) from error
                time.sleep(0.1 * 2**attempt)
                continue
            pause = pause_asked_for(response)
            if pause is None or attempt == ATTEMPTS:
                return checked(response)
            time.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    def post(self, path: str, document: Any = None) -> httpx.Response:
        """A POST, sent once: only a connection that was never made is tried again.

        Raises:
            HeddleError: what the server answered, when it is not a success.
            ServerUnreachable: when there is no answer.
        """
        return self._send(path, json=document)

    def delete(self, path: str) -> None:
        """A DELETE, sent once.

        Raises:
            HeddleError: what the server answered, when it is not a success.
            ServerUnreachable: when there is no answer.
        """
        try:
            checked(self._http.delete(path))
        except httpx.TransportError as error:
            raise ServerUnreachable(self.url, cause_of(error)) from error

    def _send(self, path: str, **content: Any) -> httpx.Response:
        try:
            return checked(self._http.post(path, **content))
        except httpx.TransportError as error:
            raise ServerUnreachable(self.url, cause_of(error)) from error

    def _repeat(self, path: str, **content: Any) -> httpx.Response:
        """A POST that is safe to send again: sent until there is an answer, but not for ever."""
        give_up = time.monotonic() + PATIENCE_SECONDS
        was_there = False
        while True:
            try:
                response = self._http.post(path, **content)
            except httpx.TransportError as error:
                was_there = was_there or isinstance(error, BROKEN)
                # That nobody was ever there is better said at once.
                if not was_there or time.monotonic() > give_up:
                    raise ServerUnreachable(self.url, cause_of(error)) from error
                time.sleep(POLL_SECONDS)
                continue
            if response.status_code != HTTPStatus.SERVICE_UNAVAILABLE or (
                time.monotonic() > give_up
            ):
                return checked(response)
            was_there = True
            time.sleep(pause_asked_for(response) or POLL_SECONDS)

    @contextmanager
    def stream(self, path: str, headers: Mapping[str, str]) -> Iterator[httpx.Response]:
        """A GET whose body the caller reads piece by piece; httpx's own errors come through."""
        with self._http.stream("GET", path, headers=dict(headers)) as response:
            yield response


class _Asked:
    """Work that somebody asked the server for, as it last told."""

    _resource: ClassVar[str]

    def __init__(self, client: Client, response: httpx.Response) -> None:
        self._client = client
        self._take(response)

    def _take(self, response: httpx.Response) -> None:
        self.document: dict[str, Any] = response.json()
        #: The document's bytes as served.
        self.served: bytes = response.content

    @property
    def id(self) -> str:
        return str(self.document["id"])

    @property
    def state(self) -> str:
        return str(self.document["state"])

    @property
    def _path(self) -> str:
        return f"/v1/{self._resource}/{self.id}"

    def refresh(self) -> Self:
        """Ask the server again; returns itself."""
        self._take(self._client.get(self._path))
        return self

    def cancel(self) -> Self:
        """Ask that it stops, as far as nobody else wants it; returns itself."""
        self._take(self._client.post(f"{self._path}/cancel"))
        return self

    def resume(self) -> Self:
        """Queue again what of it failed or was cancelled; returns itself."""
        self._take(self._client.post(f"{self._path}/resume"))
        return self

    def delete(self) -> None:
        """Delete it for good, once it has ended; what others hold of it stays.

        Raises:
            HeddleError: what the server answered, when it is not a success: 409 while it goes on
                or is pinned.
        """
        self._client.delete(self._path)

    def _until_ended(self, timeout: float | None, progress: Callable[[Self], None] | None) -> None:
        start = time.monotonic()
        while True:
            looked = time.monotonic()
            self._look(progress)
            if self.state in ENDED:
                return
            if timeout is not None and time.monotonic() + POLL_SECONDS > start + timeout:
                raise TimeoutError(f"{self.id} is {self.state} still after {timeout:g} s")
            # A sweep of thousands takes a while to tell: leave the server time for others.
            time.sleep(max(POLL_SECONDS, 4 * (time.monotonic() - looked)))

    def _look(self, progress: Callable[[Self], None] | None) -> None:
        give_up = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                self.refresh()
                if progress is not None:
                    progress(self)
                return
            except ServerUnreachable:
                if time.monotonic() > give_up:
                    raise
                time.sleep(POLL_SECONDS)


class Experiment(_Asked):
    """A posted spec and the runs that answer it, as the server last told."""

    _resource = "experiments"

    def runs(self) -> list[Run]:
        """Its runs in the order of the sweep, as its document lists them.

        They hold id, index, swept values, state and reused; `Run.refresh` brings the rest.
        """
        return [Run(self._client, document) for document in self.document["runs"]]

    def pin(self) -> Self:
        """Have its deletion refused; returns itself."""
        self._take(self._client.post(f"{self._path}/pin"))
        return self

    def unpin(self) -> Self:
        """Let it be deleted again; returns itself."""
        self._take(self._client.post(f"{self._path}/unpin"))
        return self

    def wait(
        self,
        timeout: float | None = None,
        progress: Callable[[Self], None] | None = None,
    ) -> Self:
        """Return once every run has ended well; `progress` is called with every look, the last too.

        Args:
            timeout: seconds to wait at most; None waits as long as it takes.

        Raises:
            ExperimentFailed: when it ended otherwise, naming the failed runs.
            TimeoutError: when the time is over; the experiment goes on.
        """
        self._until_ended(timeout, progress)
        if self.state != "succeeded":
            raise ExperimentFailed(self)
        return self


class Evaluation(_Asked):
    """Scores of a file of codes or of a run, as the server last told."""

    _resource = "evaluations"

    @property
    def error(self) -> dict[str, Any] | None:
        """Why it failed: type, message and advice; None when it did not."""
        return self.document.get("error")

    @property
    def reason(self) -> str:
        """Why it failed and what to do about it, in one line; empty when it did not."""
        return _one_line(self.error)

    def scores(self) -> list[dict[str, Any]]:
        """Its scores, none before it has succeeded; see `Run.scores`."""
        return list(self._client.iterate(f"{self._path}/scores"))

    def wait(
        self,
        timeout: float | None = None,
        progress: Callable[[Self], None] | None = None,
    ) -> Self:
        """Return once its scores are there; parameters are those of `Experiment.wait`.

        Raises:
            EvaluationFailed: when it ended otherwise.
            TimeoutError: when the time is over; the evaluation goes on.
        """
        self._until_ended(timeout, progress)
        if self.state != "succeeded":
            raise EvaluationFailed(self)
        return self


class Run:
    """One model, trained under one spec and one seed, as the server last told."""

    def __init__(self, client: Client, document: Mapping[str, Any], served: bytes = b"") -> None:
        self._client = client
        self.document: dict[str, Any] = dict(document)
        #: The document's bytes as served; empty while it is known from its experiment only.
        self.served = served

    @property
    def id(self) -> str:
        return str(self.document["id"])

    @property
    def state(self) -> str:
        return str(self.document["state"])

    @property
    def swept(self) -> dict[str, Any]:
        """What sets it apart in its experiment's sweep; empty without one."""
        return dict(self.document.get("swept") or {})

    @property
    def label(self) -> str:
        """Its id, and the values that set it apart: `run_01 (objective.beta=4, seed=1)`."""
        values = ", ".join(f"{path}={value}" for path, value in self.swept.items())
        return f"{self.id} ({values})" if values else self.id

    @property
    def reason(self) -> str:
        """Why it failed and what to do about it, in one line; empty when it did not."""
        return _one_line(self.document.get("error"))

    def refresh(self) -> Run:
        """Ask the server again, for everything; returns itself."""
        response = self._client.get(f"/v1/runs/{self.id}")
        # What it is within its experiment (index, swept, reused) is not in its own document.
        self.document |= response.json()
        self.served = response.content
        return self

    def scores(self) -> list[dict[str, Any]]:
        """Its scores; `value` is None where there is none, and `error` says why."""
        return list(self._client.iterate(f"/v1/runs/{self.id}/scores"))

    def advice(self) -> list[dict[str, Any]]:
        """The plain reasons behind odd scores: `about`, `reason` and `suggestion` of each."""
        answer = self._client.get(f"/v1/runs/{self.id}/scores")
        return list(answer.json().get("advice", ()))

    def scalars(self, **params: Any) -> dict[str, list[tuple[int, float | None]]]:
        """Its training curves, (step, value) by tag; `tags` and `max_points` narrow them."""
        curves = self._client.get(f"/v1/runs/{self.id}/scalars", **params).json()
        return {tag: [(step, value) for step, value in points] for tag, points in curves.items()}

    def artifacts(self) -> list[dict[str, Any]]:
        """The files it left: name, sha256, media_type, bytes."""
        return list(self._client.iterate(f"/v1/runs/{self.id}/artifacts"))

    def download(self, folder: str | Path) -> list[Path]:
        """Fetch every artifact into a folder, whole and checked, or not at all.

        A file that is there already with the right digest is kept, and a download that was
        interrupted goes on where it stopped.

        Raises:
            DownloadDamaged: when bytes do not have the digest they are stored by.
        """
        return [fetch_artifact(self._client, item, Path(folder)) for item in self.artifacts()]

    def traversal(self, path: str | Path) -> Path:
        """Fetch the latent traversal, a picture (`.png`) or an animation (`.gif`) by the suffix."""
        suffix = Path(path).suffix.lower()
        if suffix not in (".png", ".gif"):
            raise ValueError(f"Got the file {path}, expected one ending in .png or .gif")
        return fetch_file(self._client, f"/v1/runs/{self.id}/traversal{suffix}", Path(path))

    def cancel(self) -> Run:
        """Ask that it stops, in every experiment; returns itself."""
        return self._post("cancel")

    def resume(self) -> Run:
        """Queue it again from its checkpoint, when it failed or was cancelled; returns itself."""
        return self._post("resume")

    def pin(self) -> Run:
        """Keep it when the experiments that hold it are deleted; returns itself."""
        return self._post("pin")

    def unpin(self) -> Run:
        """Keep it no longer than its experiments; returns itself."""
        return self._post("unpin")

    def _post(self, verb: str) -> Run:
        response = self._client.post(f"/v1/runs/{self.id}/{verb}")
        self.document |= response.json()
        self.served = response.content
        return self


def _one_line(error: Mapping[str, Any] | None) -> str:
    if not error:
        return ""
    line = f"{error.get('type')}: {error.get('message')}"
    return f"{line} - {error['advice']}" if error.get("advice") else line


def cause_of(error: httpx.TransportError) -> str:
    """What went wrong with a connection, in a few words."""
    return str(error) or type(error).__name__
