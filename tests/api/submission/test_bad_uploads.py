"""Whatever a client sends as a file of codes: it is told what is wrong, and nothing is kept."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.state.settings import ApiSettings
from tests.api.service import Service, problem, serving
from tests.ml.codes.test_arrays_file import WRONG
from tests.npz import npz

PATH = "/v1/evaluations"
TYPE = {"content-type": "multipart/form-data; boundary=line"}
HEAD = b'--line\r\nContent-Disposition: form-data; name="file"; filename="a.npz"\r\n\r\n'
END = b"\r\n--line--\r\n"


@pytest.fixture(autouse=True)
def nothing_is_kept(shared: Service) -> Iterator[None]:
    yield
    assert shared.json(PATH)["items"] == []
    assert not shared.objects.root.exists()


def faults(answer: httpx.Response) -> dict[str, dict[str, Any]]:
    """What is wrong, by path."""
    return {error["path"]: error for error in problem(answer, 422)["errors"]}


@pytest.mark.parametrize("name", WRONG)
def test_a_bad_file_is_refused_with_what_is_wrong(shared: Service, name: str) -> None:
    make, path, got, expected = WRONG[name]
    found = faults(shared.upload(make()))[f"file.{path}" if path else "file"]
    assert got in str(found["got"]) and expected in found["expected"]


def test_an_unknown_array_is_told_with_the_name_that_was_probably_meant(shared: Service) -> None:
    found = faults(shared.upload(npz(factors=None, factor=[1.0])))
    assert found["file.factor"]["nearest"] == "factors"


SPECS: list[tuple[Any, str, str, str | None]] = [
    # spec, path, expected, nearest
    ({"metrics": ["migg"]}, "spec.metrics[0].name", "mig", "mig"),
    ({"metrics": [{"name": "mig", "bins": 1}]}, "spec.metrics[0].bins", "greater than", None),
    ({"metrics": "mig"}, "spec.metrics", "a list", None),
    ({"metrics": ["mig"] * 65}, "spec.metrics", "at most 64", None),
    ({"sede": 1}, "spec.sede", "seed", "seed"),
    ({"seed": -1}, "spec.seed", "greater than", None),
    ({"seed": 2**63}, "spec.seed", "less than", None),
    ({"train_rows": 0}, "spec.train_rows", "greater than", None),
    ({"train_rows": 61}, "spec.train_rows", "at most 60", None),
    ({"uncertainty": "perhaps"}, "spec.uncertainty", "boolean", None),
    ({"factor_names": ["a"]}, "spec.factor_names", "2, one for each column", None),
    ({"factor_names": []}, "spec.factor_names", "2, one for each column", None),
    ({"factor_names": ["a", ""]}, "spec.factor_names[1]", "at least 1", None),
    ({"factor_kinds": ["discrete"] * 3}, "spec.factor_kinds", "2, one for each column", None),
    ({"factor_kinds": ["discrete", "smooth"]}, "spec.factor_kinds[1]", "continuous", None),
    ({"name": ""}, "spec.name", "at least 1", None),
    ({"name": "a\0b"}, "spec.name", "without NUL", None),
    ([], "spec", "an object", None),
    ("mig", "spec", "an object", None),
]


@pytest.mark.parametrize(("spec", "path", "expected", "nearest"), SPECS)
def test_a_bad_spec_is_refused_with_what_is_wrong(
    shared: Service, spec: Any, path: str, expected: str, nearest: str | None
) -> None:
    found = faults(shared.upload(npz(), spec))
    assert list(found) == [path]
    assert expected in found[path]["expected"]
    assert found[path]["nearest"] == nearest


@pytest.mark.parametrize(
    ("spec", "told"),
    [("{", "The part spec is not JSON"), ("", "spec is not"), ("[" * 99 + "]" * 99, "deep")],
)
def test_a_spec_that_is_not_json_is_a_bad_request(shared: Service, spec: str, told: str) -> None:
    parts: Any = {"file": ("a.npz", npz()), "spec": (None, spec)}
    assert told in problem(shared.client.post(PATH, files=parts), 400)["detail"]


PARTS: list[tuple[list[tuple[str, Any]], str, str, str | None]] = [
    # parts, path, expected, nearest
    ([("spec", (None, "{}"))], "file", "curl -F file=@codes.npz", None),
    ([("file", (None, "codes"))], "file", "curl -F file=@codes.npz", None),
    ([("file", ("a", b"")), ("spek", (None, "{}"))], "spek", "file, spec", "spec"),
    ([("file", ("a", b"")), ("codes", ("b", b""))], "codes", "file, spec", None),
    ([("file", ("a", b"")), ("file", ("b", b""))], "file", "one part", None),
    ([("file", ("a", b"")), ("spec", (None, "{}")), ("spec", (None, "{}"))], "spec", "one", None),
]


@pytest.mark.parametrize(("parts", "path", "expected", "nearest"), PARTS)
def test_other_parts_are_refused(
    shared: Service, parts: list[tuple[str, Any]], path: str, expected: str, nearest: str | None
) -> None:
    found = faults(shared.client.post(PATH, files=parts))
    assert expected in found[path]["expected"]
    assert found[path]["nearest"] == nearest


@pytest.mark.parametrize(
    "media_type",
    ["application/json", "application/octet-stream", "", "multipart/mixed; boundary=a"],
)
def test_other_media_types_are_refused(shared: Service, media_type: str) -> None:
    answer = shared.client.post(PATH, content=npz(), headers={"content-type": media_type})
    assert repr(media_type.partition(";")[0]) in problem(answer, 415)["detail"]


@pytest.mark.parametrize(
    "body",
    [b"no boundary at all", b"--line\r\nContent-Disposition: form-data\r\n\r\nx" + END],
)
def test_what_is_no_multipart_is_a_bad_request(shared: Service, body: bytes) -> None:
    problem(shared.client.post(PATH, content=body, headers=TYPE), 400)


def test_a_multipart_without_its_boundary_is_a_bad_request(shared: Service) -> None:
    headers = {"content-type": "multipart/form-data"}
    answer = shared.client.post(PATH, content=HEAD + npz() + END, headers=headers)
    assert "boundary" in problem(answer, 400)["detail"]


@pytest.mark.parametrize("charset", ["undefined", "utf-7", "punycode", "utf-16", "x" * 5000])
def test_text_of_a_form_that_is_not_utf_8_is_refused(shared: Service, charset: str) -> None:
    headers = {"content-type": f"{TYPE['content-type']}; charset={charset}"}
    for path in (PATH, "/v1/runs/x/encode"):
        answer = shared.client.post(path, content=HEAD + npz() + END, headers=headers)
        assert repr(charset[:200])[:-1] in problem(answer, 415)["detail"]


@pytest.mark.parametrize("charset", ["UTF-8", '"utf-8"'])
def test_a_form_may_say_that_its_text_is_utf_8(shared: Service, charset: str) -> None:
    headers = {"content-type": f"{TYPE['content-type']}; charset={charset}"}
    problem(shared.client.post(PATH, content=HEAD + b"x" + END, headers=headers), 422)


def test_more_parts_than_there_are_names_for_are_a_bad_request(shared: Service) -> None:
    for value in (b"x", (None, "x")):
        parts: Any = [(f"part {number}", value) for number in range(30)]
        problem(shared.client.post(PATH, files=parts), 400)


def test_a_spec_of_more_than_a_million_bytes_is_too_large(shared: Service) -> None:
    spec = json.dumps({"name": "x" * 1_000_000})
    for part in ((None, spec), ("spec.json", spec)):
        answer = shared.client.post(PATH, files={"file": ("a.npz", npz()), "spec": part})
        assert "1,000,000" in problem(answer, 413)["detail"]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, sqlite_schema: Path) -> Iterator[Service]:
    """A service that takes small files only."""
    home = tmp_path_factory.mktemp("small")
    shutil.copy(sqlite_schema, home / "heddle.db")
    limits = ApiSettings(upload_bytes=len(npz(compressed=False)), upload_array_bytes=1_000)
    with serving(home, limits) as service:
        yield service


def test_a_body_that_says_it_is_too_large_is_refused_unread(small: Service) -> None:
    def chunks() -> Iterator[bytes]:
        raise AssertionError("was read")
        yield b""

    for path, told in ((PATH, "HEDDLE_UPLOAD_BYTES"), ("/v1/runs/x/encode", "fewer images")):
        for length in ("1" + "0" * 12, "1" * 5000):
            headers = TYPE | {"content-length": length}
            answer = small.client.post(path, content=chunks(), headers=headers)
            assert told in problem(answer, 413)["detail"]


def test_a_body_that_grows_too_large_is_refused_on_the_way(small: Service) -> None:
    def chunks() -> Iterator[bytes]:
        yield HEAD
        for _ in range(20):
            yield bytes(1000)

    answer = small.client.post(PATH, content=chunks(), headers=TYPE)
    assert "content-length" not in answer.request.headers
    problem(answer, 413)


def test_arrays_that_inflate_to_more_than_is_bearable_are_refused(small: Service) -> None:
    found = faults(small.upload(npz()))
    assert "at most 1000 bytes" in found["file"]["expected"]


def test_no_bytes_make_the_service_fail(service_on_each: Service, shared: Service) -> None:
    good = HEAD + npz() + END
    places = st.integers(0, len(good) - 1)

    @settings(max_examples=60, deadline=None, database=None, derandomize=True)
    @given(st.lists(st.tuples(places, st.integers(0, 255)), max_size=3), places)
    def examine(changes: list[tuple[int, int]], end: int) -> None:
        data = bytearray(good)
        for place, value in changes:
            data[place] = value
        for body in (bytes(data), bytes(data[:end]), bytes(data[:end]) + END):
            answer = service_on_each.client.post(PATH, content=body, headers=TYPE)
            assert answer.status_code in (202, 400, 422), answer.text
            if answer.status_code == 202:
                assert service_on_each.json(answer.headers["location"])["state"] == "queued"

    examine()
