"""docs/benchmarks.md has the tables of the record."""

from __future__ import annotations

import re

from benchmarks import _page, _runs
from benchmarks.__main__ import RECORD
from benchmarks.record import Figure
from tests.benchmarks.records import entry, record

PAGE = _page.PAGE.read_text(encoding="utf-8")


def test_the_page_is_what_the_record_gives() -> None:
    assert _page.written(PAGE, _runs.read(RECORD)) == PAGE, "run `./run bench --no-run`"


def test_what_is_in_the_record_is_in_the_page() -> None:
    named = set(_page.names(PAGE))
    for name, one in _runs.read(RECORD)["benchmarks"].items():
        tables = {table["name"] for table in one["tables"]}
        assert name in named or tables <= named, f"{name} has no block in docs/benchmarks.md"


def test_every_block_is_named_after_a_benchmark() -> None:
    names = _page.names(PAGE)
    assert names and len(names) == len(set(names)) == PAGE.count("<!-- bench:")
    assert {re.split(r"\W", name)[0] for name in names} <= set(_runs.scripts())


def test_every_benchmark_is_named_in_the_page() -> None:
    for name in _runs.scripts():
        assert re.search(rf"\b{name}\b", PAGE), f"docs/benchmarks.md does not name {name}"


def test_blocks_are_written_and_prose_stays() -> None:
    page = """Posting is quick.

<!-- bench: posting -->
by hand
<!-- end -->

It is, and reading too.

<!-- bench: reading -->

by hand

<!-- end -->
"""
    figures: dict[str, Figure | str | None] = {"one": Figure([3, 1, 2], "s"), "on a GPU": None}
    found = _page.written(page, record(posting=entry(figures)))
    assert (
        found
        == """Posting is quick.

<!-- bench: posting -->

`python -m benchmarks.posting`, on A processor (avx2), 2 cores, 24 GiB, no GPU, torch 2.13.0, \
numpy 2.4.6, scikit-learn 1.9.1, on 2026-11-29, commit 0123456789, load average 0.2 before:

| database | one, s | on a GPU |
| --- | ---: | ---: |
| sqlite | 2.0 (1.0 to 3.0) | not measured |

<!-- end -->

It is, and reading too.

<!-- bench: reading -->

by hand

<!-- end -->
"""
    )
    assert _page.written(found, record(posting=entry(figures))) == found


def test_a_table_with_a_block_of_its_own_is_left_out_of_the_script_s() -> None:
    quick, slow = entry({"one": Figure([1], "s")}), entry({"one": Figure([60], "s")})
    slow["tables"][0]["name"] = "posting slow"
    both = record(posting=quick | {"tables": quick["tables"] + slow["tables"]})
    all_of_it = "<!-- bench: posting -->\n<!-- end -->\n"
    found = _page.written(all_of_it, both)
    assert "| sqlite | 1.0 |" in found and "| sqlite | 60.0 |" in found
    own = "<!-- bench: posting slow -->\n<!-- end -->\n"
    first, second = _page.written(all_of_it + own, both).split("<!-- bench: posting slow -->")
    assert "| sqlite | 1.0 |" in first and "| sqlite | 60.0 |" not in first
    assert "| sqlite | 1.0 |" not in second and "| sqlite | 60.0 |" in second
