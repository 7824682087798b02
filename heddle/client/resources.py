"""Experiments, evaluations and runs of a server, as it last described them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import httpx

from heddle.client import connection
from heddle.client.connection import Connection
from heddle.client.download import fetch_artifact, fetch_file, unpack
from heddle.client.plots import fetch_plot
from heddle.client.uses import Uses
from heddle.errors import HeddleError, ServerUnreachable

ENDED = frozenset({"succeeded", "failed", "cancelled"})


class ExperimentFailed(HeddleError):
    """An experiment ended, and not all its runs succeeded.

    The message has the reason and advice for the first `MOST_NAMED` failed runs. `experiment` is
    the experiment as it ended. `failed` has all failed runs, the first `MOST_NAMED` of them with
    their errors.
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
    """An evaluation ended without scores. The message has the reason and advice.

    `evaluation` is the evaluation as it ended.
    """

    def __init__(self, evaluation: Evaluation) -> None:
        how = "was cancelled" if evaluation.state == "cancelled" else "failed"
        why = f": {evaluation.reason}" if evaluation.reason else ""
        super().__init__(f"Evaluation {evaluation.id} {how}{why}")
        self.evaluation = evaluation


class _Work:
    """Work of the server, as it last described it."""

    _resource: ClassVar[str]

    def __init__(self, client: Connection, document: Mapping[str, Any], served: bytes) -> None:
        self._client = client
        self.document: dict[str, Any] = dict(document)
        #: The bytes of the document as served.
        self.served = served

    def _take(self, response: httpx.Response) -> Self:
        self.document = response.json()
        self.served = response.content
        return self

    @property
    def id(self) -> str:
        return str(self.document["id"])

    @property
    def state(self) -> str:
        return str(self.document["state"])

    @property
    def _path(self) -> str:
        return f"/v1/{self._resource}/{self.id}"

    def _post(self, verb: str) -> Self:
        return self._take(self._client.post(f"{self._path}/{verb}"))

    def refresh(self) -> Self:
        """Fetch the whole document again; returns itself."""
        return self._take(self._client.get(self._path))

    def cancel(self) -> Self:
        """Stop it; returns itself.

        A run is stopped for everybody. Of other work, only what nobody else wants is stopped.
        """
        return self._post("cancel")

    def resume(self) -> Self:
        """Queue failed and cancelled work of it again, from checkpoints; returns itself."""
        return self._post("resume")

    def retry(self) -> Self:
        """Queue failed work of it again, from checkpoints; returns itself."""
        return self._post("retry")


class _Trained(_Work):
    """Work that may be pinned, and from which experiments may be made."""

    def pin(self) -> Self:
        """Keep it; returns itself.

        A pinned experiment cannot be deleted. A pinned run stays when its experiments are deleted.
        """
        return self._post("pin")

    def unpin(self) -> Self:
        """Take a pin away; returns itself."""
        return self._post("unpin")

    def clone(self, changes: Mapping[str, Any], *, priority: int = 0) -> Experiment:
        """Post its spec again with changes, dotted path to value; returns the new experiment."""
        return self.make("clone", {"changes": dict(changes)}, priority=priority)

    def extend(self, steps: int, *, priority: int = 0) -> Experiment:
        """Train it further, to `steps` in all; returns the new experiment.

        Raises:
            HeddleError: 409 if it is not trained, or has not kept the state that it ended with.
        """
        return self.make("extend", {"steps": steps}, priority=priority)

    def fork(
        self, steps: int, changes: Mapping[str, Any] | None = None, *, priority: int = 0
    ) -> Experiment:
        """Train it further, to `steps` in all, with changes, dotted path to value.

        Raises:
            HeddleError: 409 if it is not trained, or has not kept the state that it ended with.
        """
        body = {"steps": steps, "changes": dict(changes or {})}
        return self.make("fork", body, priority=priority)

    def make(self, verb: str, body: Mapping[str, Any], *, priority: int = 0) -> Experiment:
        """Make an experiment of it by `clone`, `extend` or `fork`, with the body of the API."""
        response = self._client.ask(f"{self._path}/{verb}", dict(body), priority=priority)
        return Experiment(self._client, response)

    def dry_run(self, verb: str, body: Mapping[str, Any], *, priority: int = 0) -> httpx.Response:
        """Report what `make` would do, and do nothing; see `Client.dry_run`."""
        return self._client.dry_run_of(f"{self._path}/{verb}", dict(body), priority=priority)

    plan = dry_run  #: The former name of `dry_run`.


