"""A data set's images as models and pictures take them."""

from __future__ import annotations

import numpy as np

from ml.datasets.protocol import Dataset


def in_unit_range(data: Dataset, index: np.ndarray) -> np.ndarray:
    """The data set's images (samples, height, width, channels), white being 1."""
    images = data.images(index).reshape(-1, *data.image_shape)
    scaled: np.ndarray = images.astype(np.float32) / data.max_value
    return scaled
