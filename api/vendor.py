"""Fetch Swagger UI, which shows the API at `/docs`. `./run vendor` does it, and needs npm.

A page of this service is of the origin that `api.server.guard` trusts. So none of its scripts may
come from elsewhere. The files are stored compressed, as a browser takes them, so that the
repository holds no large ones.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

PACKAGE, VERSION = "swagger-ui-dist", "5.35.0"
INTEGRITY = (
    "sha512-U06rpMtW9V3XPGOBeamTUSr0Z09jMX4IJuANpE/EZbAhw0G8CgwrzU4YmXkn/h0w"
    "CDNsXdGarTNNHC3sU8yVUQ=="
)
"""The registry's digest of the package's archive: `npm view swagger-ui-dist dist.integrity`."""

PACKED = ("swagger-ui-bundle.js", "swagger-ui.css")
LICENCES = ("LICENSE", "NOTICE", "swagger-ui-bundle.js.LICENSE.txt")
FOLDER = Path(__file__).parent / "docs_page" / "vendored"


def main() -> None:
    """Put the files of the pinned version into their folder after a check of the archive."""
    npm = shutil.which("npm")
    if npm is None:
        sys.exit("vendor: npm is not installed; it fetches the package")
    with tempfile.TemporaryDirectory() as aside:
        subprocess.run(  # noqa: S603 - npm as found, with fixed arguments
            [npm, "pack", "--silent", f"{PACKAGE}@{VERSION}"], cwd=aside, check=True
        )
        [archive] = Path(aside).glob("*.tgz")
        unpack(archive, FOLDER)
    print(f"{PACKAGE} {VERSION} lies in {FOLDER}")


def unpack(archive: Path, folder: Path) -> None:
    """Put the needed files of an archive into a folder, with the same bytes each time.

    Raises:
        SystemExit: the archive is not the pinned one.
    """
    digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if f"sha512-{digest}" != INTEGRITY:
        sys.exit(f"vendor: {archive.name} has sha512-{digest}, but {INTEGRITY} was expected")
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive) as members:
        for name in (*PACKED, *LICENCES):
            file = members.extractfile(f"package/{name}")
            assert file is not None
            content = file.read()
            if name in PACKED:
                (folder / f"{name}.gz").write_bytes(gzip.compress(content, 9, mtime=0))
            else:
                (folder / name).write_bytes(content)


if __name__ == "__main__":
    main()
