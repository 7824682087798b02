import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch.distributions import Bernoulli, Normal, kl_divergence

from ml import evaluate, score, train
from ml.components.registry import components
from ml.datasets.dataset import Dataset
from ml.datasets.protocol import dataset
from ml.datasets.resident import ResidentImages
from ml.evaluation.encode import (
    EncodedRows,
    OtherData,
    check_same_data,
    draw_rows,
    encode_rows,
    evaluation_rows,
)
from ml.networks.model import Model
from ml.plots.pictures import draw_pictures
from ml.plots.protocol import RunPlot
from ml.recorder import Progress, Silent, Stopped, Wish
from ml.spec.parts import Evaluation

DIGITS = dataset("digits")


@pytest.fixture(scope="module")
def model() -> Iterator[Model]:
    spec: dict[str, Any] = {
        "dataset": "digits",
        "model": {"name": "burgess", "latent_dim": 4},
        "objective": {"name": "beta_vae", "beta": 8},
        "training": {"steps": 5, "batch_size": 8},
        "evaluation": {"rows": 300, "test_rows": 100},
    }
    yield train(spec, data=DIGITS)


@pytest.mark.parametrize(
    ("images", "rows", "test_rows"), [(1797, 1000, 500), (15_000, 10_000, 5_000)]
)
def test_no_image_is_drawn_twice(images: int, rows: int, test_rows: int) -> None:
    index, train = draw_rows(images, rows=rows, test_rows=test_rows, seed=0)
    assert (len(index), train) == (rows + test_rows, rows)
    assert len(np.unique(index)) == len(index) and index.min() >= 0 and index.max() < images


def test_a_small_set_is_drawn_whole_and_split_in_proportion() -> None:
    index, train_rows = draw_rows(1797, rows=10_000, test_rows=5_000, seed=0)
    assert sorted(index) == list(range(1797)) and train_rows == 1198
    assert draw_rows(1797, rows=10, test_rows=50_000, seed=0)[1] == 1
    assert not np.array_equal(index, draw_rows(1797, rows=10_000, test_rows=5_000, seed=1)[0])


def test_codes_of_noise_score_no_better_than_chance() -> None:
    # One code an image, as an encoder gives: what is drawn twice is known by heart.
    draws = np.random.default_rng(0)
    codes, factors = draws.normal(size=(300, 3)), draws.integers(0, 4, (300, 1))
    index, train = draw_rows(300, rows=200, test_rows=100, seed=0)
    found = score(codes[index], factors[index], "dci", train_rows=train, uncertainty=False)
    [accuracy] = [one.value for one in found if one.name == "informativeness_test"]
    assert accuracy == pytest.approx(0.25, abs=0.1)


def shown_twice(images: int, pictures: int) -> Dataset:
    """Digits under several indices each, but for a few at the end."""
    chosen = np.r_[np.arange(images) % pictures, np.arange(pictures, pictures + 7)]
    storage, labels = DIGITS.storage[chosen], DIGITS.labels[chosen]
    return dataclasses.replace(DIGITS, storage=storage, labels=labels)


@pytest.mark.parametrize(("rows", "test_rows"), [(60, 30), (1000, 500), (3, 300)])
@pytest.mark.parametrize("pictures", [100, 90, 1])
def test_pictures_that_are_equal_stand_in_one_part(
    pictures: int, rows: int, test_rows: int
) -> None:
    data = shown_twice(200, pictures)
    asked = Evaluation(rows=rows, test_rows=test_rows)
    index, train = evaluation_rows(data, asked)
    drawn, wanted = draw_rows(len(data), rows=rows, test_rows=test_rows, seed=0)
    assert sorted(index) == sorted(drawn)
    fitted, tested = (
        {one.tobytes() for one in data.storage[part]} for part in (index[:train], index[train:])
    )
    assert fitted and not fitted & tested
    # A part is as large as it was asked to be, unless one picture is larger.
    assert train == wanted or pictures == 1


def test_where_no_pictures_are_equal_rows_stand_as_they_were_drawn() -> None:
    asked = Evaluation(rows=300, test_rows=100)
    index, train = evaluation_rows(DIGITS, asked)
    drawn, wanted = draw_rows(1797, rows=300, test_rows=100, seed=0)
    assert index.tolist() == drawn.tolist() and train == wanted


def test_encoded_rows_are_what_the_networks_say_one_by_one(model: Model) -> None:
    encoded = encode_rows(model, DIGITS, model.spec.evaluation)
    assert encoded.mean.shape == (400, 4) and int(encoded.train_rows) == 300
    row = 37
    image = ResidentImages(DIGITS, torch.device("cpu")).gather(encoded.index[row : row + 1])
    one = model.encode(image)
    np.testing.assert_allclose(encoded.mean[row], one.mean[0], atol=1e-5)
    posterior = Normal(
        torch.from_numpy(one.mean[0]), torch.from_numpy(np.exp(0.5 * one.log_variance[0]))
    )
    np.testing.assert_allclose(encoded.kl[row], kl_divergence(posterior, Normal(0, 1)), atol=1e-5)
    logits = model.logits(torch.from_numpy(encoded.sample[row : row + 1]))
    cost = -Bernoulli(logits=logits, validate_args=False).log_prob(image).sum()
    assert encoded.reconstruction[row] == pytest.approx(cost.item(), rel=1e-5)
    assert encoded.factors[row].tolist() == DIGITS.factors(encoded.index[row : row + 1])[0].tolist()


