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
from heddle.client.datasets import Progress, send_dataset
from heddle.client.resources import Evaluation, Experiment, Run
from heddle.client.spec import read_spec
from heddle.errors import SpecError

DEFAULT_URL = "http://127.0.0.1:8000"

#: The server checks every number of a file before it answers.
UPLOAD_TIMEOUT = httpx.Timeout(600.0, connect=5.0)


def connect(url: str | None = None, *, home: str | Path | None = None) -> Client:
    """Return a client of the server at `url`. Nothing is sent yet.

    Without a `url`, the first of these is taken that is known: the URL at which `heddle up` serves
    `home`, HEDDLE_URL of the environment, http://127.0.0.1:8000. If HEDDLE_KEY is set, it is sent
    as the bearer token. HEDDLE_USER, or else the login name, is sent as the owner of the work.
    """
    if url is None and home is not None:
        url = served_url(Path(home))
    url = url or os.environ.get("HEDDLE_URL") or DEFAULT_URL
    return Client(url, key=os.environ.get("HEDDLE_KEY"), user=_user())


def _user() -> str | None:
    """HEDDLE_USER, else the login name if it is one that a server accepts."""
    name = os.environ.get("HEDDLE_USER")
    if name is None:
        try:
            name = getpass.getuser()
        except (KeyError, OSError):
            return None
        return name if re.fullmatch(r"[A-Za-z0-9._@+-]{1,64}", name) else None
    return name or None


def served_url(home: Path) -> str | None:
    """The URL at which `heddle up` serves this home, or None if the home is not served."""
    try:
        return str(json.loads((home / "service.json").read_text())["url"])
    except (OSError, ValueError, KeyError):
        return None


class Client(Connection):
    """A client of one server, safe for threads. Close it, or use it as a context manager."""

    def submit(
        self,
        spec: Mapping[str, Any] | str | Path,
        *,
        idempotency_key: str | None = None,
        priority: int = 0,
    ) -> Experiment:
        """Post a spec (a mapping, a file, or YAML text) as an experiment.

        Runs that exist already are joined. While the connection breaks or the server is busy or
        restarted, the same request is sent again for a minute. By its key the server makes one
        experiment of it, however often it arrives.

        Args:
            spec: what to run.
            idempotency_key: a name for this request, by which a later process may send it again;
                a random one by default.
            priority: from -10 to 10; higher goes first.

        Raises:
            HeddleError: the server's answer is not a success.
            ServerUnreachable: there is no server, or no answer for a minute.
        """
        response = self.ask(
            "/v1/experiments", read_spec(spec), key=idempotency_key, priority=priority
        )
        return Experiment(self, response)

    def dry_run(self, spec: Mapping[str, Any] | str | Path, *, priority: int = 0) -> httpx.Response:
        """Report what `submit` would do with a spec, and do nothing. It raises the same errors.

        The report is for a new request, as one under a random key is. Its JSON has runs, reused,
        parameters, steps, seconds, memory_bytes, position, starts_in_seconds and warnings.
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
        """Send an npz file of codes and factors to be scored.

        An evaluation of the same file and spec that exists already is joined.

        Args:
            path: a file with the arrays codes (samples, latents) and factors (samples, factors),
                and maybe others. It is read piece by piece.
            spec: metrics, seed, train_rows, … as a mapping, a file, or YAML text; the server's
                defaults if absent.

        Raises:
            SpecError: the file cannot be opened, or the spec cannot be read.
            HeddleError: the server's answer is not a success.
            ServerUnreachable: there is no answer.
        """
        document = json.dumps({} if spec is None else read_spec(spec))
        try:
            opened = Path(path).open("rb")  # noqa: SIM115 (errors of reading are not caught here)
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
            HeddleError: the server's answer is not a success: 409 for a run that is not trained
                yet.
            ServerUnreachable: there is no answer.
        """
        document = {} if spec is None else read_spec(spec)
        return Evaluation(self, self.post(address("runs", run_id, "evaluations"), document))

    def evaluation(self, evaluation_id: str) -> Evaluation:
        return Evaluation(self, self.get(address("evaluations", evaluation_id)))

    def presets(self) -> list[dict[str, Any]]:
        """List the presets: name, summary, source, datasets, runs."""
        items: list[dict[str, Any]] = self.get("/v1/presets").json()["items"]
        return items

    def preset(
        self, name: str, *, dataset: str | None = None, seeds: int | None = None
    ) -> httpx.Response:
        """Fetch a preset. Its JSON has a `spec`, to be submitted as it is or with changes.

        Args:
            name: the preset.
            dataset: the name of another data set to train on.
            seeds: the number of seeds.

        Raises:
            HeddleError: 404 for a name that is not known.
        """
        given: dict[str, Any] = {"dataset": dataset, "seeds": seeds}
        asked = {key: value for key, value in given.items() if value is not None}
        return self.get(address("presets", name), **asked)

    def datasets(self, *, private: bool = False) -> list[dict[str, Any]]:
        """List the data sets: uploaded ones, the newest first, then those that come with Heddle."""
        return list(self.iterate("/v1/datasets", **({"private": "true"} if private else {})))

    def dataset(self, name: str) -> dict[str, Any]:
        """A data set: its images, shape, factors, source and licence.

        Raises:
            HeddleError: 404 for a name that is not known.
        """
        found: dict[str, Any] = self.get(address("datasets", name)).json()
        return found

    def add_dataset(
        self,
        source: str | Path,
        *,
        name: str,
        factors: str | Path | None = None,
        description: str = "",
        licence: str = "",
        private: bool = False,
        dry_run: bool = False,
        progress: Progress | None = None,
        **options: Any,
    ) -> httpx.Response:
        """Upload images, so that specs may say `dataset: NAME`.

        Files go in parts. After a broken connection the upload goes on where it ended.

        Args:
            source: a folder of images, or a zip, npz or HDF5 file.
            name: letters, digits and _ . - after a letter.
            factors: a table of their factors, if it is another file.
            description: free text.
            licence: what you say of the licence.
            private: whether lists leave it out. Everybody who knows its name may use it.
            dry_run: only report what would be stored.
            progress: called with what is done, and how much of how much.
            options: how files are understood: `kinds` (a factor's name to discrete or continuous),
                `crop`, `resize`, `channels`, `images_key`, `factors_key`, `index_column`.

        Raises:
            SpecError: a file cannot be read.
            HeddleError: the server's answer is not a success: 409 for a name that is taken.
            ServerUnreachable: there is no answer.
        """
        said = {
            "name": name,
            "description": description,
            "licence": licence,
            "private": private,
            **{key: value for key, value in options.items() if value is not None},
        }
        return send_dataset(self, source, said, factors=factors, dry_run=dry_run, progress=progress)

    def leaderboard(
        self,
        dataset: str,
        *,
        metric: str | None = None,
        objective: str | None = None,
        limit: int = 20,
    ) -> list[dict[str, Any]]:
        """Rank everything on a data set: a table for each number of a metric.

        Args:
            dataset: the name of the data set.
            metric: only the numbers of this metric.
            objective: only runs with this objective.
            limit: how many settings a table has at most.

        Raises:
            HeddleError: 422 for a name that is not known.
        """
        given = {"dataset": dataset, "metric": metric, "objective": objective, "limit": limit}
        asked: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
        items: list[dict[str, Any]] = self.get("/v1/leaderboard", **asked).json()["items"]
        return items