class _Scored(_Work):
    """Work that has scores, once it has succeeded."""

    @property
    def reason(self) -> str:
        """Why it failed and what to do about it, in one line; empty if it did not fail."""
        error = self.document.get("error")
        if not error:
            return ""
        line = f"{error.get('type')}: {error.get('message')}"
        return f"{line} - {error['advice']}" if error.get("advice") else line

    def scores(self) -> list[dict[str, Any]]:
        """Its scores; none before it has succeeded. Where `value` is None, `error` says why."""
        return list(self._client.iterate(f"{self._path}/scores"))

    def advice(self) -> list[dict[str, Any]]:
        """The plain reasons behind odd scores: `about`, `reason` and `suggestion` of each."""
        answer = self._client.get(f"{self._path}/scores")
        return list(answer.json().get("advice", ()))


class _Asked(_Work):
    """Work that a client asked for, and may delete."""

    def __init__(self, client: Connection, response: httpx.Response) -> None:
        super().__init__(client, response.json(), response.content)

    def delete(self) -> None:
        """Delete it for good, once it has ended. What something else holds of it stays.

        Raises:
            HeddleError: the server's answer is not a success: 409 while it goes on or is pinned.
        """
        self._client.delete(self._path)

    def _until_ended(self, timeout: float | None, progress: Callable[[Self], None] | None) -> None:
        start = time.monotonic()
        while True:
            looked = time.monotonic()
            self._look(progress)
            if self.state in ENDED:
                return
            if timeout is not None and time.monotonic() + connection.POLL_SECONDS > start + timeout:
                raise TimeoutError(f"{self.id} is {self.state} still after {timeout:g} s")
            # The server needs a while for the document of a long sweep. Leave it time for others.
            time.sleep(max(connection.POLL_SECONDS, 4 * (time.monotonic() - looked)))

    def _look(self, progress: Callable[[Self], None] | None) -> None:
        give_up = time.monotonic() + connection.PATIENCE_SECONDS
        while True:
            try:
                self.refresh()
                if progress is not None:
                    progress(self)
                return
            except ServerUnreachable:
                if time.monotonic() > give_up:
                    raise
                time.sleep(connection.POLL_SECONDS)


class Experiment(_Asked, _Trained):
    """A posted spec and the runs that answer it, as the server last described them."""

    _resource = "experiments"

    def runs(self) -> list[Run]:
        """Its runs in the order of the sweep, as its document lists them.

        Each holds id, index, swept values, state and reused; `Run.refresh` fetches the rest.
        """
        return [Run(self._client, document) for document in self.document["runs"]]

    def wait(
        self,
        timeout: float | None = None,
        progress: Callable[[Self], None] | None = None,
    ) -> Self:
        """Wait until every run has succeeded; returns itself.

        Args:
            timeout: seconds to wait at most; None waits as long as it takes.
            progress: is called with the experiment at each look, also at the last one.

        Raises:
            ExperimentFailed: it ended otherwise; the error names the failed runs.
            TimeoutError: the time is over; the experiment goes on.
        """
        self._until_ended(timeout, progress)
        if self.state != "succeeded":
            raise ExperimentFailed(self)
        return self

    def results(self) -> list[dict[str, Any]]:
        """One tidy row a run, in the order of the sweep, as `pandas.DataFrame` takes them.

        Each row holds run_id, state, train_id, the swept values by their paths, every score
        (`mig`, `dci.disentanglement`), the last values of training curves (`final.loss`), and
        error.
        """
        rows: list[dict[str, Any]] = self._client.get(f"{self._path}/results").json()["items"]
        return rows

    def summary(self, *, udr: bool = True) -> dict[str, Any]:
        """Summarise the sweep: scores by setting and by value, correlations, the best setting.

        Without `udr` models are not compared with each other, for which their codes are read.
        """
        asked = {} if udr else {"udr": "false"}
        summary: dict[str, Any] = self._client.get(f"{self._path}/summary", **asked).json()
        return summary

    def plot(self, name: str, path: str | Path, **params: Any) -> Path:
        """Fetch a plot of its runs by name, as a PNG or SVG file by the suffix of the path.

        `params` are those of the plot in the catalogue, as in `x="objective.beta", log_x=True`.

        Raises:
            ValueError: the path has another suffix.
            HeddleError: 409 while there is nothing to draw, 422 for params that the plot does not
                have.
        """
        return fetch_plot(self._client, self._path, name, path, params)

    def report(self, path: str | Path = "report.html") -> Path:
        """Fetch its report: one HTML file that needs no network."""
        return fetch_file(self._client, f"{self._path}/report.html", Path(path))


