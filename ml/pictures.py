"""Every registered picture of a run, as PNG files."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping

import numpy as np

from ml.dataset import Dataset
from ml.encode import EncodedRows
from ml.model import Model
from ml.plot import Curve, Material, Plot, png
from ml.recorder import Progress, Recorder, Silent, continue_or_stop
from ml.registry import components

logger = logging.getLogger(__name__)


def draw_pictures(
    model: Model,
    data: Dataset,
    encoded: EncodedRows,
    scalars: Mapping[str, Curve],
    recorder: Recorder | None = None,
) -> dict[str, bytes]:
    """PNG files by the name of their plot.

    A plot that cannot be drawn is logged and left out: scores do not depend on pictures.

    Raises:
        Stopped: between two pictures.
    """
    recorder = recorder or Silent()
    material = Material(
        title=title(model, data),
        decode=model.decode,
        posterior=model.spec.objective.posterior,
        encoded=encoded,
        factor_names=data.factor_names,
        images=lambda index: _in_unit_range(data, index),
        scalars=scalars,
        frames=model.spec.traversal.frames,
    )
    plots = components("plot")
    pictures: dict[str, bytes] = {}
    for done, (name, component) in enumerate(plots.items()):
        continue_or_stop(recorder.progress(Progress("drawing", done, len(plots))))
        plot = component.model_validate({"name": name})
        assert isinstance(plot, Plot)
        try:
            pictures[name] = png(plot.draw(material))
        except Exception:
            logger.exception("the plot %s could not be drawn", name)
    return pictures


def title(model: Model, data: Dataset) -> str:
    """What a picture is of, in a line: objective and its numbers, data, steps, seed."""
    objective = model.spec.objective
    numbers = ", ".join(
        f"{name} {value:g}"
        for name, value in objective.coefficients(
            pixels=math.prod(data.image_shape), latents=model.spec.model.latent_dim
        ).items()
    )
    source = f" ({data.source[:12]})" if data.source else ""
    return (
        f"{objective.name}{f' ({numbers})' if numbers else ''} on {data.name}{source},"
        f" {model.steps:,} steps, seed {model.spec.seed}"
    )


def _in_unit_range(data: Dataset, index: np.ndarray) -> np.ndarray:
    images = data.images(index).reshape(-1, *data.image_shape)
    scaled: np.ndarray = images.astype(np.float32) / data.max_value
    return scaled
