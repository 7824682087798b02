"""Data sets that people upload: sent, stored, trained on, renamed, deleted."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import shutil
import socket
import threading
import time
import zipfile
from pathlib import Path
from typing import Any

import h5py
import httpx
import numpy as np
import pytest
from PIL import Image

from api.state.settings import ApiSettings
from ml.datasets.protocol import data_folder
from ml.evaluation.evaluate import evaluate
from ml.spec.run_spec import RunSpec
from store.jobs.finish import NewArtifact, finish_evaluation, finish_training
from store.settings import Settings
from store.states import JobKind
from tests.api.served import served
from tests.api.service import RECORD, Service, problem, serving
from tests.api.trained_run import files_of, model_of

SIDE = 16
SPEC: dict[str, Any] = {
    "dataset": "faces",
    "objective": "beta_vae",
    "model": {"name": "mlp", "latent_dim": 3, "hidden": [8]},
    "training": {"steps": 5, "batch_size": 8},
    "evaluation": {"metrics": ["mig"], "rows": 20, "test_rows": 10},
}
HAIR, AGES = ("brown", "grey", "red"), (20, 30, 40, 50)
ROWS = [(f"{hair}{age}.png", hair, age) for hair in HAIR for age in AGES] * 3


def pixels(number: int) -> np.ndarray:
    """Images that differ, each in a square of its own."""
    image = np.zeros((SIDE, SIDE), dtype=np.uint8)
    image[number % SIDE, :: 1 + number // SIDE] = 255
    return image


def faces() -> bytes:
    """A zip file of 36 grey PNGs."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for number in range(len(ROWS)):
            png = io.BytesIO()
            Image.fromarray(pixels(number)).save(png, "PNG")
            archive.writestr(f"faces/{number:02}.png", png.getvalue())
    return content.getvalue()


def table(unknown: int | None = None) -> bytes:
    rows = [
        [f"{number:02}.png", "" if number == unknown else hair, age]
        for number, (_, hair, age) in enumerate(ROWS)
    ]
    text = io.StringIO()
    csv.writer(text).writerows([["file", "hair", "age"], *rows])
    return text.getvalue().encode()


def npz() -> bytes:
    content = io.BytesIO()
    np.savez(content, images=np.stack([pixels(number) for number in range(20)]))
    return content.getvalue()


def hdf5() -> bytes:
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        file["images"] = np.stack([pixels(number) for number in range(24)])
        file["azimuth"] = np.linspace(0.1, 5.9, 24)
        file["height"] = np.linspace(-1, 1, 24) ** 3 + 0.01
    return content.getvalue()


def add(
    service: Service,
    name: str = "faces",
    file: bytes | None = None,
    called: str = "faces.zip",
    factors: bytes | None = None,
    query: str = "",
    **more: Any,
) -> httpx.Response:
    parts: dict[str, Any] = {"file": (called, faces() if file is None else file)}
    if factors is not None:
        parts["factors"] = ("faces.csv", factors)
    parts["spec"] = (None, json.dumps({"name": name, **more}), "application/json")
    return service.client.post(f"/v1/datasets{query}", files=parts)


def added(service: Service, *args: Any, **options: Any) -> dict[str, Any]:
    answer = add(service, *args, **options)
    assert answer.status_code == 201, answer.text
    document: dict[str, Any] = answer.json()
    return document


def trained(service: Service, run_id: str) -> list[Any]:
    """Train and score the waiting run as its resolved spec says. Returns its scores."""
    spec = service.json(f"/v1/runs/{run_id}")["spec"]
    artifacts = []
    for name, content in files_of(spec).items():
        sha256, size = service.objects.put(content)
        artifacts.append(NewArtifact(name, sha256, "application/octet-stream", size))
    finish_training(service.database, service.take(), record=dict(RECORD), artifacts=artifacts)
    parsed = RunSpec.parse(spec)
    scores = evaluate(model_of(spec), parsed.dataset.open(), parsed.evaluation.metrics)
    documents = [one.model_dump(mode="json") for one in scores]
    finish_evaluation(service.database, service.take(JobKind.EVALUATE), scores=documents)
    return documents


def stored() -> set[str]:
    """The names in the folder of what is stored, and in that of what comes in."""
    folders = [data_folder() / name for name in ("tables", "uploads")]
    names = {path.name for folder in folders if folder.exists() for path in folder.iterdir()}
    return names - {"heddle-folder"}


