"""A run's reconstructions of the same images during training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from ml.components.registry import register
from ml.objectives.posteriors.traversals import led, most_typical
from ml.plots.animation import gif
from ml.plots.drawing.film import LETTERS, LINE, MARGIN, framed, with_letters
from ml.plots.drawing.letters import fitting
from ml.plots.drawing.mosaic import Row, mosaic
from ml.plots.of_models._moved import check_latent
from ml.plots.protocol import Material, Needs, NothingToDraw, RunPlot, Snapshot
from ml.plots.usage import by_use

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MILLISECONDS, AT_THE_END = 500, 2000
"""How long a snapshot is shown, and how long the trained model."""
ENCODED = 128


@register
class TrainingFilm(RunPlot):
    """The run's snapshots, with a row for each: its reconstructions of the same images.

    The first row shows the images themselves. With `latent`, each row is instead that latent's
    traversal by a snapshot: the latent goes through the quantiles of the snapshot's own codes of
    the first 128 images that were evaluated, while the other latents stay at the most typical of
    these codes. The film shows reconstructions and the traversal of one latent together.
    """

    needs: ClassVar[Needs] = frozenset({"snapshots"})
    name: Literal["training_film"] = "training_film"
    images: Annotated[int, Field(ge=1, le=24)] = 8
    """Number of images: the first of those that were evaluated. With a latent, it is the number of
    values."""
    latent: Annotated[int, Field(ge=0)] | None = None
    """The latent whose traversal is shown. With null, the picture shows reconstructions, and the
    film the traversal of the latent with the largest KL as well."""

    def draw(self, material: Material) -> Figure:
        """Draw the picture.

        Raises:
            NothingToDraw: the run has kept no snapshots.
            InvalidSpec: there is no such latent.
        """
        kept = _kept(material)
        steps = [f"step {snapshot.step:,}" for snapshot in kept]
        if self.latent is not None:
            check_latent(material, "latent", self.latent)
            moved = self._moved(material, self.latent)
            rows = [Row(step, "", row, []) for step, row in zip(steps, moved, strict=True)]
            return mosaic(f"{material.title}: {material.label(self.latent)}", rows)
        shown = self._shown(material)
        made = self._made(material, shown)
        rows = [Row(step, "", row, []) for step, row in zip(steps, made, strict=True)]
        return mosaic(material.title, [Row("image", "", shown, []), *rows])

    def film(self, material: Material) -> bytes:
        """The snapshots one after another, as a GIF file."""
        kept = _kept(material)
        latent = int(by_use(material)[0]) if self.latent is None else self.latent
        check_latent(material, "latent", latent)
        shown = self._shown(material)
        made, moved = self._made(material, shown), self._moved(material, latent)
        columns = len(shown)
        frames = []
        for snapshot, below, traversed in zip(kept, made, moved, strict=True):
            whole = framed(np.concatenate([shown, below, traversed]), columns, above=LINE + 3)
            row = (whole.shape[0] - MARGIN) / 3
            texts = ["images", f"what step {snapshot.step:,} makes of them"]
            texts.append(f"{material.label(latent)} moving")
            places = [
                (MARGIN, MARGIN + place * row, fitting(text, whole.shape[1] - 2 * MARGIN, LETTERS))
                for place, text in enumerate(texts)
            ]
            frames.append(with_letters(whole, places))
        return gif(frames, [MILLISECONDS] * (len(frames) - 1) + [AT_THE_END])

    def _shown(self, material: Material) -> np.ndarray:
        return material.images(material.encoded.index[: self.images])

    def _made(self, material: Material, images: np.ndarray) -> list[np.ndarray]:
        return [one.decode(one.encode(images)) for one in _kept(material)]

    def _moved(self, material: Material, latent: int) -> list[np.ndarray]:
        """The latent's traversal by each snapshot, with as many frames as images are shown."""
        images = material.images(material.encoded.index[:ENCODED])
        frames = min(self.images, len(material.encoded.index))
        found = []
        for snapshot in _kept(material):
            codes = snapshot.encode(images)
            values = material.posterior.traverse(codes, frames)
            base = codes[most_typical(codes)]
            found.append(snapshot.decode(led(base, np.array([latent]), values)[0]))
        return found


def _kept(material: Material) -> Sequence[Snapshot]:
    if not material.snapshots:
        raise NothingToDraw(
            "The run has kept no snapshots of its training: train it with training.snapshots, as"
            " in 12, which keeps so many, log-spaced over its steps."
        )
    return material.snapshots
