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
    """-log p(x|z); the mean if there are several posterior samples."""
    kl: Float[np.ndarray, "samples"] | None
    """KL to the prior, summed over latents; None for an encoder without noise."""

    @property
    def elbo(self) -> Float[np.ndarray, "samples"] | None:
        """The evidence lower bound, -(reconstruction + kl); None without a KL."""
        return None if self.kl is None else -(self.reconstruction + self.kl)

    @property
    def likeness(self) -> Float[np.ndarray, "samples"]:
        """The number by which images are ranked. Higher is more like the training data.

        It is the ELBO, or -reconstruction for an encoder without noise, which has no ELBO.
        """
        elbo = self.elbo
        return -self.reconstruction if elbo is None else elbo


def judge(
    model: Model, images: Float[np.ndarray, "samples height width channels"], *, samples: int = 1
) -> Judged:
    """The terms of images in [0, 1].

    The key for the noise of an image's posterior samples is the image itself. The same image has
    the same terms in any file and at any place, and different images have independent noise, like
    the rows of the evaluation.
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

    Each row has one posterior sample.
    """
    return _judged(encoded.reconstruction.astype(np.float64), encoded.kl)


def percentiles(
    values: Float[np.ndarray, "values"], reference: Float[np.ndarray, "reference"]
) -> Float[np.ndarray, "values"]:
    """The share of the reference that is at or below each value, in percent; NaN for NaN.

    It is in [0, 100], and low for a value that is lower than most of the reference.
    """
    below = np.searchsorted(np.sort(reference), values, side="right")
    return np.where(np.isnan(values), np.nan, 100.0 * below / len(reference))


def _judged(reconstruction: np.ndarray, kl: np.ndarray) -> Judged:
    total = kl.astype(np.float64).sum(axis=1)
    return Judged(reconstruction, None if np.isnan(total).any() else total)


def _noise(image: np.ndarray, samples: int, latents: int) -> np.ndarray:
    key = hashlib.sha256(np.ascontiguousarray(image, dtype="<f4").tobytes()).hexdigest()
    return generator(0, f"anomaly {key}").standard_normal((samples, latents), dtype=np.float32)
