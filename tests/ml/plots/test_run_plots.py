"""Plots of a run: what they say, on material whose answers are known."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from pydantic import ValidationError
from sklearn.decomposition import PCA

from ml.components.spec_errors import InvalidSpec
from ml.evaluation.encode import EncodedRows
from ml.evaluation.score import score
from ml.metrics.protocol import NullDistribution, Score
from ml.objectives.posteriors.diagonal_gaussian import DiagonalGaussian
from ml.plots.drawing.colours import GREY
from ml.plots.drawing.direct_labels import spread
from ml.plots.drawing.tiles import tiles
from ml.plots.of_models.codes_map import CodesMap, principal_plane
from ml.plots.of_models.dci_predictors import DCIPredictors
from ml.plots.of_models.factor_latent_matrix import FactorLatentMatrix
from ml.plots.of_models.interventional_effects import InterventionalEffects, conditional
from ml.plots.of_models.prior_samples import PriorSamples, like, truncated
from ml.plots.of_models.traversal import Traversal
from ml.plots.of_training.kl_over_training import KLOverTraining
from ml.plots.protocol import Material, NothingToDraw, Snapshot, to_file


def material(codes: np.ndarray, factors: np.ndarray, **changed: Any) -> Material:
    """Of these codes and factors; three quarters of the rows are for fitting."""
    codes = codes.astype(np.float32)
    encoded = EncodedRows(
        index=np.arange(len(codes)),
        factors=factors,
        mean=codes,
        log_variance=np.zeros_like(codes),
        sample=codes,
        kl=np.tile(np.arange(codes.shape[1], 0, -1.0), (len(codes), 1)),
        reconstruction=np.zeros(len(codes)),
        train_rows=np.array(len(codes) * 3 // 4),
    )
    given = Material(
        title="a model",
        decode=lambda z: np.clip(np.abs(z[:, :1, None, None]), 0, 1) * np.ones((len(z), 4, 4, 1)),
        posterior=DiagonalGaussian(),
        encoded=encoded,
        factor_names=("shape", "orientation", "size")[: factors.shape[1]],
        images=lambda index: np.zeros((len(index), 4, 4, 1)),
        scalars={},
    )
    return dataclasses.replace(given, **changed)


def entangled(rows: int = 600, latents: int = 4) -> Material:
    """Latents that know a little of three factors each."""
    draws = np.random.default_rng(1)
    factors = np.stack([draws.integers(0, size, rows) for size in (3, 40, 5)], axis=1)
    mixed = (factors / factors.max(0)) @ draws.normal(size=(3, latents))
    return material(mixed + 0.2 * draws.normal(size=(rows, latents)), factors)


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def a_score(metric: str, name: str, value: float | None, **changed: Any) -> Score:
    given: dict[str, Any] = {
        "metric": metric,
        "name": name,
        "value": value,
        "higher_is_better": True,
        "range": (0, 1),
        "perfect": 1,
        "params": {},
        "definition": f"{metric}@1",
        "rows": 9,
        "seed": 0,
        "versions": {},
    }
    return Score(**{**given, **changed})


# The KL of each latent over training.


def with_curves(ends: Sequence[float], **changed: Any) -> Material:
    scalars = {
        f"kl_per_latent/{k}": [(1, 0.5), (10, end), (100, end)] for k, end in enumerate(ends)
    }
    return dataclasses.replace(entangled(), scalars={"loss": [(1, 2.0)], **scalars}, **changed)


def test_used_latents_are_named_at_their_ends_and_unused_ones_are_grey() -> None:
    given = with_curves([0.001, 3.0, 0.5], latent_names={1: "smile"})
    [axes] = KLOverTraining().draw(given).axes
    assert [text.get_text() for text in axes.texts] == ["z2", "z1 smile"]  # From below.
    by_end = {line.get_ydata()[-1]: line.get_color() for line in axes.lines}
    assert by_end[0.001] == GREY and len({GREY, by_end[3.0], by_end[0.5]}) == 3
    assert [text.get_color() for text in axes.texts] == [by_end[0.5], by_end[3.0]]
    assert axes.get_title() == "2 of 3 latents used at the end"


def test_more_than_twenty_latents_are_a_heat_map_with_the_largest_on_top() -> None:
    [axes, _bar] = KLOverTraining().draw(with_curves(np.linspace(0, 2, 21))).axes
    assert not axes.lines
    [mesh] = axes.collections
    assert list(mesh.get_array()[:, -1]) == pytest.approx(list(np.linspace(2, 0, 21)))
    assert axes.yaxis_inverted()


@pytest.mark.parametrize("latents", [3, 30])
@pytest.mark.parametrize("log", [True, False])
def test_either_axis_may_be_logarithmic(latents: int, log: bool) -> None:
    ends = [0.0, *range(1, latents)]
    axes = KLOverTraining(log_x=log, log_y=log).draw(with_curves(ends)).axes[0]
    assert axes.get_xscale() == ("log" if log else "linear")
    if latents == 3:
        assert axes.get_yscale() == ("log" if log else "linear")


def test_snapshots_are_upright_lines() -> None:
    kept = [Snapshot(step, lambda z: z, lambda x: x) for step in (10, 50, 5000)]
    [axes] = KLOverTraining().draw(with_curves([1.0], snapshots=kept)).axes
    # The axis ends with the curves.
    assert [line.get_xdata()[0] for line in axes.lines[1:]] == [10, 50]


def test_a_run_without_kl_has_no_picture_of_it() -> None:
    for scalars in ({}, {"kl_per_latent/0": []}, {"kl_per_latent/0": [(1, float("nan"))]}):
        with pytest.raises(NothingToDraw, match=r"has no KL, .*\.$"):
            KLOverTraining().draw(dataclasses.replace(entangled(), scalars=scalars))


@pytest.mark.parametrize(
    ("wanted", "places"),
    [
        ([0.0, 5.0], [0.0, 5.0]),
        ([2.0, 2.0, 2.0], [1.0, 2.0, 3.0]),
        ([0.0, 0.2, 9.0], [-0.4, 0.6, 9.0]),
        # The pair would reach into the third one's place, which moves up with them.
        ([0.0, 0.0, 1.0], [-2 / 3, 1 / 3, 4 / 3]),
    ],
)
def test_labels_keep_their_distance_and_stay_near(wanted: list[float], places: list[float]) -> None:
    np.testing.assert_allclose(spread(np.array(wanted), 1.0), places)


# Factors by latents.


def row_ends(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts if hasattr(text, "xyann")]


def test_the_gaps_are_those_of_mig_on_the_rows_that_it_is_scored_on() -> None:
    given = entangled()
    train = int(given.encoded.train_rows)
    [mig] = score(given.encoded.mean[:train], given.encoded.factors[:train], ["mig"])
    head, *gaps, mean = row_ends(FactorLatentMatrix().draw(given))
    assert head == "gap" and mean == f"MIG {mig.value:.3f}"
    assert [float(gap) for gap in gaps] == pytest.approx(mig.details["gaps"], abs=0.005)
    assert np.mean([float(gap) for gap in gaps]) == pytest.approx(mig.value, abs=0.005)


def test_a_code_that_is_the_factors_has_gaps_of_one_and_frames_around_them() -> None:
    grid = np.array(np.meshgrid(range(3), range(4))).reshape(2, -1).T
    factors = np.tile(grid, (8, 1))
    given = material(np.column_stack([factors, np.zeros(len(factors))])[:, [2, 1, 0]], factors)
    figure = FactorLatentMatrix(order="index").draw(given)
    [axes] = figure.axes
    assert row_ends(figure) == ["gap", "1.00", "1.00", "MIG 1.000"]
    image = np.asarray(axes.images[0].get_array())
    np.testing.assert_allclose(image, [[0, 0, 1], [0, 1, 0]], atol=1e-6)
    solid = [
        (round(frame.get_center()[1]), round(frame.get_center()[0]))
        for frame in axes.patches
        if isinstance(frame, Rectangle) and frame.get_linestyle() in ("-", "solid")
    ]
    assert solid == [(0, 2), (1, 1)]
    # Each factor's own latent first.
    [axes] = FactorLatentMatrix(order="factor").draw(given).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["z2", "z1", "z0"]


def test_latents_stand_in_order_of_kl_under_their_names() -> None:
    given = entangled()
    kl = np.tile([0.1, 3.0, 0.0, 1.0], (600, 1))
    given = dataclasses.replace(
        given, encoded=dataclasses.replace(given.encoded, kl=kl), latent_names={3: "fringe"}
    )
    [axes] = FactorLatentMatrix().draw(given).axes
    shown = [label.get_text() for label in axes.get_xticklabels()]
    assert shown == ["z1", "z3 fringe", "z0", "z2"]
    [plain] = FactorLatentMatrix(order="index").draw(given).axes
    np.testing.assert_array_equal(
        axes.images[0].get_array(), plain.images[0].get_array()[:, [1, 3, 0, 2]]
    )


def test_constant_factors_are_left_out() -> None:
    given = entangled()
    factors = given.encoded.factors.copy()
    factors[:, 1] = 7
    given = dataclasses.replace(given, encoded=dataclasses.replace(given.encoded, factors=factors))
    [axes] = FactorLatentMatrix().draw(given).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["shape", "size"]
    factors[:] = 7
    with pytest.raises(NothingToDraw, match="no factors that vary"):
        FactorLatentMatrix().draw(given)


def test_a_continuous_factor_is_cut_into_bins_beside_a_discrete_one() -> None:
    draws = np.random.default_rng(0)
    shape, lean = draws.integers(0, 3, 400), draws.normal(size=400)
    factors = np.stack([shape, lean], axis=1)
    codes = np.stack([lean, shape, draws.normal(size=400)], axis=1)
    given = material(codes, factors, factor_kinds=("discrete", "continuous"))
    [mig] = score(
        codes.astype(np.float32)[:300],
        factors[:300],
        "mig",
        factor_kinds=("discrete", "continuous"),
    )
    figure = FactorLatentMatrix().draw(given)
    assert f"MIG {mig.value:.3f}" in texts(figure)
    labelled = texts(Traversal().draw(given))
    # The third latent knows neither factor.
    assert "orientation 100%" in labelled and "shape 100%" in labelled
    assert not any(text.startswith("orientation 100%") for text in labelled[2:])


def test_sap_is_taken_from_the_newest_score_and_else_computed() -> None:
    given = entangled()
    train = int(given.encoded.train_rows)
    [sap] = score(given.encoded.mean, given.encoded.factors, "sap", train_rows=train)
    computed = row_ends(FactorLatentMatrix(quantity="sap").draw(given))
    assert computed[-1] == f"SAP {sap.value:.3f}"
    details = {"factors": ["shape"], "gaps": [0.25], "scores": [[0.1], [0.75], [0.5], [0.0]]}
    scores = [
        a_score("sap", "sap", 0.9, details={**details, "gaps": [0.9]}),
        a_score("sap", "sap", 0.25, details=details),
        a_score("sap", "sap", None, error="it failed"),
    ]
    drawn = FactorLatentMatrix(quantity="sap").draw(dataclasses.replace(given, scores=scores))
    assert row_ends(drawn) == ["gap", ".25", "SAP 0.250"]


LASSO = [[3.0, 0.0], [1.0, 2.0], [0.0, 0.0], [0.0, 2.0]]


def dci(predictor: str, disentanglement: float, **changed: Any) -> list[Score]:
    params = {"predictor": predictor}
    details = {"factors": ["shape", "size"], "importance": LASSO}
    informed = "informativeness_test" if predictor == "gradient_boosting" else "informativeness"
    values = {"disentanglement": disentanglement, "completeness": 0.5, informed: 0.75}
    return [
        a_score(
            "dci",
            name,
            value,
            params=params,
            details=details if name == "disentanglement" else {},
            **changed,
        )
        for name, value in values.items()
    ]


def test_importance_is_each_latents_share_in_the_chosen_predictor() -> None:
    scores = [*dci("lasso", 0.1), *dci("linear", 0.2)]
    given = dataclasses.replace(entangled(), scores=scores)
    figure = FactorLatentMatrix(quantity="importance").draw(given)
    assert "linear" in figure.axes[0].get_title("left")
    np.testing.assert_allclose(
        np.asarray(figure.axes[0].images[0].get_array()), [[0.75, 0.25, 0, 0], [0, 0.5, 0, 0.5]]
    )
    # Half of the codes share the second factor: 1 - log 2 / log 4.
    head, _, second, whole = row_ends(figure)
    assert (head, second, whole) == ("compl.", ".50", "C 0.500")
    figure = FactorLatentMatrix(quantity="importance", predictor="lasso").draw(given)
    assert "lasso" in figure.axes[0].get_title("left")
    with pytest.raises(NothingToDraw, match=r"'forest', but with lasso, linear"):
        FactorLatentMatrix(quantity="importance", predictor="forest").draw(given)


def test_a_predictor_is_no_param_of_mutual_information() -> None:
    with pytest.raises(ValidationError, match="predictor is for quantity importance"):
        FactorLatentMatrix(predictor="lasso")


# DCI under every predictor.


def test_bars_are_the_newest_scores_of_each_predictor() -> None:
    null = NullDistribution(mean=0.05, std=0.01, replicates=3)
    scores = [
        *dci("lasso", 0.1),
        *dci("gradient_boosting", 0.4, ci95=(0.3, 0.5), null=null),
        *dci("lasso", 0.2),
        *dci("linear", 0.9, codes="sample"),
        a_score("dci", "disentanglement", None, params={"predictor": "linear"}, error="no"),
    ]
    figure = DCIPredictors().draw(dataclasses.replace(entangled(), scores=scores))
    bars = figure.axes[0]
    heights = {
        container.get_label(): container.patches[0].get_height()
        for container in bars.containers
        if not container.get_label().startswith("_")
    }
    assert heights == {"gradient boosting": 0.4, "lasso": 0.2}
    assert len(bars.containers) == 6
    assert [axes.get_title() for axes in figure.axes[1:3]] == ["gradient boosting", "lasso"]
    matrix = np.asarray(figure.axes[2].images[0].get_array())
    np.testing.assert_allclose(matrix, np.array(LASSO).T / 3)


def test_of_a_single_factor_there_is_the_importance_and_no_bar_of_disentanglement() -> None:
    details = {"factors": ["digit"], "importance": [[3.0], [1.0], [0.0], [0.0]]}
    params = {"predictor": "lasso"}
    scores = [
        a_score("dci", "disentanglement", None, params=params, details=details, error="one factor"),
        a_score("dci", "completeness", 0.5, params=params),
    ]
    given = dataclasses.replace(entangled(), scores=scores)
    figure = DCIPredictors().draw(given)
    assert [bars.get_label() for bars in figure.axes[0].containers] == ["lasso"]
    np.testing.assert_allclose(np.asarray(figure.axes[1].images[0].get_array()), [[1, 1 / 3, 0, 0]])
    figure = FactorLatentMatrix(quantity="importance").draw(given)
    np.testing.assert_allclose(
        np.asarray(figure.axes[0].images[0].get_array()), [[0.75, 0.25, 0, 0]]
    )


@pytest.mark.parametrize("plot", [DCIPredictors(), FactorLatentMatrix(quantity="importance")])
def test_without_dci_the_way_to_it_is_told(plot: Any) -> None:
    with pytest.raises(NothingToDraw, match=r"evaluations.*--metrics dci:predictor=lasso\.$"):
        plot.draw(entangled())


def test_five_predictors_of_a_hundred_latents_are_drawn() -> None:
    importance = np.random.default_rng(0).uniform(size=(100, 2)).tolist()
    details = {"factors": ["shape", "size"], "importance": importance}
    scores = [
        a_score("dci", "disentanglement", 0.5, params={"predictor": name}, details=details)
        for name in ("gradient_boosting", "logistic_regression", "lasso", "random_forest", "linear")
    ]
    given = dataclasses.replace(entangled(latents=100), scores=scores)
    assert to_file(DCIPredictors().draw(given), "svg").startswith(b"<?xml")


# The map of codes.


def test_two_latents_are_drawn_as_they_are() -> None:
    given = entangled(latents=2)
    axes = CodesMap(colour="orientation").draw(given).axes[0]
    [dots] = axes.collections
    np.testing.assert_allclose(dots.get_offsets(), given.encoded.mean)
    np.testing.assert_array_equal(dots.get_array(), given.encoded.factors[:, 1])
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("z0 (code)", "z1 (code)")


def test_more_latents_lie_along_their_principal_components() -> None:
    given = entangled()
    codes = given.encoded.mean.astype(np.float64)
    theirs = PCA(2).fit(codes)
    places, shares = principal_plane(codes)
    np.testing.assert_allclose(shares, theirs.explained_variance_ratio_)
    np.testing.assert_allclose(np.abs(places), np.abs(theirs.transform(codes)), atol=1e-9)
    assert f"({shares[0]:.0%} of variance)" in CodesMap().draw(given).axes[0].get_xlabel()


def test_principal_directions_do_not_flip() -> None:
    codes = np.array([[0.0, 0.0], [2.0, 4.0], [4.0, 8.0]])
    places, shares = principal_plane(codes)
    np.testing.assert_allclose(places[:, 0], np.sqrt(20) * np.array([-1, 0, 1]))
    np.testing.assert_allclose(shares, [1, 0], atol=1e-12)


def test_each_factor_has_a_panel_with_kinds_or_a_scale() -> None:
    figure = CodesMap().draw(entangled())
    panels = {axes.get_title(): axes for axes in figure.axes if axes.get_title()}
    assert list(panels) == ["shape", "orientation", "size"]
    legend = panels["shape"].get_legend()
    assert legend and [text.get_text() for text in legend.get_texts()] == ["0", "1", "2"]
    assert panels["orientation"].get_legend() is None
    assert panels["orientation"].collections[0].get_cmap().name == "cycle"
    assert len(panels["size"].collections) == 5


def test_chosen_latents_are_the_axes_and_the_most_used_one_fills_in() -> None:
    given = entangled()  # z0 has the largest KL.
    for params, labels in {
        (2, 1): ("z2", "z1"),
        (0, None): ("z0", "z1"),
        (None, 3): ("z0", "z3"),
    }.items():
        axes = CodesMap(x=params[0], y=params[1]).draw(given).axes[0]
        assert (axes.get_xlabel(), axes.get_ylabel()) == tuple(f"{one} (code)" for one in labels)


def test_unknown_factors_and_latents_are_refused_by_name() -> None:
    with pytest.raises(InvalidSpec, match=r"colour: .*shape, orientation, size.*'orientation'"):
        CodesMap(colour="orientatoin").draw(entangled())
    with pytest.raises(InvalidSpec, match="y: expected a latent, 0 to 3, got 4"):
        CodesMap(y=4).draw(entangled())
    with pytest.raises(ValidationError, match="x and y are for method plane"):
        CodesMap(method="pca", x=1)
    with pytest.raises(ValidationError, match="two different latents"):
        CodesMap(x=1, y=1)


def test_so_few_rows_as_are_asked_for_are_drawn() -> None:
    axes = CodesMap(colour="orientation", rows=50).draw(entangled()).axes[0]
    assert len(axes.collections[0].get_offsets()) == 50


def test_umap_of_a_few_rows_is_refused_before_it_is_compiled() -> None:
    with pytest.raises(NothingToDraw, match=r"at least 16 images, but there are 9; .*pca\.$"):
        CodesMap(method="umap").draw(entangled(rows=9))


@pytest.mark.slow
def test_umap_keeps_clusters_apart_and_is_the_same_each_time() -> None:
    draws = np.random.default_rng(0)
    factors = np.repeat([[0], [1]], 40, axis=0)
    given = material(20 * factors + draws.normal(size=(80, 4)), factors)
    places = []
    for _ in range(2):
        dots = CodesMap(method="umap").draw(given).axes[0].collections
        places.append([np.asarray(kind.get_offsets()) for kind in dots])
    np.testing.assert_array_equal(places[0], places[1])
    zero, one = places[0]
    apart = np.linalg.norm(zero.mean(0) - one.mean(0))
    assert apart > 2 * max(zero.std(0).max(), one.std(0).max())


# Interventional effects.


def test_conditional_means_by_hand() -> None:
    codes = np.array([[1.0, 0.0], [3.0, 0.0], [10.0, 5.0], [10.0, 7.0]])
    kinds, means, deviations = conditional(codes, np.array([4, 4, 9, 9]))
    assert list(kinds) == [4, 9]
    np.testing.assert_array_equal(means, [[2, 0], [10, 6]])
    np.testing.assert_array_equal(deviations, [[1, 0], [0, 1]])


def test_the_effect_is_the_range_of_the_conditional_mean_in_the_codes_own_deviations() -> None:
    factors = np.array(np.meshgrid([0, 1], range(4))).reshape(2, -1).T
    # z0 is 100 times the first factor, whose deviation is 1/2: range over deviation 2. z1 is
    # constant. z2 is the second factor, with the deviation sqrt(5/4): 3 / 1.118 = 2.7.
    codes = np.column_stack([100 * factors[:, 0], np.full(8, 3.0), factors[:, 1]])
    figure = InterventionalEffects().draw(material(codes, factors))
    assert texts(figure) == ["2.0", "0.0", "0.0", "0.0", "0.0", "2.7"]
    shape, _ = figure.axes
    [line, *_] = shape.lines
    assert list(line.get_ydata()) == [-1, 1]
    assert [label.get_text() for label in shape.get_xticklabels()] == ["z0", "z1", "z2"]


def test_the_most_used_latents_are_shown() -> None:
    given = entangled(latents=30)
    figure = InterventionalEffects(latents=5).draw(given)
    labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert labels == ["z0", "z1", "z2", "z3", "z4"]


def test_a_factor_of_many_values_is_cut_into_bins() -> None:
    factors = np.arange(1000)[:, None]
    figure = InterventionalEffects().draw(material(factors.astype(float), factors))
    [line, *_] = figure.axes[0].lines
    assert len(line.get_xdata()) == 50


# Prior samples.


def asked_latents(given: Material, **params: Any) -> tuple[np.ndarray, str]:
    asked: list[np.ndarray] = []

    def decode(latents: np.ndarray) -> np.ndarray:
        asked.append(latents)
        return given.decode(latents)

    figure = PriorSamples(**params).draw(dataclasses.replace(given, decode=decode))
    [latents] = asked
    return latents, figure.get_suptitle()


def test_prior_samples_are_standard_normal_and_the_same_for_the_same_seed() -> None:
    latents, title = asked_latents(entangled(), rows=20, columns=20)
    assert latents.shape == (400, 4) and latents.dtype == np.float32
    # 1600 numbers: their mean is within four of its errors, as is their deviation.
    assert abs(latents.mean()) < 0.1 and abs(latents.std() - 1) < 0.1
    np.testing.assert_array_equal(latents, asked_latents(entangled(), rows=20, columns=20)[0])
    assert (latents != asked_latents(entangled(), rows=20, columns=20, seed=1)[0]).all()
    assert "prior N(0, I)" in title
    np.testing.assert_allclose(latents[0, :2], FIRST_NUMBERS, rtol=1e-5)


FIRST_NUMBERS = [0.029914226, -0.32049]
"""Of seed 0: what people have seen must not change."""


def test_truncated_noise_keeps_its_order_within_the_bounds() -> None:
    noise = np.linspace(-6, 6, 101)
    moved = truncated(noise, 1.5)
    assert np.abs(moved).max() <= 1.5 and (np.diff(moved) > 0).all()
    assert moved[50] == pytest.approx(0, abs=1e-12)
    # A share of 0.975 of the normal lies below 1.96; of the one cut at 1, 0.975 below
    # the quantile of 0.158655 + 0.682689 * 0.975 = 0.824277.
    assert truncated(np.array([1.959964]), 1.0)[0] == pytest.approx(0.931791, abs=1e-4)
    np.testing.assert_allclose(truncated(noise[30:70], 10.0), noise[30:70], atol=1e-6)


def test_an_encoder_without_noise_samples_like_its_codes_and_says_so() -> None:
    given = entangled()
    codes = given.encoded.mean
    encoded = dataclasses.replace(given.encoded, kl=np.full_like(codes, np.nan))
    _, title = asked_latents(dataclasses.replace(given, encoded=encoded))
    assert "Gaussian fitted to the codes" in title.replace("\n", " ")
    # Noise whose mean is zero and whose covariance is the identity, exactly.
    noise = np.concatenate([np.eye(4), -np.eye(4)]) * 2.0
    moved = like(codes, noise)
    np.testing.assert_allclose(moved.mean(0), codes.mean(0), rtol=1e-5)
    np.testing.assert_allclose(np.cov(moved.T, bias=True), np.cov(codes.T, bias=True), rtol=1e-4)


def test_tiles_lie_row_after_row_on_white() -> None:
    images = np.array([0.1, 0.2, 0.3])[:, None, None, None] * np.ones((3, 2, 2, 1))
    sheet = tiles(images, 2, gap=1, below=1)[..., 0]
    expected = np.ones((7, 5))
    expected[0:2, 0:2], expected[0:2, 3:5], expected[4:6, 0:2] = 0.1, 0.2, 0.3
    np.testing.assert_allclose(sheet, expected, rtol=1e-6)
    assert tiles(images, 3, gap=0).shape == (2, 6, 1)
