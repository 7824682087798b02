"""Puts together the material of a run's pictures from its model, codes, curves and scores."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch

from ml.datasets.dataset import Dataset
from ml.datasets.dataset import in_unit_range as in_unit_range
from ml.evaluation.encode import EncodedRows
from ml.metrics.protocol import Score
from ml.networks.model import CHUNK, Model
from ml.plots.protocol import Curve, Material, Snapshot

DIGEST_LETTERS = 64


def material(
    model: Model,
    data: Dataset,
    encoded: EncodedRows,
    scalars: Mapping[str, Curve],
    *,
    latent_names: Mapping[int, str] | None = None,
    scores: Sequence[Score] = (),
    snapshots: Sequence[Model] = (),
) -> Material:
    """The material of a trained model, its rows and its curves.

    `snapshots` are models of the same run at earlier steps, in any order. The model itself is added
    as the last one.
    """
    before = sorted(snapshots, key=lambda one: one.steps)
    # Without an image whose factors are all known, the rows have none.
    known = encoded.factors.shape[1]
    return Material(
        title=title(model, data),
        decode=model.decode,
        posterior=model.spec.objective.posterior,
        encoded=encoded,
        factor_names=data.factor_names[:known],
        factor_kinds=data.factor_kinds[:known],
        images=lambda index: in_unit_range(data, index),
        scalars=scalars,
        frames=model.spec.traversal.frames,
        span=model.spec.traversal.span,
        encode=lambda images: codes(model, images),
        latent_names=latent_names or {},
        scores=scores,
        snapshots=[
            Snapshot(one.steps, one.decode, lambda images, one=one: codes(one, images))  # type: ignore[misc]
            for one in [*(one for one in before if one.steps < model.steps), model]
        ]
        if before
        else [],
    )


def codes(model: Model, images: np.ndarray) -> np.ndarray:
    """Posterior means (samples, latents) of images (samples, height, width, channels) in [0, 1]."""
    tensors = torch.from_numpy(np.ascontiguousarray(images, dtype=np.float32)).permute(0, 3, 1, 2)
    parts = [
        model.encode(tensors[start : start + CHUNK]).mean for start in range(0, len(tensors), CHUNK)
    ]
    latents = model.spec.model.latent_dim
    return np.concatenate(parts) if parts else np.empty((0, latents), np.float32)


def title(model: Model, data: Dataset) -> str:
    """The title of a run's pictures in one line: objective and its numbers, data, steps, seed."""
    objective = model.spec.objective
    numbers = ", ".join(
        f"{name} {value:g}"
        for name, value in objective.coefficients(
            pixels=math.prod(data.image_shape), latents=model.spec.model.latent_dim
        ).items()
    )
    # A digest is cut, and a name is not.
    source = data.source[:12] if len(data.source) == DIGEST_LETTERS else data.source
    source = f" ({source})" if source else ""
    return (
        f"{objective.name}{f' ({numbers})' if numbers else ''} on {data.name}{source},"
        f" {model.steps:,} steps, seed {model.spec.seed}"
    )
