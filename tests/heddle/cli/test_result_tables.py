"""What sweeps came to, as a terminal shows it."""

from __future__ import annotations

from rich.console import Console, RenderableType

from heddle.cli.output.results import leaderboard_tables, summary_tables
from heddle.cli.output.work import halving_lines, run_table
from heddle.client.client import Client
from heddle.client.resources import Run
from ml.spec.run_spec import RunSpec
from ml.studies.leaderboard import leaderboard
from ml.studies.summary import summarise
from ml.studies.udr import RunUdr
from tests.ml.many_runs import a_score, a_sweep


def shown(given: RenderableType) -> str:
    console = Console(width=200)
    with console.capture() as capture:
        console.print(given)
    return " ".join(capture.get().replace("│", " ").replace("┃", " ").split())


def test_active_latents_stand_beside_the_likeness_of_models() -> None:
    study = a_sweep({"objective.beta": [4, 64], "seed": range(5)}, lambda place: {"mig": 0.5})
    udr = {
        run.run_id: RunUdr(0.890, 5) if run.swept["objective.beta"] == 4 else RunUdr(0.898, 1)
        for run in study.runs
    }
    text = shown(summary_tables(summarise(study, udr=udr).model_dump(mode="json")))
    assert "udr, of 5 active latents objective.beta=4 0.89 5" in text
    assert "setting median active latents seeds" in text and "objective.beta=64 0.898 1 5" in text
    assert "! UDR is highest for objective.beta 64 (UDR 0.898, 1 active latents)" in text
    text = shown(summary_tables(summarise(study, udr_missing="none.").model_dump(mode="json")))
    assert "active latents" not in text and "No UDR: none." in text


def test_a_table_of_the_leaderboard_says_what_its_numbers_are_of() -> None:
    training = {"likelihood": "gaussian", "pixel_deviation": 0.1}
    given = {"dataset": "digits", "objective": "vae", "training": training}
    specs = {"a": RunSpec.parse(given).document()}
    scores = [
        ("a", a_score("elbo.reconstruction", -1.5, None)),
        ("a", a_score("sap", 0.5, train_rows=80)),
    ]
    tables = leaderboard(scores, specs, most=9)
    text = shown(leaderboard_tables([one.model_dump(mode="json") for one in tables]))
    assert (
        "reconstruction, elbo@1 (likelihood=gaussian, pixel_deviation=0.1), codes: mean,"
        " 100 rows, lower is better"
    ) in text
    assert "sap, sap@1, codes: mean, 100 rows, 80 of them to train on, higher is better" in text


def test_a_param_that_is_null_is_said_to_be_null() -> None:
    objectives = {"a": {"beta": 4.0}, "b": {"beta_norm": 0.01}}
    specs = {
        run: RunSpec.parse(
            {"dataset": "digits", "objective": {"name": "beta_vae", **params}}
        ).document()
        for run, params in objectives.items()
    }
    run = Run(Client("http://heddle.test"), {"id": "a", "state": "succeeded", "spec": specs["a"]})
    assert "objective beta_vae, beta=4, beta_norm=null" in shown(run_table(run))

    tables = leaderboard([(run, a_score("mig", 0.5)) for run in specs], specs, most=9)
    text = shown(leaderboard_tables([one.model_dump(mode="json") for one in tables]))
    assert "beta_vae objective.beta=null, objective.beta_norm=0.01" in text


def test_rows_to_halve_are_two_digits_and_a_line_names_few_scores() -> None:
    given = {"a": 17_554, "b": 17_001, "c": 9, "d": 100, "e": None}
    given |= {f"s{k}": 40_000 for k in range(9)}
    lines = halving_lines([{"name": name, "rows_to_halve": rows} for name, rows in given.items()])
    assert [line.plain for line in lines] == [
        "intervals of s0, s1, s2, s3 and 5 others would halve at about 40,000 rows",
        "intervals of a, b would halve at about 18,000 rows",
        "intervals of c would halve at about 9 rows",
        "intervals of d would halve at about 100 rows",
    ]
    (alone,) = halving_lines([{"name": "a", "rows_to_halve": 40_001}])
    assert alone.plain == "intervals would halve at about 41,000 rows"
