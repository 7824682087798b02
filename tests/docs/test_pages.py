"""Pages are true: those written by a program, and what the others name."""

from __future__ import annotations

import importlib
import re
import runpy
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
DECISIONS = DOCS / "decisions"
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted(DOCS.rglob("*.md")),
    ROOT / "tests" / "golden" / "README.md",
]
PACKAGES = ("api", "heddle", "migrations", "ml", "store", "worker")
FOLDERS = (*PACKAGES, "benchmarks", "docs", "tests")

CODE_BLOCK = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^()\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
STATUS = re.compile(
    r"# .+\n\n\*\*Status:\*\* ((?:accepted|superseded by \[\d+\]\(.+\)), \d{4}-\d\d-\d\d)\n"
)
PATH = re.compile(rf"(?:{'|'.join(FOLDERS)})/[\w./*-]*")
MODULE = re.compile(rf"(?:{'|'.join(PACKAGES)})(?:\.\w+)+")
ENTRY_POINTS = "heddle.components"
"""What is named like a module and is none."""
TO_BE_WRITTEN = re.compile(r"[A-Z]{4,}")
"""A path that has NAME or the like in it stands for a file that the reader writes."""


@pytest.mark.parametrize(
    ("page", "writer"),
    [
        ("metrics.md", "metrics_page"),
        ("validity.md", "validity_page"),
        ("objectives.md", "objectives_page"),
        ("plots.md", "plots_page"),
        ("datasets.md", "datasets_page"),
    ],
)
def test_written_pages_are_up_to_date(page: str, writer: str) -> None:
    written = runpy.run_path(str(DOCS / "write_catalogue.py"))[writer]()
    assert (DOCS / page).read_text(encoding="utf-8") == written, (
        "run `python docs/write_catalogue.py`"
    )


def _name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@cache
def _text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def _prose(page: Path) -> str:
    return CODE_BLOCK.sub("", _text(page))


def _anchors(page: Path) -> set[str]:
    """The fragments that GitHub gives the headings of a page."""
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in HEADING.findall(_prose(page)))
    return {heading.strip().replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_resolve(page: Path) -> None:
    for link in LINK.findall(_prose(page)):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{_name(page)} links to {link}"
        assert not anchor or anchor in _anchors(target), f"{_name(page)} links to {link}"


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_paths_that_a_page_names_exist(page: Path) -> None:
    for code in CODE.findall(_prose(page)):
        if PATH.fullmatch(code):
            path = code.rpartition("/")[0] if TO_BE_WRITTEN.search(code) else code
            assert any(ROOT.glob(path)), f"{_name(page)} names `{code}`"


def _is_there(dotted: str) -> bool:
    """Whether this is a module, or something in one."""
    module, *rest = dotted.split(".")
    thing = importlib.import_module(module)
    for part in rest:
        module = f"{module}.{part}"
        if hasattr(thing, part):
            thing = getattr(thing, part)
        elif part in getattr(thing, "model_fields", {}):
            return True
        else:
            try:
                thing = importlib.import_module(module)
            except ModuleNotFoundError:
                return False
    return True


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_modules_that_a_page_names_exist(page: Path) -> None:
    for code in CODE.findall(_prose(page)):
        called = code.partition("(")[0]
        if MODULE.fullmatch(called) and called != ENTRY_POINTS:
            assert _is_there(called), f"{_name(page)} names `{code}`"


def test_every_decision_has_a_status_and_is_listed() -> None:
    listed = _text(DECISIONS / "README.md")
    for page in sorted(DECISIONS.glob("0*.md")):
        status = STATUS.match(_text(page))
        assert status is not None, f"{page.name} says no status under its title"
        link = re.escape(f"| [{page.name[:4]}]({page.name}) |")
        row = f"^{link} .+ \\| {re.escape(status[1])} \\|$"
        assert re.search(row, listed, re.MULTILINE), f"README.md does not list {page.name}"
