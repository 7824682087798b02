"""What a model makes of images that are no part of its data set."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ml.networks.model import CHUNK, Encoding, Model


def encode_images(model: Model, images: np.ndarray) -> Encoding:
    """Posterior of images (samples, height, width, channels) in [0, 1], a chunk at a time.

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


def as_tensors(images: np.ndarray) -> Tensor:
    """Images (samples, height, width, channels) as networks take them, channels first, float32."""
    return torch.from_numpy(np.ascontiguousarray(images, dtype=np.float32)).permute(0, 3, 1, 2)