def test_images_in_a_zip_with_a_table_are_trained_on_and_scored(service: Service) -> None:
    document = added(service, factors=table(), licence="CC0", description="Faces of ours")
    assert (document["name"], document["images"], document["shape"]) == ("faces", 36, [16, 16, 1])
    assert document["factors"] == [
        {"name": "hair", "kind": "discrete", "size": 3},
        {"name": "age", "kind": "discrete", "size": 4},
    ]
    assert (document["source"], document["licence"], document["labelled"]) == (
        "faces.zip",
        "CC0",
        36,
    )
    assert service.json("/v1/datasets/faces") == document
    assert stored() == {document["digest"]}

    experiment = service.post(SPEC)
    assert experiment["name"] == "beta_vae on faces"
    run_id = service.run_of(experiment)
    run = service.json(f"/v1/runs/{run_id}")
    assert run["dataset"] == "faces"
    assert run["spec"]["dataset"]["stored"] == document["digest"]
    [score] = trained(service, run_id)
    assert score["value"] is not None
    assert [one["id"] for one in service.json("/v1/runs?dataset=faces")["items"]] == [run_id]
    [board] = service.json("/v1/leaderboard?dataset=faces")["items"]
    assert (board["name"], board["dataset"]) == ("mig", {})
    [entry] = board["entries"]
    assert not any(path.startswith("dataset") for path in entry["setting"])


def test_images_without_factors_are_trained_on(service: Service) -> None:
    document = added(service, file=npz(), called="faces.npz")
    assert (document["images"], document["factors"], document["labelled"]) == (20, [], 0)
    problem(service.get("/v1/datasets/faces/factors.csv"), 409)
    spec = SPEC | {"evaluation": {"metrics": ["elbo"], "rows": 10, "test_rows": 5}}
    trained(service, service.run_of(service.post(spec)))


def test_continuous_factors_come_back_as_they_were_sent(service: Service) -> None:
    document = added(service, file=hdf5(), called="faces.h5")
    assert {(one["name"], one["kind"], one["size"]) for one in document["factors"]} == {
        ("azimuth", "continuous", None),
        ("height", "continuous", None),
    }
    rows = list(csv.DictReader(io.StringIO(service.get("/v1/datasets/faces/factors.csv").text)))
    assert [float(row["azimuth"]) for row in rows] == np.linspace(0.1, 5.9, 24).tolist()


