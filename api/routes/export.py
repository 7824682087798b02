"""A run as a folder that needs no Heddle."""

from __future__ import annotations

import hashlib

from fastapi import APIRouter, Request, Response

from api.answers.files import ZIP, file_route, matches
from api.documents.evaluations import score_documents
from api.http.zip_file import zip_file
from api.state.context import Context, Here, TrainedInLane
from api.state.trained import Trained
from ml.export.run_folder import PICTURE, TrainedRun, run_folder
from store import queries
from store.files.artifact_names import CODES, WEIGHTS
from store.files.curves import curves
from store.files.objects import open_recorded

router = APIRouter(prefix="/v1/runs", tags=["runs"])


@file_route(router, "/{id}/folder.zip", "folder", ZIP)
def folder(id: str, here: Here, request: Request, found: TrainedInLane) -> Response:
    """The trained run as a folder that needs no Heddle, in a zip file.

    Weights as safetensors, a loader for plain torch, config, codes, scores, curves, pictures, and a
    README that cites its methods. The same run gives the same bytes. 409 while it is not trained.
    """
    content = zip_file(run_folder(_left_by(here, found)))
    etag = f'"{hashlib.sha256(content).hexdigest()}"'
    headers = {
        "ETag": etag,
        # Another evaluation or a name for a latent changes it.
        "Cache-Control": "no-cache",
        "Content-Disposition": f'attachment; filename="{id}.zip"',
        "X-Content-Type-Options": "nosniff",
    }
    if matches(request.headers.get("if-none-match"), etag):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=ZIP, headers=headers)


def _left_by(here: Context, found: Trained) -> TrainedRun:
    id, record = found.run.id, found.run.record or {}
    artifacts = {one.name: one for one in queries.artifacts(here.database, id)}
    return TrainedRun(
        run_id=id,
        model=found.model,
        data=found.data,
        weights=_read(here, artifacts[WEIGHTS]),
        codes=_read(here, artifacts[CODES]),
        encoded=found.material.encoded,
        scores=score_documents(queries.scores(here.database, id)),
        scalars=curves(here.database, here.objects, id),
        pictures={
            name: _read(here, artifact)
            for name, artifact in artifacts.items()
            if PICTURE.fullmatch(name)
        },
        latent_names=found.material.latent_names,
        versions=record.get("versions"),
        commit=record.get("commit"),
    )


def _read(here: Context, artifact: queries.Artifact) -> bytes:
    with open_recorded(here.database, here.objects, artifact.sha256) as file:
        return file.read()
