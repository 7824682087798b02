import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from ml.components.registry import components
from ml.evaluation.encode import EncodedRows
from ml.objectives.posteriors.diagonal_gaussian import DiagonalGaussian
from ml.objectives.posteriors.traversals import most_typical
from ml.plots.of_models.traversal import Traversal
from ml.plots.of_training.objective_terms import ObjectiveTerms
from ml.plots.protocol import Material, NothingToDraw, RunPlot, png


def material(*, latents: int = 3, factors: int = 2, rows: int = 40, channels: int = 1) -> Material:
    draws = np.random.default_rng(0)
    codes = draws.normal(size=(rows, latents)).astype(np.float32)
    encoded = EncodedRows(
        index=np.arange(rows),
        factors=draws.integers(0, 3, size=(rows, factors)),
        mean=codes,
        log_variance=np.zeros_like(codes),
        sample=codes,
        kl=np.abs(codes),
        reconstruction=np.arange(rows, dtype=np.float32),
        train_rows=np.array(rows // 2),
    )
    return Material(
        title="a model",
        decode=lambda z: (
            np.clip(np.abs(z[:, :1, None, None]), 0, 1) * np.ones((len(z), 8, 8, channels))
        ),
        posterior=DiagonalGaussian(),
        encoded=encoded,
        factor_names=tuple("abcdefg"[:factors]),
        images=lambda index: np.zeros((len(index), 8, 8, channels)),
        scalars={"loss": [(1, 9.0), (2, 7.0)], "kl_per_latent/0": [(1, 0.0)]},
        frames=5,
    )


def draw(name: str, given: Material) -> Image.Image:
    plot = components("plot")[name].model_validate({"name": name})
    assert isinstance(plot, RunPlot)
    image = Image.open(io.BytesIO(png(plot.draw(given))))
    image.load()
    return image


RUN_PLOTS = [name for name, plot in components("plot").items() if issubclass(plot, RunPlot)]

AWKWARD = {
    "plain": material(),
    "one latent, one factor": material(latents=1, factors=1),
    "no factors": material(factors=0),
    "a hundred latents": material(latents=100),
    "two rows in colour": material(rows=2, channels=3),
}


@pytest.mark.parametrize("case", AWKWARD)
@pytest.mark.parametrize("name", RUN_PLOTS)
def test_every_plot_draws_on_the_awkward(name: str, case: str) -> None:
    try:
        image = draw(name, AWKWARD[case])
    except NothingToDraw as nothing:
        # Said in a sentence, and no plot that every run must have.
        assert not components("plot")[name].early and str(nothing).endswith(".")
        return
    assert image.format == "PNG" and image.width > 200
    assert len(set(image.convert("L").resize((64, 64)).tobytes())) > 1  # Not a blank sheet.


@pytest.mark.parametrize("name", RUN_PLOTS)
def test_the_same_material_gives_the_same_file(name: str) -> None:
    plot = components("plot")[name].model_validate({"name": name})
    assert isinstance(plot, RunPlot)
    try:
        first = png(plot.draw(material()))
    except NothingToDraw:
        return
    assert first == png(plot.draw(material()))


def test_curves_cope_with_a_run_that_has_none() -> None:
    given = material()
    draw("curves", Material(**{**vars(given), "scalars": {}}))


def test_a_traversal_moves_one_latent_through_its_quantiles_and_no_other() -> None:
    given = material()
    asked: list[np.ndarray] = []

    def decode(latents: np.ndarray) -> np.ndarray:
        asked.append(latents.copy())
        return given.decode(latents)

    draw("traversal", Material(**{**vars(given), "decode": decode}))
    codes, kl = given.encoded.mean, given.encoded.kl.mean(0)
    base = codes[most_typical(codes)]
    [decoded] = asked
    np.testing.assert_array_equal(decoded[0], base)
    rows = decoded[1:].reshape(3, 5, 3)
    for row, latent in zip(rows, np.argsort(-kl), strict=True):
        others = np.delete(row, latent, axis=1)
        np.testing.assert_array_equal(others, np.tile(np.delete(base, latent), (5, 1)))
        np.testing.assert_allclose(
            row[:, latent],
            np.quantile(codes[:, latent], [0.01, 0.255, 0.5, 0.745, 0.99]),
            rtol=1e-5,
        )


def test_the_most_typical_row_is_the_one_nearest_to_the_mean() -> None:
    codes = np.array([[0.0, 5.0], [9.0, 0.0], [1.0, 1.0], [-6.0, -2.0]])
    assert most_typical(codes) == 2


FALLING = [(step, 100.0 - step) for step in range(1, 51)]


@pytest.mark.parametrize(
    ("tags", "panels"),
    [
        ([], ["no curves"]),
        (["loss", "reconstruction", "gradient_norm"], ["reconstruction (nats)"]),
        (
            ["reconstruction", "kl", "elbo", "kl_per_latent/0", "kl_per_latent/1", "capacity"],
            ["negative ELBO (nats)", "KL of each latent (nats)"],
        ),
        (["total_correlation"], ["total correlation, estimated (nats)"]),
        (
            ["mutual_information", "total_correlation", "dimension_wise_kl"],
            ["parts of the KL, estimated (nats)"],
        ),
        (
            ["discriminator_accuracy", "discriminator_loss", "discriminator_gradient_norm"],
            ["discriminator accuracy", "discriminator loss"],
        ),
    ],
)
def test_objective_terms_have_a_panel_for_what_is_logged(
    tags: list[str], panels: list[str]
) -> None:
    given = Material(**{**vars(material()), "scalars": dict.fromkeys(tags, FALLING)})
    figure = ObjectiveTerms().draw(given)
    shown = [axes for axes in figure.axes if axes.get_title()]
    assert [axes.get_title() for axes in shown] == panels
    drawn = [len(axes.lines) + len(axes.collections) for axes in shown]
    assert all(count > 0 for count in drawn) or not tags


def test_the_negative_elbo_is_stacked_of_reconstruction_and_kl() -> None:
    curves = {"reconstruction": FALLING, "kl": [(step, 7.0) for step, _ in FALLING]}
    given = Material(**{**vars(material()), "scalars": curves})
    [axes, *_] = ObjectiveTerms().draw(given).axes
    tops = [layer.get_paths()[0].vertices[:, 1].max() for layer in axes.collections]
    assert tops == [99.0, 106.0]


def test_a_traversal_of_an_encoder_without_noise_is_ordered_by_deviation() -> None:
    given = material()
    encoded = dataclasses.replace(given.encoded, kl=np.full_like(given.encoded.kl, np.nan))
    figure = Traversal().draw(Material(**{**vars(given), "encoded": encoded}))
    [axes] = figure.axes
    labels = [text.get_text() for text in axes.texts if text.get_text().startswith("z")]
    deviations = encoded.mean.std(axis=0)
    order = np.argsort(-deviations)
    assert labels == [f"z{latent}  sd {deviations[latent]:.2f}" for latent in order]


def test_what_falls_below_zero_is_drawn_as_lines() -> None:
    curves = {"reconstruction": [(1, 5.0), (2, -3.0)], "kl": [(1, 1.0), (2, 2.0)]}
    given = Material(**{**vars(material()), "scalars": curves})
    [axes, *_] = ObjectiveTerms().draw(given).axes
    assert [line.get_ydata()[-1] for line in axes.lines] == [-3.0, 2.0]
    assert not axes.collections
