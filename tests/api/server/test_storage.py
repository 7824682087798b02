"""A disk that is full, a folder that is away, files that are damaged: said so, and nothing lost."""

from __future__ import annotations

import errno
import hashlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event

from store.database.connection import Database
from store.jobs.finish import acknowledge_cancel
from store.jobs.heartbeat import beat
from store.states import JobKind
from store.workers.troubles import end_trouble, record_trouble
from tests.api.service import PICTURE, SPEC, Service, problem
from tests.npz import CODES, npz

CONTENT = PICTURE + b"traversal"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
PATH = f"/v1/artifacts/{SHA256}"


@contextmanager
def full_disk() -> Iterator[None]:
    """Nothing reaches the disk, but what is not synced by Python itself."""

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", full)
        yield


@contextmanager
def pragma(service: Service, setting: str) -> Iterator[None]:
    """Every connection of the service has this setting."""
    database: Database = service.client.app.state.context.database  # type: ignore[attr-defined]

    def opened(connection: sqlite3.Connection, _: object) -> None:
        connection.execute(f"PRAGMA {setting}")

    database.dispose()
    event.listen(database._engine, "connect", opened)
    yield
    event.remove(database._engine, "connect", opened)
    database.dispose()


def test_an_upload_to_a_full_disk_is_refused_and_can_be_sent_again(service: Service) -> None:
    service.accepted(service.upload(npz(codes=CODES + 1), {"metrics": ["mig"]}))
    before = sorted(service.objects.root.rglob("*"))
    with full_disk():
        answer = service.upload(npz(), {"metrics": ["mig"]})
        detail = problem(answer, 507)["detail"]
        assert str(service.objects.root) in detail and "No space left on device" in detail
        assert int(answer.headers["retry-after"]) > 0
        assert service.json("/readyz")["storage"] == detail.removesuffix(" Nothing was changed.")
    assert sorted(service.objects.root.rglob("*")) == before
    assert len(service.json("/v1/evaluations")["items"]) == 1
    assert service.json("/readyz")["storage"] == "ok"
    service.accepted(service.upload(npz(), {"metrics": ["mig"]}))


def test_a_full_folder_of_temporary_files_is_no_fault_of_the_service(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/tmp/upload")

    monkeypatch.setattr("api.submission.uploads.read_arrays", full)
    assert "/tmp/upload" in problem(service.upload(npz()), 507)["detail"]


def test_while_the_object_folder_is_away_uploads_and_files_wait(service: Service) -> None:
    service.post()
    service.finish()
    service.accepted(service.upload(npz()))
    root = service.objects.root
    root.rename(root.with_name("aside"))
    root.mkdir()
    for answer in (service.upload(npz(codes=CODES + 1)), service.get(PATH)):
        assert "Mount the folder" in problem(answer, 503)["detail"]
        assert int(answer.headers["retry-after"]) > 0
    assert "Mount the folder" in service.json("/readyz")["storage"]
    # Nothing was put where the folder is not.
    assert list(root.iterdir()) == []
    assert service.get("/v1/runs").status_code == 200
    root.rmdir()
    root.with_name("aside").rename(root)
    assert service.get(PATH).content == CONTENT
    service.accepted(service.upload(npz(codes=CODES + 1)))


@pytest.mark.parametrize(
    ("setting", "why"), [("max_page_count = 1", "no room left"), ("query_only = ON", "not written")]
)
def test_a_database_that_cannot_be_written_is_read_and_named(
    setting: str, why: str, service: Service
) -> None:
    experiment = service.post()
    with pragma(service, setting):
        answer = service.client.post(
            "/v1/experiments", json=SPEC | {"sweep": {"seed": list(range(100))}}
        )
        assert why in problem(answer, 503)["detail"]
        assert int(answer.headers["retry-after"]) > 0
        assert service.json(f"/v1/experiments/{experiment['id']}")["state"] == "queued"
        assert service.json("/readyz")["database"] == "ok"
    assert len(service.json("/v1/experiments")["items"]) == 1
    service.post()


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("damage", ["flipped", "torn"])
def test_a_damaged_file_is_never_served(damage: str, method: str, service: Service) -> None:
    service.post()
    service.finish()
    assert service.get(PATH).content == CONTENT
    path = service.objects.path(SHA256)
    path.write_bytes(CONTENT[:-1] + (b"m" if damage == "flipped" else b""))
    for headers in ({}, {"range": "bytes=0-3"}):
        answer = service.client.request(method, PATH, headers=headers)
        if method == "GET":
            detail = problem(answer, 500)["detail"]
            assert SHA256 in detail and "damaged" in detail and "backup" in detail
        assert answer.status_code == 500
    service.objects.put(CONTENT)
    assert service.get(PATH).content == CONTENT


def test_a_file_is_read_for_its_digest_once(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.post()
    service.finish()
    digest, read = hashlib.file_digest, []

    def counted(file: Any, name: str) -> Any:
        read.append(file.name)
        return digest(file, name)

    monkeypatch.setattr(hashlib, "file_digest", counted)
    for _ in range(3):
        assert service.get(PATH).content == CONTENT
    assert len(read) == 1


def test_a_file_that_is_gone_from_its_folder_says_so(service: Service) -> None:
    service.post()
    service.finish()
    service.accepted(service.upload(npz()))
    service.objects.path(SHA256).unlink()
    detail = problem(service.get(PATH), 404)["detail"]
    assert "gone from the object folder" in detail and "backup" in detail


def test_a_waiting_run_says_which_folder_keeps_workers_from_it(service: Service) -> None:
    run_id = service.run_of(service.post())
    message = "The checkpoint folder /data cannot be written: No space left on device."
    record_trouble(service.database, "w", JobKind.TRAIN, message)
    waits = "waits: the checkpoint folder /data cannot be written: No space left on device"
    run = service.json(f"/v1/runs/{run_id}")
    assert run["waiting"] == {
        "reason": f"{waits}; it is next",
        "position": 1,
        "starts_in_seconds": None,
    }
    assert service.json("/v1/runs")["items"][0]["waiting"]["reason"] == f"{waits}; it is next"
    end_trouble(service.database, "w")
    assert "no training worker" in service.json(f"/v1/runs/{run_id}")["waiting"]["reason"]


def test_a_run_shows_why_its_files_cannot_be_kept_while_that_is_so(service: Service) -> None:
    run_id = service.run_of(service.post())
    taken = service.take()
    told = {"stage": "training", "step": 5, "trouble": "The disk is full."}
    beat(service.database, taken, lease_seconds=60, progress=told)
    assert service.json(f"/v1/runs/{run_id}")["progress"]["trouble"] == "The disk is full."
    service.client.post(f"/v1/runs/{run_id}/cancel")
    acknowledge_cancel(service.database, taken)
    progress = service.json(f"/v1/runs/{run_id}")["progress"]
    assert (progress["step"], progress["trouble"]) == (5, None)
