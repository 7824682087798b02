"""Reports of experiments."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from api.answers.work import whole_experiment
from api.http.etags import MAY_CHANGE
from api.state.context import Here, in_drawing_lane
from api.studies.report import report_page, to_html
from api.studies.report_pictures import traversals_of
from api.studies.studies import runs_of, study_of
from api.studies.summaries import summary_of

router = APIRouter(prefix="/v1/experiments", tags=["experiments"])

NOTHING_FROM_OUTSIDE = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


@router.get(
    "/{id}/report.html",
    operation_id="get_report",
    response_class=HTMLResponse,
    dependencies=[in_drawing_lane],
)
def report(id: str, here: Here, request: Request) -> Response:
    """The report of an experiment: one HTML file with answers, plots, tables and references.

    The page loads nothing over the network. While the experiment goes on, it shows the results so
    far.
    """
    experiment = whole_experiment(here, id)
    study = study_of(here, id)
    summary = summary_of(here, study)
    server = str(request.base_url).rstrip("/")
    runs = list(runs_of(here, id))
    page = report_page(
        experiment,
        study,
        summary,
        server=server,
        traversals=list(traversals_of(here, study, server)),
        specs=[run.spec for run in runs],
        versions=[
            record["versions"] for run in runs if (record := run.record or {}).get("versions")
        ],
        now=datetime.now(UTC),
    )
    content = to_html(page)
    headers = {"Content-Security-Policy": NOTHING_FROM_OUTSIDE, **MAY_CHANGE}
    return HTMLResponse(content, headers=headers)
