"""The parts of the OpenAPI document that FastAPI cannot derive from routes and types."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from pydantic import BaseModel

from api.documents.datasets import (
    DatasetChange,
    NewDataset,
    NewUpload,
    SentInParts,
    Understood,
)
from api.documents.experiments import Experiment, Plan
from api.documents.latent_names import RunChange
from api.http.body import json_body
from api.http.form import form_content
from api.http.problems import A_PROBLEM
from api.submission.headers import PRECISION, REPLAYED
from ml.codes.found_arrays import MOST_FACTORS, MOST_LATENTS, MOST_ROWS
from ml.datasets.tables.options import TableOptions
from ml.experiments.continuation import Extension, Fork
from ml.experiments.experiment import ExperimentBody
from ml.spec.evaluation_spec import FileEvaluation, RunEvaluation

SUMMARY = "Trains disentangling autoencoders, scores them, and keeps scores, files and pictures."

EXAMPLE = {
    "name": "beta sweep",
    "tags": ["demo"],
    "dataset": {"name": "dsprites"},
    "model": {"name": "locatello", "latent_dim": 10},
    "objective": {"name": "beta_vae", "beta": 4.0},
    "training": {"steps": 300_000, "batch_size": 64},
    "evaluation": {"metrics": ["mig", "sap", {"name": "dci", "predictor": "gradient_boosting"}]},
    "sweep": {"objective.beta": [1, 4, 16], "seed": [0, 1, 2]},
}

FILE_DESCRIPTION = (
    "An npz file of numpy.savez or savez_compressed. Required: codes (samples, latents) and factors"
    " (samples, factors). Optional: factor_names, factor_sizes and factor_kinds (one for each"
    " column of factors), code_names (one for each of codes), posterior_logvar and posterior_sample"
    " (samples, latents). Arrays with other names, as z and y, are taken where only one can be"
    " meant. Otherwise codes_array and factors_array name them. Further arrays are left aside."
    " Factors may be text. Floating-point factors with few values, all of them integers, are"
    " classes unless factor_kinds says otherwise. The evaluation's `understood` says what was"
    " found. Nothing is unpickled."
    f" At most {MOST_ROWS:,} samples, {MOST_LATENTS:,} latents, {MOST_FACTORS} factors."
)

EXPERIMENT_BODY = json_body(
    ExperimentBody.model_json_schema(ref_template="#/components/schemas/{model}"), EXAMPLE
)

CLONE_BODY = json_body(
    {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "changes": {
                "type": "object",
                "description": "Changed values by their dotted paths; sweep sets the whole sweep,"
                " sweep.objective.beta one path of it.",
            }
        },
    },
    {"changes": {"name": "beta sweep, longer", "training.steps": 600_000}},
)

EXTEND_BODY = json_body(Extension.model_json_schema(), {"steps": 600_000})

FORK_BODY = json_body(
    Fork.model_json_schema(), {"steps": 600_000, "changes": {"objective.beta": 8}}
)

RUN_CHANGE_BODY = json_body(
    RunChange.model_json_schema(), {"latent_names": {"0": "smile", "3": "fringe"}}
)

RUN_EVALUATION_BODY = json_body(
    RunEvaluation.model_json_schema(ref_template="#/components/schemas/{model}"),
    {"metrics": ["modularity", "elbo"], "rows": 10_000, "test_rows": 5_000, "seed": 1},
)

_FILE_EVALUATION = form_content(
    file={
        "type": "string",
        "contentMediaType": "application/octet-stream",
        "description": FILE_DESCRIPTION,
    },
    spec=FileEvaluation.model_json_schema(ref_template="#/components/schemas/{model}"),
)
FILE_EVALUATION_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        media: content | {"encoding": {"spec": {"contentType": "application/json"}}}
        for media, content in _FILE_EVALUATION.items()
    },
}

NEW_UPLOAD_BODY = json_body(
    NewUpload.model_json_schema(), {"bytes": 1_200_000, "name": "faces.zip"}
)

PART_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "application/octet-stream": {
            "schema": {"type": "string", "contentMediaType": "application/octet-stream"}
        }
    },
}

CHANGE_DATASET_BODY = json_body(DatasetChange.model_json_schema(), {"licence": "CC BY 4.0"})

IMAGES_DESCRIPTION = (
    "The images: a zip file of PNG or JPEG files, an npz or an HDF5 file with an array of images."
    " An npz and an HDF5 file may hold the factors as well."
)
FACTORS_DESCRIPTION = (
    "A table of the factors: CSV, Parquet, npz or HDF5, with a row for each image. Without one, and"
    " without factors in the file, none are known."
)


def _dataset_schema(*models: type[BaseModel]) -> dict[str, Any]:
    """The schema of an object with the fields of all of these models."""
    schemas = [one.model_json_schema(ref_template="#/components/schemas/{model}") for one in models]
    whole: dict[str, Any] = {"type": "object", "additionalProperties": False}
    for part in ("properties", "$defs"):
        whole[part] = {k: v for schema in schemas for k, v in schema.get(part, {}).items()}
    whole["required"] = [name for schema in schemas for name in schema.get("required", ())]
    return whole


_DATASET_FORM = form_content(
    file={
        "type": "string",
        "contentMediaType": "application/octet-stream",
        "description": IMAGES_DESCRIPTION,
    },
    factors={
        "type": "string",
        "contentMediaType": "application/octet-stream",
        "description": FACTORS_DESCRIPTION,
    },
    spec=_dataset_schema(NewDataset, TableOptions),
)
NEW_DATASET_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        **{
            media: content | {"encoding": {"spec": {"contentType": "application/json"}}}
            for media, content in _DATASET_FORM.items()
        },
        "application/json": {
            "schema": _dataset_schema(SentInParts, NewDataset, TableOptions),
            "example": {"upload": "up_0123456789abcdef0123456789abcdef", "name": "faces"},
        },
    },
}

UNDERSTOOD: dict[int | str, dict[str, Any]] = {
    200: {"model": Understood, "description": "With dry_run: what would be stored."},
}

TOO_MANY_UPLOADS: dict[int | str, dict[str, Any]] = {
    429: {"description": "So many uploads have begun that no more may.", **A_PROBLEM},
}

PROBLEMS: dict[int | str, dict[str, Any]] = {
    404: {"description": "There is no such resource.", **A_PROBLEM},
    409: {"description": "The resource's state does not allow this.", **A_PROBLEM},
    422: {"description": "The request is invalid; `errors` lists its faults.", **A_PROBLEM},
    503: {
        "description": "The database or a folder is away, or the service is too busy; Retry-After"
        " says when to try again.",
        **A_PROBLEM,
    },
    500: {
        "description": "The service has a fault; lines of its log have this X-Request-Id.",
        **A_PROBLEM,
    },
}

UNREADABLE: dict[int | str, dict[str, Any]] = {
    400: {"description": "The body is empty or is not JSON.", **A_PROBLEM},
    413: {"description": "The body is too large.", **A_PROBLEM},
    415: {"description": "The body is of another media type.", **A_PROBLEM},
}

EXPERIMENT_ACCEPTED: dict[int | str, dict[str, Any]] = {
    202: {
        "description": "The experiment, as it is now.",
        "headers": {
            "Location": {"description": "The experiment's path.", "schema": {"type": "string"}},
            PRECISION: {
                "description": "What `training.precision: auto` stands for, and what was measured."
                " Absent if the spec does not say `auto`.",
                "schema": {"type": "string"},
            },
            REPLAYED: {
                "description": "true if this request was sent before with the same key. The answer"
                " is the experiment that it made then. Absent otherwise.",
                "schema": {"type": "string", "enum": ["true"]},
            },
        },
    }
}

DRY_RUN: dict[int | str, dict[str, Any]] = {
    200: {"model": Plan, "description": "With dry_run: what the request would do."},
}

TOO_MANY: dict[int | str, dict[str, Any]] = {
    429: {
        "description": "The owner would have too many runs waiting; Retry-After says when to try"
        " again.",
        **A_PROBLEM,
    },
}

ANSWERS_AN_EXPERIMENT: dict[str, Any] = {
    "status_code": HTTPStatus.ACCEPTED,
    "response_model": Experiment,
    "responses": EXPERIMENT_ACCEPTED | DRY_RUN | UNREADABLE | TOO_MANY,
}
"""The OpenAPI part of the routes that `api.submission.posting` answers."""

USES_A_MODEL: dict[int | str, dict[str, Any]] = {
    **UNREADABLE,
    406: {"description": "The Accept header takes none of the offered media types.", **A_PROBLEM},
}

NO_ROOM: dict[int | str, dict[str, Any]] = {
    507: {"description": "The disk has no room for the file; nothing was changed.", **A_PROBLEM},
}


def lift_definitions(document: dict[str, Any]) -> dict[str, Any]:
    """Move the definitions of inlined schemas to `components`, where the references point."""
    schemas = document.setdefault("components", {}).setdefault("schemas", {})

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            for name, schema in value.pop("$defs", {}).items():
                schemas.setdefault(name, schema)
                walk(schema)
            for item in value.values():
                walk(item)
        elif isinstance(value, list):
            for item in value:
                walk(item)

    walk(document["paths"])
    return document
