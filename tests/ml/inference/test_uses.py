"""What a trained model is used for, by hand-worked cases and by what must hold of any model."""

from __future__ import annotations

import io
from functools import cache

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import ks_2samp

from ml.codes.rows import ConstantFactor
from ml.datasets.dataset import Dataset, in_unit_range
from ml.evaluation.encode import EncodedRows, as_tensors, encode_images, encode_rows
from ml.inference.anomaly import Judged, judge, percentiles, reference
from ml.inference.generation import generated
from ml.inference.image_files import FRAME_MILLISECONDS, gif, near_square, pixels, png, resized
from ml.inference.interpolation import interpolate
from ml.inference.latent_swap import most_telling, swapped
from ml.inference.neighbours import deviations, distances, nearest_rows
from ml.networks.model import CHUNK, Model
from ml.plots.protocol import NothingToDraw
from ml.recorder import Silent
from ml.spec.run_spec import RunSpec
from ml.training.loop import train


@cache
def trained(objective: str = "beta_vae") -> tuple[Model, Dataset, EncodedRows]:
    """A small model of digits, its data, and the rows of its evaluation."""
    spec = RunSpec.parse(
        {
            "dataset": {"name": "digits", "size": 32},
            "objective": {"name": objective},
            "model": {"name": "mlp", "latent_dim": 3, "hidden": [16]},
            "training": {"steps": 20, "batch_size": 16},
            "evaluation": {"rows": 400, "test_rows": 200},
        }
    )
    data = spec.dataset.open()
    model = train(spec, Silent(), data=data)
    return model, data, encode_rows(model, data, spec.evaluation)


def test_a_percentile_is_the_share_at_or_below() -> None:
    usual = np.array([3.0, 1.0, 2.0, 2.0])
    found = percentiles(np.array([0.0, 1.0, 1.5, 2.0, 2.5, 3.0, 9.0, -np.inf]), usual)
    assert found.tolist() == [0, 25, 25, 75, 75, 100, 100, 0]
    assert np.isnan(percentiles(np.array([np.nan]), usual)).all()


def test_the_elbo_is_the_sum_of_its_terms_and_none_without_a_kl() -> None:
    judged = Judged(np.array([10.0, 20.0]), np.array([1.0, 0.5]))
    assert judged.elbo is not None and judged.elbo.tolist() == [-11.0, -20.5]
    assert judged.likeness.tolist() == [-11.0, -20.5]
    point = Judged(np.array([10.0, 20.0]), None)
    assert point.elbo is None and point.likeness.tolist() == [-10.0, -20.0]


def test_the_rows_of_the_evaluation_are_judged_as_they_were() -> None:
    """They differ from the reference by their noise alone."""
    model, data, encoded = trained()
    before = reference(encoded)
    now = judge(model, in_unit_range(data, encoded.index))
    assert before.elbo is not None and now.elbo is not None
    np.testing.assert_allclose(now.kl, before.kl, rtol=1e-4)
    # A p-value is uniform where the two agree.
    assert ks_2samp(now.elbo, before.elbo).pvalue > 0.001
    assert (now.reconstruction != before.reconstruction).mean() > 0.9


def test_noise_that_is_keyed_by_images_is_as_good_as_any() -> None:
    """Every image once, so that all is independent: the mean is within 4 standard errors."""
    model, data, _ = trained()
    images = in_unit_range(data, np.arange(len(data)))
    head, tensors = encode_images(model, images).head, as_tensors(images)
    posterior, random = model.spec.objective.posterior, np.random.default_rng(0)
    others = np.stack(
        [
            model.reconstruction(
                posterior.sample(
                    head, torch.from_numpy(random.normal(size=(len(images), 3)).astype(np.float32))
                ),
                tensors,
            )
            for _ in range(30)
        ]
    ).astype(np.float64)
    scaled = (judge(model, images).reconstruction - others.mean(axis=0)) / others.std(axis=0)
    assert abs(scaled.mean()) * np.sqrt(len(images)) < 4


