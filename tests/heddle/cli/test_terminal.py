"""What a terminal is sent: people's text as it is, without what it would obey."""

from __future__ import annotations

import io
import re

import httpx
import pytest
from click.testing import CliRunner, Result
from rich.progress import Progress, TextColumn
from rich.table import Column, Table
from rich.text import Text

from heddle.cli import main as cli
from heddle.cli.output.terminal import Terminal, without_orders
from heddle.cli.output.work import advice_list, experiment_table
from heddle.client.client import Client
from tests.heddle.fake_server import FakeServer, problem
from tests.hostile import OBEYED, TEXTS

pytestmark = pytest.mark.usefixtures("connected")


def heddle(*arguments: str) -> Result:
    return CliRunner().invoke(cli.main, list(arguments))


def clean(output: str) -> bool:
    return not any(obeyed in output for obeyed in OBEYED)


def letters(text: str) -> str:
    """Without spaces, as a table breaks lines where it likes."""
    return re.sub(r"[\s\u2028\u2500-\u257f]+", "", without_orders(text))


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_text_is_no_markup_and_gives_no_orders(text: str) -> None:
    """As a cell, a column, a title, a line and a bar, given as text or as a plain string."""
    for given in (text, Text(text)):
        file = io.StringIO()
        screen = Terminal(file=file, force_terminal=True, color_system=None, width=300)
        table = Table(Column(given), title=given)
        table.add_row(given)
        screen.print(table, given, sep="\n")
        found = letters(file.getvalue())
        assert clean(file.getvalue()) and found.count(letters(text)) == 4
        with Progress(TextColumn("{task.description}", markup=False), console=screen) as bar:
            bar.add_task(text)
        # The bar's own moves of the cursor stay.
        assert "\x1b[31m" not in file.getvalue() and "\x07" not in file.getvalue()


def test_colours_of_ours_stay() -> None:
    file = io.StringIO()
    screen = Terminal(file=file, force_terminal=True, color_system="standard", width=80)
    screen.print(advice_list([{"reason": "\x1b[31mred", "suggestion": "none"}]))
    assert "\x1b[33m! " in file.getvalue() and "[31mred" in file.getvalue()
    assert "\x1b[31m" not in file.getvalue()


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_commands_print_peoples_text_plainly(
    text: str, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = server.experiment
    monkeypatch.setattr(server, "experiment", lambda: usual() | {"name": text})
    server.swept["run_a"] = {"dataset.path": text}
    server.runs["run_a"]["latent_names"] = {"0": text}
    shown = heddle("show", "exp_01")
    assert shown.exit_code == 0, shown.output
    assert clean(shown.output) and letters(text) in letters(shown.output)
    named = heddle("name", "run_a", "z0=x")
    assert clean(named.output)
    line = {"at": "2026-01-31T12:00:00+00:00", "level": "INFO", "worker": "w", "cursor": "1"}
    page = {"items": [line | {"message": text}], "next_cursor": None}
    server.instead.append(lambda _: httpx.Response(200, json=page))
    logged = heddle("log", "run_a")
    assert clean(logged.output) and letters(text) in letters(logged.output)
    server.instead.append(lambda _: problem(409, "Conflict", text))
    refused = heddle("show", "exp_01")
    assert refused.exit_code != 0
    assert clean(refused.output) and letters(text) in letters(refused.output)


def test_a_table_stays_in_its_columns_whatever_stands_in_a_cell(server: FakeServer) -> None:
    file = io.StringIO()
    server.swept["run_a"] = {"objective.beta": "\x1b[31m1\x07"}
    with Client("http://server", transport=httpx.MockTransport(server.answer)) as client:
        Terminal(file=file, width=100).print(experiment_table(client.experiment("exp_01"), {}))
    bordered = [line for line in file.getvalue().splitlines() if line.startswith(("│", "┃", "├"))]
    assert len({len(line) for line in bordered}) == 1
