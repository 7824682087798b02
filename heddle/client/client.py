"""Experiments, runs, scores and files of a Heddle server, from Python.

import heddle

client = heddle.connect()
experiment = client.submit("sweep.yaml").wait()
for run in experiment.runs():
    print(run.id, run.scores())
"""

from __future__ import annotations

import getpass
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from heddle.client.connection import Connection, address
from heddle.client.resources import Evaluation, Experiment, Run
from heddle.client.spec import read_spec
from heddle.errors import SpecError

DEFAULT_URL = "http://127.0.0.1:8000"

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


class Client(Connection):
    """One server. Safe to use from several threads; close it, or use it as a context manager."""

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

    def dry_run(self, spec: Mapping[str, Any] | str | Path, *, priority: int = 0) -> httpx.Response:
        """What `submit` would do with a spec, without doing it; it raises what that would.

        It is told of a request that is new, as one under a random key is.

        The answer's JSON has runs, reused, parameters, steps, seconds, memory_bytes, position,
        starts_in_seconds and warnings.
        """
        return self.dry_run_of("/v1/experiments", read_spec(spec), priority=priority)

    plan = dry_run  #: The former name of `dry_run`.

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
            response = self._send("POST", "/v1/evaluations", files=parts, timeout=UPLOAD_TIMEOUT)
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
