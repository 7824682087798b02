"""What a model makes of images: of the rows that scores are computed on, and of any others."""

from __future__ import annotations

import io
from dataclasses import dataclass, fields
from hashlib import blake2b

import numpy as np
import torch
from jaxtyping import Float, Int, Integer, Shaped
from torch import Tensor

from ml.datasets.protocol import Dataset
from ml.datasets.resident import ResidentImages
from ml.networks.model import CHUNK, Encoding, Model
from ml.recorder import Progress, Recorder, Silent, continue_or_stop
from ml.reproducibility.draws import generator
from ml.spec.parts import Evaluation


@dataclass(frozen=True)
class EncodedRows:
    """Codes and factors of the evaluation's rows, with what only the model knows of them."""

    index: Int[np.ndarray, "samples"]
    """Indices of the images in the data set."""
    factors: Shaped[np.ndarray, "samples factors"]
    """No columns for a data set without factors."""
    mean: Float[np.ndarray, "samples latents"]
    """Posterior means."""
    log_variance: Float[np.ndarray, "samples latents"]
    sample: Float[np.ndarray, "samples latents"]
    """One posterior sample of each row."""
    kl: Float[np.ndarray, "samples latents"]
    """KL to the prior in nats; NaN for a posterior that has none."""
    reconstruction: Float[np.ndarray, "samples"]
    """-log p(x|z) in nats of that sample."""
    train_rows: Integer[np.ndarray, ""]
    """The first so many rows are for fitting predictors."""

    def to_npz(self) -> bytes:
        """The arrays as an npz file, the same bytes for the same arrays."""
        file = io.BytesIO()
        np.savez_compressed(file, **{f.name: getattr(self, f.name) for f in fields(self)})
        return file.getvalue()

    @classmethod
    def from_npz(cls, data: bytes) -> EncodedRows:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            return cls(**{f.name: arrays[f.name] for f in fields(cls)})


def draw_rows(
    n_images: int, *, rows: int, test_rows: int, seed: int
) -> tuple[Int[np.ndarray, "samples"], int]:
    """Indices of the images to evaluate on, each once, and how many of them are for fitting.

    The protocol draws with replacement, which from few images puts many into both parts: a
    predictor then scores what it has learned by heart. From a data set with fewer images than rows
    are asked for, every image once and the two parts in proportion.
    """
    index = generator(seed, "evaluation rows").permutation(n_images)[: rows + test_rows]
    if n_images < rows + test_rows:
        return index, max(1, min(n_images - 1, round(n_images * rows / (rows + test_rows))))
    return index, rows


def evaluation_rows(
    data: Dataset, evaluation: Evaluation
) -> tuple[Int[np.ndarray, "samples"], int]:
    """What `draw_rows` draws of a data set, with images of the same pixels in the same part.

    A data set may show one picture under several indices, as dSprites does at the first and the
    last orientation, which are one angle.
    """
    index, train = draw_rows(
        len(data), rows=evaluation.rows, test_rows=evaluation.test_rows, seed=evaluation.seed
    )
    pictures: dict[bytes, int] = {}
    shown = np.array(
        [
            pictures.setdefault(blake2b(data.storage[one].tobytes()).digest(), len(pictures))
            for one in index
        ]
    )
    return _whole_pictures(index, shown, train)


def _whole_pictures(index: np.ndarray, shown: np.ndarray, train: int) -> tuple[np.ndarray, int]:
    """The rows dealt into two parts, neither of which shows a picture of the other.

    `shown` are the rows' pictures, numbered as they come. The parts are as large as asked for
    wherever enough pictures are shown once, and the rows of each stay in order.
    """
    times = np.bincount(shown)
    fits = np.cumsum(times) <= train
    once = np.flatnonzero(~fits & (times == 1))
    fits[once[: train - int(times[fits].sum())]] = True
    # One picture that is shown more often than there are training rows.
    fits[0] |= not fits.any()
    of_fit = fits[shown]
    return np.concatenate([index[of_fit], index[~of_fit]]), int(of_fit.sum())


def encode_rows(
    model: Model, data: Dataset, evaluation: Evaluation, recorder: Recorder | None = None
) -> EncodedRows:
    """Encode the evaluation's rows in float32, and decode one sample of each.

    Raises:
        Stopped: the recorder wished to stop.
    """
    recorder = recorder or Silent()
    index, train = evaluation_rows(data, evaluation)
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


def encode_images(
    model: Model, images: Float[np.ndarray, "samples height width channels"]
) -> Encoding:
    """Posterior of images in [0, 1], a chunk at a time.

    There must be at least one.
    """
    tensors = as_tensors(images)
    parts = [model.encode(tensors[start : start + CHUNK]) for start in range(0, len(images), CHUNK)]
    return Encoding(
        np.concatenate([part.mean for part in parts]),
        np.concatenate([part.log_variance for part in parts]),
        np.concatenate([part.kl for part in parts]),
        torch.cat([part.head for part in parts]),
    )


def as_tensors(
    images: Float[np.ndarray, "samples height width channels"],
) -> Float[Tensor, "samples channels height width"]:
    """Images as networks take them, channels first, float32."""
    return torch.from_numpy(np.ascontiguousarray(images, dtype=np.float32)).permute(0, 3, 1, 2)
