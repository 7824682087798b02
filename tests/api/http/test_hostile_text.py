"""People's text over HTTP: in pictures, reports, tables, headers and folders, whatever it is."""

from __future__ import annotations

import io
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import pyarrow.csv
import pytest

from api.studies.result_files import to_file
from ml.components.plain_text import plain_text
from store.jobs.finish import finish_training
from store.jobs.heartbeat import beat
from tests.api.service import RECORD, SPEC, Service
from tests.api.trained_run import trained
from tests.hostile import OBEYED, TEXTS

PLOTS = ("score_by_objective", "score_against")


class Tags(HTMLParser):
    """The tags and the text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)
        assert not any(name.startswith("on") for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.text += data


def posted(service: Service, text: str) -> str:
    """An experiment that is called so, with two trained runs; its path."""
    spec = {
        **SPEC,
        "name": text,
        "tags": [text[:64]],
        "notes": (text * 10_000)[:10_000],
        "sweep": {"seed": [0, 1]},
    }
    experiment = service.post(spec)
    for _ in experiment["runs"]:
        taken = service.take()
        points = {"loss": [(1, 1.0)]}
        beat(service.database, taken, lease_seconds=60, progress=None, points=points)
        finish_training(service.database, taken, record=RECORD)
        service.evaluate()
    return f"/v1/experiments/{experiment['id']}"


@pytest.mark.parametrize("name", ["subscripts", "fraction", "tag", "colour", "lines", "reversed"])
def test_an_experiment_of_any_name_has_its_plots_its_report_and_its_results(
    service: Service, name: str
) -> None:
    text = TEXTS[name]
    path = posted(service, text)
    assert service.json(path)["name"] == text
    for plot in PLOTS:
        answer = service.get(f"{path}/plots/{plot}.svg")
        assert answer.status_code == 200, answer.text
        ElementTree.fromstring(answer.content)
        assert service.get(f"{path}/plots/{plot}.png").status_code == 200
    report = service.get(f"{path}/report.html")
    assert report.status_code == 200
    assert "could not be drawn" not in report.text
    page = Tags(report.text)
    assert "script" not in page.tags
    assert plain_text(text) in page.text
    assert not any(obeyed in report.text for obeyed in OBEYED)
    for format in ("csv", "parquet", "json"):
        answer = service.get(f"{path}/results?format={format}")
        assert answer.status_code == 200
        assert all(value.isprintable() for value in answer.headers.values())
    assert service.get(f"{path}/summary").status_code == 200


def test_a_name_between_dollars_has_its_letters_in_a_picture(service: Service) -> None:
    path = posted(service, "$x_1_2$")
    assert "$x_1_2$" in service.get(f"{path}/plots/score_by_objective.svg").text


@pytest.mark.parametrize("name", ["$x_1_2$", r"$\frac{1$", "<b>&", "[red]", "| `a` |"])
def test_latents_may_have_any_printable_name(service: Service, name: str) -> None:
    path = f"/v1/runs/{trained(service)}"
    answer = service.client.patch(path, json={"latent_names": {"1": name}})
    assert answer.status_code == 200, answer.text
    picture = service.get(f"{path}/plots/traversal.svg")
    assert picture.status_code == 200, picture.text
    assert name in " ".join(ElementTree.fromstring(picture.content).itertext())
    assert service.get(f"{path}/plots/traversal.png").status_code == 200
    assert service.get(f"{path}/traversal.gif").status_code == 200
    assert service.get(f"{path}/folder.zip").status_code == 200


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_csv_has_every_value_as_it_was(text: str) -> None:
    """Also one that a spreadsheet would take for a formula: other programs read it back."""
    content = to_file([{"dataset.path": text}, {"dataset.path": "a"}], ["dataset.path"], "csv")
    options = pyarrow.csv.ParseOptions(newlines_in_values=True)
    found = pyarrow.csv.read_csv(io.BytesIO(content), parse_options=options)
    assert found["dataset.path"].to_pylist() == [text, "a"]