def test_encoded_rows_survive_their_file_and_equal_rows_are_equal_files(model: Model) -> None:
    encoded = encode_rows(model, DIGITS, model.spec.evaluation)
    again = EncodedRows.from_npz(encoded.to_npz())
    assert all(np.array_equal(getattr(again, name), value) for name, value in vars(encoded).items())
    assert again.to_npz() == encoded.to_npz()


def test_a_model_survives_its_file(model: Model) -> None:
    again = Model.from_bytes(model.to_bytes())
    assert again.spec == model.spec and again.steps == 5
    latents = np.random.default_rng(0).normal(size=(3, 4))
    np.testing.assert_array_equal(again.decode(latents), model.decode(latents))
    assert again.to_bytes() == model.to_bytes()


def test_decoding_gives_pixel_means_and_refuses_other_shapes(model: Model) -> None:
    images = model.decode(np.zeros((2, 4)))
    assert images.shape == (2, 64, 64, 1) and images.min() >= 0 and images.max() <= 1
    with pytest.raises(ValueError, match=r"\(samples, 4\), got \(2, 3\)"):
        model.decode(np.zeros((2, 3)))


def test_elbo_is_the_mean_over_the_test_rows(model: Model) -> None:
    encoded = encode_rows(model, DIGITS, model.spec.evaluation)
    scores = {s.name: s for s in evaluate(model, DIGITS, ["elbo"], rows=300, test_rows=100)}
    reconstruction, kl = encoded.reconstruction[300:].mean(), encoded.kl[300:].sum(1).mean()
    assert scores["reconstruction"].value == pytest.approx(reconstruction, rel=1e-5)
    assert scores["kl"].value == pytest.approx(kl, rel=1e-5)
    assert scores["elbo"].value == pytest.approx(-(reconstruction + kl), rel=1e-5)
    assert scores["elbo"].rows == 100 and scores["elbo"].train_rows is None


def test_neither_less_kl_nor_more_is_better(model: Model) -> None:
    scores = {s.name: s for s in evaluate(model, DIGITS, ["elbo"], rows=300, test_rows=100)}
    better = {name: one.higher_is_better for name, one in scores.items()}
    assert better == {"elbo": True, "reconstruction": False, "kl": None}


def test_a_score_tells_the_rows_that_predictors_were_fitted_on(model: Model) -> None:
    linear = {"name": "dci", "predictor": "logistic_regression"}
    for asked, fitted in ((300, 300), (30_000, 1348)):
        scores = evaluate(
            model, DIGITS, ["mig", linear], rows=asked, test_rows=asked // 3, uncertainty=False
        )
        assert {one.metric: one.train_rows for one in scores} == {"mig": None, "dci": fitted}


def test_an_encoder_without_noise_has_a_reconstruction_and_no_elbo(
    recwarn: pytest.WarningsRecorder,
) -> None:
    spec = {
        "dataset": "digits",
        "model": {"name": "mlp", "hidden": [8], "latent_dim": 2},
        "objective": "ae",
        "training": {"steps": 2, "batch_size": 8},
    }
    found = evaluate(train(spec, data=DIGITS), DIGITS, ["elbo", "mig"], rows=200, test_rows=50)
    scores = {score.name: score for score in found}
    assert scores["reconstruction"].value is not None
    assert scores["reconstruction"].ci95 is not None
    for name in ("elbo", "kl"):
        assert scores[name].value is None
        assert "no posterior" in (scores[name].error or "")
    assert scores["mig"].value is not None
    assert not [one for one in recwarn if issubclass(one.category, RuntimeWarning)]


def test_what_one_metric_cannot_do_is_its_error_and_no_others(model: Model) -> None:
    # Two rows that show the same digit: the factor is constant.
    one_class = np.flatnonzero(DIGITS.factors(slice(None))[:, 0] == 3)
    only_threes = dataset("digits").__class__(
        **{**vars(DIGITS), "storage": DIGITS.storage[one_class], "labels": DIGITS.labels[one_class]}
    )
    scores = evaluate(model, only_threes, ["mig", "elbo"], rows=50, test_rows=20)
    by_name = {score.name: score for score in scores}
    assert by_name["mig"].value is None and "ConstantFactor: factor 'digit'" in by_name["mig"].error
    assert by_name["elbo"].value is not None and by_name["elbo"].error is None


