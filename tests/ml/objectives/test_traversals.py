"""Traversals: the values and bases as numbers, and what of them pictures and films show."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image
from pydantic import ValidationError

from ml.components.spec_errors import InvalidSpec
from ml.objectives.posteriors.diagonal_gaussian import DiagonalGaussian
from ml.objectives.posteriors.point import Point
from ml.objectives.posteriors.traversals import by_factor, evenly, led, plane, spanned
from ml.plots.animation import gif, there_and_back
from ml.plots.drawing.letters import alike
from ml.plots.drawing.mosaic import Row, mosaic
from ml.plots.drawing.tiles import tiles
from ml.plots.of_models.latent_plane import LatentPlane
from ml.plots.of_models.traversal import Traversal
from ml.plots.of_training.training_film import TrainingFilm
from ml.plots.protocol import Material, NothingToDraw, Snapshot
from tests.ml.plots.test_pictures import material

CODES = np.array([[0.0, 10.0], [1.0, 10.0], [2.0, 10.0], [3.0, 10.0], [4.0, 30.0]])
"""Means 2 and 14, deviations sqrt(2) and 8."""


@pytest.mark.parametrize(
    ("given", "first", "second"),
    [
        ({"span": "range"}, [0, 2, 4], [10, 20, 30]),
        (
            {"span": "deviations"},
            [2 - 2 * 2**0.5, 2, 2 + 2 * 2**0.5],
            [-2, 14, 30],
        ),
        ({"span": "deviations", "extent": 0.5}, [2 - 2**0.5 / 2, 2, 2 + 2**0.5 / 2], [10, 14, 18]),
        ({"span": "units"}, [-3, 0, 3], [-3, 0, 3]),
        ({"span": "units", "extent": 1.5}, [-1.5, 0, 1.5], [-1.5, 0, 1.5]),
        ({"span": "quantiles", "extent": 0.25}, [1, 2, 3], [10, 10, 10]),
        ({}, [0.04, 2, 3.96], [10, 10, 29.2]),
    ],
)
def test_a_span_by_hand(given: dict[str, Any], first: list[float], second: list[float]) -> None:
    np.testing.assert_allclose(spanned(CODES, 3, **given), [first, second])


@settings(max_examples=50, deadline=None)
@given(
    span=st.sampled_from(["quantiles", "deviations", "range", "units"]),
    frames=st.integers(2, 51),
    seed=st.integers(0, 100),
)
def test_values_rise_along_a_row_whatever_the_span(span: Any, frames: int, seed: int) -> None:
    codes = np.random.default_rng(seed).normal(size=(30, 3))
    values = spanned(codes, frames, span=span)
    assert values.shape == (3, frames)
    assert (np.diff(values, axis=1) >= 0).all()


def test_plain_numbers_go_before_the_span() -> None:
    values = DiagonalGaussian().traverse(CODES, 3, span="range", between=(-1, 7))
    np.testing.assert_allclose(values, [[-1, 3, 7], [-1, 3, 7]])
    np.testing.assert_array_equal(values, evenly(-1, 7, latents=2, frames=3))


def test_only_the_latent_of_a_row_is_led() -> None:
    values = np.arange(6.0).reshape(3, 2)
    codes = led(np.array([7.0, 8.0, 9.0]), np.array([2, 0]), values)
    np.testing.assert_array_equal(codes, [[[7, 8, 4], [7, 8, 5]], [[0, 8, 9], [1, 8, 9]]])


def test_a_plane_grows_to_the_right_and_upwards() -> None:
    values = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    codes = plane(np.array([7.0, 8.0, 9.0]), 0, 2, values)
    np.testing.assert_array_equal(codes, [[[1, 8, 6], [2, 8, 6]], [[1, 8, 5], [2, 8, 5]]])


def test_by_factor_each_factors_best_comes_first_and_once() -> None:
    shares = np.array([[0.1, 0.2, 0.3], [0.0, 0.9, 0.1], [0.0, 0.8, 0.2], [0.5, 0.0, 0.1]])
    assert by_factor(shares, np.array([2, 0, 1, 3])).tolist() == [3, 1, 0, 2]
    assert by_factor(np.empty((3, 0)), np.array([2, 0, 1])).tolist() == [2, 0, 1]


def test_a_prior_is_standard_normal_and_a_point_has_none() -> None:
    noise = np.array([0.5, -1.0])
    assert DiagonalGaussian().prior(2, noise) is noise
    np.testing.assert_array_equal(DiagonalGaussian().prior(3), [0, 0, 0])
    assert Point().prior(3) is None


class Asked:
    """A material that keeps what it was asked to decode."""

    def __init__(self, given: Material) -> None:
        self.codes: list[np.ndarray] = []
        self._decode = given.decode
        self.material = replace(given, decode=self._kept)

    def _kept(self, codes: np.ndarray) -> np.ndarray:
        self.codes.append(codes)
        return self._decode(codes)


def decoded(plot: Traversal, given: Material) -> tuple[np.ndarray, np.ndarray]:
    """The base, and the codes (latents, frames, latents) that a traversal decodes at once."""
    asked = Asked(given)
    plot.draw(asked.material)
    [codes] = asked.codes
    frames = plot.frames or given.frames
    return codes[0], codes[1:].reshape(-1, frames, codes.shape[1])


@pytest.mark.parametrize(
    ("params", "base"),
    [
        ({"base": "mean"}, lambda given: given.encoded.mean.mean(axis=0)),
        ({"base": "prior"}, lambda _: np.zeros(3)),
        ({"image": 7}, lambda given: given.encoded.mean[7]),
        ({"base": "image", "image": 0}, lambda given: given.encoded.mean[0]),
    ],
)
def test_the_others_stay_at_the_base(params: dict[str, Any], base: Any) -> None:
    given = material()
    start, moved = decoded(Traversal(**params), given)
    np.testing.assert_allclose(start, base(given), rtol=1e-6)
    for row in moved:
        # All but one stay.
        assert (row == start).all(axis=0).sum() == 2


def test_a_seed_draws_a_base_from_the_prior_and_always_the_same() -> None:
    given = material()
    first, again, other = (
        decoded(Traversal(base="prior", seed=seed), given)[0] for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).all() and (first != 0).all()


def test_an_image_that_was_not_evaluated_is_encoded() -> None:
    given = replace(material(), encode=lambda images: np.full((len(images), 3), 0.25))
    assert decoded(Traversal(image=5_000), given)[0].tolist() == [0.25, 0.25, 0.25]
    with pytest.raises(InvalidSpec) as refused:
        decoded(Traversal(image=5_000), replace(given, encode=None))
    assert refused.value.faults[0].path == "image"


def test_an_image_that_the_data_set_does_not_have_is_refused() -> None:
    def images(index: np.ndarray) -> np.ndarray:
        raise IndexError("there are 40")

    with pytest.raises(InvalidSpec, match="there are 40") as refused:
        Traversal(image=40).draw(replace(material(), images=images))
    assert refused.value.faults[0].path == "image"


def test_a_base_of_a_prior_is_refused_where_there_is_none() -> None:
    with pytest.raises(InvalidSpec) as refused:
        Traversal(base="prior").draw(replace(material(), posterior=Point()))
    assert refused.value.faults[0].path == "base"


def test_only_chosen_latents_are_moved_in_their_order() -> None:
    start, moved = decoded(Traversal(latents=(2, 0), frames=4, low=-5, high=5), material())
    assert moved.shape == (2, 4, 3)
    np.testing.assert_allclose(moved[0][:, 2], np.linspace(-5, 5, 4), rtol=1e-6)
    np.testing.assert_allclose(moved[1][:, 0], np.linspace(-5, 5, 4), rtol=1e-6)
    np.testing.assert_array_equal(moved[1][:, 2], np.repeat(start[2], 4))


def test_a_latent_that_the_model_does_not_have_is_refused_with_those_that_have_names() -> None:
    given = replace(material(), latent_names={1: "smile"})
    with pytest.raises(InvalidSpec) as refused:
        Traversal(latents=(0, 3)).draw(given)
    [fault] = refused.value.faults
    assert fault.path == "latents[1]" and fault.got == 3
    assert "0 to 2" in fault.expected and "z1 smile" in fault.expected


def test_the_spec_says_the_span_and_frames_and_a_param_goes_before_it() -> None:
    given = replace(material(), span="range", frames=4)
    codes = given.encoded.mean
    ends = decoded(Traversal(order="index"), given)[1][0][[0, -1], 0]
    np.testing.assert_allclose(ends, [codes[:, 0].min(), codes[:, 0].max()])
    ends = decoded(Traversal(order="index", span="units", frames=2), given)[1][0][:, 0]
    np.testing.assert_allclose(ends, [-3, 3])
    with pytest.raises(InvalidSpec, match="range"):
        Traversal(extent=2).draw(given)


def labels(plot: Traversal, given: Material) -> list[str]:
    [axes] = plot.draw(given).axes
    return [text.get_text() for text in axes.texts if text.get_text().startswith("z")]


def test_the_order_of_rows_is_by_kl_or_by_number_and_most_cuts_it() -> None:
    given = replace(material(latents=4), latent_names={2: "fringe"})
    kl = given.encoded.kl.mean(axis=0)
    told = [f"z{k}{' fringe' if k == 2 else ''}  KL {kl[k]:.2f}" for k in range(4)]
    assert labels(Traversal(order="index"), given) == told
    assert labels(Traversal(), given) == [told[k] for k in np.argsort(-kl)]
    assert labels(Traversal(most=1), given) == [told[int(np.argmax(kl))]]


def test_by_factor_the_latent_that_is_a_factor_comes_first() -> None:
    given = material(latents=4)
    codes = given.encoded.mean.copy()
    codes[:, 3], codes[:, 1] = given.encoded.factors[:, 0], given.encoded.factors[:, 1]
    given = replace(given, encoded=replace(given.encoded, mean=codes))
    assert [label[:2] for label in labels(Traversal(order="factor"), given)][:2] == ["z3", "z1"]
    [axes] = Traversal(order="factor").draw(given).axes
    texts = [text.get_text() for text in axes.texts]
    assert "a 100%" in texts and "b 100%" in texts


@pytest.mark.parametrize(("nats", "told"), [(0.001, "unused"), (0.02, "a 100%")])
def test_a_latent_that_is_not_used_is_not_said_to_know_a_factor(nats: float, told: str) -> None:
    given = material(latents=4)
    codes, kl = given.encoded.mean.copy(), given.encoded.kl.copy()
    codes[:, 3], kl[:, 3] = 1e-3 * given.encoded.factors[:, 0], nats
    given = replace(given, encoded=replace(given.encoded, mean=codes, kl=kl))
    [axes] = Traversal(latents=(3,)).draw(given).axes
    assert told in [text.get_text() for text in axes.texts]
    assert ("unused" in [text.get_text() for text in axes.texts]) == (told == "unused")


@pytest.mark.parametrize(
    "params",
    [
        {"base": "image"},
        {"base": "mean", "image": 3},
        {"seed": 1},
        {"low": 1.0},
        {"low": 1.0, "high": 1.0},
        {"low": 0.0, "high": 1.0, "span": "units"},
        {"span": "range", "extent": 1.0},
        {"span": "quantiles", "extent": 0.5},
        {"frames": 1},
        {"frames": 52},
        {"latents": ()},
        {"latents": (1, 1)},
        {"latents": (-1,)},
        {"latents": (1,), "order": "kl"},
        {"extent": float("nan")},
        {"low": float("-inf"), "high": 0.0},
    ],
)
def test_params_that_contradict_each_other_are_refused(params: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Traversal(**params)


def test_a_plane_shows_the_two_most_used_latents_and_their_values() -> None:
    given = replace(material(latents=4), latent_names={0: "smile"})
    asked = Asked(given)
    order = np.argsort(-given.encoded.kl.mean(axis=0))
    [axes] = LatentPlane(frames=3, low=-2, high=2).draw(asked.material).axes
    [codes] = asked.codes
    grid = codes.reshape(3, 3, 4)
    np.testing.assert_allclose(grid[:, :, order[0]], [[-2, 0, 2]] * 3)
    np.testing.assert_allclose(grid[:, :, order[1]], np.transpose([[2, 0, -2]] * 3))
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["−2.0", "0.0", "2.0"]
    assert axes.get_xlabel().startswith(given.label(int(order[0])))
    # A chosen latent is not taken again for the other one.
    [axes] = LatentPlane(x=int(order[1])).draw(given).axes
    assert axes.get_ylabel().startswith(given.label(int(order[0])))


def test_a_plane_needs_two_different_latents() -> None:
    with pytest.raises(NothingToDraw):
        LatentPlane().draw(material(latents=1))
    with pytest.raises(ValidationError):
        LatentPlane(x=1, y=1)
    with pytest.raises(InvalidSpec) as refused:
        LatentPlane(y=3).draw(material())
    assert refused.value.faults[0].path == "y"


def test_tiles_lie_row_after_row_on_white() -> None:
    images = np.zeros((3, 2, 2, 1)) + np.array([0.1, 0.2, 0.3])[:, None, None, None]
    expected = [
        [0.1, 0.1, 1, 0.2, 0.2],
        [0.1, 0.1, 1, 0.2, 0.2],
        [1, 1, 1, 1, 1],
        [0.3, 0.3, 1, 1, 1],
        [0.3, 0.3, 1, 1, 1],
    ]
    np.testing.assert_allclose(tiles(images, 2, gap=1)[..., 0], expected, rtol=1e-6)


def test_a_mosaic_shows_each_pixel_as_whole_ones_of_the_file() -> None:
    images = np.random.default_rng(0).integers(0, 2, size=(2, 3, 32, 32, 1)).astype(float)
    rows = [Row("a label", "", one, []) for one in images]
    file = io.BytesIO()
    mosaic("a title", rows).savefig(file, format="png", dpi=120)
    shown = np.asarray(Image.open(file).convert("L"))
    wanted = (images[1, 2, :, :, 0] * 255).repeat(2, axis=0).repeat(2, axis=1)
    windows = np.lib.stride_tricks.sliding_window_view(shown, wanted.shape)
    assert (windows[::1, ::1] == wanted).all(axis=(2, 3)).any()


def test_every_letter_of_a_mosaic_lies_on_its_sheet() -> None:
    images = np.zeros((4, 8, 8, 1))
    rows = [Row("z10 a rather long name  KL 12.34", "orientation 100%", images, ["-1.23"] * 4)] * 3
    figure = mosaic("objective (beta 4) on a data set, 3,000 steps, seed 0", rows, first="image")
    figure.set_dpi(120)
    renderer = FigureCanvasAgg(figure).get_renderer()
    texts = [*figure.axes[0].texts, *figure.texts]
    assert len(texts) > 12
    for text in texts:
        box = text.get_window_extent(renderer)
        assert box.x0 >= 0 and box.y0 >= 0
        assert box.x1 <= figure.bbox.width and box.y1 <= figure.bbox.height


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ([-0.003, 0.62, 2.2], ["0.0", "0.6", "2.2"]),
        ([-0.28, 0.001, 0.28], ["−0.28", "0.00", "0.28"]),
        ([-12.0, 345.6], ["−12", "346"]),
        ([0.0, 0.0], ["0", "0"]),
        ([1e-9, -2e7], ["1.0e-09", "-2.0e+07"]),
    ],
)
def test_numbers_of_a_row_have_as_many_decimals(values: list[float], told: list[str]) -> None:
    assert alike(np.array(values)) == told


def frames_of(film: bytes) -> list[np.ndarray]:
    with Image.open(io.BytesIO(film)) as image:
        assert image.format == "GIF"
        frames = []
        for place in range(image.n_frames):
            image.seek(place)
            frames.append(np.asarray(image.convert("RGB")))
        return frames


def test_a_film_of_greys_keeps_every_grey_and_runs_forever() -> None:
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16)
    film = gif([ramp, ramp[::-1]], 50)
    first, second = frames_of(film)
    np.testing.assert_array_equal(first[..., 0], ramp)
    np.testing.assert_array_equal(second[..., 1], ramp[::-1])
    assert b"NETSCAPE2.0" in film


def test_a_film_goes_there_and_back_without_a_jump() -> None:
    assert there_and_back(4) == [0, 1, 2, 3, 2, 1]
    assert there_and_back(2) == [0, 1]


@pytest.mark.parametrize("channels", [1, 3])
def test_the_film_of_a_traversal_moves_there_and_back(channels: int) -> None:
    given = material(channels=channels)
    frames = frames_of(Traversal(frames=5, low=0, high=1).film(given))
    assert len(frames) == 8
    for place in (1, 2, 3):
        np.testing.assert_array_equal(frames[place], frames[-place])
    assert (frames[0] != frames[4]).any()


def snapshots(given: Material) -> Material:
    """With three of them, whose images are black, grey and white."""

    def at(step: int, grey: float) -> Snapshot:
        return Snapshot(
            step,
            decode=lambda codes: np.full((len(codes), 8, 8, 1), grey),
            encode=lambda images: np.tile(np.linspace(-1, 1, 3), (len(images), 1)),
        )

    return replace(given, snapshots=[at(1, 0.0), at(30, 0.5), at(1_000, 1.0)])


def test_the_film_of_training_is_a_frame_a_snapshot_and_stays_at_the_end() -> None:
    film = TrainingFilm(images=4).film(snapshots(material()))
    assert len(frames_of(film)) == 3
    with Image.open(io.BytesIO(film)) as image:
        durations = []
        for place in range(image.n_frames):
            image.seek(place)
            durations.append(image.info["duration"])
    assert durations[0] == durations[1] < durations[2]


def test_the_training_film_as_a_still_has_a_row_a_snapshot() -> None:
    given = snapshots(material())
    [axes] = TrainingFilm(images=4).draw(given).axes
    told = ["image", "step 1", "step 30", "step 1,000"]
    assert [text.get_text() for text in axes.texts] == told
    [axes] = TrainingFilm(images=4, latent=1).draw(given).axes
    assert [text.get_text() for text in axes.texts] == told[1:]
    with pytest.raises(InvalidSpec):
        TrainingFilm(latent=3).draw(given)


def test_without_snapshots_a_film_says_how_to_have_them() -> None:
    for draw in (TrainingFilm().draw, TrainingFilm().film):
        with pytest.raises(NothingToDraw, match=r"training\.snapshots"):
            draw(material())
