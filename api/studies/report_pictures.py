"""The pictures of a report, reduced in size so that a page may hold many of them."""

from __future__ import annotations

import io
from collections.abc import Iterator

from PIL import Image

from api.state.context import Context
from api.studies.report import Picture, data_url
from api.studies.report_numbers import best_of_settings
from ml.studies.study import Study
from store import queries
from store.errors import DamagedObject, NotFound, ObjectGone
from store.files.artifact_names import TRAVERSAL

MOST_TRAVERSALS = 24
WIDTH = 640
COLOURS = 64
"""The number of colours of a thumbnail. It is enough for grey levels and letters."""


def traversals_of(here: Context, study: Study, server: str) -> Iterator[Picture]:
    """The traversals of the best run of each setting, the best setting first."""
    for chosen in best_of_settings(study)[:MOST_TRAVERSALS]:
        try:
            found = queries.artifact(here.database, chosen.run.run_id, TRAVERSAL)
            small = thumbnail(here.read(found.sha256))
        except (NotFound, ObjectGone, DamagedObject, OSError):
            # A page without this picture is better than no page.
            continue
        link = f"{server}/v1/runs/{chosen.run.run_id}/traversal.png"
        yield Picture(chosen.setting, chosen.caption, data_url("image/png", small), link)


def thumbnail(picture: bytes) -> bytes:
    """A picture as a PNG file of at most `WIDTH` pixels across, in few colours.

    Raises:
        OSError: the bytes are not a picture.
    """
    with Image.open(io.BytesIO(picture)) as image:
        shown = image.convert("RGB")
    if shown.width > WIDTH:
        height = max(1, round(shown.height * WIDTH / shown.width))
        shown = shown.resize((WIDTH, height), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    shown.quantize(COLOURS, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    return file.getvalue()