def test_a_factor_that_the_data_set_has_with_one_value_is_left_out(model: Model) -> None:
    labels = np.c_[np.zeros(len(DIGITS), dtype=np.int64), DIGITS.labels]
    with_colour = {
        "factor_names": ("colour", "digit"),
        "factor_sizes": (1, 10),
        "factor_kinds": ("discrete", "discrete"),
        "labels": labels,
    }
    restricted = DIGITS.__class__(**{**vars(DIGITS), **with_colour})
    metrics = ["mig", "elbo", {"name": "dci", "predictor": "linear"}]
    found, same = (
        {score.name: score for score in evaluate(model, data, metrics, rows=300, test_rows=100)}
        for data in (restricted, DIGITS)
    )
    for name, one in found.items():
        assert (one.error, one.value, one.null) == (
            same[name].error,
            same[name].value,
            same[name].null,
        )
    # A single factor cannot be told from others; the rest of DCI and its null stand.
    assert found["disentanglement"].value is None and found["completeness"].null is not None
    assert found["mig"].details["factors"] == ["digit"]
    assert found["mig"].details["factors_left_out"] == ["colour"]
    assert "factors_left_out" not in {**found["elbo"].details, **same["mig"].details}
    # One that varies in the data and not on these rows is still an error.
    accident = {**vars(restricted), "factor_sizes": (2, 10)}
    (wrong,) = evaluate(model, DIGITS.__class__(**accident), ["mig"], rows=300, test_rows=100)
    assert wrong.error is not None and "ConstantFactor: factor 'colour'" in wrong.error


def test_a_data_set_of_factors_with_one_value_each_says_so(model: Model) -> None:
    constant = {"factor_sizes": (1,), "labels": np.zeros((len(DIGITS), 1), dtype=np.int64)}
    data = DIGITS.__class__(**{**vars(DIGITS), **constant})
    mig, *elbo = evaluate(model, data, ["mig", "elbo"], rows=300, test_rows=100)
    assert mig.error is not None and mig.error.endswith("codes with; digit has a single value")
    assert all(score.value is not None for score in elbo)


@pytest.mark.parametrize(("rows", "test_rows"), [(2, 1), (3, 1), (2, 3)])
def test_a_few_rows_do_not_end_an_evaluation(model: Model, rows: int, test_rows: int) -> None:
    metrics = ["elbo", "mig", "sap", {"name": "dci", "predictor": "linear"}]
    scores = evaluate(model, DIGITS, metrics, rows=rows, test_rows=test_rows)
    by_name = {score.name: score for score in scores}
    assert by_name["elbo"].value is not None
    if test_rows == 1:
        assert by_name["elbo"].ci95 is None
        assert "1 row cannot" in by_name["elbo"].details["without_uncertainty"]


def test_means_and_samples_are_scored_apart_and_the_posterior_once(model: Model) -> None:
    scores = evaluate(
        model, DIGITS, ["mig", "elbo"], codes=["mean", "sample"], rows=300, test_rows=100
    )
    assert [(score.name, score.codes) for score in scores] == [
        ("mig", "mean"), ("elbo", "mean"), ("reconstruction", "mean"), ("kl", "mean"),
        ("mig", "sample"),
    ]  # fmt: skip
    assert scores[0].value != scores[4].value


def test_a_plot_that_fails_takes_no_other_with_it(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no ink")

    monkeypatch.setattr("ml.plots.of_training.curves.Curves.draw", fail)
    encoded = encode_rows(model, DIGITS, model.spec.evaluation)
    drawn = set(draw_pictures(model, DIGITS, encoded, {}))
    early = {
        name
        for name, plot in components("plot").items()
        if issubclass(plot, RunPlot) and plot.early
    }
    assert "curves" in early and drawn == early - {"curves"}


def test_where_no_image_has_all_its_factors_the_pictures_are_drawn_without_them(
    model: Model,
) -> None:
    storage = DIGITS.storage[:40]
    labels = np.full((40, 2), -1.0)
    labels[:20, 0], labels[20:, 0], labels[20:, 1] = np.arange(20) % 3, np.nan, np.arange(20) % 2
    named = dataclasses.replace(
        DIGITS,
        storage=storage,
        labels=labels,
        factor_names=("lean", "size"),
        factor_sizes=(3, 2),
        factor_kinds=("continuous", "discrete"),
    )
    encoded = encode_rows(model, named, model.spec.evaluation)
    assert encoded.factors.shape == (40, 0)
    assert "traversal" in draw_pictures(model, named, encoded, {})


def test_data_that_have_changed_since_training_are_refused() -> None:
    check_same_data(DIGITS, {"dataset": {"source": DIGITS.source}})
    check_same_data(DIGITS, None)
    check_same_data(DIGITS, {"dataset": {"source": None}})
    with pytest.raises(OtherData, match=f"trained on abc, but they now hold {DIGITS.source}"):
        check_same_data(DIGITS, {"dataset": {"source": "abc"}})


def test_encoding_can_be_stopped(model: Model) -> None:
    class Impatient(Silent):
        def progress(self, progress: Progress) -> Wish:
            return Wish.CANCEL

    with pytest.raises(Stopped):
        encode_rows(model, DIGITS, model.spec.evaluation, Impatient())
