"""The files of an exported run: weights, a loader that needs no Heddle, codes, scores, a README."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ml.datasets.dataset import Dataset, in_unit_range
from ml.evaluation.encode import EncodedRows
from ml.export.plain_loader import NotPlain, plain_loader
from ml.export.run_readme import run_readme
from ml.metrics.protocol import Score
from ml.networks.model import Model
from ml.plots.material import codes, title
from ml.reproducibility.library_versions import library_versions
from ml.spec.identity import train_id

PICTURE = re.compile(r"[a-z0-9_]+\.(png|gif)")
CHECKED = 8
"""Images in `check.npz`."""

Curves = Mapping[str, Sequence[tuple[int, float | None]]]


@dataclass(frozen=True)
class TrainedRun:
    """A trained run with its files and scores."""

    run_id: str
    model: Model
    data: Dataset
    weights: bytes
    """The file of its weights, unchanged."""
    codes: bytes
    """The npz file of its codes, unchanged."""
    encoded: EncodedRows
    """The content of that file."""
    scores: Sequence[Score]
    scalars: Curves
    pictures: Mapping[str, bytes]
    """PNG files by their name, as in `traversal.png`."""
    latent_names: Mapping[int, str]
    versions: Mapping[str, str] | None
    """Versions of libraries in its training; None if they are not known."""
    commit: str | None = None


def run_folder(run: TrainedRun) -> dict[str, bytes]:
    """The files by name. The same run gives the same bytes.

    There is no `load.py` if the networks have a part that torch does not have. The README then says
    so.
    """
    name = title(run.model, run.data)
    files = {
        "weights.safetensors": run.weights,
        "codes.npz": run.codes,
        "check.npz": _check(run),
        "config.json": _json(_config(run)),
        "scores.json": _json([score.model_dump(mode="json") for score in run.scores]),
        "scalars.json": _json(run.scalars, indent=None),
        **{file: data for file, data in run.pictures.items() if PICTURE.fullmatch(file)},
    }
    try:
        files["load.py"] = plain_loader(run.model, name).encode()
        unwritten = None
    except NotPlain as reason:
        unwritten = str(reason)
    readme = run_readme(
        run_id=run.run_id,
        title=name,
        model=run.model,
        data=run.data,
        encoded=run.encoded,
        scores=run.scores,
        versions=run.versions or {},
        latent_names=run.latent_names,
        files=sorted([*files, "README.md"]),
        without_loader=unwritten,
    )
    return {**files, "README.md": readme.encode()}


def _check(run: TrainedRun) -> bytes:
    """Images, with the codes and decoded pixels that the model gives for them on this machine."""
    index = run.encoded.index[:CHECKED]
    images = in_unit_range(run.data, index)
    mean = codes(run.model, images)
    file = io.BytesIO()
    decoded = run.model.decode(mean)
    np.savez_compressed(file, index=index, images=images, mean=mean, decoded=decoded)
    return file.getvalue()


def _config(run: TrainedRun) -> dict[str, Any]:
    model, data = run.model, run.data
    return {
        "run": run.run_id,
        "train_id": train_id(model.spec),
        "spec": model.spec.document(),
        "image_shape": list(model.image_shape),
        "latent_dim": model.spec.model.latent_dim,
        "latent_names": {str(latent): name for latent, name in sorted(run.latent_names.items())},
        "steps": model.steps,
        "dataset": {
            "name": data.name,
            "source": data.source,
            "images": len(data),
            "factor_names": list(data.factor_names),
            "factor_sizes": list(data.factor_sizes),
            "factor_kinds": list(data.factor_kinds),
        },
        "versions": dict(run.versions or {}),
        "commit": run.commit,
        "exported_by": {"heddle": library_versions()["heddle"]},
        "definitions": sorted({score.definition for score in run.scores}),
    }


def _json(value: Any, indent: int | None = 2) -> bytes:
    return (json.dumps(value, indent=indent, allow_nan=False, ensure_ascii=False) + "\n").encode()
