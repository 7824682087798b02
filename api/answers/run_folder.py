"""A trained run as a folder that needs no Heddle, in a zip file."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping

from api.documents.evaluations import score_documents
from api.state.context import Context
from api.state.trained import Trained
from ml.export.run_folder import PICTURE, TrainedRun, run_folder
from store import queries
from store.files.artifact_names import CODES, WEIGHTS
from store.files.curves import curves

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip file can hold."""
PACKED = (".json", ".md", ".py")
"""The files that are compressed: text. Pictures and weights hardly become smaller."""
READABLE_BY_ALL = 0o644


def run_folder_zip(here: Context, found: Trained) -> bytes:
    """The zip file of a run. The same run gives the same bytes."""
    return _zipped(run_folder(_left_by(here, found)))


def _left_by(here: Context, found: Trained) -> TrainedRun:
    id, record = found.run.id, found.run.record or {}
    artifacts = {one.name: one for one in queries.artifacts(here.database, id)}
    return TrainedRun(
        run_id=id,
        model=found.model,
        data=found.data,
        weights=here.read(artifacts[WEIGHTS].sha256),
        codes=here.read(artifacts[CODES].sha256),
        encoded=found.material.encoded,
        scores=score_documents(queries.scores(here.database, id)),
        scalars=curves(here.database, here.objects, id),
        pictures={
            name: here.read(artifact.sha256)
            for name, artifact in artifacts.items()
            if PICTURE.fullmatch(name)
        },
        latent_names=found.material.latent_names,
        versions=record.get("versions"),
        commit=record.get("commit"),
    )


def _zipped(files: Mapping[str, bytes]) -> bytes:
    """The files as a zip file that depends on them alone: sorted by name, with a fixed date."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, date_time=EPOCH)
            entry.create_system = 3  # Unix, so that the file rights below count.
            entry.external_attr = READABLE_BY_ALL << 16
            entry.compress_type = (
                zipfile.ZIP_DEFLATED if name.endswith(PACKED) else zipfile.ZIP_STORED
            )
            archive.writestr(entry, files[name])
    return content.getvalue()
