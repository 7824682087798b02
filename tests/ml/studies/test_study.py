"""Runs beside each other: rows, columns and their names, and settings."""

import dataclasses
import itertools
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.metrics.protocol import NullDistribution, Score
from ml.studies.study import RunResult, StudyRun, study
from tests.ml.many_runs import SPEC, a_run, a_score, a_sweep

PLAIN = st.sampled_from([None, False, True, 0, 1, 1.0, 0.5, 20, "lasso", "linear"])


def columns_of(*scores: Score) -> list[str]:
    """Names of the columns of a run with these scores."""
    return list(study("", [a_run({}, scores=scores)]).columns)


def one_row(result: RunResult) -> StudyRun:
    [row] = study("", [result]).runs
    return row


def swept_of(*places: dict[str, Any]) -> list[dict[str, Any]]:
    """What each run's row says of its place in the sweep."""
    return [dict(run.swept) for run in study("", [a_run(place) for place in places]).runs]


def test_rows_are_in_the_order_of_the_sweep() -> None:
    sweep = {"objective.beta": [4, 1], "model.latent_dim": [10, 5], "seed": [1, 0]}
    found = a_sweep(sweep, lambda place: {"mig": 0.1}, name="betas")
    assert found.name == "betas"
    assert found.paths == ("objective.beta", "model.latent_dim", "seed")
    # As pandas takes the product of the same values.
    index = pd.MultiIndex.from_product(sweep.values(), names=list(sweep))
    frame = pd.DataFrame(found.rows())
    assert frame[list(sweep)].values.tolist() == index.to_frame().values.tolist()


def test_a_row_has_its_run_then_what_was_swept_then_the_numbers_then_its_error() -> None:
    done = a_run({"objective.beta": 2, "seed": 7}, {"mig": 0.5, "final.loss": 3.0})
    failed = a_run({"objective.beta": 4, "seed": 7}, state="failed", error="no memory")
    found = study("", [done, failed])
    first, second = found.rows()
    assert list(first.items()) == [
        ("run_id", "r-2-7"),
        ("state", "succeeded"),
        ("train_id", "tr-2-7"),
        ("objective.beta", 2),
        ("seed", 7),
        ("mig", 0.5),
        ("final.loss", 3.0),
        ("error", None),
    ]
    assert list(second) == list(first)
    assert (second["mig"], second["final.loss"], second["error"]) == (None, None, "no memory")


def test_columns_are_the_scores_in_their_order_and_then_the_ends_of_curves() -> None:
    runs = [
        a_run({"seed": 0}, {"sap": 0.1, "mig": 0.2, "final.kl": 1.0}),
        a_run({"seed": 1}, {"dci.completeness": 0.3, "mig": 0.4, "final.loss": 2.0}),
    ]
    found = study("", runs)
    scores = ["sap", "mig", "dci.completeness"]
    assert list(found.columns) == [*scores, "final.loss", "final.kl"]
    assert found.score_columns == scores


def test_other_scalars_than_loss_reconstruction_and_kl_have_no_column() -> None:
    found = study("", [a_run({}, final={"kl/latent_0": 1.0, "reconstruction": 2.0})])
    assert list(found.columns) == list(found.runs[0].values) == ["final.reconstruction"]


def test_a_column_says_what_its_number_is() -> None:
    score = a_score(
        "jemmig",
        0.2,
        higher_is_better=False,
        range=(0, None),
        perfect=0,
        params={"name": "jemmig", "bins": 20},
    )
    found = study("", [a_run({}, scores=[score], final={"loss": 1.0})]).columns
    column = found["jemmig"]
    assert (column.name, column.metric, column.definition) == ("jemmig", "jemmig", "jemmig@1")
    assert (column.higher_is_better, column.range, column.perfect) == (False, (0, None), 0)
    assert column.params == {"bins": 20}
    loss = found["final.loss"]
    assert (loss.name, loss.metric, loss.higher_is_better) == ("final.loss", None, None)


def test_a_name_is_the_metric_and_its_number_where_that_has_another_name() -> None:
    params = {"name": "mig", "bins": 20}
    assert columns_of(
        a_score("mig", 0.1, params=params),
        a_score("dci.disentanglement", 0.2),
        a_score("dci.completeness", 0.3),
    ) == ["mig", "dci.disentanglement", "dci.completeness"]


