from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest

from tests.api.service import PICTURE, Service, problem

CONTENT = PICTURE + b"traversal"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
PATH = f"/v1/artifacts/{SHA256}"
ETAG = f'"{SHA256}"'


@pytest.fixture(scope="module")
def lab(shared: Service) -> Service:
    """A service with one finished run."""
    shared.post()
    shared.finish()
    return shared


def test_an_artifact_has_its_digest_as_strong_etag_and_never_changes(lab: Service) -> None:
    answer = lab.get(PATH)
    assert answer.status_code == 200 and answer.content == CONTENT
    assert answer.headers["etag"] == ETAG
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["accept-ranges"] == "bytes"


def test_head_says_the_same_without_the_bytes(lab: Service) -> None:
    got, head = lab.get(PATH), lab.client.head(PATH)
    assert head.status_code == 200 and head.content == b""
    for name in ("content-length", "content-type", "etag", "cache-control", "accept-ranges"):
        assert head.headers[name] == got.headers[name]


@pytest.mark.parametrize("known", [ETAG, f"W/{ETAG}", "*", f'"other", {ETAG}'])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_who_has_it_already_gets_no_bytes(lab: Service, method: str, known: str) -> None:
    answer = lab.client.request(method, PATH, headers={"if-none-match": known})
    assert answer.status_code == 304 and answer.content == b""
    assert answer.headers["etag"] == ETAG


def test_who_has_another_gets_all(lab: Service) -> None:
    assert lab.get(PATH, **{"if-none-match": '"other"'}).content == CONTENT


@pytest.mark.parametrize(
    ("asked", "part", "first", "last"),
    [
        ("bytes=0-3", CONTENT[:4], 0, 3),
        ("bytes=70-", CONTENT[70:], 70, len(CONTENT) - 1),
        ("bytes=-5", CONTENT[-5:], len(CONTENT) - 5, len(CONTENT) - 1),
        ("bytes=70-9999", CONTENT[70:], 70, len(CONTENT) - 1),
    ],
)
def test_a_part_is_sent_when_a_part_is_asked_for(
    lab: Service, asked: str, part: bytes, first: int, last: int
) -> None:
    answer = lab.get(PATH, range=asked)
    assert answer.status_code == 206 and answer.content == part
    assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(CONTENT)}"
    assert answer.headers["etag"] == ETAG


def test_a_part_beyond_the_end_is_refused_with_the_size(lab: Service) -> None:
    answer = lab.get(PATH, range="bytes=9999-")
    refused = problem(answer, 416)
    assert answer.headers["content-range"] == f"bytes */{len(CONTENT)}"
    assert "bytes=9999-" in refused["detail"] and str(len(CONTENT)) in refused["detail"]


@pytest.mark.parametrize("asked", ["bytes=x-y", "bytes=", "nonsense"])
def test_what_is_no_range_is_refused(lab: Service, asked: str) -> None:
    assert asked in problem(lab.get(PATH, range=asked), 400)["detail"]


@pytest.mark.parametrize(("condition", "status"), [(ETAG, 206), ('"other"', 200)])
def test_a_download_resumes_only_of_the_same_content(
    lab: Service, condition: str, status: int
) -> None:
    answer = lab.get(PATH, **{"range": "bytes=10-", "if-range": condition})
    assert answer.status_code == status
    assert answer.content == (CONTENT[10:] if status == 206 else CONTENT)


def test_a_date_of_another_time_does_not_resume(lab: Service) -> None:
    date = format_datetime(datetime(2001, 1, 1, tzinfo=UTC), usegmt=True)
    assert lab.get(PATH, **{"range": "bytes=10-", "if-range": date}).status_code == 200


def test_unknown_content_is_not_found(lab: Service) -> None:
    assert "0000" in problem(lab.get("/v1/artifacts/" + "0" * 64), 404)["detail"]
    assert lab.client.head("/v1/artifacts/" + "0" * 64).status_code == 404


def test_content_whose_file_is_gone_is_not_found(service: Service) -> None:
    service.post()
    service.finish()
    service.objects.path(SHA256).unlink()
    problem(service.get(PATH), 404)


@pytest.mark.parametrize(
    "name", ["abc", SHA256.upper(), SHA256 + "0", SHA256 + "%0A", "%00", "..%2f..%2fetc%2fpasswd"]
)
def test_what_is_no_digest_reaches_no_file(lab: Service, name: str) -> None:
    answer = lab.get(f"/v1/artifacts/{name}")
    problem(answer, 404 if "%2f" in name else 422)
