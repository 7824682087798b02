"""Experiments, runs, scores and files of a Heddle server, from Python.

import heddle.client

client = heddle.client.connect()
experiment = client.submit("sweep.yaml").wait()
for run in experiment.runs():
    print(run.id, run.scores())
"""

from __future__ import annotations

import getpass
import json
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import httpx

from heddle import work
from heddle.address import address
from heddle.errors import ServerUnreachable, SpecError
from heddle.problem import checked, pause_asked_for
from heddle.spec import read_spec
from heddle.work import Evaluation, Experiment, Run

DEFAULT_URL = "http://127.0.0.1:8000"
ATTEMPTS = 5
#: A server was there: a request may have come through, or its answer may be lost.
BROKEN = (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError, httpx.ReadTimeout)

#: The server says every 15 seconds that it is there.
EVENTS_TIMEOUT = httpx.Timeout(60.0, connect=5.0)

#: The server looks at every number of a file before it answers.
UPLOAD_TIMEOUT = httpx.Timeout(600.0, connect=5.0)


def connect(url: str | None = None, *, home: str | Path | None = None) -> Client:
    """A client of the server at `url`; nothing is sent yet.

    Without a URL: the one that `heddle up` wrote into `home`, when a home is given and served,
    else the environment's HEDDLE_URL, else http://127.0.0.1:8000. HEDDLE_KEY, when set, is sent
    as the bearer token, and HEDDLE_USER, or else the login name, as whose work it is.
    """
    if url is None and home is not None:
        url = served_url(Path(home))
    url = url or os.environ.get("HEDDLE_URL") or DEFAULT_URL
    return Client(url, key=os.environ.get("HEDDLE_KEY"), user=_user())


