"""A cache of a few trained models with the files of their runs, least recently used out first."""

from __future__ import annotations

from dataclasses import dataclass, replace

from api.documents.evaluations import score_documents
from api.state.lru import LruCache
from ml.datasets.dataset import Dataset
from ml.evaluation.encode import EncodedRows, check_same_data, open_data
from ml.networks.model import Model
from ml.plots.material import material
from ml.plots.protocol import Material
from store import queries
from store.database.connection import Database
from store.errors import NotFound, NotTrained
from store.files.artifact_names import CODES, SNAPSHOTS, WEIGHTS
from store.files.curves import curves
from store.files.objects import ObjectFolder, open_recorded

MOST_LOADED = 8


@dataclass(frozen=True)
class Trained:
    """A trained run, ready to encode, decode and draw."""

    run: queries.Run
    model: Model
    data: Dataset
    material: Material
    """The material without scores and snapshots. `TrainedModels.with_all` adds them."""
    digest: str
    """It changes whenever something changes that a picture shows."""


class TrainedModels:
    """The trained models that were asked for lately."""

    def __init__(self, database: Database, objects: ObjectFolder) -> None:
        self._database, self._objects = database, objects
        self._loaded: LruCache[str, Trained] = LruCache(MOST_LOADED)

    def of(self, run_id: str) -> Trained:
        """A run with its weights, codes and curves, from memory if it was asked for lately.

        Raises:
            NotFound: there is no such run.
            NotTrained: it has no weights or codes yet.
            ObjectGone, DamagedObject: one of its files is missing or damaged.
            StorageAway: the object folder is away.
            MissingFile, UnusableFile: the file of its data set is missing or has changed.
        """
        run = queries.run(self._database, run_id)
        weights, rows, digest = self._digests(run)
        known = self._loaded.get(run_id)
        if known is not None and known.digest == digest:
            return replace(known, run=run)
        found = self._load(run, weights, rows, digest)
        self._loaded.keep(run_id, found)
        return found

    def digest_of(self, run_id: str) -> str:
        """The digest of a run, without loading its model.

        Raises:
            NotFound: there is no such run.
            NotTrained: it has no weights or codes yet.
        """
        return self._digests(queries.run(self._database, run_id))[2]

    def with_all(self, found: Trained) -> Material:
        """The run's material with the scores of all evaluations and the snapshots of training."""
        kept = [
            Model.from_bytes(self._read(artifact.sha256))
            for artifact in queries.artifacts(self._database, found.run.id)
            if artifact.name.startswith(SNAPSHOTS)
        ]
        return material(
            found.model,
            found.data,
            found.material.encoded,
            found.material.scalars,
            latent_names=found.material.latent_names,
            scores=score_documents(queries.scores(self._database, found.run.id)),
            snapshots=kept,
        )

    def _load(self, run: queries.Run, weights: str, rows: str, digest: str) -> Trained:
        model = Model.from_bytes(self._read(weights))
        scalars = {
            tag: [(step, value) for step, value in points if value is not None]
            for tag, points in curves(self._database, self._objects, run.id).items()
        }
        encoded = EncodedRows.from_npz(self._read(rows))
        data = open_data(model.spec, images=encoded.images)
        check_same_data(data, run.record)
        names = {int(latent): name for latent, name in run.latent_names.items()}
        drawn_from = material(model, data, encoded, scalars, latent_names=names)
        return Trained(run, model, data, drawn_from, digest)

    def _digests(self, run: queries.Run) -> tuple[str, str, str]:
        """The digests of a run's weights, of its rows, and of all that a picture shows."""
        weights, rows = self._digest(run.id, WEIGHTS), self._digest(run.id, CODES)
        if weights is None or rows is None:
            raise NotTrained(run.id, run.state)
        names = ",".join(f"{latent}={name}" for latent, name in sorted(run.latent_names.items()))
        return weights, rows, f"{weights} {rows} {names}"

    def _digest(self, run_id: str, name: str) -> str | None:
        try:
            return queries.artifact(self._database, run_id, name).sha256
        except NotFound:
            return None

    def _read(self, sha256: str) -> bytes:
        with open_recorded(self._database, self._objects, sha256) as file:
            return file.read()
