"""Trained runs as folders that need no Heddle."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from api.answers.files import ZIP, file_route
from api.answers.run_folder import run_folder_zip
from api.http.etags import answer_unless_known
from api.state.context import Here, TrainedInLane

router = APIRouter(prefix="/v1/runs", tags=["runs"])


@file_route(router, "/{id}/folder.zip", "folder", ZIP)
def folder(id: str, here: Here, request: Request, found: TrainedInLane) -> Response:
    """The trained run as a folder that needs no Heddle, in a zip file.

    The folder has the weights as safetensors, a loader for plain torch, the config, codes, scores,
    curves, pictures, and a README that cites the methods. The same run gives the same bytes. The
    answer is 409 while the run is not trained.
    """
    headers = {"Content-Disposition": f'attachment; filename="{id}.zip"'}
    return answer_unless_known(request, run_folder_zip(here, found), ZIP, headers)
