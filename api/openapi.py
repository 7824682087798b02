"""What the OpenAPI document says beyond what routes and types say themselves."""

from __future__ import annotations

from typing import Any

from api.problems import MEDIA_TYPE, Problem
from ml.experiment import ExperimentBody

SUMMARY = "Trains disentangling autoencoders, scores them, and keeps scores, files and pictures."

EXAMPLE = {
    "name": "beta sweep",
    "tags": ["demo"],
    "dataset": {"name": "dsprites"},
    "model": {"name": "locatello", "latent_dim": 10},
    "objective": {"name": "beta_vae", "beta": 4.0},
    "training": {"steps": 300_000, "batch_size": 64},
    "evaluation": {"metrics": ["mig", "elbo"]},
    "sweep": {"objective.beta": [1, 4, 16], "seed": [0, 1, 2]},
}

EXPERIMENT_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "application/json": {
            "schema": ExperimentBody.model_json_schema(ref_template="#/components/schemas/{model}"),
            "example": EXAMPLE,
        }
    },
}

_PROBLEM = {
    "content": {
        MEDIA_TYPE: {
            "schema": Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        }
    }
}

PROBLEMS: dict[int | str, dict[str, Any]] = {
    404: {"description": "There is no such thing.", **_PROBLEM},
    409: {"description": "Its state does not allow this.", **_PROBLEM},
    422: {"description": "The request says something that cannot be done.", **_PROBLEM},
}

UNREADABLE: dict[int | str, dict[str, Any]] = {
    400: {"description": "The body is empty or is not JSON.", **_PROBLEM},
    413: {"description": "The body is too large.", **_PROBLEM},
    415: {"description": "The body is of another media type.", **_PROBLEM},
}


def lift_definitions(document: dict[str, Any]) -> dict[str, Any]:
    """Move the definitions of inlined schemas to `components`, where references look for them."""
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