def test_the_table_of_factors_has_the_original_names_and_gaps(service: Service) -> None:
    added(service, factors=table(unknown=5))
    answer = service.get("/v1/datasets/faces/factors.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.reader(io.StringIO(answer.text)))
    expected = [
        ["" if number == 5 else hair, str(age)] for number, (_, hair, age) in enumerate(ROWS)
    ]
    assert rows == [["hair", "age"], *expected]
    again = service.get(
        "/v1/datasets/faces/factors.csv", **{"If-None-Match": answer.headers["etag"]}
    )
    assert again.status_code == 304
    head = service.client.head("/v1/datasets/faces/factors.csv")
    assert (head.status_code, head.content) == (200, b"")


def test_the_pictures_of_an_uploaded_data_set_can_be_opened(service: Service) -> None:
    added(service, factors=table())
    answer = service.get("/v1/datasets/faces/samples.png")
    assert answer.status_code == 200, answer.text
    picture = Image.open(io.BytesIO(answer.content))
    picture.load()
    assert picture.format == "PNG"
    assert service.get("/v1/datasets/faces/plots/factor_grid.svg").status_code == 200


def test_built_in_data_sets_are_listed_after_the_uploaded_ones(service: Service) -> None:
    for name in ("b", "a"):
        added(service, name)
    added(service, "hidden", private=True)
    names: list[str] = []
    path = "/v1/datasets?limit=3"
    while path:
        page = service.json(path)
        names += [one["name"] for one in page["items"]]
        cursor = page["next_cursor"]
        path = f"/v1/datasets?limit=3&cursor={cursor}" if cursor else ""
    assert names[:2] == ["a", "b"]
    assert names[2:] == sorted(names[2:])
    assert "digits" in names and "hidden" not in names
    everything = service.json("/v1/datasets?private=true&limit=500")["items"]
    assert "hidden" in {one["name"] for one in everything}
    [digits] = [one for one in everything if one["name"] == "digits"]
    assert (digits["uploaded"], digits["images"], digits["shape"]) == (False, None, [64, 64, 1])
    opened = service.json("/v1/datasets/digits")
    assert (opened["images"], opened["factors"]) == (
        1797,
        [{"name": "digit", "kind": "discrete", "size": 10}],
    )
    problem(service.get("/v1/datasets?cursor=YnVpbHQtaW46bm9uZQ=="), 422)


def test_a_dry_run_says_what_is_understood_and_keeps_nothing(service: Service) -> None:
    answer = add(service, factors=table(), query="?dry_run=true")
    assert answer.status_code == 200, answer.text
    assert {key: answer.json()[key] for key in ("name", "images", "shape")} == {
        "name": "faces",
        "images": 36,
        "shape": [16, 16, 1],
    }
    assert stored() == set()
    problem(service.get("/v1/datasets/faces"), 404)


def test_names_in_params_sweeps_and_origins_lead_to_what_is_stored(service: Service) -> None:
    digests = [
        added(service, name, file)["digest"] if file else added(service, name)["digest"]
        for name, file in (("faces", None), ("others", other_faces()))
    ]
    sweep = SPEC | {"sweep": {"dataset": ["faces", {"name": "others", "resize": 32}]}}
    runs = [service.json(f"/v1/runs/{one['id']}") for one in service.post(sweep)["runs"]]
    assert [run["spec"]["dataset"]["stored"] for run in runs] == digests
    assert [run["spec"]["dataset"]["resize"] for run in runs] == [None, 32]
    assert [run["dataset"] for run in runs] == ["faces", "others"]
    by_name = SPEC | {"dataset": {"resize": 24}, "sweep": {"dataset.name": ["faces", "others"]}}
    runs = [service.json(f"/v1/runs/{one['id']}") for one in service.post(by_name)["runs"]]
    assert [run["spec"]["dataset"]["stored"] for run in runs] == digests
    assert [run["spec"]["dataset"]["resize"] for run in runs] == [24, 24]
    for seed, origin in enumerate(({"dataset": "others"}, {"dataset.name": "others"})):
        found = RunSpec.parse(
            service.json(
                f"/v1/runs/{service.run_of(service.post(_going_on(service, seed, origin)))}"
            )["spec"]
        )
        before = found.origin_spec()
        assert before is not None
        assert before.dataset.identity()["stored"] == digests[1]


def _going_on(service: Service, seed: int, origin: dict[str, str]) -> dict[str, Any]:
    """A spec that goes on from a run on another data set, which is trained first."""
    before = SPEC | {"dataset": "others", "seed": seed}
    for one in service.json("/v1/runs?state=queued")["items"]:
        service.client.post(f"/v1/runs/{one['id']}/cancel")
    if service.post(before)["state"] != "succeeded":
        service.keep_state()
    return SPEC | {
        "seed": seed,
        "training": {"steps": 9, "batch_size": 8},
        "origin": origin | {"training.steps": 5},
    }


def other_faces() -> bytes:
    """Other images than `faces` has."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for number in range(20):
            png = io.BytesIO()
            Image.fromarray(255 - pixels(number)).save(png, "PNG")
            archive.writestr(f"{number:02}.png", png.getvalue())
    return content.getvalue()


def test_faults_of_names_of_data_sets_say_what_there_is(service: Service) -> None:
    added(service, "portraits")
    added(service, "secret-faces", private=True)
    answer = service.client.post("/v1/experiments", json=SPEC | {"dataset": "portrait"})
    [fault] = problem(answer, 422)["errors"]
    assert (fault["path"], fault["got"], fault["nearest"]) == (
        "dataset.name",
        "portrait",
        "portraits",
    )
    assert "portraits" in fault["expected"] and "secret" not in fault["expected"]
    swept = SPEC | {"dataset": "portraits", "sweep": {"dataset": ["portraits", "no"]}}
    [fault] = problem(service.client.post("/v1/experiments", json=swept), 422)["errors"]
    assert fault["path"] == "sweep.dataset[1].name"
    for digest in ("ab" * 32, "../../etc"):
        spec = SPEC | {"dataset": {"name": "image_table", "stored": digest}}
        [fault] = problem(service.client.post("/v1/experiments", json=spec), 422)["errors"]
        assert (fault["path"], fault["got"]) == ("dataset.stored", digest)
    missing = problem(service.get("/v1/datasets/portrait"), 404)
    assert missing["errors"][0]["nearest"] == "portraits"


def test_a_renamed_data_set_takes_its_runs_along_and_old_specs_go_on_working(
    service_on_each: Service,
) -> None:
    service = service_on_each
    added(service)
    experiment = service.post(SPEC)
    changed = service.client.patch("/v1/datasets/faces", json={"name": "portraits"}).json()
    assert (changed["name"], changed["former_names"]) == ("portraits", ["faces"])
    [run] = service.json("/v1/runs?dataset=portraits")["items"]
    assert run["spec"]["dataset"]["called"] == "portraits"
    assert service.json("/v1/runs?dataset=faces")["items"] == []
    cloned = service.client.post(f"/v1/experiments/{experiment['id']}/clone", json={})
    assert [one["reused"] for one in service.accepted(cloned)["runs"]] == [True]
    changes = {"changes": {"seed": 1}}
    one = service.accepted(service.client.post(f"/v1/runs/{run['id']}/clone", json=changes))
    assert service.json(f"/v1/runs/{service.run_of(one)}")["dataset"] == "portraits"
    assert service.json("/v1/datasets/faces")["name"] == "portraits"
    problem(add(service), 409)


def test_a_data_set_is_deleted_when_no_run_uses_it(service_on_each: Service) -> None:
    service = service_on_each
    added(service)
    experiment = service.post(SPEC)
    run_id = service.run_of(experiment)
    refused = problem(service.client.delete("/v1/datasets/faces"), 409)
    assert run_id in refused["detail"] and experiment["id"] in refused["detail"]
    service.client.post(f"/v1/experiments/{experiment['id']}/cancel")
    assert service.client.delete(f"/v1/experiments/{experiment['id']}").status_code == 204
    assert service.client.delete("/v1/datasets/faces").status_code == 204
    assert stored() == set()
    problem(service.client.delete("/v1/datasets/faces"), 404)
    problem(service.client.post("/v1/experiments", json=SPEC), 422)
    added(service)


def test_what_is_stored_stays_for_another_data_set_of_the_same_images(service: Service) -> None:
    digest = added(service)["digest"]
    assert added(service, "again")["digest"] == digest
    service.client.delete("/v1/datasets/faces")
    assert stored() == {digest}
    service.client.delete("/v1/datasets/again")
    assert stored() == set()


def test_one_of_several_who_send_a_name_at_once_gets_it(service_on_each: Service) -> None:
    statuses: list[int] = []

    def send() -> None:
        statuses.append(add(service_on_each).status_code)

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [201, 409, 409, 409]
    assert len(stored()) == 1


@pytest.mark.parametrize("name", ["digits", "dsprites", "image_table"])
def test_the_names_that_come_with_heddle_are_refused(service: Service, name: str) -> None:
    assert "comes with Heddle" in problem(add(service, name), 409)["detail"]
    added(service)
    problem(service.client.patch("/v1/datasets/faces", json={"name": name}), 409)
    problem(service.client.patch(f"/v1/datasets/{name}", json={"licence": "x"}), 409)
    problem(service.client.delete(f"/v1/datasets/{name}"), 409)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("", "name"),
        ("0a", "name"),
        ("a/b", "name"),
        ("a" * 101, "name"),
        ("a\n", "name"),
        (7, "name"),
    ],
)
def test_bad_names_are_refused(service: Service, name: Any, path: str) -> None:
    assert problem(add(service, name), 422)["errors"][0]["path"] == f"spec.{path}"
    assert stored() == set()


def test_bad_input_names_its_faults_and_leaves_nothing(service: Service) -> None:
    def paths(answer: httpx.Response, status: int = 422) -> set[str]:
        return {error["path"] for error in problem(answer, status)["errors"]}

    assert "file" in paths(add(service, file=b"no zip"))
    assert "file" in paths(add(service, file=b""))
    assert paths(add(service, factors=b"")) == {"factors"}
    assert paths(add(service, licens="MIT", resize="big")) == {"spec.licens", "spec.resize"}
    unknown = {"file": ("a.zip", faces()), "extra": ("x", b"1")}
    assert "extra" in paths(service.client.post("/v1/datasets", files=unknown))
    assert paths(service.client.post("/v1/datasets", json={"name": "faces"})) == {"upload"}
    problem(service.client.post("/v1/datasets", json={"name": "faces", "upload": "up_x"}), 404)
    text = {"content-type": "text/plain"}
    problem(service.client.post("/v1/datasets", content=b"x", headers=text), 415)
    problem(service.client.patch("/v1/datasets/none", json={"licence": "x"}), 404)
    assert stored() == set()


def test_a_file_of_another_kind_is_called_as_its_sender_calls_it(service: Service) -> None:
    (fault,) = problem(add(service, file=b"no zip", called="faces.rar"), 422)["errors"]
    assert (fault["path"], fault["got"]) == ("file", "faces.rar")
    sheet = {
        "file": ("a.zip", faces()),
        "factors": ("a.xlsx", b"x"),
        "spec": (None, '{"name": "x"}'),
    }
    (fault,) = problem(service.client.post("/v1/datasets", files=sheet), 422)["errors"]
    assert (fault["path"], fault["got"]) == ("factors", "a.xlsx")


def begun(service: Service, content: bytes, **more: Any) -> str:
    document = {"bytes": len(content), "name": "faces.zip", **more}
    answer = service.client.post("/v1/uploads", json=document)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def part(service: Service, id: str, content: Any, offset: int) -> httpx.Response:
    headers = {"Upload-Offset": str(offset), "Content-Type": "application/octet-stream"}
    return service.client.patch(f"/v1/uploads/{id}", content=content, headers=headers)


def test_a_file_comes_in_parts_and_goes_on_where_it_ended(service: Service) -> None:
    content = faces()
    id = begun(service, content, sha256=hashlib.sha256(content).hexdigest())

    assert part(service, id, content[:1000], 0).status_code == 200
    head = service.client.head(f"/v1/uploads/{id}")
    assert (head.headers["upload-offset"], head.headers["upload-length"]) == (
        "1000",
        str(len(content)),
    )
    refused = part(service, id, content[900:], 900)
    assert problem(refused, 409)["detail"] and refused.headers["upload-offset"] == "1000"
    early = {"upload": id, "name": "faces"}
    problem(service.client.post("/v1/datasets", json=early), 409)
    assert part(service, id, content[1000:], 1000).json()["offset"] == len(content)
    factors = begun(service, table(), name="faces.csv")
    part(service, factors, table(), 0)
    answer = service.client.post("/v1/datasets", json={**early, "factors_upload": factors})
    assert answer.status_code == 201, answer.text
    assert (answer.json()["images"], len(answer.json()["factors"])) == (36, 2)
    assert stored() == {answer.json()["digest"]}
    problem(service.get(f"/v1/uploads/{id}"), 404)


def test_what_came_before_the_connection_broke_stays(
    tmp_path: Path, sqlite_schema: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(sqlite_schema, tmp_path / "heddle.db")
    content = faces()
    with served(Settings(home=tmp_path)) as url:
        id = httpx.post(f"{url}/v1/uploads", json={"bytes": len(content)}).json()["id"]
        with socket.create_connection(("127.0.0.1", httpx.URL(url).port or 0)) as wire:
            wire.sendall(
                f"PATCH /v1/uploads/{id} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpload-Offset: 0\r\n"
                f"Content-Type: application/octet-stream\r\nContent-Length: {len(content)}"
                "\r\n\r\n".encode()
                + content[:700]
            )
        give_up = time.monotonic() + 20
        while (found := httpx.get(f"{url}/v1/uploads/{id}").json()["offset"]) != 700:
            assert time.monotonic() < give_up, found
            time.sleep(0.02)
        headers = {"Upload-Offset": "700", "Content-Type": "application/octet-stream"}
        while True:
            answer = httpx.patch(f"{url}/v1/uploads/{id}", content=content[700:], headers=headers)
            if answer.status_code != 409:
                break
            # The service has yet to notice that the sender is gone.
            assert time.monotonic() < give_up, answer.text
            time.sleep(0.02)
        assert answer.json()["offset"] == len(content)


def test_parts_are_bounded_and_discarded(service: Service) -> None:
    id = begun(service, b"abc")
    problem(part(service, id, b"abcd", 0), 409)
    problem(service.client.patch(f"/v1/uploads/{id}", content=b"abc"), 422)
    problem(part(service, "up_" + "0" * 32, b"abc", 0), 404)
    assert service.client.delete(f"/v1/uploads/{id}").status_code == 204
    problem(service.client.delete(f"/v1/uploads/{id}"), 404)
    wrong = begun(service, b"abc", sha256="ab" * 32)
    part(service, wrong, b"abc", 0)
    problem(service.client.post("/v1/datasets", json={"upload": wrong, "name": "faces"}), 409)


def test_the_operator_bounds_files_and_what_they_unpack_to(
    tmp_path: Path, service: Service
) -> None:
    with serving(tmp_path, ApiSettings(dataset_bytes=500, dataset_stored_bytes=100)) as small:
        problem(add(small), 413)
        answer = small.client.post("/v1/uploads", json={"bytes": 501})
        assert problem(answer, 422)["errors"][0]["path"] == "bytes"
    with serving(tmp_path, ApiSettings(dataset_stored_bytes=100)) as small:
        assert problem(add(small), 422)["errors"][0]["path"] == "file"
    assert stored() == set()
