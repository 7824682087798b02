"""Scores of every image of a complete grid: worked by hand, and as the limit of sampled ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ml import evaluate, train
from ml.codes.rows import Rows
from ml.components.spec_errors import InvalidSpec
from ml.datasets.choices import Choices, choose
from ml.datasets.dataset import UNKNOWN, Dataset, NoPopulation
from ml.evaluation.evaluate import score_rows
from ml.evaluation.population import GridCodes, encode_grid, population_rows
from ml.evaluation.score import metric_of
from ml.metrics.protocol import Score
from ml.networks.model import CHUNK, Model
from ml.recorder import Progress, Silent, Stopped, Wish
from ml.spec.evaluation_spec import RunEvaluation
from ml.spec.identity import evaluation_key
from ml.spec.run_spec import RunSpec
from ml.studies.comparable import Comparing

INFORMATION = ("mig", "rmig", "mig_sup", "jemmig", "dcimig", "modularity", "med")
SIZES = (4, 5, 30)


def grid(sizes: tuple[int, ...] = SIZES, **other: Any) -> Dataset:
    images = int(np.prod(sizes))
    values: dict[str, Any] = {
        "name": "small",
        "storage": np.random.default_rng(0).integers(0, 256, (images, 16, 16, 1), dtype=np.uint8),
        "image_shape": (16, 16, 1),
        "factor_names": tuple("abc"[: len(sizes)]),
        "factor_sizes": sizes,
        "labels": "grid",
        "source": "made",
    }
    return Dataset(**values | other)


def coded(data: Dataset, codes: np.ndarray) -> Rows:
    """The rows of these codes of every image, whose posteriors have the width 1."""
    means = codes.astype(np.float32)
    return population_rows(GridCodes(means, np.zeros_like(means), "chosen", data.source), data)


def scores(rows: Rows, *metrics: str) -> Mapping[str, Score]:
    return {one.name: one for one in score_rows(rows, [metric_of(name) for name in metrics])}


@pytest.fixture(scope="module")
def model() -> Model:
    return train(spec(), data=grid())


def spec(**evaluation: Any) -> dict[str, Any]:
    return {
        "dataset": "dsprites",
        "model": {"name": "mlp", "hidden": [8], "latent_dim": 3},
        "objective": "beta_vae",
        "training": {"steps": 3, "batch_size": 8},
        "evaluation": evaluation,
    }


def test_a_grid_of_four_images_counted_by_hand() -> None:
    data = grid((2, 2))
    a, b = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]).T
    # Each factor has a code of its own. The third knows both together and neither alone.
    found = scores(coded(data, np.stack([a, b, a ^ b], axis=1)), "mig", "modularity", "mig_sup")
    assert [found[name].value for name in ("mig", "modularity", "mig_sup")] == pytest.approx(
        [1, 2 / 3, 2 / 3]
    )
    # The null is of all pairings: by 16 of the 24 permutations of four rows, no code knows `a`.
    null = found["mig"].null
    assert null is not None and null.replicates == 1000
    for one in found.values():
        assert one.population and one.rows == 4 and one.ci95 == (one.value, one.value)


def test_closed_forms_on_a_lattice() -> None:
    data = grid((4, 5))
    a, b = np.indices((4, 5)).reshape(2, -1)
    # Twenty values in twenty bins, so the first code tells both factors. The second is `a`.
    found = scores(coded(data, np.stack([5 * a + b, a], axis=1)), *INFORMATION)
    ln4, ln5 = np.log(4), np.log(5)
    expected = {
        "mig": (0 + 1) / 2,
        "rmig": (0 + ln5) / 2,
        "modularity": ((1 - ln4**2 / ln5**2) + 1) / 2,
        "mig_sup": (0 + 1) / 2,
    }
    assert {name: found[name].value for name in expected} == pytest.approx(expected)
    assert all(found[name].population for name in INFORMATION)


def test_scores_of_samples_go_to_the_populations() -> None:
    data, draws = grid((4, 5, 200)), np.random.default_rng(0)
    factors = data.factors(slice(None))
    assert factors is not None
    rows = coded(data, factors / (1.5, 2.0, 40.0) + draws.normal(size=factors.shape))
    metrics = [metric_of(name) for name in INFORMATION]

    def deviation(samples: int) -> np.ndarray:
        """The root mean square distance of a sample's scores from the population's."""
        apart = []
        for _ in range(12):
            part = rows.take(draws.permutation(len(rows))[:samples], samples)
            apart.append(
                [one.values(part)[one.name] - one.values(rows)[one.name] for one in metrics]
            )
        found: np.ndarray = np.sqrt(np.square(apart).mean(0))
        return found

    few, many, whole = deviation(250), deviation(2500), deviation(len(rows))
    assert (few > 1.5 * many).all() and (many > 0).all()
    # The sums are of the same counts, in whichever order the rows come.
    np.testing.assert_array_equal(whole, 0)


def test_factors_of_a_single_value_are_left_out_and_the_rest_is_a_population() -> None:
    data = choose(grid(), Choices(only={"b": (2,)}))
    rows = coded(data, np.random.default_rng(0).normal(size=(len(data), 2)))
    assert rows.population and rows.factor_names == ("a", "c") and rows.factor_sizes == (4, 30)
    assert rows.factors_left_out == ("b",)


SHUFFLED = np.random.default_rng(0).permutation(20)
LABELS = np.stack(np.unravel_index(SHUFFLED, (4, 5)), axis=1)
TWICE = LABELS.copy()
TWICE[0] = TWICE[1]
UNCERTAIN = LABELS.copy()
UNCERTAIN[3, 0] = UNKNOWN


def test_a_grid_in_any_order_is_a_population() -> None:
    data = grid((4, 5), labels=LABELS)
    assert not data.is_grid
    data.check_population()
    codes = np.random.default_rng(0).normal(size=(20, 2))
    in_order = np.empty_like(codes)
    in_order[SHUFFLED] = codes
    one, other = scores(coded(data, codes), "mig"), scores(coded(grid((4, 5)), in_order), "mig")
    assert one["mig"].value == pytest.approx(other["mig"].value)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (grid((4, 5), labels=TWICE), "20 images have only 19 of 20 combinations"),
        (grid((4, 5), labels=UNCERTAIN), "1 of 20 images have an unknown factor"),
        (choose(grid(), Choices(images=50)), "50 images for 480 combinations"),
        (choose(grid(), Choices(keep_factors=("a", "c"))), "600 images for 120 combinations"),
        (
            grid((4, 5), labels=LABELS / 2, factor_kinds=("discrete", "continuous")),
            "factor b is continuous",
        ),
        (grid((4, 5), labels=None), "no factors"),
    ],
)
def test_what_is_no_complete_grid_is_refused_with_what_was_found(
    data: Dataset, message: str, model: Model
) -> None:
    with pytest.raises(NoPopulation, match=message) as refused:
        evaluate(model, data, ["mig"], rows="all")
    assert "evaluation.rows" in str(refused.value) and "small" in str(refused.value)
    assert not data.is_population()


@pytest.mark.parametrize(
    ("dataset", "reason"),
    [
        ("digits", "digits is no complete grid"),
        ("smallnorb", "smallnorb is no complete grid"),
        ({"name": "dsprites", "images": 1000}, "dataset.images draws"),
        ({"name": "dsprites", "without": "leave_one_out"}, "dataset.without holds out"),
        ({"name": "dsprites", "keep_factors": ["shape", "posX"]}, "leaves out scale"),
        ("dsprites", None),
        ({"name": "smallnorb", "instance": True}, None),
        ({"name": "dsprites", "without": "extrapolation"}, None),
        ({"name": "dsprites", "only": {"scale": [1, 3]}}, None),
        (
            {"name": "dsprites", "keep_factors": ["posX", "shape", "scale", "posY"]}
            | {"only": {"orientation": [3]}},
            None,
        ),
    ],
)
def test_a_spec_that_can_have_no_population_is_refused_at_once(
    dataset: Any, reason: str | None
) -> None:
    asked = {**spec(rows="all"), "dataset": dataset}
    if reason is None:
        assert RunSpec.parse(asked).evaluation.scores_population()
        return
    with pytest.raises(InvalidSpec, match=reason) as refused:
        RunSpec.parse(asked)
    assert [fault.path for fault in refused.value.faults] == ["evaluation.rows"]
    RunSpec.parse({**asked, "evaluation": {"rows": 100}})


@pytest.mark.parametrize("rows", [1, "every", 2.5, 10**9, None])
def test_other_rows_are_refused_in_one_message(rows: Any) -> None:
    with pytest.raises(InvalidSpec) as refused:
        RunEvaluation.parse({"rows": rows})
    (fault,) = refused.value.faults
    assert (fault.path, fault.expected) == ("rows", "a whole number from 2 to 1000000, or all")


def test_evaluations_from_before_keep_their_key() -> None:
    asked = ({}, {"rows": "all"})
    keys = [evaluation_key(RunSpec.parse(spec(metrics=[], **of))) for of in asked]
    assert keys[0] == "54ee0ceb08a5d974c81b445544a419431b5bad4691d91359d86b0d96339aa8eb"
    assert keys[1] != keys[0]


def test_metrics_score_every_image_if_they_can_and_the_usual_rows_if_not(model: Model) -> None:
    data = grid()
    asked = ["mig", {"name": "sap", "predictor": "correlation"}, "elbo"]
    both = ["mean", "sample"]
    found = evaluate(model, data, asked, codes=both, rows="all", uncertainty=False)
    usual = evaluate(model, data, asked, codes=both, rows=10_000, uncertainty=False)
    kinds = {(one.name, one.codes): (one.population, one.rows) for one in found}
    # 600 images are fewer than 15,000 rows, so they are divided in proportion.
    assert kinds[("mig", "mean")] == (True, 600) and kinds[("mig", "sample")] == (False, 400)
    assert kinds[("sap", "mean")] == (False, 600)
    for one, other in zip(found, usual, strict=True):
        if not one.population:
            assert (one.name, one.value, one.rows) == (other.name, other.value, other.rows)
    mig = found[0]
    expected = metric_of("mig").values(coded(data, encode_grid(model, data).mean))
    assert mig.value == expected["mig"] and len(mig.details["kl_per_latent"]) == 3


@pytest.mark.parametrize("codes", [["sample"], ["sample", "mean"], ["mean", "sample"]])
def test_what_the_posterior_gives_is_of_the_population_whichever_codes_are_scored(
    model: Model, codes: Any
) -> None:
    asked = RunEvaluation.parse({"metrics": ["elbo_decomposition"], "codes": codes, "rows": "all"})
    assert asked.scores_population()
    names = ["elbo_decomposition", "active_units"]
    found = evaluate(model, grid(), names, codes=codes, rows="all", uncertainty=False)
    kinds = {(one.metric, one.codes): one.population for one in found}
    assert kinds.pop(("elbo_decomposition", codes[0])) is True
    assert kinds == {("active_units", kind): kind == "mean" for kind in codes}


def test_a_wrong_choice_is_told_before_it_is_held_against_a_population() -> None:
    dataset = {"name": "dsprites", "only": {"angle": [0]}, "keep_factors": ["shape"]}
    with pytest.raises(InvalidSpec) as refused:
        RunSpec.parse({**spec(rows="all"), "dataset": dataset})
    assert [fault.path for fault in refused.value.faults] == ["dataset.only.angle"]


def test_a_grid_is_encoded_in_chunks_as_rows_are_and_kept_as_it_was(model: Model) -> None:
    data, heard = grid(), []

    class Told(Silent):
        def progress(self, progress: Progress) -> Wish:
            heard.append((progress.stage, progress.step, progress.steps))
            return Wish.CONTINUE

    codes = encode_grid(model, data, recorder=Told())
    ends = range(CHUNK, 600 + CHUNK, CHUNK)
    assert heard == [("encoding", min(end, 600), 600) for end in ends]
    assert codes.mean.dtype == codes.log_variance.dtype == np.float32
    kept = GridCodes.from_npz(codes.to_npz())
    np.testing.assert_array_equal(kept.mean, codes.mean)
    np.testing.assert_array_equal(kept.log_variance, codes.log_variance)
    assert kept.are_of(data, "chosen") and not kept.are_of(data, "all")
    assert not kept.are_of(replace(data, source="other"), "chosen")
    assert codes.to_npz() == encode_grid(model, data).to_npz()


def test_encoding_a_grid_can_be_stopped(model: Model) -> None:
    class Stopping(Silent):
        def progress(self, progress: Progress) -> Wish:
            return Wish.PAUSE

    with pytest.raises(Stopped):
        encode_grid(model, grid(), recorder=Stopping())


def test_a_population_is_not_compared_with_a_sample_of_as_many_rows() -> None:
    rows = coded(grid((4, 5)), np.random.default_rng(0).normal(size=(20, 2)))
    whole = scores(rows, "mig")["mig"]
    sample = scores(replace(rows, population=False, shared={}), "mig")["mig"]
    comparing = Comparing(RunSpec.parse(spec()).document())
    assert whole.rows == sample.rows == 20
    assert comparing.score(whole) != comparing.score(sample)
    assert "population" not in comparing.score(sample)


def test_a_grid_is_encoded_only_if_a_metric_scores_all_of_it() -> None:
    def asks(**asked: Any) -> bool:
        return RunSpec.parse(spec(**asked)).evaluation.scores_population()

    assert asks(rows="all", metrics=["dci", "mig"])
    assert not asks(rows="all", metrics=["dci", "mig"], codes=["sample"])
    assert not asks(rows="all", metrics=["dci", "elbo"])
    assert not asks(metrics=["mig"])
