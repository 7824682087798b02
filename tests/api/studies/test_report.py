"""A report: one page that asks nothing of the network, whatever there is of its study."""

from __future__ import annotations

import dataclasses
import io
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any, ClassVar, Literal

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from api.documents.experiments import Experiment, Usage
from api.studies import report as report_module
from api.studies.report import Page, Picture, report_page, to_html
from api.studies.report_numbers import Answer, best_of_settings, correlation_rows, setting_table
from api.studies.report_numbers import answers as answers_of
from api.studies.report_pictures import WIDTH, thumbnail
from ml.components.registry import components
from ml.metrics.protocol import NullDistribution, Score
from ml.plots.protocol import NothingToDraw, StudyPlot
from ml.studies.study import RunResult, Study, study
from ml.studies.summary import summarise
from ml.studies.udr import RunUdr
from store.states import ExperimentState

SERVER = "http://heddle.test:8000"
EVIL = "<script>alert(1)</script>"
SPEC = {
    "dataset": {"name": "dsprites"},
    "model": {"name": "burgess"},
    "objective": {"name": "beta_vae"},
    "training": {"likelihood": "bernoulli", "pixel_deviation": None},
    "seed": 0,
}


def scored(value: float | None, *, name: str = "mig", null: float | None = 0.01) -> Score:
    return Score(
        metric=name,
        name=name,
        value=value,
        error=None if value is not None else "ConstantFactor: shape",
        higher_is_better=True,
        range=(0, 1),
        perfect=1,
        null=None if null is None else NullDistribution(mean=null, std=0.01, replicates=3),
        params={},
        definition=f"{name}@1",
        rows=100,
        seed=0,
        versions={},
    )


def result(
    beta: float, seed: int, *scores: Score, state: str = "succeeded", error: str | None = None
) -> RunResult:
    return RunResult(
        run_id=f"run_{beta:g}_{seed}",
        state=state,
        train_id="a",
        spec={**SPEC, "seed": seed},
        swept={"objective.beta": beta, "seed": seed},
        scores=scores,
        final={"reconstruction": 100.0 - beta} if state == "succeeded" else {},
        error=error,
    )


SWEEP = [
    result(1, 0, scored(0.1)),
    result(1, 1, scored(0.2)),
    result(1, 2, scored(0.6)),
    result(4, 0, scored(0.3)),
    result(4, 1, scored(0.4)),
    result(4, 2, state="failed", error="Diverged: the loss is NaN"),
]


def page_of(results: Sequence[RunResult], **changes: Any) -> Page:
    counts = Counter(one.state for one in results)
    experiment = Experiment(
        id="exp_1",
        name=changes.pop("name", "beta sweep"),
        state=ExperimentState.RUNNING,
        created_at=datetime(2026, 1, 2, tzinfo=UTC),
        tags=changes.pop("tags", []),
        notes=changes.pop("notes", ""),
        owner="ada",
        counts=dict(counts),
        eta_seconds=None,
        pinned=False,
        usage=Usage(artifacts=0, checkpoints=0),
        spec=changes.pop("spec", SPEC),
        links={},
    )
    found = study("beta sweep", results)
    return report_page(
        experiment,
        found,
        summarise(found, udr=changes.pop("udr", None)),
        server=SERVER,
        traversals=changes.pop("traversals", []),
        specs=[one.spec for one in results],
        versions=changes.pop("versions", []),
        now=datetime(2026, 1, 3, tzinfo=UTC),
        **changes,
    )


def answers(results: Sequence[RunResult]) -> list[Answer]:
    return answers_of(summarise(study("s", results)))


