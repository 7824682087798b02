"""The results of sweeps: tables, summaries, and the leaderboard of a data set."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from api.documents.base import Page
from api.http.negotiation import best_match
from api.openapi import USES_A_MODEL
from api.state.context import Here, in_studies_lane
from api.studies.result_files import MEDIA_TYPES, Format, file_name, results_bytes
from api.studies.studies import study_without_betas
from api.studies.summaries import leaderboard_bytes, summary_bytes
from ml.studies.leaderboard import Table
from ml.studies.summary import StudySummary
from store import queries
from store.database.uncollected import uncollected

router = APIRouter(prefix="/v1", tags=["studies"])


@router.get(
    "/experiments/{id}/results",
    operation_id="get_results",
    dependencies=[in_studies_lane],
    response_model=Page[dict[str, Any]],
    responses={
        200: {
            "description": "One row for each run, in the order of the sweep.",
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
        Format | None,
        Query(description="It goes before the Accept header; JSON by default."),
    ] = None,
) -> Response:
    """The results, one row a run: run_id, state, train_id, swept values, scores, curve ends, error.

    The scores are those that this experiment asked for. Columns have names as `mig` and
    `dci.disentanglement`. Where several numbers would have the same name, brackets hold what they
    differ in.
    """
    wanted = format or best_match(request, MEDIA_TYPES)

    def make() -> tuple[str, bytes]:
        with uncollected():
            digest, study = study_without_betas(here, id)
            return digest, results_bytes(study, wanted)

    name, digest = queries.study_digest(here.database, id)
    content = here.answers.get(("results", id, wanted), digest, make)
    headers = {"Vary": "Accept"}
    if wanted != "json":
        file = file_name(name or "", wanted, default=id)
        headers["Content-Disposition"] = f'attachment; filename="{file}"'
    return Response(content, media_type=MEDIA_TYPES[wanted], headers=headers)


@router.get(
    "/experiments/{id}/summary",
    operation_id="get_summary",
    dependencies=[in_studies_lane],
    response_model=StudySummary,
)
def summary(
    id: str,
    here: Here,
    udr: Annotated[
        bool, Query(description="Compare the models of each setting, which reads their codes.")
    ] = True,
) -> Response:
    """Summarise the sweep: by setting and by value, with correlations and the best settings.

    The best setting by a score is the one with the best median over seeds. The best setting without
    labels is the one whose models are most alike (UDR).
    """
    return _json(summary_bytes(here, id, udr=udr))


@router.get(
    "/leaderboard",
    operation_id="get_leaderboard",
    dependencies=[in_studies_lane],
    response_model=Page[Table],
)
def board(
    here: Here,
    dataset: Annotated[str, Query(description="Its name.")],
    metric: Annotated[str | None, Query(description="Only this metric's numbers.")] = None,
    objective: Annotated[str | None, Query(description="Only runs with this objective.")] = None,
    limit: Annotated[int, Query(ge=1, le=500, description="Settings a table.")] = 20,
) -> Response:
    """Rank all settings on a data set by the median over seeds, in one table for each number.

    Numbers with different definitions, params, rows, training rows, factors or kinds of codes have
    tables of their own. So have ELBO and reconstruction of different likelihoods. A KL is not
    ranked, since neither a lower nor a higher one is better.
    """
    return _json(leaderboard_bytes(here, dataset, metric=metric, objective=objective, most=limit))


def _json(content: bytes) -> Response:
    return Response(content, media_type="application/json")
