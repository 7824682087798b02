"""The report of an experiment: its study, laid out as one page of HTML."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from api.documents.experiments import Experiment
from api.studies.report_numbers import (
    SOURCES,
    Answer,
    CorrelationRow,
    SettingRow,
    ShareRow,
    UdrRow,
    answers,
    correlation_rows,
    no_answer,
    number,
    setting_table,
    share_rows,
    udr_rows,
)
from ml.components.plain_text import plain_text
from ml.components.references import Reference, cited, references
from ml.components.registry import components
from ml.plots.protocol import NothingToDraw, StudyPlot, to_file
from ml.reproducibility.library_versions import library_versions
from ml.studies.study import Study, StudyRun
from ml.studies.summary import StudySummary
from ml.studies.values import SUCCEEDED, plain, setting_name

MOST_RUNS = 500
"""The number of runs in the report's table. The CSV has all runs."""
LARGEST_SVG = 400_000
"""The size in bytes above which a plot becomes a PNG. Plots of thousands of dots do."""
logger = logging.getLogger(__name__)

_pages = Environment(
    loader=PackageLoader("api.studies", "templates"),
    autoescape=select_autoescape(default=True),
    undefined=StrictUndefined,
    finalize=lambda value: plain_text(value) if isinstance(value, str) else value,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True)
class Picture:
    """A picture on the page."""

    name: str
    caption: str
    source: str = ""
    """The image as a data URL."""
    link: str = ""


@dataclass(frozen=True)
class Link:
    name: str
    link: str


@dataclass(frozen=True)
class RunRow:
    """A run with its numbers as text."""

    id: str
    link: str
    state: str
    cells: Sequence[str]
    see: Sequence[Link]
    setting: str = ""
    why: str = ""


@dataclass(frozen=True)
class Definition:
    """The definition of a score."""

    name: str
    definition: str
    params: str
    summary: str
    works: Sequence[Reference]


@dataclass(frozen=True)
class Work:
    """A work to cite."""

    text: str
    url: str
    names: str


@dataclass(frozen=True)
class StateCount:
    state: str
    runs: int


@dataclass(frozen=True)
class Page:
    """Everything that the template shows, as formatted text and numbers."""

    id: str
    title: str
    url: str
    state: str
    owner: str
    created: str
    written: str
    heddle: str
    tags: Sequence[str]
    notes: str
    counts: Sequence[StateCount]
    warnings: Sequence[str]
    answers: Sequence[Answer]
    no_answer: str
    no_udr: str
    plots: Sequence[Picture]
    not_drawn: Sequence[Picture]
    traversals: Sequence[Picture]
    traversals_of: str
    setting_columns: Sequence[str]
    settings: Sequence[SettingRow]
    settings_left_out: str
    alike: Sequence[UdrRow]
    sources: Sequence[str]
    shares: Sequence[ShareRow]
    correlated: Sequence[str]
    correlations: Sequence[CorrelationRow]
    failed: Sequence[RunRow]
    run_columns: Sequence[str]
    runs: Sequence[RunRow]
    runs_left_out: str
    results: str
    spec: str
    definitions: Sequence[Definition]
    works: Sequence[Work]
    versions: str = field(default="")


def to_html(page: Page) -> str:
    """The page as one HTML file that loads nothing over the network. All text is escaped."""
    return _pages.get_template("report.html.j2").render(page=page)