@pytest.mark.parametrize(
    ("first", "second", "names"),
    [
        pytest.param(
            {"params": {"predictor": "lasso", "cv": 3}},
            {"params": {"predictor": "linear", "cv": 3}},
            ["dci[predictor=lasso].disentanglement", "dci[predictor=linear].disentanglement"],
            id="a-param",
        ),
        pytest.param(
            {"codes": "mean"},
            {"codes": "sample"},
            ["dci[codes=mean].disentanglement", "dci[codes=sample].disentanglement"],
            id="codes",
        ),
        pytest.param(
            {"rows": 100, "codes": "mean", "params": {"cv": 3, "repeats": 1}},
            {"rows": 200, "codes": "sample", "params": {"cv": 5, "repeats": 2}},
            [
                "dci[codes=mean,cv=3,repeats=1,rows=100].disentanglement",
                "dci[codes=sample,cv=5,repeats=2,rows=200].disentanglement",
            ],
            id="several-in-the-order-of-the-alphabet",
        ),
        pytest.param(
            {"train_rows": 80},
            {"train_rows": 60},
            ["dci[train_rows=80].disentanglement", "dci[train_rows=60].disentanglement"],
            id="training-rows",
        ),
        pytest.param(
            {"factors": ["shape", "scale"]},
            {"factors": ["shape"]},
            ["dci[factors=shape+scale].disentanglement", "dci[factors=shape].disentanglement"],
            id="the-factors-judged",
        ),
        pytest.param(
            {"definition": "dci@1"},
            {"definition": "dci@2"},
            ["dci[definition=dci@1].disentanglement", "dci[definition=dci@2].disentanglement"],
            id="definition",
        ),
        pytest.param(
            {"params": {"cv": 3}},
            {"params": {"cv": 3, "repeats": None}},
            ["dci.disentanglement", "dci[repeats=None].disentanglement"],
            id="a-param-that-one-does-not-have",
        ),
        pytest.param(
            {"params": {"rows": 5}},
            {"params": {"rows": 6}},
            ["dci[params.rows=5].disentanglement", "dci[params.rows=6].disentanglement"],
            id="a-param-named-as-what-every-score-has",
        ),
    ],
)
def test_brackets_tell_what_two_variants_differ_in(
    first: dict[str, Any], second: dict[str, Any], names: list[str]
) -> None:
    one, other = (
        a_score("dci.disentanglement", value, **told)
        for value, told in ((0.25, first), (0.75, second))
    )
    row = one_row(a_run({}, scores=[one, other]))
    assert row.values == dict(zip(names, (0.25, 0.75), strict=True))
    # In two runs, of two experiments for instance, they are as far apart as in one.
    runs = [a_run({"seed": 0}, scores=[one]), a_run({"seed": 1}, scores=[other])]
    found = study("", runs)
    assert list(found.columns) == names
    assert [run.values for run in found.runs] == [{names[0]: 0.25}, {names[1]: 0.75}]


def test_scores_of_other_draws_of_as_many_rows_are_one_column() -> None:
    runs = [
        a_run({"seed": seed}, scores=[a_score("mig", 0.5, seed=seed), a_score("sap", 0.5)])
        for seed in (0, 1)
    ]
    assert list(study("", runs).columns) == ["mig", "sap"]