class Evaluation(_Asked, _Scored):
    """Scores of a file of codes or of a run, as the server last described them."""

    _resource = "evaluations"

    @property
    def error(self) -> dict[str, Any] | None:
        """Why it failed: type, message and advice; None if it did not fail."""
        return self.document.get("error")

    def wait(
        self,
        timeout: float | None = None,
        progress: Callable[[Self], None] | None = None,
    ) -> Self:
        """Wait until it has succeeded; returns itself. It takes the args of `Experiment.wait`.

        Raises:
            EvaluationFailed: it ended otherwise.
            TimeoutError: the time is over; the evaluation goes on.
        """
        self._until_ended(timeout, progress)
        if self.state != "succeeded":
            raise EvaluationFailed(self)
        return self


class Run(_Trained, _Scored, Uses):
    """One model, trained under one spec and one seed, as the server last described it."""

    _resource = "runs"

    def __init__(
        self, client: Connection, document: Mapping[str, Any], served: bytes = b""
    ) -> None:
        # Nothing was served of a run that is known from its experiment alone.
        super().__init__(client, document, served)

    def _take(self, response: httpx.Response) -> Self:
        # Its own document lacks what its experiment says of it (index, swept, reused).
        self.document |= response.json()
        self.served = response.content
        return self

    @property
    def swept(self) -> dict[str, Any]:
        """Its values in the sweep of its experiment; empty without a sweep."""
        return dict(self.document.get("swept") or {})

    @property
    def label(self) -> str:
        """Its id with its values in the sweep: `run_01 (objective.beta=4, seed=1)`."""
        values = ", ".join(f"{path}={value}" for path, value in self.swept.items())
        return f"{self.id} ({values})" if values else self.id

    def scalars(self, **params: Any) -> dict[str, list[tuple[int, float | None]]]:
        """Its training curves, (step, value) by tag; `tags` and `max_points` select from them."""
        curves = self._client.get(f"{self._path}/scalars", **params).json()
        return {tag: [(step, value) for step, value in points] for tag, points in curves.items()}

    def artifacts(self) -> list[dict[str, Any]]:
        """The files it left: name, sha256, media_type, bytes."""
        return list(self._client.iterate(f"{self._path}/artifacts"))

    def download(self, folder: str | Path) -> list[Path]:
        """Fetch every artifact into a folder. Each file is complete and checked, or absent.

        A file that the folder has already with the right digest is kept. A download that was
        interrupted goes on where it stopped.

        Raises:
            DownloadDamaged: the bytes do not have the digest of the artifact.
        """
        return [fetch_artifact(self._client, item, Path(folder)) for item in self.artifacts()]

    def export(self, folder: str | Path) -> list[Path]:
        """Fetch it as a folder that needs no Heddle: weights, loader, codes, scores, README.

        Raises:
            HeddleError: 409 if it is not trained yet.
        """
        content = self._client.get(f"{self._path}/folder.zip").content
        return unpack(content, Path(folder))

    def traversal(self, path: str | Path, **params: Any) -> Path:
        """Fetch the latent traversal: a picture (`.png`, `.svg`) or a film (`.gif`) by the suffix.

        `params` are those of the plot `traversal` in the catalogue, as in
        `span="deviations", extent=3, latents=[0, 3], image=17, frames=21`.
        """
        return self.plot("traversal", path, **params)

    def plot(self, name: str, path: str | Path, **params: Any) -> Path:
        """Fetch a plot of it by name; see `Experiment.plot`.

        The traversal and the training_film also come as a GIF.
        """
        return fetch_plot(self._client, self._path, name, path, params)

    def name_latents(self, names: Mapping[int, str]) -> Self:
        """Name its latents, as pictures show them; all others lose their names. Returns itself."""
        document = {"latent_names": {str(latent): name for latent, name in names.items()}}
        return self._take(self._client.patch(self._path, document))

    def log(self, tail: int | None = None) -> str:
        """What workers logged of it: the last `tail` lines, or all."""
        params: dict[str, Any] = {} if tail is None else {"tail": tail}
        return self._client.get(f"{self._path}/log", **params).text
