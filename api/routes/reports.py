"""An experiment's report."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from api.answers.whole_experiment import whole_experiment
from api.http.etags import MAY_CHANGE
from api.pictures.thumbnails import thumbnail
from api.state.context import Context, Here, in_drawing_lane
from api.studies.report import Picture, data_url, report_page, to_html
from api.studies.report_numbers import best_of_settings
from api.studies.studies import study_of
from api.studies.udr import udr_of
from ml.studies.study import Study
from ml.studies.summary import summarise
from store import queries
from store.errors import DamagedObject, NotFound, ObjectGone
from store.files.artifact_names import TRAVERSAL
from store.files.objects import open_recorded

router = APIRouter(prefix="/v1/experiments", tags=["experiments"])

NOTHING_FROM_OUTSIDE = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
A_PAGE = 500
MOST_TRAVERSALS = 24


@router.get(
    "/{id}/report.html",
    operation_id="get_report",
    response_class=HTMLResponse,
    dependencies=[in_drawing_lane],
)
def report(id: str, here: Here, request: Request) -> Response:
    """The report of an experiment: one HTML file with answer, plots, tables and references.

    It asks nothing of the network. While the experiment goes on it shows what is there by now.
    """
    experiment = whole_experiment(here, id)
    study = study_of(here, id)
    udr, udr_missing = udr_of(here, study)
    summary = summarise(study, udr=udr, udr_missing=udr_missing)
    server = str(request.base_url).rstrip("/")
    runs = list(_runs(here, id))
    page = report_page(
        experiment,
        study,
        summary,
        server=server,
        traversals=list(_traversals(here, study, server)),
        specs=[run.spec for run in runs],
        versions=[
            record["versions"] for run in runs if (record := run.record or {}).get("versions")
        ],
        now=datetime.now(UTC),
    )
    content = to_html(page)
    headers = {"Content-Security-Policy": NOTHING_FROM_OUTSIDE, **MAY_CHANGE}
    return HTMLResponse(content, headers=headers)


def _runs(here: Context, id: str) -> Iterator[queries.Run]:
    cursor, held = None, queries.RunFilters(experiment=id)
    while True:
        page = queries.runs(here.database, held, limit=A_PAGE, cursor=cursor)
        yield from page.items
        cursor = page.next_cursor
        if cursor is None:
            return


def _traversals(here: Context, study: Study, server: str) -> Iterator[Picture]:
    """The traversals of the best run of each setting, the best setting first."""
    for chosen in best_of_settings(study)[:MOST_TRAVERSALS]:
        try:
            found = queries.artifact(here.database, chosen.run.run_id, TRAVERSAL)
            with open_recorded(here.database, here.objects, found.sha256) as file:
                small = thumbnail(file.read())
        except (NotFound, ObjectGone, DamagedObject, OSError):
            # A page without a picture is better than none.
            continue
        link = f"{server}/v1/runs/{chosen.run.run_id}/traversal.png"
        yield Picture(chosen.setting, chosen.told, data_url("image/png", small), link)