class Parsed(HTMLParser):
    """The tags of a page, every one closed that has to be, and its text."""

    VOID: ClassVar = {"meta", "img", "br", "link"}

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, (tag, self.getpos())

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def every(self, tag: str) -> list[Mapping[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def parsed(results: Sequence[RunResult], **changes: Any) -> Parsed:
    html = to_html(page_of(results, **changes))
    found = Parsed(html)
    # Whatever it shows, it asks nothing of the network.
    assert not {"script", "link", "iframe", "object", "embed", "base"} & {
        tag for tag, _ in found.tags
    }
    assert all(str(image["src"]).startswith("data:image/") for image in found.every("img"))
    assert not re.search(r"@import|url\(", html)
    return found


def test_the_best_setting_is_of_the_best_median_and_not_of_the_best_run() -> None:
    [mig] = answers(SWEEP)
    # Medians are 0.2 and 0.35, though the best run, 0.6, has beta 1.
    assert (mig.value, mig.setting) == ("0.350", "objective.beta 4")
    assert mig.unit == "median of 2 runs, 0.300 to 0.400"
    assert mig.against == [
        "It rests on 2 seeds; at least 5 are needed before an order of settings means much.",
        "1 of its 3 runs has no value.",
        "Next is objective.beta 1 at 0.200; the two overlap.",
    ]


def test_an_error_is_best_where_it_is_lowest() -> None:
    def error(value: float) -> Score:
        lower = {"higher_is_better": False, "metric": "med", "name": "med"}
        return scored(value).model_copy(update=lower)

    runs = [result(beta, seed, error(beta + seed)) for beta in (1, 4) for seed in range(5)]
    [med] = answers(runs)
    assert (med.value, med.setting) == ("3.000", "objective.beta 1")
    assert not any("seeds" in one for one in med.against)
    # Their ranges are 1 to 5 and 4 to 8.
    assert med.against[0] == "Next is objective.beta 4 at 6.000; the two overlap."
    # The null is 0.01 and lower: the error is larger than that of codes that know nothing.
    assert med.against[1].startswith("It is not clear of its null")


@pytest.mark.parametrize(("value", "clear"), [(0.02, False), (0.033, False), (0.034, True)])
def test_a_score_that_is_not_clear_of_its_null_is_told(value: float, clear: bool) -> None:
    [mig] = answers([result(1, seed, scored(value)) for seed in range(5)])
    assert (mig.against == []) is clear


def test_settings_are_told_by_mean_deviation_median_and_number() -> None:
    table = setting_table(summarise(study("s", SWEEP)))
    assert table.columns == ["mig", "final.reconstruction"]
    first, second = table.rows
    assert (first.name, second.name) == ("objective.beta 1", "objective.beta 4")
    [mig, reconstruction] = first.cells
    # Of 0.1, 0.2 and 0.6: mean 0.3, and a variance of (0.04 + 0.01 + 0.09) / 2.
    assert mig and (mig.spread, mig.median, mig.count, mig.best) == (
        "0.300 ± 0.265",
        "0.200",
        3,
        False,
    )
    assert reconstruction and reconstruction.spread == "99.000 ± 0.000"
    assert second.cells[0] and second.cells[0].best and second.cells[0].count == 2


def test_the_best_run_of_each_setting_comes_with_the_best_setting_first() -> None:
    first, second = best_of_settings(study("s", SWEEP))
    assert (first.run.run_id, second.run.run_id) == ("run_4_1", "run_1_2")
    assert first.caption == "run_4_1, seed 1, mig 0.400"
    unscored = [result(beta, 0) for beta in (1, 4)]
    assert [one.run.run_id for one in best_of_settings(study("s", unscored))] == [
        "run_4_0",
        "run_1_0",
    ]
    assert best_of_settings(study("s", [result(1, 0, state="queued")])) == []


def test_settings_whose_scores_do_not_compare_have_their_best_runs_too() -> None:
    of_digits = dataclasses.replace(SWEEP[0], spec={**SPEC, "dataset": {"name": "digits"}})
    found = best_of_settings(study("s", [of_digits, *SWEEP[3:]]))
    assert [one.caption for one in found] == [
        "run_1_0, seed 0, mig[dataset=digits] 0.100",
        "run_4_1, seed 1, mig[dataset=dsprites] 0.400",
    ]


def test_a_kl_that_neither_is_better_of_ranks_nothing_and_agrees_with_nothing() -> None:
    better = {"higher_is_better": None, "metric": "elbo", "name": "kl"}
    runs = [
        result(beta, 0, scored(1 / beta).model_copy(update=better), scored(beta / 10))
        for beta in (1, 2, 4)
    ]
    found = study("s", runs)
    assert [one.score for one in answers_of(summarise(found))] == ["mig (higher is better)"]
    assert best_of_settings(found)[0].run.run_id == "run_4_0"
    cells = correlation_rows(summarise(found).correlations)[0].cells
    assert [cell.tone for cell in cells] == ["neither", "neither", "neither"]


def test_a_page_has_the_answer_the_runs_the_failures_and_the_data() -> None:
    page = parsed(SWEEP, notes="Why not?", tags=["demo"], versions=[{"torch": "2.10"}])
    for words in (
        "beta sweep",
        "Why not?",
        "demo",
        "ada · 2026-01-02 00:00 UTC",
        "mig (higher is better)",
        "0.350 median of 2 runs",
        "1 of 6 runs has failed and stands in no number: Diverged",
        "2 of 2 settings rest on 2 to 3 seeds",
        "Diverged: the loss is NaN",
        "Mutual Information Gap",
        "Chen et al. (2018)",
        "Higgins et al. (2017)",
        "Matthey et al. (2017)",
        "torch 2.10",
        f'pd.read_csv("{SERVER}/v1/experiments/exp_1/results?format=csv")',
    ):
        assert words in page.text, words
    links = {one["href"] for one in page.every("a")}
    assert f"{SERVER}/v1/runs/run_4_1/folder.zip" in links
    assert f"{SERVER}/v1/runs/run_4_2/folder.zip" not in links
    assert f"{SERVER}/v1/experiments/exp_1/results?format=parquet" in links


def test_what_users_write_is_text() -> None:
    page = parsed(
        [result(1, 0, scored(0.5), error=EVIL, state="failed"), result(4, 0, scored(0.5))],
        name=EVIL,
        notes=f"{EVIL}\n</pre>",
        tags=[EVIL],
        spec={**SPEC, "name": f"</pre>{EVIL}"},
        traversals=[Picture(EVIL, EVIL, "data:image/png;base64,", f"{SERVER}/v1/runs/a")],
        versions=[{EVIL: EVIL}],
    )
    assert page.text.count("<script>alert(1)</script>") >= 8


AWKWARD = {
    "no runs": [],
    "nothing has ended": [result(1, 0, state="training"), result(4, 0, state="queued")],
    "one run": [result(1, 0, scored(0.2))],
    "one run that failed": [result(1, 0, state="failed", error="OutOfMemory: no room")],
    "no scores": [result(1, 0), result(4, 0)],
    "no value": [result(1, 0, scored(None))],
    "cancelled": [result(1, 0, state="cancelled")],
    "nothing swept": [
        RunResult("run_a", "succeeded", "a", SPEC, {}, [scored(0.3)], {"loss": 1e30})
    ],
}


@pytest.mark.parametrize("case", AWKWARD)
def test_a_page_is_made_of_the_awkward(case: str) -> None:
    page = parsed(AWKWARD[case])
    assert "nan" not in page.text.lower().split() and "None" not in page.text
    for run in AWKWARD[case]:
        assert run.run_id in page.text


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("no runs", "no run has succeeded"),
        ("nothing has ended", "There is no answer yet: no run has succeeded."),
        ("nothing has ended", "2 of 2 runs have not ended yet and stand in no number."),
        ("one run that failed", "1 of 1 runs has failed"),
        ("no scores", "No scores were asked for, so no setting is the best by one."),
        ("no value", "No run has a value of any score"),
        ("no value", "mig is missing from 1 of the 1 runs that succeeded: ConstantFactor: shape."),
        ("cancelled", "1 of 1 runs has been cancelled and stands in no number."),
        ("one run", "1 of 1 settings rests on 1 seed;"),
        ("nothing swept", "the only setting"),
    ],
)
def test_a_page_says_what_is_not_there(case: str, words: str) -> None:
    assert words in parsed(AWKWARD[case]).text