def test_a_sweep_over_data_sets_or_likelihoods_has_a_column_for_each_that_compares() -> None:
    def place(likelihood: str, deviation: float | None, dataset: str = "digits") -> RunResult:
        training = {"likelihood": likelihood, "pixel_deviation": deviation}
        spec = {
            "dataset": {"name": dataset},
            "training": training,
            "objective": {"name": "vae"},
            "seed": 0,
        }
        values = {"elbo": 1.0, "elbo.reconstruction": 2.0, "elbo.kl": 3.0, "mig": 0.5}
        ends = {"final.loss": 4.0, "final.reconstruction": 5.0, "final.kl": 6.0}
        return a_run({"training.likelihood": likelihood}, values | ends, spec=spec)

    likelihoods = [("bernoulli", None), ("gaussian", None), ("gaussian", 1.0), ("gaussian", 0.1)]
    found = study("", [place(*one) for one in likelihoods])
    told = [
        "likelihood=bernoulli",
        *(f"likelihood=gaussian,pixel_deviation={x}" for x in (1.0, 0.1)),
    ]
    assert [name for name in found.columns if name.startswith(("elbo", "mig"))] == [
        *(f"elbo[{told[0]}]", f"elbo[{told[0]}].reconstruction", "elbo.kl", "mig"),
        *(f"elbo[{one}]{number}" for one in told[1:] for number in ("", ".reconstruction")),
    ]
    ends = [name for name in found.columns if name.startswith("final")]
    assert sorted(ends) == sorted(
        ["final.kl", *(f"final[{one}].{tag}" for one in told for tag in ("loss", "reconstruction"))]
    )
    # A deviation of null is one of 1.
    assert found.runs[1].values == found.runs[2].values
    assert found.like("elbo.kl") == ["elbo.kl"] and len(found.like(f"elbo[{told[0]}]")) == 3

    small = {"name": "digits", "size": 32}
    runs = [place("bernoulli", None), place("bernoulli", None, "dsprites")]
    runs.append(dataclasses.replace(runs[0], spec={**runs[0].spec, "dataset": small}))
    assert {name for name in study("", runs).columns if name.startswith("mig")} == {
        "mig[dataset=digits]",
        "mig[dataset=dsprites]",
        "mig[dataset=digits,dataset.size=32]",
    }


def test_only_the_numbers_that_have_variants_have_brackets() -> None:
    assert columns_of(
        a_score("mig", 0.1, rows=100),
        a_score("mig", 0.2, rows=200),
        a_score("sap", 0.3, rows=100),
    ) == ["mig[rows=100]", "mig[rows=200]", "sap"]


@settings(deadline=None, derandomize=True)
@given(
    st.lists(
        st.tuples(
            st.dictionaries(st.sampled_from(["bins", "cv", "seed"]), PLAIN, max_size=3),
            st.sampled_from(["mean", "sample"]),
            st.integers(1, 2),
        ),
        min_size=1,
        max_size=6,
        unique_by=repr,
    )
)
def test_variants_never_share_a_column(variants: list[tuple[dict[str, Any], str, int]]) -> None:
    scores = [
        a_score("mig", float(place), params=dict(sorted(params.items())), codes=codes, rows=rows)
        for place, (params, codes, rows) in enumerate(variants)
    ]
    different = {repr((one.params, one.codes, one.rows)) for one in scores}
    assert len(columns_of(*scores)) == len(different)


def test_the_same_variant_is_one_column_in_whatever_order_its_params_are() -> None:
    runs = [
        a_run({"seed": 0}, scores=[a_score("mig", 0.1, params={"bins": 20, "cv": 3})]),
        a_run({"seed": 1}, scores=[a_score("mig", 0.2, params={"cv": 3, "bins": 20})]),
    ]
    assert [run.value("mig") for run in study("", runs).runs] == [0.1, 0.2]


def test_components_become_dotted_paths_to_plain_values() -> None:
    places: list[dict[str, Any]] = [
        {"objective": {"name": "beta_vae", "beta": 4}, "seed": 0},
        {"objective": {"name": "annealed_vae", "capacity": {"name": "steps", "to": 25}}, "seed": 0},
        {"objective": "factor_vae", "seed": 0},
    ]
    assert swept_of(*places) == [
        {"objective.name": "beta_vae", "objective.beta": 4, "seed": 0},
        {
            "objective.name": "annealed_vae",
            "objective.capacity.name": "steps",
            "objective.capacity.to": 25,
            "seed": 0,
        },
        {"objective.name": "factor_vae", "seed": 0},
    ]
    found = study("", [a_run(place) for place in places])
    assert found.paths == (
        "objective.name",
        "objective.beta",
        "seed",
        "objective.capacity.name",
        "objective.capacity.to",
    )
    assert [row["objective.beta"] for row in found.rows()] == [4, None, None]


def test_names_alone_stay_at_their_path() -> None:
    places = [{"objective": "beta_vae"}, {"objective": "factor_vae"}]
    assert swept_of(*places) == places


