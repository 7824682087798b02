"""Scores of a whole population: the codes of every image of a complete grid, and their rows."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import cast

import numpy as np
from jaxtyping import Float

from ml.codes.rows import Posteriors, Rows
from ml.datasets.choices import Part as Images
from ml.datasets.dataset import Dataset
from ml.datasets.resident import ResidentImages
from ml.networks.model import CHUNK, Model
from ml.recorder import Progress, Recorder, Silent, continue_or_stop


@dataclass(frozen=True)
class GridCodes:
    """The posteriors of every image of a data set, in its order."""

    mean: Float[np.ndarray, "images latents"]
    """Posterior means in float32."""
    log_variance: Float[np.ndarray, "images latents"]
    images: Images
    """The part of the data set that was encoded."""
    source: str
    """The `source` of the data."""

    def to_npz(self) -> bytes:
        """The arrays as an npz file. It is not compressed, as codes hardly shrink."""
        file = io.BytesIO()
        np.savez(
            file,
            mean=self.mean,
            log_variance=self.log_variance,
            images=np.array(self.images),
            source=np.array(self.source),
        )
        return file.getvalue()

    @classmethod
    def from_npz(cls, data: bytes) -> GridCodes:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            return cls(
                arrays["mean"],
                arrays["log_variance"],
                cast(Images, str(arrays["images"])),
                str(arrays["source"]),
            )

    def are_of(self, data: Dataset, images: Images) -> bool:
        """Whether these are codes of this part of these data."""
        return (self.images, self.source, len(self.mean)) == (images, data.source, len(data))


def encode_grid(
    model: Model,
    data: Dataset,
    images: Images = "chosen",
    recorder: Recorder | None = None,
) -> GridCodes:
    """Encode every image of a data set in float32, whatever precision the model was trained in.

    The images are encoded a few hundred at a time. The codes take 8 bytes for each image and
    latent. `images` is the part as which `data` were opened.

    Raises:
        Stopped: the recorder wished to stop.
    """
    recorder = recorder or Silent()
    device = next(iter(model.parameters["encoder"].values())).device
    resident = ResidentImages(data, device)
    mean, log_variance = np.empty((2, len(data), model.spec.model.latent_dim), dtype=np.float32)
    for start in range(0, len(data), CHUNK):
        some = np.arange(start, min(start + CHUNK, len(data)))
        encoding = model.encode(resident.gather(some))
        mean[some], log_variance[some] = encoding.mean, encoding.log_variance
        continue_or_stop(recorder.progress(Progress("encoding", int(some[-1]) + 1, len(data))))
    return GridCodes(mean, log_variance, images, data.source)


def population_rows(codes: GridCodes, data: Dataset, seed: int = 0) -> Rows:
    """The means of every image as rows. They are one sample, without a part for fitting.

    Factors that have a single value in the data set are left out.
    """
    factors = data.factors(slice(None))
    assert factors is not None
    # An encoder without noise has a log variance of minus infinity.
    noisy = bool(np.isfinite(codes.log_variance).all())
    rows = Rows(
        codes.mean,
        factors,
        data.factor_names,
        data.factor_kinds,
        len(data),
        seed,
        kl=_kl(codes) if noisy else None,
        posteriors=Posteriors(codes.mean, codes.log_variance) if noisy else None,
        factor_sizes=data.factor_sizes,
        population=True,
    )
    return rows.without_single_valued(data.factor_sizes)


def _kl(codes: GridCodes) -> Float[np.ndarray, "images latents"]:
    """KL of each Gaussian posterior to the prior in nats."""
    # 1/2 (mean^2 + variance - log variance - 1)
    squares, log_variance = codes.mean**2, codes.log_variance
    found: np.ndarray = 0.5 * (squares + np.exp(log_variance) - log_variance - 1)
    return found
