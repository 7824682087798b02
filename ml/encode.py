"""The rows that scores are computed on: images drawn once, and what a model makes of them."""

from __future__ import annotations

import io
from dataclasses import dataclass, fields

import numpy as np
import torch

from ml.dataset import Dataset
from ml.draws import generator
from ml.model import CHUNK, Model
from ml.recorder import Progress, Recorder, Silent, continue_or_stop
from ml.resident import ResidentImages
from ml.spec import Evaluation


@dataclass(frozen=True)
class EncodedRows:
    """Codes and factors of the evaluation's rows, with what only the model knows of them."""

    index: np.ndarray
    """Indices of the images in the data set, (samples,)."""
    factors: np.ndarray
    """(samples, factors); no columns for a data set without factors."""
    mean: np.ndarray
    """Posterior means, (samples, latents)."""
    log_variance: np.ndarray
    """(samples, latents)."""
    sample: np.ndarray
    """One posterior sample of each row, (samples, latents)."""
    kl: np.ndarray
    """KL to the prior in nats, (samples, latents); NaN for a posterior that has none."""
    reconstruction: np.ndarray
    """-log p(x|z) in nats of that sample, (samples,)."""
    train_rows: np.ndarray
    """The first so many rows are for fitting predictors; an array without axes."""

    def to_npz(self) -> bytes:
        """The arrays as an npz file, the same bytes for the same arrays."""
        file = io.BytesIO()
        np.savez_compressed(file, **{f.name: getattr(self, f.name) for f in fields(self)})
        return file.getvalue()

    @classmethod
    def from_npz(cls, data: bytes) -> EncodedRows:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            return cls(**{f.name: arrays[f.name] for f in fields(cls)})


def draw_rows(n_images: int, *, rows: int, test_rows: int, seed: int) -> tuple[np.ndarray, int]:
    """Indices of the images to evaluate on, and how many of them are for fitting.

    Drawn independently with replacement, as in the protocol; from a data set with fewer images than
    rows are asked for, every image once and the two parts in proportion, since
    repeated images would raise mutual information and leak into the test.
    """
    draws = generator(seed, "evaluation rows")
    if n_images < rows + test_rows:
        train = max(1, min(n_images - 1, round(n_images * rows / (rows + test_rows))))
        return draws.permutation(n_images), train
    return draws.integers(0, n_images, size=rows + test_rows), rows


def encode_rows(
    model: Model, data: Dataset, evaluation: Evaluation, recorder: Recorder | None = None
) -> EncodedRows:
    """Encode the evaluation's rows in float32, and decode one sample of each.

    Raises:
        Stopped: the recorder wished to stop.
    """
    recorder = recorder or Silent()
    index, train = draw_rows(
        len(data), rows=evaluation.rows, test_rows=evaluation.test_rows, seed=evaluation.seed
    )
    device = next(iter(model.parameters["encoder"].values())).device
    images, posterior = ResidentImages(data, device), model.spec.objective.posterior
    noise = generator(evaluation.seed, "evaluation noise").standard_normal(
        (len(index), model.spec.model.latent_dim), dtype=np.float32
    )
    parts: list[tuple[np.ndarray, ...]] = []
    for start in range(0, len(index), CHUNK):
        batch = images.gather(index[start : start + CHUNK])
        encoding = model.encode(batch)
        sample = posterior.sample(
            encoding.head, torch.from_numpy(noise[start : start + CHUNK]).to(device)
        )
        parts.append(
            (
                encoding.mean,
                encoding.log_variance,
                sample.cpu().numpy(),
                encoding.kl,
                model.reconstruction(sample, batch),
            )
        )
        continue_or_stop(
            recorder.progress(Progress("encoding", min(start + CHUNK, len(index)), len(index)))
        )
    mean, log_variance, samples, kl, reconstruction = map(np.concatenate, zip(*parts, strict=True))
    factors = data.factors(index)
    if factors is None:
        factors = np.empty((len(index), 0), dtype=np.int64)
    return EncodedRows(
        index, factors, mean, log_variance, samples, kl, reconstruction, np.array(train)
    )
