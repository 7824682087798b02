"""The latent traversal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from ml.codes.latents import is_used
from ml.components.registry import register
from ml.metrics.information.mutual_information import classes_of, shares_explained
from ml.objectives.posteriors.traversals import by_factor, led
from ml.plots.drawing.film import tiles_film
from ml.plots.drawing.letters import alike
from ml.plots.drawing.mosaic import Row, mosaic
from ml.plots.of_models._moved import Moved, check_latent
from ml.plots.protocol import Material
from ml.plots.usage import by_use, usage

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FILM_FRAMES = 16
MOST_IN_A_PICTURE = 100


@register
class Traversal(Moved):
    """Images decoded while one latent moves and the others stay.

    There is a row for each latent, the largest KL first. It is labelled with the latent's mean KL
    in nats, or with the deviation of its codes if the encoder has no noise and so no KL. The label
    also names the factor that the latent knows most about, with its share of that factor's entropy
    (mutual information in 20 bins), or says "unused" if the KL is below 0.01.

    The latent's values are written below the images. The other latents stay at the base, which is
    shown on the left: as the image that has this code, or else as the image decoded from it.
    """

    early: ClassVar[bool] = True
    version: ClassVar[int] = 2
    name: Literal["traversal"] = "traversal"
    latents: (
        Annotated[
            tuple[Annotated[int, Field(ge=0)], ...],
            Field(min_length=1, max_length=MOST_IN_A_PICTURE),
        ]
        | None
    ) = None
    """Show only these latents, in this order."""
    order: Literal["kl", "factor", "index"] = "kl"
    """Which latents come first: those with the largest KL; those that know most about the first
    factor, the second and so on; or those with the lowest number."""
    most: Annotated[int, Field(ge=1, le=MOST_IN_A_PICTURE)] = 20
    """Most latents shown."""

    @model_validator(mode="after")
    def _latents_are_as_given(self) -> Self:
        if self.latents is not None and {"order", "most"} & self.model_fields_set:
            raise ValueError("latents are shown as they are given, without order and most")
        if self.latents is not None and len(set(self.latents)) < len(self.latents):
            raise ValueError("latents are different ones")
        return self

    def draw(self, material: Material) -> Figure:
        """Draw the picture.

        Raises:
            InvalidSpec: there is no such latent or image, or no prior to start from.
        """
        chosen, images, values, first = self._decoded(material)
        start = self.start(material)
        left = first if start.image is None else start.image
        weight, label = usage(material), _weight_name(material)
        known = _best_known(material)
        rows = [
            Row(
                f"{material.label(latent)}  {label} {weight[latent]:.2f}",
                known[latent],
                np.concatenate([left[None], row]),
                ["", *alike(values[latent])],
            )
            for latent, row in zip(chosen, images, strict=True)
        ]
        return mosaic(material.title, rows, first=start.name)

    def film(self, material: Material) -> bytes:
        """The film: a tile for each latent, all moving there and back in step, as a GIF file."""
        chosen, images, _, _ = self._decoded(material, self.frames or FILM_FRAMES)
        weight, label = usage(material), _weight_name(material)
        labels = [(material.label(k), f"{label} {weight[k]:.2f}") for k in chosen]
        return tiles_film(images, labels)

    def _decoded(
        self, material: Material, frames: int | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Latents, their images (latents, frames, h, w, c), all values, and the base's image."""
        chosen = self._chosen(material)
        values = self.values(material, frames)
        base = self.start(material).code
        codes = led(base, chosen, values)
        flat = np.concatenate([base[None], codes.reshape(-1, len(base))]).astype(np.float32)
        # All images are decoded at once, as each call takes time.
        decoded = material.decode(flat)
        return chosen, decoded[1:].reshape(*codes.shape[:2], *decoded.shape[1:]), values, decoded[0]

    def _chosen(self, material: Material) -> np.ndarray:
        if self.latents is not None:
            for place, latent in enumerate(self.latents):
                check_latent(material, f"latents[{place}]", latent)
            return np.array(self.latents)
        if self.order == "index":
            order = np.arange(material.encoded.mean.shape[1])
        elif self.order == "factor":
            order = by_factor(_shares(material)[0], by_use(material))
        else:
            order = by_use(material)
        return order[: self.most]


def _weight_name(material: Material) -> str:
    return "sd" if np.isnan(material.encoded.kl).any() else "KL"


def _best_known(material: Material) -> list[str]:
    """For each latent the factor that it knows most about, with its share of the entropy.

    Unused latents are called unused: such a latent may follow a factor in steps so small that its
    own noise hides them, and bins over its narrow range would make it seem to know the factor.
    """
    found, names = _shares(material)
    if not names:
        return [""] * len(found)
    texts = [f"{names[int(row.argmax())]} {row.max():.0%}" for row in found]
    if np.isnan(material.encoded.kl).any():
        return texts
    used = is_used(usage(material))
    return [text if active else "unused" for text, active in zip(texts, used, strict=True)]


def _shares(material: Material) -> tuple[np.ndarray, list[str]]:
    """Each latent's share of the entropy of the factors that vary, and those factors' names.

    The shares are (latents, factors).
    """
    factors = material.encoded.factors
    varying = [k for k in range(len(material.factor_names)) if np.ptp(factors[:, k]) > 0]
    if not varying:
        return np.empty((material.encoded.mean.shape[1], 0)), []
    classes = classes_of(factors[:, varying], [material.factor_kinds[k] for k in varying])
    names = [material.factor_names[k] for k in varying]
    return shares_explained(material.encoded.mean, classes), names
