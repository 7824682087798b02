"""A run as a zip file over HTTP."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import replace
from functools import cache

import numpy as np

from ml.evaluation.encode import encode_rows
from ml.networks.model import Model
from ml.networks.networks import build, initial_parameters
from ml.spec.run_spec import RunSpec
from store import queries
from store.jobs.finish import NewArtifact, finish_training
from tests.api.service import PICTURE, RECORD, Service, problem

SPEC = {
    "dataset": {"name": "digits", "size": 32},
    "model": {"name": "mlp", "latent_dim": 2, "hidden": [4]},
    "objective": "beta_vae",
    "evaluation": {"rows": 20, "test_rows": 10},
}
VERSIONS = {"torch": "2.10", "heddle": "0.1"}


@cache
def left_by_training() -> dict[str, bytes]:
    """The files of a run of `SPEC` with the weights that it begins with."""
    spec = RunSpec.parse(SPEC)
    shape = spec.dataset.image_shape()
    model = Model(spec, shape, initial_parameters(build(spec, shape), 0), steps=0)
    encoded = encode_rows(model, spec.dataset.open(), spec.evaluation)
    return {"weights.safetensors": model.to_bytes(), "codes.npz": encoded.to_npz()}


def trained(service: Service, *more: NewArtifact) -> str:
    """The id of a run that has weights, codes, scores, curves and pictures."""
    id = service.run_of(service.post(SPEC))
    artifacts = [
        NewArtifact(name, *_kept(service, data), len(data))
        for name, data in left_by_training().items()
    ]
    finish_training(
        service.database,
        service.take(),
        record={**RECORD, "versions": VERSIONS, "commit": "abc"},
        artifacts=[*artifacts, *more],
    )
    service.evaluate()
    return id


def _kept(service: Service, data: bytes) -> tuple[str, str]:
    return service.objects.put(data)[0], "application/octet-stream"


def unzipped(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert archive.namelist() == sorted(archive.namelist())
        return {name: archive.read(name) for name in archive.namelist()}


def test_a_run_is_a_folder_of_what_it_left(service: Service) -> None:
    id = trained(service)
    answer = service.get(f"/v1/runs/{id}/folder.zip")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/zip"
    assert f'filename="{id}.zip"' in answer.headers["content-disposition"]
    files = unzipped(answer.content)
    pictures = {f"{plot}.png" for plot in ("curves", "reconstructions", "traversal")}
    texts = {"README.md", "load.py", "config.json", "scores.json", "scalars.json"}
    arrays = {"weights.safetensors", "codes.npz", "check.npz"}
    assert set(files) == pictures | texts | arrays
    assert files["traversal.png"] == PICTURE + b"traversal"
    for name, data in left_by_training().items():
        assert files[name] == data
    assert json.loads(files["scores.json"]) == service.json(f"/v1/runs/{id}/scores")["items"]
    assert json.loads(files["scalars.json"]) == service.json(f"/v1/runs/{id}/scalars")
    config = json.loads(files["config.json"])
    assert (config["run"], config["versions"], config["commit"]) == (id, VERSIONS, "abc")
    assert config["train_id"] == service.json(f"/v1/runs/{id}")["train_id"]
    assert np.load(io.BytesIO(files["check.npz"]))["mean"].shape == (8, 2)


def test_the_same_run_is_the_same_file_and_is_sent_once(service: Service) -> None:
    path = f"/v1/runs/{trained(service)}/folder.zip"
    first, second = service.get(path), service.get(path)
    assert first.content == second.content
    etag = first.headers["etag"]
    assert etag == f'"{hashlib.sha256(first.content).hexdigest()}"'
    again = service.get(path, **{"if-none-match": etag})
    assert (again.status_code, again.content) == (304, b"")
    assert service.get(path, **{"if-none-match": '"another"'}).status_code == 200
    head = service.client.head(path)
    assert (head.status_code, head.headers["etag"]) == (200, etag)


def test_a_run_that_is_not_trained_has_no_folder(service: Service) -> None:
    id = service.run_of(service.post(SPEC))
    assert id in problem(service.get(f"/v1/runs/{id}/folder.zip"), 409)["detail"]
    problem(service.get("/v1/runs/run_none/folder.zip"), 404)
    problem(service.get(f"/v1/runs/{id}/folder.zip?too=much"), 422)


def test_a_file_that_is_gone_is_told(service: Service) -> None:
    id = trained(service)
    weights = queries.artifact(service.database, id, "weights.safetensors")
    service.objects.path(weights.sha256).unlink()
    problem(service.get(f"/v1/runs/{id}/folder.zip"), 404)


def test_a_picture_of_a_strange_name_is_left_out(service: Service) -> None:
    sha256, size = service.objects.put(PICTURE)
    strange = NewArtifact("../curves.png", sha256, "image/png", size)
    id = trained(service, strange, replace(strange, name="kl.gif"))
    files = unzipped(service.get(f"/v1/runs/{id}/folder.zip").content)
    pictures = [name for name in files if name.endswith((".png", ".gif"))]
    assert pictures == ["curves.png", "kl.gif", "reconstructions.png", "traversal.png"]