def test_a_setting_with_many_seeds_gets_no_warning_of_few() -> None:
    runs = [result(1, seed, scored(0.5)) for seed in range(5)]
    assert page_of(runs).warnings == []


def test_different_versions_are_told() -> None:
    versions = [{"torch": "2.10", "numpy": "2"}, {"torch": "2.11", "numpy": "2"}]
    [warning] = [one for one in page_of(SWEEP, versions=versions).warnings if "versions" in one]
    assert "versions of torch;" in warning


class Drawn(StudyPlot):
    """A line."""

    name: Literal["drawn"] = "drawn"

    def draw(self, study: Study) -> Figure:
        figure = Figure(layout="constrained")
        figure.add_subplot().plot([1, 2])
        return figure


class NotDrawn(StudyPlot):
    """Nothing."""

    name: Literal["not_drawn"] = "not_drawn"

    def draw(self, study: Study) -> Figure:
        raise NothingToDraw(f"{EVIL}There is one setting only.")


def test_plots_that_have_nothing_to_draw_leave_their_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = {"drawn": Drawn, "not_drawn": NotDrawn}
    monkeypatch.setattr(
        report_module,
        "components",
        lambda kind: known if kind == "plot" else components(kind),
    )
    page = parsed(SWEEP)
    [image] = page.every("img")
    assert str(image["src"]).startswith("data:image/svg+xml;base64,")
    assert "1 plot with nothing to draw" in page.text
    assert "not drawn <script>alert(1)</script>There is one setting only." in page.text
    monkeypatch.setattr(report_module, "LARGEST_SVG", 100)
    [image] = parsed(SWEEP).every("img")
    assert str(image["src"]).startswith("data:image/png;base64,")


