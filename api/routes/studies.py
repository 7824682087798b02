"""What sweeps came to: tables, summaries, and the best of all on a data set."""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse

from api.documents.base import Page
from api.http.negotiation import best_match
from api.openapi import USES_A_MODEL
from api.state.context import Here, in_studies_lane
from api.studies.result_files import MEDIA_TYPES, Format, to_file
from api.studies.studies import study_of
from api.studies.udr import udr_of
from ml.components.registry import components, nearest
from ml.components.spec_errors import Fault, InvalidSpec, shown
from ml.metrics.protocol import Score
from ml.studies.leaderboard import Table, leaderboard
from ml.studies.summary import StudySummary, summarise
from store import queries

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
    rows = study.rows()
    headers = {"Vary": "Accept"}
    if wanted == "json":
        return JSONResponse({"items": rows, "next_cursor": None}, headers=headers)
    columns = ["run_id", "state", "train_id", *study.paths, *study.columns, "error"]
    name = re.sub(r"[^A-Za-z0-9]+", "-", study.name).strip("-") or id
    headers["Content-Disposition"] = f'attachment; filename="{name}.{wanted}"'
    content = to_file(rows, columns, wanted)
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
    study = study_of(here, id)
    if not udr:
        return summarise(study, udr_missing="it was not asked for.")
    found, missing = udr_of(here, study)
    return summarise(study, udr=found, udr_missing=missing)


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
    asked = {"dataset": dataset, "metric": metric, "objective": objective}
    faults = [
        Fault(kind, shown(name), "one of " + ", ".join(known), nearest(name, known))
        for kind, name in asked.items()
        if name is not None and name not in (known := list(components(kind)))
    ]
    if faults:
        raise InvalidSpec(faults)
    found, specs = queries.scores_on(here.database, dataset, objective=objective, metric=metric)
    scores = ((one.run_id, Score.model_validate(one.document)) for one in found)
    return Page(items=leaderboard(scores, specs, most=limit))