def test_the_mean_over_samples_nears_the_expectation() -> None:
    model, data, _ = trained()
    images = in_unit_range(data, np.arange(4))
    many = judge(model, images, samples=64).reconstruction
    noise = torch.from_numpy(np.random.default_rng(0).normal(size=(2000, 3)).astype(np.float32))
    head, tensors = encode_images(model, images).head, as_tensors(images)
    posterior = model.spec.objective.posterior
    for place in range(4):
        drawn = posterior.sample(head[place : place + 1].expand(2000, -1), noise)
        costs = model.reconstruction(drawn, tensors[place : place + 1].expand(2000, -1, -1, -1))
        assert abs(many[place] - costs.mean()) < 5 * costs.std() / np.sqrt(64)


def test_an_image_has_its_own_noise_whatever_it_comes_with() -> None:
    model, data, _ = trained()
    images = in_unit_range(data, np.arange(CHUNK + 3))
    together = judge(model, images).reconstruction
    alone = judge(model, images[CHUNK + 1 :][:1]).reconstruction
    np.testing.assert_allclose(together[CHUNK + 1], alone[0], rtol=1e-5)
    twice = judge(model, images[[0, 0]]).reconstruction
    assert twice[0] == twice[1]


def test_images_are_encoded_as_the_rows_of_the_evaluation_are() -> None:
    for objective in ("beta_vae", "ae"):
        model, data, encoded = trained(objective)
        found = encode_images(model, in_unit_range(data, encoded.index))
        for name in ("mean", "log_variance", "kl"):
            kept = getattr(encoded, name)
            np.testing.assert_allclose(getattr(found, name), kept, rtol=1e-4, atol=1e-5)
        assert len(found.head) == len(encoded.index) > CHUNK


def test_what_is_encoded_and_decoded_is_the_models_own_reconstruction() -> None:
    model, data, _ = trained()
    images = in_unit_range(data, np.arange(3))
    head = model._networks.encode(as_tensors(images))
    means = head.detach()[:, :3]
    wanted = torch.sigmoid(model.logits(means)).permute(0, 2, 3, 1).numpy()
    found = model.decode(encode_images(model, images).mean)
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_samples_begin_alike_and_are_of_the_codes_where_there_is_no_prior() -> None:
    _, _, encoded = trained()
    four, source = generated(encoded, 4, seed=1)
    two, _ = generated(encoded, 2, seed=1)
    assert source == "prior" and four.dtype == np.float32 and np.array_equal(four[:2], two)
    assert not np.array_equal(two, generated(encoded, 2, seed=2)[0])
    _, _, points = trained("ae")
    many, source = generated(points, 20_000, seed=0)
    assert source == "codes"
    spread = points.mean.std(axis=0)
    np.testing.assert_allclose(
        many.mean(axis=0) / spread, points.mean.mean(axis=0) / spread, atol=0.05
    )
    scale = np.outer(spread, spread)
    wanted = np.cov(points.mean.T, bias=True)
    np.testing.assert_allclose(np.cov(many.T) / scale, wanted / scale, atol=0.05)


def test_swapping_exchanges_these_latents_alone() -> None:
    a, b = np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0, 6.0])
    assert swapped(a, b, [1]).tolist() == [[1, 2, 3], [4, 5, 6], [1, 5, 3], [4, 2, 6]]
    assert swapped(a, b, [2, 0])[2:].tolist() == [[4, 2, 6], [1, 5, 3]]
    assert swapped(a, b, []).tolist() == [[1, 2, 3], [4, 5, 6]] * 2
    # Exchanging all of them exchanges the images.
    assert swapped(a, b, [0, 1, 2])[2:].tolist() == [[4, 5, 6], [1, 2, 3]]


def test_swapping_nothing_gives_the_reconstructions() -> None:
    model, _, encoded = trained()
    a, b = encoded.mean[:2]
    found = model.decode(swapped(a, b, []))
    np.testing.assert_array_equal(found[:2], found[2:])
    np.testing.assert_allclose(found[:2], model.decode(encoded.mean[:2]), atol=1e-6)


