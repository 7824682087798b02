"""What sweeps came to: tables, summaries, and the best of all on a data set."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse

from api.documents.base import Page
from api.http.negotiation import best_match
from api.openapi import USES_A_MODEL
from api.state.context import Here, in_studies_lane
from api.studies.result_files import MEDIA_TYPES, Format, file_name, results_file
from api.studies.studies import study_of
from api.studies.summaries import summary_of, tables_of
from ml.studies.leaderboard import Table
from ml.studies.summary import StudySummary

router = APIRouter(prefix="/v1", tags=["studies"])


@router.get(
    "/experiments/{id}/results",
    operation_id="get_results",
    dependencies=[in_studies_lane],
    response_model=Page[dict[str, Any]],
    responses={
        200: {
            "description": "One row a run, in the order of the sweep.",
            "content": {
                media: {"schema": {"type": "string", "format": "binary"}}
                for format, media in MEDIA_TYPES.items()
                if format != "json"
            },
        },
        406: USES_A_MODEL[406],
    },
)
def results(
    id: str,
    here: Here,
    request: Request,
    format: Annotated[
        Format | None, Query(description="Goes before the Accept header; JSON by default.")
    ] = None,
) -> Response:
    """One tidy row a run: run_id, state, train_id, what was swept, scores, ends of curves, error.

    Scores are those that this experiment asked for. Columns are named `mig`, `dci.disentanglement`;
    where several numbers would have one name, what they differ in stands in brackets.
    """
    wanted = format or best_match(request, MEDIA_TYPES)
    study = study_of(here, id)
    headers = {"Vary": "Accept"}
    if wanted == "json":
        return JSONResponse({"items": study.rows(), "next_cursor": None}, headers=headers)
    name = file_name(study, wanted, default=id)
    headers["Content-Disposition"] = f'attachment; filename="{name}"'
    content = results_file(study, wanted)
    return Response(content, media_type=MEDIA_TYPES[wanted], headers=headers)


@router.get(
    "/experiments/{id}/summary",
    operation_id="get_summary",
    dependencies=[in_studies_lane],
)
def summary(
    id: str,
    here: Here,
    udr: Annotated[
        bool, Query(description="Compare the models of each setting, which reads their codes.")
    ] = True,
) -> StudySummary:
    """What the sweep came to: by setting and by value, what goes with what, and what is best.

    The best setting is the one of the best median over seeds; without labels, the one whose
    models are most alike (UDR).
    """
    return summary_of(here, study_of(here, id), udr=udr)


@router.get("/leaderboard", operation_id="get_leaderboard", dependencies=[in_studies_lane])
def board(
    here: Here,
    dataset: Annotated[str, Query(description="Its name.")],
    metric: Annotated[str | None, Query(description="Only this metric's numbers.")] = None,
    objective: Annotated[str | None, Query(description="Only runs with this objective.")] = None,
    limit: Annotated[int, Query(ge=1, le=500, description="Settings a table.")] = 20,
) -> Page[Table]:
    """Everything on a data set, ranked by the median over seeds: a table for each number.

    Numbers of other definitions, params, rows, training rows, factors or kinds of codes stand in
    other tables, and so do ELBO and reconstruction of other likelihoods. A KL is not ranked, as
    neither less nor more of it is better.
    """
    tables = tables_of(here, dataset, metric=metric, objective=objective, most=limit)
    return Page(items=tables)
