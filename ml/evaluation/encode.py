"""Encoding images by a model: the rows that scores are computed on, and any other images."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, fields
from hashlib import blake2b
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float, Int, Integer, Shaped
from torch import Tensor

from ml.datasets.choices import Part as Images
from ml.datasets.dataset import Dataset
from ml.datasets.protocol import UnusableFile
from ml.datasets.resident import ResidentImages
from ml.networks.model import CHUNK, Encoding, Model
from ml.recorder import Progress, Recorder, Silent, continue_or_stop
from ml.reproducibility.draws import generator
from ml.spec.parts import Evaluation
from ml.spec.run_spec import RunSpec


@dataclass(frozen=True)
class EncodedRows:
    """Codes and factors of the evaluation's rows, with the posteriors and reconstructions."""

    index: Int[np.ndarray, "samples"]
    """Indices of the images in the data set."""
    factors: Shaped[np.ndarray, "samples factors"]
    """The factors. There are no columns if the data set has none."""
    mean: Float[np.ndarray, "samples latents"]
    """Posterior means."""
    log_variance: Float[np.ndarray, "samples latents"]
    sample: Float[np.ndarray, "samples latents"]
    """One posterior sample of each row."""
    kl: Float[np.ndarray, "samples latents"]
    """KL to the prior in nats; NaN for a posterior that has none."""
    reconstruction: Float[np.ndarray, "samples"]
    """-log p(x|z) of that sample in nats."""
    train_rows: Integer[np.ndarray, ""]
    """How many rows, from the first, are for fitting predictors."""
    images: Images = "chosen"
    """The part of the data set's images that `index` counts."""

    def to_npz(self) -> bytes:
        """The arrays as an npz file. Equal arrays give equal bytes."""
        arrays = {f.name: getattr(self, f.name) for f in fields(self)}
        if self.images == "chosen":
            # The bytes are those from before there was a choice.
            del arrays["images"]
        file = io.BytesIO()
        np.savez_compressed(file, **arrays)
        return file.getvalue()

    @classmethod
    def from_npz(cls, data: bytes) -> EncodedRows:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            images = str(arrays["images"]) if "images" in arrays else "chosen"
            found = {f.name: arrays[f.name] for f in fields(cls) if f.name != "images"}
        return cls(**found, images=cast(Images, images))


class OtherData(UnusableFile):
    """The data set's files hold other data than those that the run was trained on."""

    advice = "put back the data that the run was trained on, or train a new run on these"

    def __init__(self, name: str, trained_on: str, found: str) -> None:
        self.reason = (
            f"the files of the data set {name} have changed since the run was trained: it was"
            f" trained on {trained_on}, but they now hold {found}"
        )
        ValueError.__init__(self, self.reason)


def check_same_data(data: Dataset, record: Mapping[str, Any] | None) -> None:
    """Raise `OtherData` if these are not the data that a run's record says it was trained on.

    Images are known by their index, which means other images in other data.
    """
    trained_on = ((record or {}).get("dataset") or {}).get("source")
    if trained_on and trained_on != data.source:
        raise OtherData(data.name, trained_on, data.source)


def open_data(
    spec: RunSpec, recorder: Recorder | None = None, images: Images | None = None
) -> Dataset:
    """Open a part of the spec's data set, by default the one that its evaluation asks for.

    Progress is reported while the data are prepared.

    Raises:
        Stopped: the recorder wished to stop.
    """
    recorder = recorder or Silent()
    return spec.dataset.open(
        lambda done, total: continue_or_stop(recorder.progress(Progress("preparing", done, total))),
        images or spec.evaluation.images,
    )


def draw_rows(
    n_images: int, *, rows: int, test_rows: int, seed: int
) -> tuple[Int[np.ndarray, "samples"], int]:
    """Indices of the images to evaluate on, all different, and how many of them are for fitting.

    The protocol draws with replacement. With few images that puts many of them into both parts, and
    predictors are tested on images that they have learned by heart. If the data set has fewer
    images than the rows asked for, all images are used, in two parts of the same proportion.
    """
    index = generator(seed, "evaluation rows").permutation(n_images)[: rows + test_rows]
    if n_images < rows + test_rows:
        return index, max(1, min(n_images - 1, round(n_images * rows / (rows + test_rows))))
    return index, rows


def evaluation_rows(
    data: Dataset, evaluation: Evaluation
) -> tuple[Int[np.ndarray, "samples"], int]:
    """The draw of `draw_rows` from a data set, with images of the same pixels in the same part.

    If some images have all their factors and others do not, only the former are drawn.

    A data set may have one picture at several indices. dSprites does, as its first and its last
    orientation are the same angle.
    """
    labelled = data.labelled()
    # Without factors, or where no image has all of them, there are still codes to score.
    known = labelled if len(labelled) else np.arange(len(data))
    drawn, train = draw_rows(
        len(known),
        rows=evaluation.sample_rows,
        test_rows=evaluation.test_rows,
        seed=evaluation.seed,
    )
    index = known[drawn]
    pictures: dict[bytes, int] = {}
    shown = np.array(
        [
            pictures.setdefault(blake2b(row.tobytes()).digest(), len(pictures))
            for start in range(0, len(index), CHUNK)
            for row in data.stored(index[start : start + CHUNK])
        ]
    )
    return _whole_pictures(index, shown, train)


def _whole_pictures(index: np.ndarray, shown: np.ndarray, train: int) -> tuple[np.ndarray, int]:
    """The rows divided into two parts that have no picture in common, and the size of the first.

    `shown` are the rows' pictures, numbered in the order of their first rows. The first part has
    `train` rows if enough pictures occur only once. The rows of each part stay in order.
    """
    times = np.bincount(shown)
    fits = np.cumsum(times) <= train
    once = np.flatnonzero(~fits & (times == 1))
    fits[once[: train - int(times[fits].sum())]] = True
    # If even the first picture has more rows than `train`, it alone is for fitting.
    fits[0] |= not fits.any()
    of_fit = fits[shown]
    return np.concatenate([index[of_fit], index[~of_fit]]), int(of_fit.sum())


def encode_rows(
    model: Model, data: Dataset, evaluation: Evaluation, recorder: Recorder | None = None
) -> EncodedRows:
    """Encode the evaluation's rows in float32, and decode one sample of each.

    `data` are opened as the evaluation's `images` say (see `open_data`).

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
    factors = data.factors(index) if len(data.labelled()) else None
    if factors is None:
        factors = np.empty((len(index), 0), dtype=np.int64)
    return EncodedRows(
        index,
        factors,
        mean,
        log_variance,
        samples,
        kl,
        reconstruction,
        np.array(train),
        evaluation.images,
    )


def encode_images(
    model: Model, images: Float[np.ndarray, "samples height width channels"]
) -> Encoding:
    """Posterior of images in [0, 1], computed in chunks. There must be at least one image."""
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
    """Images as networks take them: float32, channels first."""
    return torch.from_numpy(np.ascontiguousarray(images, dtype=np.float32)).permute(0, 3, 1, 2)