def test_the_latent_that_is_a_factor_tells_all_of_it() -> None:
    random = np.random.default_rng(0)
    factor = np.repeat(np.arange(4), 250)
    noise = random.normal(size=(1000, 2))
    codes = np.column_stack([noise[:, 0], factor * 2.0, noise[:, 1]])
    latent, share = most_telling(codes, factor, "posX")
    assert latent == 1 and share == pytest.approx(1.0)
    # Half of a factor of four equally frequent values: one bit of two.
    latent, share = most_telling(np.column_stack([noise, factor // 2]), factor, "posX")
    assert latent == 2 and share == pytest.approx(0.5)


def test_a_continuous_factor_is_cut_into_bins_as_codes_are() -> None:
    random = np.random.default_rng(0)
    factor, noise = random.uniform(size=(2, 1000))
    latent, share = most_telling(np.column_stack([noise, factor]), factor, "lean", "continuous")
    assert latent == 1 and share == pytest.approx(1.0)
    _, share = most_telling(noise[:, None], factor, "lean", "continuous")
    assert share < 0.15


def test_a_constant_factor_has_no_latent() -> None:
    with pytest.raises(ConstantFactor, match="shape"):
        most_telling(np.zeros((5, 2)), np.ones(5, dtype=int), "shape")


def test_distances_by_hand() -> None:
    codes = np.array([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]])
    assert distances(codes[:1], codes).tolist() == [[0, 5, 1]]
    units = np.array([3.0, 2.0])
    found = distances(codes[:1], codes, units=units)
    np.testing.assert_allclose(found, [[0, np.sqrt(1 + 4), 0.5]])
    matrix = distances(codes, codes)
    np.testing.assert_array_equal(matrix, matrix.T)
    assert np.diag(matrix).tolist() == [0, 0, 0]


def test_a_latent_that_does_not_vary_keeps_its_unit() -> None:
    codes = np.array([[1.0, 7.0], [3.0, 7.0]], dtype=np.float32)
    assert deviations(codes).tolist() == [1.0, 1.0]
    assert deviations(codes * [3, 1]).tolist() == [3.0, 1.0]


def test_a_row_is_its_own_nearest_and_of_equals_the_first_comes_first() -> None:
    _, _, encoded = trained()
    for row in (0, 17):
        far = distances(encoded.mean[row : row + 1], encoded.mean)[0]
        found = nearest_rows(far, 5)
        assert found[0] == row and far[row] == 0
        assert (np.diff(far[found]) >= 0).all()
        assert far[found].max() <= np.delete(far, found).min()
    assert nearest_rows(np.array([2.0, 1.0, 1.0, 0.0]), 3).tolist() == [3, 1, 2]
    assert nearest_rows(np.array([2.0, 1.0]), 10).tolist() == [1, 0]


def test_a_straight_way_by_hand() -> None:
    found = interpolate(np.array([0.0, 4.0]), np.array([2.0, 0.0]), 3)
    assert found.tolist() == [[0, 4], [1, 2], [2, 0]]


def test_a_turn_by_hand() -> None:
    found = interpolate(np.array([2.0, 0.0]), np.array([0.0, 2.0]), 3, "spherical")
    np.testing.assert_allclose(found, [[2, 0], [np.sqrt(2), np.sqrt(2)], [0, 2]], atol=1e-6)


@pytest.mark.parametrize("latents", [2, 10, 100])
def test_a_turn_keeps_the_norm_and_turns_evenly(latents: int) -> None:
    random = np.random.default_rng(latents)
    a, b = random.normal(size=(2, latents))
    b *= np.linalg.norm(a) / np.linalg.norm(b)
    found = interpolate(a, b, 9, "spherical").astype(np.float64)
    norms = np.linalg.norm(found, axis=1)
    np.testing.assert_allclose(norms, np.linalg.norm(a), rtol=1e-5)
    steps = (found[1:] * found[:-1]).sum(axis=1) / norms[1:] / norms[:-1]
    np.testing.assert_allclose(steps, steps[0], rtol=1e-5)
    # The straight way does not keep it.
    assert np.linalg.norm(interpolate(a, b, 9)[4]) < 0.99 * np.linalg.norm(a)


def test_a_turn_goes_from_one_norm_to_the_other_in_equal_steps() -> None:
    found = interpolate(np.array([1.0, 0.0]), np.array([0.0, 3.0]), 5, "spherical")
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), [1, 1.5, 2, 2.5, 3], rtol=1e-6)


@pytest.mark.parametrize("b", [[0.0, 0.0], [2.0, 2.0], [-1.0, -1.0], [1.0, 1.0]])
def test_without_an_arc_the_way_is_straight(b: list[float]) -> None:
    a, end = np.array([1.0, 1.0]), np.array(b)
    found = interpolate(a, end, 5, "spherical")
    np.testing.assert_array_equal(found, interpolate(a, end, 5))
    assert np.isfinite(found).all()