def _user() -> str | None:
    """HEDDLE_USER, else the login name, where it is one that a server takes."""
    name = os.environ.get("HEDDLE_USER")
    if name is None:
        try:
            name = getpass.getuser()
        except (KeyError, OSError):
            return None
        return name if re.fullmatch(r"[A-Za-z0-9._@+-]{1,64}", name) else None
    return name or None


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
        user: str | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self._http = httpx.Client(
            base_url=self.url,
            headers={
                **({"Authorization": f"Bearer {key}"} if key else {}),
                **({"Heddle-User": user} if user else {}),
            },
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
        self,
        spec: Mapping[str, Any] | str | Path,
        *,
        idempotency_key: str | None = None,
        priority: int = 0,
    ) -> Experiment:
        """Post a spec (a mapping, a file, or YAML text); work that exists already is joined.

        While the connection breaks or the server is busy or restarted, the same request is sent
        again for a minute. Its key makes one experiment of it, however often it arrives.

        Args:
            spec: what to run.
            idempotency_key: a name for this request, with which a later process may send it
                again; a random one by default.
            priority: higher goes first, from -10 to 10.

        Raises:
            HeddleError: what the server answered, when it is not a success.
            ServerUnreachable: when there is no server, or no answer for a minute.
        """
        response = self.ask(
            "/v1/experiments", read_spec(spec), key=idempotency_key, priority=priority
        )
        return Experiment(self, response)

    def plan(self, spec: Mapping[str, Any] | str | Path, *, priority: int = 0) -> httpx.Response:
        """What `submit` would do with a spec, without doing it; it raises what that would.

        It is told of a request that is new, as one under a random key is.

        The answer's JSON has runs, reused, parameters, steps, seconds, memory_bytes, position,
        starts_in_seconds and warnings.
        """
        return self.plan_of("/v1/experiments", read_spec(spec), priority=priority)

    def experiment(self, experiment_id: str) -> Experiment:
        return Experiment(self, self.get(address("experiments", experiment_id)))

    def run(self, run_id: str) -> Run:
        response = self.get(address("runs", run_id))
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
        return Evaluation(self, self.post(address("runs", run_id, "evaluations"), document))

    def evaluation(self, evaluation_id: str) -> Evaluation:
        return Evaluation(self, self.get(address("evaluations", evaluation_id)))

    def leaderboard(
        self,
        dataset: str,
        *,
        metric: str | None = None,
        objective: str | None = None,
        limit: int = 20,
    ) -> list[dict[str, Any]]:
        """Everything on a data set ranked, a table for each number that compares.

        Args:
            dataset: its name.
            metric: only this metric's numbers.
            objective: only runs with this objective.
            limit: settings a table.

        Raises:
            HeddleError: 422 for a name that is not known.
        """
        given = {"dataset": dataset, "metric": metric, "objective": objective, "limit": limit}
        asked: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
        items: list[dict[str, Any]] = self.get("/v1/leaderboard", **asked).json()["items"]
        return items

    def iterate(self, path: str, **params: Any) -> Iterator[dict[str, Any]]:
        """Every item of a list, over all its pages."""
        while True:
            page = self.get(path, **params).json()
            yield from page["items"]
            if not page.get("next_cursor"):
                return
            params["cursor"] = page["next_cursor"]

    def get(self, path: str, *, accept: str = "*/*", **params: Any) -> httpx.Response:
        """A GET, tried again over broken connections and while the server says to come back.

        `accept` names the media type that is wanted, where there are several.

        Raises:
            HeddleError: what the server answered, when it is not a success.
            ServerUnreachable: when there is no answer.
        """
        for attempt in range(1, ATTEMPTS + 1):
            try:
                response = self._http.get(path, params=params, headers={"Accept": accept})
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

    def post(
        self,
        path: str,
        document: Any = None,
        *,
        files: Sequence[tuple[str, tuple[str | None, bytes]]] = (),
        accept: str = "*/*",
        **params: Any,
    ) -> httpx.Response:
        """A POST, sent once: only a connection that was never made is tried again.

        It sends the document, or in its place `files`: parts of a form, (part, (file name or
        None, content)). `accept` names the media type that is wanted, where there are several.

        Raises:
            HeddleError: what the server answered, when it is not a success.
            ServerUnreachable: when there is no answer.
        """
        content = {"files": list(files)} if files else {"json": document}
        return self._send(path, params=params, headers={"Accept": accept}, **content)

    def ask(
        self, path: str, document: Any, *, key: str | None = None, priority: int = 0
    ) -> httpx.Response:
        """A POST that makes an experiment: sent until there is an answer, and makes one only.

        Raises:
            HeddleError: what the server answered, when it is not a success.
            ServerUnreachable: when there is no server, or no answer for a minute.
        """
        name = str(uuid4()) if key is None else key
        return self._repeat(
            path,
            params={"priority": priority} if priority else {},
            json=document,
            headers={"Idempotency-Key": name.encode()},
        )

    def plan_of(self, path: str, document: Any, *, priority: int = 0) -> httpx.Response:
        """What `ask` would do, without doing it; it raises what that would."""
        params = {"dry_run": "true"} | ({"priority": str(priority)} if priority else {})
        return self._repeat(path, params=params, json=document)

    def patch(self, path: str, document: Any) -> httpx.Response:
        """A PATCH, sent once.

        Raises:
            HeddleError: what the server answered, when it is not a success.
            ServerUnreachable: when there is no answer.
        """
        try:
            return checked(self._http.patch(path, json=document))
        except httpx.TransportError as error:
            raise ServerUnreachable(self.url, cause_of(error)) from error

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
        give_up = time.monotonic() + work.PATIENCE_SECONDS
        was_there = False
        while True:
            try:
                response = self._http.post(path, **content)
            except httpx.TransportError as error:
                was_there = was_there or isinstance(error, BROKEN)
                # That nobody was ever there is better said at once.
                if not was_there or time.monotonic() > give_up:
                    raise ServerUnreachable(self.url, cause_of(error)) from error
                time.sleep(work.POLL_SECONDS)
                continue
            if response.status_code != HTTPStatus.SERVICE_UNAVAILABLE or (
                time.monotonic() > give_up
            ):
                return checked(response)
            was_there = True
            time.sleep(pause_asked_for(response) or work.POLL_SECONDS)

    def events(
        self, experiment_id: str | None = None, *, after: int | None = None
    ) -> Iterator[dict[str, Any]]:
        """What happens, as it happens, each event once and in order; the caller stops it.

        Over broken connections and restarts of the server it goes on by itself, and comes back a
        few times to one that is busy. Without `after` (a `position`) an experiment's events come
        from its first on, and all from now on.

        Raises:
            HeddleError: what the server answered, when it is not a success.
        """
        params = {} if experiment_id is None else {"experiment": experiment_id}
        refused = 0
        while True:
            headers = {} if after is None else {"Last-Event-ID": str(after)}
            try:
                with self._http.stream(
                    "GET", "/v1/events", params=params, headers=headers, timeout=EVENTS_TIMEOUT
                ) as response:
                    if not response.is_success:
                        response.read()
                    pause = pause_asked_for(response)
                    refused = 0 if pause is None else refused + 1
                    if pause is not None and refused < ATTEMPTS:
                        time.sleep(pause)
                        continue
                    checked(response)
                    for line in response.iter_lines():
                        if line.startswith("data: "):
                            event = json.loads(line.removeprefix("data: "))
                            yield event
                            after = event["position"]
            except httpx.TransportError:
                pass
            else:
                # The server has ended the stream: it ends itself, or the experiment is gone.
                if experiment_id is not None:
                    self.get(address("experiments", experiment_id))
            time.sleep(work.POLL_SECONDS)

    @contextmanager
    def stream(self, path: str, headers: Mapping[str, str]) -> Iterator[httpx.Response]:
        """A GET whose body the caller reads piece by piece; httpx's own errors come through."""
        with self._http.stream("GET", path, headers=dict(headers)) as response:
            yield response


def cause_of(error: httpx.TransportError) -> str:
    """What went wrong with a connection, in a few words."""
    return str(error) or type(error).__name__
