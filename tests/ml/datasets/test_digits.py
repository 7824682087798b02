from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from ml.datasets.digits import enlarged
from ml.datasets.protocol import dataset


@pytest.mark.parametrize("size", [32, 64])
def test_digits_are_grey_images_with_one_factor(size: int) -> None:
    digits = dataset("digits", size=size)
    assert len(digits) == 1797
    assert (digits.factor_names, digits.factor_sizes) == (("digit",), (10,))
    assert (digits.max_value, len(digits.source), digits.is_grid) == (255, 64, False)
    images = digits.images(slice(None))
    assert images.shape == (1797, size, size)
    assert (images.min(), images.max()) == (0, 255)
    factors = digits.factors(slice(None))
    assert factors is not None
    np.testing.assert_array_equal(factors[:, 0], load_digits().target)


@pytest.mark.parametrize("size", [32, 64])
def test_digits_are_enlarged_bilinearly_between_pixel_centres(size: int) -> None:
    small = torch.tensor(load_digits().images[:, None])
    large = torch.nn.functional.interpolate(
        small, size=(size, size), mode="bilinear", align_corners=False
    )
    expected = 255 / 16 * large[:, 0].numpy()
    difference = dataset("digits", size=size).images(slice(None)) - expected
    assert np.abs(difference).max() <= 0.5 + 1e-9


def test_one_bright_column_is_enlarged_as_worked_by_hand() -> None:
    image = np.zeros((1, 8, 8), dtype=np.int64)
    image[0, :, 0] = 16
    row = enlarged(image, 32)[0, 7].tolist()
    # Four new pixels for an old one, an eighth of a pixel off its centre and three eighths:
    # full up to the old centre, then 7/8, 5/8, 3/8 and 1/8 of 255, rounded.
    assert row[:8] == [255, 255, 223, 159, 96, 32, 0, 0]


def test_a_flat_image_stays_flat_up_to_its_edges() -> None:
    assert set(enlarged(np.full((1, 8, 8), 16), 64).ravel()) == {255}
    assert set(enlarged(np.full((1, 8, 8), 8), 64).ravel()) == {128}
