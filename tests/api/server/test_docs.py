"""The page that shows the API has everything from the service itself."""

from __future__ import annotations

import gzip
import hashlib
import re
from pathlib import Path

import pytest

from api import vendor
from tests.api.service import Service

PATHS = ("/docs", "/docs/start.js", "/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css")


def test_the_page_asks_nothing_of_another_host(shared: Service) -> None:
    page = shared.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    links = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert set(links) == {"data:,", "openapi.json", *(path[1:] for path in PATHS[1:])}
    for path in PATHS:
        answer = shared.get(path)
        assert answer.status_code == 200, path
        assert answer.headers["x-content-type-options"] == "nosniff"
        policy = dict(
            part.strip().split(" ", 1)
            for part in answer.headers["content-security-policy"].split(";")
        )
        assert policy["default-src"] == "'none'" and policy["script-src"] == "'self'"
        assert policy["style-src"] == "'self'"
        assert not re.search(r"[a-z]+://|\*", answer.headers["content-security-policy"])


def test_no_other_page_of_the_framework_is_served(shared: Service) -> None:
    for path in ("/redoc", "/docs/oauth2-redirect"):
        assert shared.get(path).status_code == 404


@pytest.mark.parametrize(
    ("accepted", "packed"),
    [
        ("gzip, br", True),
        ("GZIP;q=0.5", True),
        ("*", True),
        ("identity", False),
        ("gzip;q=0", False),
    ],
)
def test_files_are_unpacked_for_whoever_cannot(
    shared: Service, accepted: str, packed: bool
) -> None:
    for path in PATHS[2:]:
        answer = shared.get(path, **{"accept-encoding": accepted})
        assert answer.headers.get("content-encoding") == ("gzip" if packed else None)
        assert answer.headers["vary"] == "Accept-Encoding"
        kept = (vendor.FOLDER / f"{path.rpartition('/')[2]}.gz").read_bytes()
        assert answer.content == gzip.decompress(kept)
        again = shared.get(path, **{"if-none-match": answer.headers["etag"]})
        assert again.status_code == 304 and again.content == b""


def test_what_is_vendored_is_small_and_has_its_licence() -> None:
    names = {*(f"{name}.gz" for name in vendor.PACKED), *vendor.LICENCES}
    assert {path.name for path in vendor.FOLDER.iterdir()} == names
    assert all(path.stat().st_size < 1 << 20 for path in vendor.FOLDER.iterdir())
    assert "Apache License" in (vendor.FOLDER / "LICENSE").read_text()
    # Of version 5.35.0; another version has others.
    content = gzip.decompress((vendor.FOLDER / "swagger-ui-bundle.js.gz").read_bytes())
    assert hashlib.sha256(content).hexdigest() == BUNDLE
    assert vendor.VERSION == "5.35.0"


BUNDLE = "e6a898692f2d768e807c3ba4626068a69a2c5dd960dd6c76f3e4d3a3de180af2"


def test_another_archive_than_the_pinned_one_is_refused(tmp_path: Path) -> None:
    archive = tmp_path / "swagger-ui-dist-5.35.0.tgz"
    archive.write_bytes(b"something else")
    with pytest.raises(SystemExit, match=r"but sha512-U06rp\S+ was expected"):
        vendor.unpack(archive, tmp_path / "vendored")
    assert not (tmp_path / "vendored").exists()