@pytest.mark.parametrize("path", ["linear", "spherical"])
def test_the_ends_of_a_way_are_both_reconstructions(path: str) -> None:
    model, _, encoded = trained()
    a, b = encoded.mean[:2]
    way = interpolate(a, b, 7, path)  # type: ignore[arg-type]
    np.testing.assert_array_equal(way[[0, -1]], encoded.mean[:2])
    wanted = model.decode(encoded.mean[:2])
    np.testing.assert_allclose(model.decode(way)[[0, -1]], wanted, atol=1e-6)


def opened(file: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(file)))


def test_a_picture_has_the_levels_of_its_image() -> None:
    image = np.array([[[0.0], [0.5]], [[1.0], [2.0]]])
    assert opened(png(image[None])).tolist() == [[0, 128], [255, 255]]
    assert opened(png(image[None], scale=2))[:2].tolist() == [[0, 0, 128, 128]] * 2
    colour = np.zeros((1, 2, 2, 3))
    colour[..., 1] = 1
    assert opened(png(colour)).shape == (2, 2, 3) and opened(png(colour))[0, 0].tolist() == [
        0,
        255,
        0,
    ]
    with pytest.raises(NothingToDraw, match="2 channels"):
        png(np.zeros((1, 2, 2, 2)))


def test_the_grid_of_a_mosaic_is_nearly_square() -> None:
    assert [near_square(count) for count in (1, 2, 4, 5, 9, 10, 256)] == [1, 2, 2, 3, 3, 4, 16]
    assert opened(png(np.zeros((5, 4, 4, 1)))).shape == (4 * 2 + 2, 4 * 3 + 4)
    assert opened(png(np.zeros((5, 4, 4, 1)), columns=5)).shape == (4, 4 * 5 + 2 * 4)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_film_goes_there_and_back(channels: int) -> None:
    frames = np.zeros((4, 2, 2, channels))
    frames[..., -1] = 1
    frames[..., 0] = np.array([0, 26, 90, 255])[:, None, None] / 255
    with Image.open(io.BytesIO(gif(frames))) as film:
        assert film.n_frames == 6 and film.info["duration"] == FRAME_MILLISECONDS
        seen = []
        for place in range(6):
            film.seek(place)
            seen.append(np.asarray(film.convert("RGB"))[0, 0, 0])
    assert seen == [0, 26, 90, 255, 90, 26]


def test_pictures_of_any_mode_become_the_models_images() -> None:
    grey = Image.fromarray(np.array([[0, 51], [102, 255]], dtype=np.uint8))
    wanted = np.array([[0, 0.2], [0.4, 1]], dtype=np.float32)
    for mode in ("L", "RGB", "RGBA", "P", "LA", "CMYK"):
        np.testing.assert_allclose(pixels(grey.convert(mode), 1)[..., 0], wanted, atol=0.005)
        found = pixels(grey.convert(mode), 3)
        np.testing.assert_allclose(found, np.repeat(wanted[..., None], 3, axis=2), atol=0.005)
        found = pixels(grey.convert(mode), 4)
        np.testing.assert_allclose(found[..., 0], wanted, atol=0.005)
        assert (found[..., 3] == 1).all()
    deep = Image.fromarray((np.asarray(grey).astype(np.uint16)) * 257)
    np.testing.assert_allclose(pixels(deep, 1)[..., 0], wanted, atol=1e-6)
    assert (pixels(deep, 4)[..., 3] == 1).all()


def test_half_the_size_is_the_mean_of_what_it_covers() -> None:
    images = np.zeros((1, 4, 4, 2), dtype=np.float32)
    images[0, :, :2, 0] = 1
    images[..., 1] = 0.25
    found = resized(images, 2, 2)
    # A triangle of twice the width: an eighth of the weight lies beyond the two pixels.
    np.testing.assert_allclose(found[0, 0, :, 0], [7 / 8, 1 / 8], atol=0.03)
    np.testing.assert_allclose(found[..., 1], 0.25, atol=1e-6)
    assert resized(images, 4, 4) is images
    np.testing.assert_allclose(resized(images, 8, 8).mean(), images.mean(), atol=1e-6)