def test_every_plot_of_a_study_is_in_the_page_or_says_why_not() -> None:
    plots = [name for name, one in components("plot").items() if issubclass(one, StudyPlot)]
    page = page_of(SWEEP)
    shown = {one.name for one in [*page.plots, *page.not_drawn]}
    assert shown == {name.replace("_", " ") for name in plots}


def test_shares_and_agreement_are_shown_where_there_are_some() -> None:
    # Means are 0.3 and 0.35, that of all 0.32; of a sum of squares of 0.148, 0.003 lie between.
    page = parsed(SWEEP)
    assert "mig 0% 0% by chance 2% 25% by chance 98%" in page.text
    # The reconstruction falls where beta, and the score with it, rises: an error and a score.
    assert "How scores agree" in page.text
    assert "How scores agree" not in parsed(SWEEP[:2]).text


def test_without_labels_the_setting_of_the_models_most_alike_is_best() -> None:
    udr = {"run_1_0": 0.9, "run_1_1": 0.8, "run_1_2": 0.1, "run_4_0": 0.7, "run_4_1": 0.6}
    alike = {id: RunUdr(value, 3 if id.startswith("run_1") else 5) for id, value in udr.items()}
    text = parsed(SWEEP, udr=alike).text
    # Medians are 0.8 and 0.65.
    told = "UDR, without labels (higher is better) 0.800 median of 3 runs with 3 active latents"
    assert told in text and "the most alike to its kin is run_1_0" in text
    assert "Next is objective.beta 4 at 0.650 with 5 active latents." in text
    # It stands among the warnings, too.
    assert text.count("uses fewer latents than objective.beta 4 (UDR 0.65, 5 active latents)") == 2
    assert "How alike models are over seeds" in text and "objective.beta 4 0.650 5 2" in text
    assert "Without labels: the models' codes were not compared." in parsed(SWEEP).text


def test_fifty_runs_make_a_page_of_less_than_five_megabytes() -> None:
    draws = np.random.default_rng(0)
    # A traversal of noise: pictures of a model are smaller.
    image = Image.fromarray(draws.integers(0, 255, (1200, 1200), dtype=np.uint8))
    file = io.BytesIO()
    image.save(file, "PNG")
    small = thumbnail(file.getvalue())
    with Image.open(io.BytesIO(small)) as shown:
        assert shown.size == (WIDTH, WIDTH)
    picture = Picture("a", "b", report_module.data_url("image/png", small), "")
    assert len(small) < 350_000
    runs = [result(beta, seed, scored(0.1)) for beta in range(10) for seed in range(5)]
    html = to_html(page_of(runs, traversals=[picture] * 10))
    assert len(html) < 5_000_000


def test_a_small_picture_is_not_made_larger() -> None:
    file = io.BytesIO()
    Image.new("RGB", (40, 20), "white").save(file, "PNG")
    with Image.open(io.BytesIO(thumbnail(file.getvalue()))) as shown:
        assert shown.size == (40, 20)
    with pytest.raises(OSError):
        thumbnail(b"no picture")
