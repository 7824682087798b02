"""Advice: for each piece of it a case where it must appear, and a near one where it must not."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest

from ml import score
from ml.components.registry import components
from ml.evaluation import advice
from ml.evaluation.advice import Advice, advise
from ml.metrics.protocol import NullDistribution, Score
from ml.objectives.protocol import Objective
from ml.spec.run_spec import RunSpec

GRID = np.indices((3, 6, 8)).reshape(3, -1).T.repeat(10, axis=0)
CLEAN = GRID + np.random.default_rng(0).normal(0, 0.05, GRID.shape)

ANGLES = np.random.default_rng(3).uniform(0, 360, (500, 1))
EIGHT = [0.3, 0.1, 0.9, 0.2, 0.4, 0.8, 0.7, 0.6]
BOTH_KINDS: dict[str, Any] = {"factor_kinds": ["discrete", "continuous"]}


@pytest.fixture(autouse=True)
def few_permutations(monkeypatch: pytest.MonkeyPatch) -> None:
    """Enough for a null to be told from what is clear of it."""
    monkeypatch.setattr("ml.metrics.information.information_metric.MOST_REPLICATES", 300)
    monkeypatch.setattr("ml.metrics.information.information_metric.REDRAWN_ENDS", 50)


def spec(objective: Any = "beta_vae", dataset: str = "digits", **training: Any) -> RunSpec:
    return RunSpec.parse({"dataset": dataset, "objective": objective, "training": training})


def mig_of(codes: np.ndarray, factors: np.ndarray, **options: Any) -> Score:
    (found,) = score(codes, factors, ["mig"], **options)
    return found


def of_file(
    codes: np.ndarray, factors: np.ndarray, metrics: Any = "mig", **options: Any
) -> list[Advice]:
    return advise(score(codes, factors, metrics, **options))


def last_kl(*values: float) -> dict[str, list[tuple[int, float | None]]]:
    return {f"kl_per_latent/{k}": [(1, 3.0), (9, value)] for k, value in enumerate(values)}


def falling(by: float) -> dict[str, list[tuple[int, float | None]]]:
    noise = np.random.default_rng(2).normal(0, 2, 200)
    return {"reconstruction": list(enumerate((200 - by * np.arange(200) + noise).tolist()))}


def on_a_ring() -> tuple[np.ndarray, np.ndarray]:
    """An angle as a factor, and as codes its cosine, its sine and itself."""
    angles = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    return np.c_[np.cos(angles), np.sin(angles), angles], angles[:, None]


def dependent(share: float) -> np.ndarray:
    """Two factors of four values, the second a copy of the first in so many rows."""
    draws = np.random.default_rng(0)
    one, other = draws.integers(0, 4, (2, 4000))
    return np.c_[one, np.where(draws.random(4000) < share, one, other)]


def noisy(
    noise: Callable[[np.random.Generator, tuple[int, ...]], np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """A code for each of two factors of five values, with such noise."""
    draws = np.random.default_rng(0)
    factors = draws.integers(0, 5, (4000, 2))
    return factors + noise(draws, factors.shape), factors


def rare_class() -> np.ndarray:
    """A code that is 0 but for five rows."""
    return (np.arange(len(GRID)) % 300 == 0).astype(float)[:, None]


def given_twice() -> tuple[np.ndarray, np.ndarray]:
    """Codes of noise and a factor, every row of which stands twice, side by side."""
    draws = np.random.default_rng(0)
    codes, factor = draws.normal(size=(150, 2)), draws.integers(0, 3, (150, 1))
    return codes.repeat(2, axis=0), factor.repeat(2, axis=0)


def posterior(kl: Sequence[float]) -> np.ndarray:
    """Log variances with which codes close to zero have these KLs."""
    found = np.empty((len(GRID), len(kl)))
    for column, wanted in enumerate(kl):
        # 0.5 (v - log v - 1) for v < 1
        places = np.linspace(-12, 0, 20_000)
        found[:, column] = places[np.abs(0.5 * (np.exp(places) - places - 1) - wanted).argmin()]
    return found


def known_to_an_unused(kl: float) -> list[Advice]:
    """The third latent keeps the third factor in a range of a hundredth."""
    codes = np.c_[0.3 * CLEAN[:, 0], 0.3 * CLEAN[:, 1], 1e-3 * CLEAN[:, 2]]
    codes -= codes.mean(0)
    return of_file(codes, GRID, posterior_logvar=posterior([2, 2, kl]))


def with_untrained(classes: int, *, shuffled: bool) -> list[Advice]:
    """A factor of which so many values stand in the last rows alone."""
    factors = np.c_[np.arange(400) % 5, np.arange(400) % 7]
    factors[300:, 1] = 7 + np.arange(100) % max(1, classes) if classes else factors[300:, 1]
    if shuffled:
        factors = np.random.default_rng(0).permutation(factors)
    return of_file(factors.astype(float), factors, {"name": "sap"}, factor_names=["a", "posX"])


def without_interval(classes: int) -> list[Advice]:
    factors = np.c_[np.arange(300) == 7 if classes == 1 else np.arange(300) % classes]
    factors = np.c_[factors, np.arange(300) % 3].astype(int)
    return of_file(np.random.default_rng(0).normal(size=(300, 3)), factors)


def twice(same: bool) -> list[Advice]:
    factors = np.c_[GRID, 9 - GRID[:, 0] if same else np.minimum(GRID[:, 0], 1)]
    return of_file(CLEAN, factors, factor_names=["shape", "x", "y", "form"])


class Case(NamedTuple):
    """Where a piece of advice must appear, with these words, and where it must not."""

    must: Callable[[], list[Advice]]
    words: Sequence[str]
    near: Callable[[], list[Advice]]
    near_words: Sequence[str] | None = None
    """By which it would be known there, where its numbers differ."""


ANNEALED = {"name": "annealed_vae", "anneal_steps": 200.0}
NAMES = ["shape", "scale", "x"]
SHARED = np.c_[GRID[:, 0], GRID[:, 0] + 0.01, GRID[:, 1], GRID[:, 2]]
NARROW = np.full(SHARED.shape, -6.0)
SPLIT = np.c_[GRID[:, 0], np.where(GRID[:, 0] > 1, 1, 0), GRID[:, 1], GRID[:, 2]]
VALUES = np.random.default_rng(0).integers(0, 40, (4000, 1))

CASES: dict[str, list[Case]] = {
    "_unreached": [
        Case(
            lambda: advise([], spec=spec(ANNEALED, steps=100)),
            ["objective.anneal_steps is 200 of 100 steps", "only grows to 12.4 of 25"],
            lambda: advise([], spec=spec(ANNEALED, steps=200)),
            ["anneal_steps"],
        ),
        Case(
            lambda: advise([], spec=spec(steps=100, schedule={"name": "warm_up", "over": 101})),
            ["training.schedule.over is 101", "only rises to 0.98"],
            lambda: advise([], spec=spec(steps=101, schedule={"name": "warm_up", "over": 101})),
            ["training.schedule.over"],
        ),
    ],
    "_unused_latents": [
        Case(
            lambda: advise([], curves=last_kl(2.0, 0.001)),
            ["1 of 2 latents are unused (z1)"],
            lambda: advise([], curves=last_kl(2.0, 0.011)),
            ["unused"],
        ),
        Case(
            lambda: advise([], curves=last_kl(0.0, 0.001)),
            ["all 2 latents have collapsed", "no score of these codes means anything"],
            lambda: advise([], curves=last_kl(0.02, 0.001)),
            ["collapsed"],
        ),
        Case(
            lambda: advise([], curves=last_kl(2.0, 0.001), latent_names={1: "smile"}),
            ["(z1 smile)"],
            lambda: advise([], curves=last_kl(2.0, 0.001), latent_names={0: "smile"}),
            ["smile"],
        ),
        Case(
            lambda: known_to_an_unused(0.001),
            ["1 of 3 latents are unused (z2)", "on the rows scored"],
            lambda: known_to_an_unused(0.02),
            ["latents are unused"],
        ),
    ],
    "_undertrained": [
        Case(
            lambda: advise([], curves=falling(0.5)),
            ["still falling", "train for more steps"],
            lambda: advise([], curves=falling(0.0)),
            ["still falling"],
        ),
        Case(
            lambda: advise([], curves=falling(0.5)),
            ["still falling"],
            lambda: advise([], curves={"reconstruction": falling(0.5)["reconstruction"][:10]}),
        ),
    ],
    "_not_recoverable": [
        Case(
            lambda: advise(
                [mig_of(CLEAN, GRID, factor_names=["shape", "orientation", "posX"])],
                spec=spec(dataset="dsprites"),
            ),
            ["orientation of dsprites cannot be told fully"],
            lambda: advise(
                [mig_of(CLEAN, GRID, factor_names=["a", "b", "c"])], spec=spec(dataset="dsprites")
            ),
            ["cannot be told fully"],
        ),
    ],
    "_equal_factors": [
        Case(
            lambda: twice(same=True),
            ["shape and form are one factor given twice", "leave all but one of them out"],
            lambda: twice(same=False),
            ["given twice"],
        ),
        Case(
            lambda: of_file(CLEAN, np.c_[GRID[:, 0], GRID[:, 0], GRID[:, 0]]),
            ["factor_0 and factor_1 and factor_2 are one factor given 3 times"],
            # Any two columns that differ in every row would tell each other's rows.
            lambda: of_file(CLEAN[:40], np.random.default_rng(0).normal(size=(40, 2))),
            ["one factor given"],
        ),
        Case(
            # Degrees, radians, and counted the other way round.
            lambda: of_file(ANGLES, np.c_[ANGLES, np.deg2rad(ANGLES), 360 - ANGLES]),
            ["factor_0 and factor_1 and factor_2 are one factor given 3 times"],
            lambda: of_file(ANGLES, np.c_[ANGLES, np.sin(np.deg2rad(ANGLES))]),
            ["one factor given"],
        ),
        Case(
            lambda: of_file(ANGLES[:12], np.c_[ANGLES, -ANGLES][:12]),
            ["one factor given twice"],
            # Any two rows stand in one order, or in the opposite one.
            lambda: of_file(ANGLES[:2], np.c_[ANGLES[:2], ANGLES[2:4]]),
            ["one factor given"],
        ),
        Case(
            lambda: of_file(CLEAN, np.c_[GRID[:, 2], np.array(EIGHT)[GRID[:, 2]]], **BOTH_KINDS),
            ["factor_0 and factor_1 are one factor given twice"],
            lambda: of_file(CLEAN, GRID[:, 1:].astype(float), **BOTH_KINDS),
            ["one factor given"],
        ),
    ],
    "_untrained_classes": [
        Case(
            lambda: with_untrained(3, shuffled=False),
            ["3 of 10 classes of posX have no training row", "100% of the test", "shuffle"],
            lambda: with_untrained(3, shuffled=True),
            ["no training row"],
        ),
        Case(
            # Each of sixty values in two rows, of which some are test rows both.
            lambda: of_file(
                np.random.default_rng(1).normal(size=(120, 2)),
                np.random.default_rng(1).permutation(np.repeat(np.arange(60), 2))[:, None],
                {"name": "sap"},
                uncertainty=False,
            ),
            ["have no training row", "give more rows of its rare classes"],
            lambda: with_untrained(0, shuffled=False),
            ["no training row"],
        ),
        Case(
            lambda: with_untrained(3, shuffled=False),
            ["no training row"],
            # Nothing is predicted of a test row.
            lambda: of_file(
                np.arange(400.0)[:, None],
                np.arange(400)[:, None] // 10,
                {"name": "sap", "predictor": "correlation"},
            ),
        ),
    ],
    "_inside_null": [
        Case(
            lambda: of_file(np.random.default_rng(1).normal(size=GRID.shape), GRID, seed=1),
            ["mig 0.0", "lies inside its null", "300 permutations", "know nothing of the factors"],
            lambda: of_file(CLEAN, GRID),
            ["lies inside its null"],
        ),
        Case(
            # Permuted factors keep each other's company, and modularity has no scale.
            lambda: of_file(dependent(0.7).astype(float), dependent(0.7), ["modularity"]),
            ["lies inside its null", "codes that are the factors themselves get no more"],
            lambda: of_file(dependent(0.7).astype(float), dependent(0.7), ["modularity"]),
            ["cannot be told from codes that know nothing"],
        ),
    ],
    "_rows_twice": [
        Case(
            lambda: of_file(*given_twice(), "sap", train_rows=201, uncertainty=False),
            ["test rows stand among the training rows", "give each image once"],
            # All rows of an image in one part.
            lambda: of_file(*given_twice(), "sap", train_rows=200, uncertainty=False),
            ["stand among the training rows"],
        ),
        Case(
            lambda: of_file(*given_twice()),
            ["150 of 300 rows repeat another one"],
            lambda: of_file(*(part[::2] for part in given_twice())),
            ["repeat"],
        ),
    ],
    "_little_kept": [
        Case(
            lambda: of_file(*on_a_ring(), groups=[2, 1], uncertainty=False),
            ["has only 50% of z0..z1, by variance", "group_by importance"],
            # Any group of one code keeps it.
            lambda: of_file(*on_a_ring(), groups=[1, 1, 1], uncertainty=False),
            ["principal component"],
        ),
    ],
    "_decided_by_extremes": [
        Case(
            lambda: of_file(*noisy(lambda draws, shape: draws.standard_t(2, shape))),
            ["few extremes decide", "99% of the rows lie in ", " of the range of z0", "more bins"],
            lambda: of_file(*noisy(lambda draws, shape: draws.standard_normal(shape))),
            ["extremes"],
        ),
        Case(
            # One value far out is enough, on few rows too.
            lambda: of_file(np.vstack([CLEAN[::10], [1e3, 0.0, 0.0]]), np.r_[GRID[::10], GRID[:1]]),
            ["of the range of z0, which leaves them no more than 2 of 20 bins"],
            lambda: of_file(CLEAN[::10], GRID[::10]),
            ["extremes"],
        ),
        Case(
            lambda: of_file(rare_class() + np.linspace(0, 0.01, 1440)[:, None], GRID),
            ["of the range of z0"],
            # A code of a rare class is cut into its two values, as it should be.
            lambda: of_file(rare_class(), GRID),
            ["extremes"],
        ),
        Case(
            lambda: of_file(*noisy(lambda draws, shape: draws.standard_t(2, shape)), "jemmig"),
            ["few extremes decide"],
            lambda: of_file(
                *noisy(lambda draws, shape: draws.standard_t(2, shape)),
                {"name": "jemmig", "bins": 1000},
            ),
            ["extremes"],
        ),
    ],
    "_on_perfect_codes": [
        Case(
            lambda: of_file(
                dependent(0.77).astype(float), dependent(0.77), factor_names=["shape", "x"]
            ),
            ["get mig 0.468 on these rows", "tells 53%", "hold mig against 0.468"],
            lambda: of_file(dependent(0.1).astype(float), dependent(0.1)),
            ["factors themselves"],
        ),
        Case(
            lambda: of_file(VALUES.astype(float), VALUES, factor_names=["orientation"]),
            # log 20 / log 40 = 0.812
            ["get mig 0.813", "20 bins holds at most 0.81 of orientation"],
            lambda: of_file(VALUES.astype(float), VALUES, {"name": "mig", "bins": 40}),
            ["factors themselves"],
        ),
        Case(
            lambda: of_file(
                np.random.default_rng(0).normal(size=(200, 4)),
                np.random.default_rng(1).integers(0, 18, (200, 2)),
            ),
            ["200 rows are few, by chance alone factor_"],
            lambda: of_file(
                np.random.default_rng(0).normal(size=(4000, 4)),
                np.random.default_rng(1).integers(0, 18, (4000, 2)),
            ),
            ["rows are few", "factors themselves"],
        ),
        Case(
            # Of values between others, no line singles out one.
            lambda: of_file(CLEAN, GRID, "sap"),
            ["factors themselves get sap 0."],
            lambda: of_file(CLEAN, GRID, {"name": "sap", "predictor": "linear_regression"}),
            ["factors themselves"],
        ),
    ],
    "_shared_factor": [
        Case(
            lambda: of_file(SHARED, GRID, factor_names=NAMES),
            ["two latents know shape", "z0 holds 100%", "z1 100%"],
            lambda: of_file(SPLIT[:, [0, 2, 3]], GRID, factor_names=NAMES),
            ["two latents know"],
        ),
        Case(
            lambda: of_file(SHARED, GRID, "rmig", factor_names=NAMES),
            ["two latents know shape", "the gap that rmig measures"],
            # It asks of latents what they know, not of factors who knows them.
            lambda: of_file(SHARED, GRID, "mig_sup", factor_names=NAMES),
            ["two latents know"],
        ),
        Case(
            lambda: of_file(SHARED, GRID, "aam", factor_names=NAMES, posterior_logvar=NARROW),
            ["two latents know shape", "the gap that aam measures"],
            lambda: of_file(SHARED, GRID, "mig_sup", factor_names=NAMES, posterior_logvar=NARROW),
            ["two latents know"],
        ),
        Case(
            lambda: of_file(SHARED, GRID, code_names=["latent_3", "latent_7", "b", "c"]),
            ["latent_3 holds 100%", "latent_7 100%"],
            lambda: of_file(SHARED, GRID, code_names=["latent_3", "latent_7", "b", "c"]),
            ["z0", "z1"],
        ),
        Case(
            lambda: known_to_an_unused(0.001),
            ["z2 is unused", "KL of 0.001", "still follows factor_2", "codes: [sample]"],
            lambda: known_to_an_unused(0.02),
            ["is unused"],
        ),
        Case(
            lambda: of_file(SHARED, GRID),
            ["two latents know"],
            # Few rows make noise look alike.
            lambda: of_file(
                np.random.default_rng(0).normal(size=(200, 4)),
                np.random.default_rng(1).integers(0, [40, 32], (200, 2)),
            ),
            ["two latents know", "depend on each other"],
        ),
    ],
    "_without_uncertainty": [
        Case(
            lambda: without_interval(1),
            ["constant in", "more rows of what is rare"],
            lambda: without_interval(2),
            ["comes without"],
        ),
    ],
}


LOGISTIC = {"name": "dci", "predictor": "logistic_regression"}
LASSO = {"name": "dci", "predictor": "lasso"}


def misled(
    factors: np.ndarray, metrics: Any, codes: np.ndarray | None = None, **options: Any
) -> list[Advice]:
    """Advice on scores of the factors themselves, with some noise, or of such codes."""
    draws = np.random.default_rng(5)
    if codes is None:
        codes = factors + 0.1 * draws.normal(size=factors.shape)
    return of_file(codes, factors, metrics, uncertainty=False, **options)


def random_factors(*sizes: int, rows: int = 4000) -> np.ndarray:
    return np.random.default_rng(6).integers(0, sizes, (rows, len(sizes)))


def frequent(share: float) -> np.ndarray:
    """Three factors of four values, one of which has so large a share of the rows."""
    rest = (1 - share) / 3
    return np.random.default_rng(7).choice(4, (4000, 3), p=[share, rest, rest, rest])


def among(latents: int, metrics: Any, *, constant: bool) -> tuple[np.ndarray, Any, np.ndarray]:
    """Codes of two factors beside others, which are noise or constant, as `misled` takes them."""
    draws, factors = np.random.default_rng(8), random_factors(4, 5)
    others = draws.normal(size=(4000, latents - 2)) * (not constant)
    codes = np.c_[factors + 0.1 * draws.normal(size=factors.shape), others]
    return factors, metrics, codes


CASES["_misleading"] = [
    Case(
        lambda: misled(dependent(0.77), LOGISTIC, factor_names=["shape", "x"]),
        [
            "factors depend on each other, ",
            "tells 53% of ",
            "in the known world 'correlated 80%' perfect codes get disentanglement of"
            " dci:predictor=logistic_regression 0.7 in place of 0.98",
            "not misled there",
        ],
        lambda: misled(dependent(0.1), LOGISTIC),
        ["depend on each other"],
    ),
    Case(
        # What is measured on these very rows is said once.
        lambda: misled(dependent(0.77), "mig"),
        ["mig 0.468 on these rows", "hold mig against 0.468", "or see ", "not misled there"],
        lambda: misled(dependent(0.77), "mig"),
        ["known world"],
    ),
    Case(
        lambda: misled(dependent(0.77), [LOGISTIC]),
        ["known world"],
        # Its certificate holds there.
        lambda: misled(dependent(0.77), [LASSO]),
        ["known world"],
    ),
    Case(
        lambda: misled(frequent(0.85), LOGISTIC),
        [
            "are unbalanced, one has 8",
            "in the known worlds 'unbalanced noise', 'unbalanced'",
            "codes that know nothing get disentanglement of dci:predictor=logistic_regression 0.27"
            " in place of 0.046, informativeness_train",
            "read them beside their nulls",
        ],
        lambda: misled(frequent(0.3), LOGISTIC),
        ["unbalanced"],
    ),
    Case(
        lambda: misled(random_factors(40, 4), LOGISTIC),
        [
            "factor_0 has 40 values",
            "'40 values' perfect codes get informativeness_train of",
            "informativeness_test of dci:predictor=logistic_regression 0.79 in place of 1",
        ],
        lambda: misled(random_factors(20, 4), LOGISTIC),
        ["values'", "misled"],
    ),
    Case(
        lambda: misled(random_factors(200, 4, rows=8000), "explicitness"),
        ["factor_0 has 200 values", "'200 values' perfect codes get explicitness_test"],
        # It bears 40 values.
        lambda: misled(random_factors(40, 4), "explicitness"),
        ["known world"],
    ),
    Case(
        lambda: misled(random_factors(4, 3, rows=150), LASSO),
        [
            "rows are few, 37.5 for each of the 4 values of factor_0",
            "codes that know nothing get disentanglement of dci:predictor=lasso 1 in place of 0",
            "give more rows",
        ],
        lambda: misled(random_factors(4, 3, rows=1500), LASSO),
        ["rows are few"],
    ),
    Case(
        lambda: misled(random_factors(50, 3, rows=2400), LASSO),
        ["rows are few, 48 for each of the 50 values"],
        # Ten times the rows of the world in which it misleads.
        lambda: misled(random_factors(80, 3, rows=3600), LASSO),
        ["rows are few"],
    ),
    Case(
        lambda: misled(np.random.default_rng(4).random((800, 3)), LASSO),
        [
            "rows are few, 40 for each of the 20 bins of factor_0",
            # Without bins it would refuse these factors.
            "disentanglement of dci:predictor=gradient_boosting:factor_bins=",
        ],
        lambda: misled(random_factors(20, 3, rows=800), LASSO),
        [" bins of", "factor_bins"],
    ),
    Case(
        lambda: misled(*among(8, "mig_sup", constant=False)),
        [
            "there are 8 codes for 2 factors",
            "perfect codes beside noise get mig_sup 0.2 in place of 1",
            "leave out codes that the model does not use",
        ],
        lambda: misled(*among(5, "mig_sup", constant=False)),
        ["codes for 2 factors"],
    ),
    Case(
        lambda: misled(*among(8, ["mig_sup", "mig"], constant=False)),
        ["mig_sup 0.2 in place of 1"],
        # A gap between the best two codes of a factor bears any number of others.
        lambda: misled(*among(8, "mig", constant=False)),
        ["known world"],
    ),
    Case(
        lambda: misled(*among(4, "modularity", constant=True)),
        [
            "2 of 4 codes are constant",
            "codes beside constant ones get modularity 0.5 in place of 1",
            "leave constant codes out",
        ],
        lambda: misled(*among(4, "modularity", constant=False)),
        ["constant"],
    ),
    Case(
        lambda: misled(np.random.default_rng(4).random((2000, 3)), LOGISTIC | {"factor_bins": 10}),
        [
            "3 factors of these rows are continuous",
            "'continuous' perfect codes get disentanglement of dci:predictor=logistic_regression",
        ],
        lambda: misled(np.random.default_rng(4).random((2000, 3)), LASSO),
        ["continuous"],
    ),
]


def said(found: list[Advice]) -> str:
    return "\n".join(f"{one.about}: {one.reason}. {one.suggestion}" for one in found)


def cases() -> Iterator[Any]:
    for piece, several in CASES.items():
        for place, case in enumerate(several):
            yield pytest.param(case, id=f"{piece}-{place}")


@pytest.mark.parametrize("case", list(cases()))
def test_a_piece_of_advice_appears_where_it_must_and_not_in_a_near_case(case: Case) -> None:
    found = said(case.must())
    assert [word for word in case.words if word not in found] == [], found
    near = said(case.near())
    unwanted = case.words if case.near_words is None else case.near_words
    assert [word for word in unwanted if word in near] == [], near


def test_every_piece_of_advice_has_a_case() -> None:
    pieces = {
        name
        for name, function in vars(advice).items()
        if inspect.isfunction(function)
        and function.__annotations__.get("return") == "Iterator[Advice]"
    }
    assert set(CASES) == pieces


QUICK = [
    *("mig", "mig_sup", "rmig", "jemmig", "dcimig", "modularity", "med", "explicitness"),
    *({"name": "dci", "predictor": name} for name in ("lasso", "linear", "logistic_regression")),
]


@pytest.mark.parametrize("sizes", [(10, 10, 10, 8, 4, 15), (4, 6, 8), (3, 18, 5, 10, 2)])
def test_no_score_misleads_on_balanced_and_independent_factors(sizes: tuple[int, ...]) -> None:
    assert misled(random_factors(*sizes, rows=8000), QUICK) == []


def test_scores_that_perfect_codes_cannot_lead_for_one_reason_are_told_together() -> None:
    factors = random_factors(40, 4, rows=8000)
    names = ["mig", "dcimig", "jemmig", "mig_sup"]
    told = misled(factors, names, factors.astype(float))
    [found] = [one for one in told if "factors themselves" in one.reason]
    assert [name for name in names if f"{name} 0." in found.reason] == names, found
    assert found.reason.count("of factor_0") == 1 and found.about == "rows"
    # Each kind of score has its own alternatives, and none that noise makes high.
    assert "see what is not misled there: in place of mig" in found.suggestion
    assert "; in place of mig_sup mcc:correlation=" in found.suggestion
    assert "lasso" not in found.suggestion


def test_nothing_is_said_of_a_good_score() -> None:
    curves = {"reconstruction": [(step, 50.0 + (step % 3)) for step in range(100)], **last_kl(2.0)}
    assert advise([mig_of(CLEAN, GRID)], curves=curves, spec=spec(steps=100)) == []


@pytest.mark.parametrize(("value", "told"), [(0.9, True), (0.1, False)])
def test_an_error_inside_its_null_is_told_by_its_direction(value: float, told: bool) -> None:
    codes = np.random.default_rng(0).normal(size=GRID.shape)
    one = mig_of(codes, GRID).model_copy(
        update={
            "name": "distance",
            "metric": "dci",
            "value": value,
            "higher_is_better": False,
            "null": NullDistribution(mean=0.85, std=0.01, replicates=3),
        }
    )
    assert ("distance" in [found.about for found in advise([one])]) is told


COLLAPSED = {
    "vae": ("vae has no param that could be turned for it", None),
    "beta_vae": ("lower objective.beta (4)", "let beta grow from zero"),
    "annealed_vae": ("raise objective.capacity (25)", None),
    "beta_tcvae": ("lower objective.beta (6) or objective.gamma (1) or", "let beta grow"),
    "factor_vae": ("lower objective.gamma (30)", "let gamma grow"),
    "info_vae": ("raise objective.alpha (0)", None),
    "dip_vae_i": ("raise objective.lambda_d (100)", None),
    "dip_vae_ii": ("dip_vae_ii has no param that could be turned for it", None),
    "ada_gvae": ("lower objective.beta (1)", "let beta grow from zero"),
    "ada_ml_vae": ("lower objective.beta (1)", "let beta grow from zero"),
    "semi_supervised": ("lower objective.beta (1)", "let beta grow from zero"),
}
"""What a collapsed model of each objective is told; those without a KL never collapse so."""


@pytest.mark.parametrize("name", components("objective"))
def test_a_collapsed_model_is_told_to_turn_params_that_its_objective_has(name: str) -> None:
    if name not in COLLAPSED:
        assert name in ("ae", "wae_mmd")
        return
    given = spec(name)
    [found] = advise([], spec=given, curves=last_kl(0.0, 0.0))
    change, growth = COLLAPSED[name]
    assert change in found.suggestion
    assert ("grow from zero" in found.suggestion) == (growth is not None)
    assert growth is None or growth in found.suggestion
    assert isinstance(given.objective, Objective)
    for weight in given.objective.kl_weights():
        assert weight.param in type(given.objective).model_fields
        assert weight.coefficient in given.objective.coefficients(pixels=64, latents=10)


def test_what_is_done_already_is_not_suggested() -> None:
    """A weight of zero cannot be lowered, alpha 1 leaves no KL, and beta grows as it is."""
    curves = last_kl(0.0, 0.0)
    [zero] = advise([], spec=spec({"name": "beta_vae", "beta": 0}), curves=curves)
    assert "no param that could be turned" in zero.suggestion
    [whole] = advise([], spec=spec({"name": "info_vae", "alpha": 1}), curves=curves)
    assert "no param that could be turned" in whole.suggestion
    [norm] = advise([], spec=spec({"name": "beta_vae", "beta_norm": 0.5}), curves=curves)
    assert "objective.beta_norm (0.5)" in norm.suggestion
    growing = spec(coefficients={"beta": {"name": "warm_up", "over": 10}})
    [grown] = advise([], spec=growing, curves=curves)
    assert "lower objective.beta" in grown.suggestion and "grow" not in grown.suggestion