def test_lists_are_told_as_their_text() -> None:
    places = [
        {"model.encoder": {"name": "mlp", "hidden": [64, 32]}, "seed": 0},
        {"model.encoder": {"name": "mlp", "hidden": []}, "seed": 0},
    ]
    assert [place["model.encoder.hidden"] for place in swept_of(*places)] == ["[64, 32]", "[]"]


def test_a_score_without_a_value_has_its_reason() -> None:
    scores = [
        a_score("mig", None, error="factor 2 is constant"),
        a_score("sap", None, error=None),
        a_score("dci.completeness", 0.5),
    ]
    row = one_row(a_run({}, scores=scores))
    why = [row.missing(name) for name in ("mig", "sap", "dci.completeness", "modularity")]
    assert why == ["factor 2 is constant", "no reason was recorded", None, None]
    assert (row.value("mig"), row.value("sap"), row.value("dci.completeness")) == (None, None, 0.5)


def test_a_run_has_its_numbers_by_column_and_none_of_others() -> None:
    row = one_row(a_run({}, {"mig": 0.0, "final.kl": 2.0}))
    assert [row.value(name) for name in ("mig", "final.kl", "final.loss", "sap")] == [
        0.0,
        2.0,
        None,
        None,
    ]


def test_a_run_keeps_its_nulls_and_what_its_spec_says() -> None:
    null = NullDistribution(mean=0.25, std=0.5, replicates=3)
    row = one_row(
        a_run(
            {},
            scores=[a_score("mig", 0.5, (0.25, 0.5)), a_score("sap", 0.5, None)],
            spec={**SPEC, "objective": {"name": "factor_vae", "gamma": 1}, "seed": 3},
            beta=4.0,
            beta_norm=0.5,
        )
    )
    assert [row.null(name) for name in ("mig", "sap", "dci")] == [null, None, None]
    assert (row.objective, row.seed, row.beta, row.beta_norm) == ("factor_vae", 3, 4.0, 0.5)


def test_settings_group_the_runs_that_differ_in_the_seed_alone() -> None:
    found = a_sweep({"seed": [0, 1], "objective.beta": [4, 1]}, lambda place: {})
    # The seed runs slower than beta: the settings are in the order of their first runs.
    assert [
        (tuple(setting), [run.run_id for run in runs]) for setting, runs in found.settings.items()
    ] == [
        ((("objective.beta", 4),), ["r-0-4", "r-1-4"]),
        ((("objective.beta", 1),), ["r-0-1", "r-1-1"]),
    ]


def test_true_and_1_are_different_values() -> None:
    runs = [a_run({"model.bias": value, "seed": 0}) for value in (True, 1, 1.0, "1", False, 0)]
    settings = [run.setting for run in study("", runs).runs]
    # Only 1 and 1.0 are one setting.
    for (i, one), (j, other) in itertools.product(enumerate(settings), repeat=2):
        same = i == j or {i, j} == {1, 2}
        assert (one == other, one != other) == (same, not same)
    assert [repr(dict(setting)) for setting in study("", runs).settings] == [
        f"{{'model.bias': {value!r}}}" for value in (True, 1, "1", False, 0)
    ]


def test_without_a_sweep_there_is_one_setting() -> None:
    found = study("", [a_run({}, {"mig": 0.5})])
    assert found.paths == ()
    assert [tuple(setting) for setting in found.settings] == [()]
    [row] = found.rows()
    assert list(row) == ["run_id", "state", "train_id", "mig", "error"]


def test_no_runs_are_a_study_too() -> None:
    found = study("empty", [])
    assert (found.rows(), found.paths, found.columns, found.settings) == ([], (), {}, {})


@settings(deadline=None, derandomize=True)
@given(st.permutations(range(4)))
def test_rows_follow_their_runs_in_whatever_order_these_come(order: list[int]) -> None:
    values = [{"mig": 0.1}, {"sap": 0.2}, {"mig": 0.3, "sap": 0.4}, {"final.kl": 0.5}]
    runs = [a_run({"seed": place}, value) for place, value in enumerate(values)]
    rows = study("", [runs[place] for place in order]).rows()
    names = {"mig", "sap", "final.kl"}
    for place, row in zip(order, rows, strict=True):
        assert {name: row[name] for name in names if row[name] is not None} == values[place]
