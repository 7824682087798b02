"""Runs that are truly trained, though for a moment only, as a worker would leave them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from ml.evaluation.encode import encode_rows
from ml.networks.model import Model
from ml.recorder import Silent
from ml.spec.run_spec import RunSpec
from ml.training.loop import train
from store.jobs.finish import NewArtifact, finish_training
from tests.api.service import RECORD, Service

SPEC: dict[str, Any] = {
    "dataset": {"name": "digits"},
    "objective": {"name": "beta_vae"},
    "model": {"name": "mlp", "latent_dim": 3, "hidden": [16]},
    "training": {"steps": 20, "batch_size": 16},
    "evaluation": {"rows": 200, "test_rows": 100},
}
"""A model of three latents, which takes a fraction of a second."""


@cache
def _left_by_training(spec: str) -> tuple[Model, dict[str, bytes]]:
    parsed = RunSpec.parse(json.loads(spec))
    data = parsed.dataset.open()
    model = train(parsed, Silent(), data=data)
    encoded = encode_rows(model, data, parsed.evaluation)
    return model, {"weights.safetensors": model.to_bytes(), "codes.npz": encoded.to_npz()}


def model_of(spec: Mapping[str, Any] = SPEC) -> Model:
    """The model that `trained` records for a spec, trained once a process."""
    return _left_by_training(json.dumps(spec))[0]


def files_of(spec: Mapping[str, Any] = SPEC) -> dict[str, bytes]:
    """Its weights and codes by the names of their artifacts."""
    return _left_by_training(json.dumps(spec))[1]


def trained(
    service: Service, spec: Mapping[str, Any] = SPEC, more: Mapping[str, bytes] | None = None
) -> str:
    """The id of a new run that is trained and scored; `more` are files besides weights and codes.

    The service must have nothing else queued, and no such run.
    """
    id = service.run_of(service.post(spec))
    artifacts = []
    for name, content in {**files_of(spec), **(more or {})}.items():
        sha256, size = service.objects.put(content)
        media_type = "application/x-npz" if name.endswith(".npz") else "application/octet-stream"
        artifacts.append(NewArtifact(name, sha256, media_type, size))
    finish_training(service.database, service.take(), record=dict(RECORD), artifacts=artifacts)
    service.evaluate()
    return id
