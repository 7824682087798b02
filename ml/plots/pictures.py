"""The pictures that are drawn as soon as a run is scored, as PNG files."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from ml.components.registry import components
from ml.datasets.dataset import Dataset
from ml.evaluation.encode import EncodedRows
from ml.networks.model import Model
from ml.plots.material import material
from ml.plots.protocol import Curve, RunPlot, png
from ml.recorder import Progress, Recorder, Silent, continue_or_stop

logger = logging.getLogger(__name__)


def draw_pictures(
    model: Model,
    data: Dataset,
    encoded: EncodedRows,
    scalars: Mapping[str, Curve],
    recorder: Recorder | None = None,
) -> dict[str, bytes]:
    """PNG files of all plots that are drawn early, by the plot's name.

    A plot that cannot be drawn is logged and left out, as scores do not depend on pictures.

    Raises:
        Stopped: the recorder wished to stop, between two pictures.
    """
    recorder = recorder or Silent()
    drawn_from = material(model, data, encoded, scalars)
    plots = [
        plot for plot in components("plot").values() if issubclass(plot, RunPlot) and plot.early
    ]
    pictures: dict[str, bytes] = {}
    for done, component in enumerate(plots):
        continue_or_stop(recorder.progress(Progress("drawing", done, len(plots))))
        name = component.component_name()
        try:
            pictures[name] = png(component.model_validate({"name": name}).draw(drawn_from))
        except Exception:
            logger.exception("the plot %s could not be drawn", name)
    return pictures
