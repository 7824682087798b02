"""How unlike its training data an image is to a model, by its evidence lower bound."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

from ml.evaluation.encode import EncodedRows, as_tensors, encode_images
from ml.networks.model import CHUNK, Model
from ml.reproducibility.draws import generator


@dataclass(frozen=True)
class Judged:
    """The terms of the bound of each image, in nats."""

    reconstruction: Float[np.ndarray, "samples"]
    """-log p(x|z), the mean over posterior samples where there are several."""
    kl: Float[np.ndarray, "samples"] | None
    """KL to the prior, summed over latents; None for an encoder without noise."""

    @property
    def elbo(self) -> Float[np.ndarray, "samples"] | None:
        """The evidence lower bound, -(reconstruction + kl); None where there is no KL."""
        return None if self.kl is None else -(self.reconstruction + self.kl)

    @property
    def likeness(self) -> Float[np.ndarray, "samples"]:
        """What images are ranked by, higher is more like the training data: the ELBO.

        Of an encoder without noise, which has none, -reconstruction.
        """
        elbo = self.elbo
        return -self.reconstruction if elbo is None else elbo


def judge(
    model: Model, images: Float[np.ndarray, "samples height width channels"], *, samples: int = 1
) -> Judged:
    """The terms of images in [0, 1].

    The noise of each image's posterior samples is drawn from a key that is the image itself: the
    same image gives the same numbers in whatever file and place it comes, and two images have
    independent noise, as the rows of the evaluation have.
    """
    encoding, tensors = encode_images(model, images), as_tensors(images)
    tensors = tensors.to(encoding.head.device)
    noise = np.stack([_noise(image, samples, model.spec.model.latent_dim) for image in images])
    posterior = model.spec.objective.posterior
    drawn = np.zeros(len(images), dtype=np.float64)
    for place in range(samples):
        latents = posterior.sample(
            encoding.head, torch.from_numpy(noise[:, place]).to(encoding.head.device)
        )
        for start in range(0, len(images), CHUNK):
            some = slice(start, start + CHUNK)
            drawn[some] += model.reconstruction(latents[some], tensors[some])
    return _judged(drawn / samples, encoding.kl)


def reference(encoded: EncodedRows) -> Judged:
    """The terms of the evaluation's rows, which are drawn from the training data.

    Each with one posterior sample.
    """
    return _judged(encoded.reconstruction.astype(np.float64), encoded.kl)


def percentiles(
    values: Float[np.ndarray, "values"], reference: Float[np.ndarray, "reference"]
) -> Float[np.ndarray, "values"]:
    """The share of the reference that is at or below each value, in percent.

    Low for what is lower than most of the reference; in [0, 100], NaN for NaN.
    """
    below = np.searchsorted(np.sort(reference), values, side="right")
    return np.where(np.isnan(values), np.nan, 100.0 * below / len(reference))


def _judged(reconstruction: np.ndarray, kl: np.ndarray) -> Judged:
    total = kl.astype(np.float64).sum(axis=1)
    return Judged(reconstruction, None if np.isnan(total).any() else total)


def _noise(image: np.ndarray, samples: int, latents: int) -> np.ndarray:
    key = hashlib.sha256(np.ascontiguousarray(image, dtype="<f4").tobytes()).hexdigest()
    return generator(0, f"anomaly {key}").standard_normal((samples, latents), dtype=np.float32)