def report_page(
    experiment: Experiment,
    study: Study,
    summary: StudySummary,
    *,
    server: str,
    traversals: Sequence[Picture],
    specs: Sequence[Mapping[str, Any]],
    versions: Sequence[Mapping[str, str]],
    now: datetime,
) -> Page:
    """The content of an experiment's report.

    Args:
        experiment: the experiment with its runs.
        study: the study of its runs.
        summary: the study's summary.
        server: the server's URL as the client used it, without a slash at its end.
        traversals: pictures of the best run of each setting.
        specs: the resolved specs of the runs.
        versions: the versions of the libraries at each run's training.
        now: the time at which the report is written.
    """
    url = f"{server}/v1/experiments/{experiment.id}"
    plots, not_drawn = _plots(study)
    settings = setting_table(summary)
    return Page(
        id=experiment.id,
        title=experiment.name or f"Experiment {experiment.id}",
        url=url,
        state=experiment.state.value,
        owner=experiment.owner,
        created=_moment(experiment.created_at),
        written=_moment(now),
        heddle=library_versions()["heddle"],
        tags=experiment.tags,
        notes=experiment.notes,
        counts=[StateCount(state, runs) for state, runs in experiment.counts.items()],
        warnings=[*summary.warnings, *_versions_differ(versions)],
        answers=answers(summary),
        no_answer="" if summary.best else no_answer(summary),
        no_udr="" if summary.best_by_udr else f"Without labels: {summary.udr_missing}",
        plots=plots,
        not_drawn=not_drawn,
        traversals=traversals,
        traversals_of="Of the best run of each setting.",
        setting_columns=settings.columns,
        settings=settings.rows,
        settings_left_out=settings.left_out,
        alike=udr_rows(summary),
        sources=SOURCES,
        shares=share_rows(summary.variance),
        correlated=summary.correlations.columns,
        correlations=correlation_rows(summary.correlations),
        failed=[_row(run, study, server) for run in study.runs if run.error is not None],
        run_columns=[*study.paths, *study.columns],
        runs=[_row(run, study, server) for run in study.runs[:MOST_RUNS]],
        runs_left_out=_left_out(len(study.runs) - MOST_RUNS),
        results=f"{url}/results",
        spec=json.dumps(experiment.spec, indent=2, ensure_ascii=False),
        definitions=_definitions(study),
        works=_works(study, specs),
        versions=", ".join(f"{name} {version}" for name, version in versions[0].items())
        if versions
        else "",
    )


def _moment(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M UTC")


def _versions_differ(versions: Sequence[Mapping[str, str]]) -> list[str]:
    differing = sorted(
        name
        for name in {name for one in versions for name in one}
        if len({one.get(name) for one in versions}) > 1
    )
    if not differing:
        return []
    return [
        f"Runs were trained with different versions of {', '.join(differing)}; part of their"
        " differences may be due to that."
    ]


def _plots(study: Study) -> tuple[list[Picture], list[Picture]]:
    """The study's plots: those that were drawn, and those that were not, with the reason."""
    drawn, not_drawn = [], []
    for name, component in components("plot").items():
        if not issubclass(component, StudyPlot):
            continue
        shown = name.replace("_", " ")
        try:
            figure = component.model_validate({"name": name}).draw(study)
        except NothingToDraw as why:
            not_drawn.append(Picture(shown, str(why)))
            continue
        except Exception:
            # The rest of the report does not depend on this picture.
            logger.exception("the plot %s could not be drawn", name)
            not_drawn.append(Picture(shown, "It could not be drawn; the service's log says why."))
            continue
        svg = to_file(figure, "svg")
        if len(svg) <= LARGEST_SVG:
            source = data_url("image/svg+xml", svg)
        else:
            source = data_url("image/png", to_file(figure, "png"))
        drawn.append(Picture(shown, component.summary(), source))
    return drawn, not_drawn


def data_url(media_type: str, content: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def _row(run: StudyRun, study: Study, server: str) -> RunRow:
    link = f"{server}/v1/runs/{run.run_id}"
    pages = ("scores", "scalars", "log")
    done = run.state == SUCCEEDED
    return RunRow(
        id=run.run_id,
        link=link,
        state=run.state,
        cells=[
            *(plain(run.swept.get(path)) for path in study.paths),
            *(number(run.value(column)) for column in study.columns),
        ],
        see=[
            *(Link(page, f"{link}/{page}") for page in pages),
            *([Link("traversal", f"{link}/traversal.png")] if done else []),
            *([Link("folder", f"{link}/folder.zip")] if done else []),
        ],
        setting=setting_name(run.swept.items()),
        why=run.error or "",
    )


def _left_out(more: int) -> str:
    return f"{more:,} more runs are in the CSV." if more > 0 else ""


def _definitions(study: Study) -> list[Definition]:
    known = components("metric")
    found = []
    for name in study.score_columns:
        column = study.columns[name]
        metric = known.get(column.metric or "")
        found.append(
            Definition(
                name=name,
                definition=column.definition or "",
                params=", ".join(f"{key} {plain(value)}" for key, value in column.params.items()),
                summary=metric.summary() if metric else "",
                works=references(metric.description()) if metric else [],
            )
        )
    return found


def _works(study: Study, specs: Sequence[Mapping[str, Any]]) -> list[Work]:
    """The works to cite for the objectives, architectures, data sets and metrics of the study."""
    parts = ("objective", "model", "dataset")
    named = [(part, spec[part]["name"]) for part in parts for spec in specs]
    named += [("metric", column.metric) for column in study.columns.values() if column.metric]
    described = [
        (name, components(kind)[name].description())
        for kind, name in dict.fromkeys(named)
        if name in components(kind)
    ]
    return [Work(str(work), work.url, ", ".join(names)) for work, names in cited(described).items()]
