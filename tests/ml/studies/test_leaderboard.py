from __future__ import annotations

from typing import Any

from ml.metrics.protocol import NullDistribution, Score
from ml.spec.run_spec import RunSpec
from ml.studies.leaderboard import leaderboard


def score(value: float | None, **changes: Any) -> Score:
    fields: dict[str, Any] = {
        "metric": "mig",
        "name": "mig",
        "value": value,
        "higher_is_better": True,
        "range": (0, 1),
        "perfect": 1,
        "params": {"name": "mig", "bins": 20},
        "definition": "mig@1",
        "rows": 100,
        "seed": 0,
        "versions": {},
        "null": NullDistribution(mean=0.01, std=0.001, replicates=3),
    }
    return Score(**(fields | changes))


def spec(seed: int = 0, **objective: Any) -> dict[str, Any]:
    chosen = {"name": "beta_vae"} | objective
    return RunSpec.parse({"dataset": "digits", "objective": chosen, "seed": seed}).document()


def test_settings_rank_by_the_median_over_seeds() -> None:
    specs = {
        "a0": spec(0, beta=1),
        "a1": spec(1, beta=1),
        "a2": spec(2, beta=1),
        "b0": spec(0, beta=8),
        "b1": spec(1, beta=8),
    }
    values = {"a0": 0.9, "a1": 0.1, "a2": 0.2, "b0": 0.3, "b1": 0.4}
    [table] = leaderboard([(id, score(value)) for id, value in values.items()], specs, most=9)
    first, second = table.entries
    assert (first.rank, first.setting["objective.beta"], first.run_ids) == (1, 8, ["b1", "b0"])
    assert (first.median, first.best, first.worst) == (0.35, 0.4, 0.3)
    assert (second.rank, second.median, second.seeds) == (2, 0.2, 3)
    assert not first.enough_seeds and first.null_mean == 0.01


def test_five_seeds_are_enough() -> None:
    specs = {str(seed): spec(seed) for seed in range(5)}
    [table] = leaderboard([(id, score(0.5)) for id in specs], specs, most=1)
    assert [entry.enough_seeds for entry in table.entries] == [True]


def test_numbers_that_do_not_compare_stand_in_tables_of_their_own() -> None:
    specs = {"a": spec()}
    scores = [
        score(0.1),
        score(0.2, definition="mig@2"),
        score(0.3, params={"name": "mig", "bins": 10}),
        score(0.4, codes="sample"),
        score(0.5, rows=200),
        score(0.6, name="other"),
        score(0.7, train_rows=80),
        score(0.8, factors=["digit"]),
    ]
    tables = leaderboard([("a", one) for one in scores], specs, most=9)
    found = sorted(table.entries[0].median for table in tables)
    assert found == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]
    assert {(table.train_rows, *(table.factors or ())) for table in tables} == {
        (None,),
        (80,),
        (None, "digit"),
    }


def test_numbers_on_other_rows_stand_in_one_table_where_they_are_as_many() -> None:
    specs = {"a": spec(), "b": spec(1)}
    [table] = leaderboard([("a", score(0.1)), ("b", score(0.3, seed=7))], specs, most=9)
    assert table.entries[0].median == 0.2


def test_elbo_and_reconstruction_of_other_likelihoods_stand_in_tables_of_their_own() -> None:
    def of(likelihood: str, deviation: float | None = None) -> dict[str, Any]:
        training = {"likelihood": likelihood, "pixel_deviation": deviation}
        given = {"dataset": "digits", "objective": "vae", "training": training}
        return RunSpec.parse(given).document()

    specs = {
        "a": of("bernoulli"),
        "b": of("gaussian"),
        "c": of("gaussian", 1.0),
        "d": of("gaussian", 0.1),
    }
    for name in ("elbo", "reconstruction", "mig"):
        metric = "mig" if name == "mig" else "elbo"
        given = [(id, score(0.5, metric=metric, name=name, definition="x@1")) for id in specs]
        tables = leaderboard(given, specs, most=9)
        found = {
            tuple(sorted(id for entry in table.entries for id in entry.run_ids)): table.depends_on
            for table in tables
        }
        if name == "mig":
            assert found == {("a", "b", "c", "d"): {}}
        else:
            assert found == {
                ("a",): {"likelihood": "bernoulli"},
                # A deviation of null is one of 1.
                ("b", "c"): {"likelihood": "gaussian", "pixel_deviation": 1.0},
                ("d",): {"likelihood": "gaussian", "pixel_deviation": 0.1},
            }


def test_a_kl_is_not_ranked() -> None:
    scores = [("a", score(0.1, metric="elbo", name="kl", higher_is_better=None))]
    assert leaderboard(scores, {"a": spec()}, most=9) == []


def test_parts_of_a_data_set_stand_in_tables_of_their_own() -> None:
    def of(dataset: Any) -> dict[str, Any]:
        return RunSpec.parse({"dataset": dataset, "objective": "vae"}).document()

    part = {"name": "dsprites", "values": {"shape": [0, 1]}}
    specs = {"a": of("dsprites"), "b": of(part)}
    tables = leaderboard([(id, score(0.5)) for id in specs], specs, most=9)
    found = {table.entries[0].run_ids[0]: table.dataset for table in tables}
    assert found == {"a": {}, "b": {"values.shape": [0, 1]}}
    assert all(table.entries[0].setting == {"objective.name": "vae"} for table in tables)


def test_a_setting_tells_the_objective_even_as_by_default() -> None:
    [table] = leaderboard([("a", score(0.5))], {"a": spec()}, most=9)
    assert table.entries[0].setting == {"objective.name": "beta_vae", "objective.beta": 4}


def test_a_score_that_was_asked_for_again_counts_once() -> None:
    specs = {"a": spec(), "b": spec(1)}
    scores = [("a", score(0.1)), ("a", score(0.3)), ("b", score(None))]
    [table] = leaderboard(scores, specs, most=9)
    assert [(entry.seeds, entry.median) for entry in table.entries] == [(1, 0.3)]


def test_where_lower_is_better_the_lowest_is_first_and_equal_ones_share_a_rank() -> None:
    specs = {"a": spec(beta=1), "b": spec(beta=2), "c": spec(beta=3)}
    values = {"a": 2.0, "b": 1.0, "c": 1.0}
    scores = [(id, score(value, higher_is_better=False)) for id, value in values.items()]
    [table] = leaderboard(scores, specs, most=9)
    assert [(entry.rank, entry.median) for entry in table.entries] == [(1, 1), (1, 1), (3, 2)]


def test_a_setting_tells_what_is_not_as_by_default() -> None:
    changed = RunSpec.parse(
        {
            "dataset": "digits",
            "objective": {"name": "beta_vae", "beta": 7},
            "training": {"steps": 10, "snapshots": 3},
            "seed": 5,
        }
    ).document()
    [table] = leaderboard([("a", score(1.0))], {"a": changed}, most=9)
    assert table.entries[0].setting == {
        "objective.name": "beta_vae",
        "objective.beta": 7,
        "training.steps": 10,
    }


def test_a_component_that_is_gone_is_told_whole() -> None:
    gone = spec() | {"objective": {"name": "gone_vae", "beta": 1}}
    [table] = leaderboard([("a", score(1.0))], {"a": gone}, most=9)
    assert table.entries[0].setting["objective.name"] == "gone_vae"
    assert table.entries[0].setting["training.steps"] == 300_000
