"""Two records beside each other: what became better or worse, and what cannot be told apart."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rich.markup import escape
from rich.table import Table as Shown

from benchmarks.record import Figure, Table, table_from_json

Verdict = Literal["better", "worse", "within the spread", "one round", "no direction"]
"""`within the spread` means that the rounds do not tell the two apart, `one round` that one of them
has no spread, and `no direction` that neither way is an improvement."""
Record = Mapping[str, Any]
FEW_ROUNDS = 3


@dataclass(frozen=True)
class Change:
    """One figure in both records."""

    benchmark: str
    figure: str
    old: Figure
    new: Figure
    #: How it was judged: by its own values, or by its ratios to the alternative.
    by: Literal["values", "ratios"]
    verdict: Verdict


def verdict(old: Figure, new: Figure) -> Verdict:
    """Whether a figure changed by more than rounds differ.

    It did if no old round lies between new ones and the other way round. Two rounds often lie apart
    by chance. With fewer than three on a side the gap must therefore be wider than either spread.
    """
    if old.better is None:
        return "no direction"
    if min(len(old.values), len(new.values)) < 2:
        return "one round"
    lower, upper = sorted((old.values, new.values), key=min)
    gap = min(upper) - max(lower)
    few = min(len(old.values), len(new.values)) < FEW_ROUNDS
    needed = max(max(one) - min(one) for one in (lower, upper)) if few else 0.0
    if gap <= needed:
        return "within the spread"
    more = upper is new.values
    return "better" if more == (old.better == "more") else "worse"


def differences(old: Record, new: Record) -> list[str]:
    """In what machine and versions of two entries differ, as `name: old, now new`."""
    found = []
    for part in ("hardware", "versions"):
        names = dict.fromkeys([*old[part], *new[part]])
        for name in names:
            was, now = old[part].get(name), new[part].get(name)
            if was != now:
                found.append(f"{name}: {was}, now {now}")
    return found


def other_work(old: Record, new: Record) -> list[str]:
    """The tables of two entries that are not of the same work, as their commands tell."""
    commands = {table["name"]: _work(table["command"]) for table in old["tables"]}
    return [
        table["name"]
        for table in new["tables"]
        if commands.get(table["name"]) not in (None, _work(table["command"]))
    ]


def _work(command: str) -> str:
    """A command without the number of rounds, which may differ."""
    return re.sub(r" --rounds \d+", "", command)


def changes(old: Record, new: Record) -> Iterator[Change]:
    """Every figure that both entries of a benchmark have, in tables of the same work.

    On other hardware or with other versions only ratios to an alternative are compared.
    """
    same_machine, apart = not differences(old, new), other_work(old, new)
    tables = {table["name"]: table_from_json(table) for table in old["tables"]}
    for document in new["tables"]:
        table = table_from_json(document)
        if table.name not in tables or table.name in apart:
            continue
        before = _figures(tables[table.name])
        for key, figure in _figures(table).items():
            was = before.get(key)
            if was is None or was.unit != figure.unit:
                continue
            old_ratio, new_ratio = _ratio(was), _ratio(figure)
            if old_ratio is not None and new_ratio is not None:
                found = verdict(old_ratio, new_ratio)
                yield Change(table.name, " / ".join(key), was, figure, "ratios", found)
            elif same_machine:
                found = verdict(was, figure)
                yield Change(table.name, " / ".join(key), was, figure, "values", found)


def _figures(table: Table) -> dict[tuple[str, ...], Figure]:
    """A table's figures by the row's labels and the column."""
    return {
        (*row.labels, column): figure
        for row in table.rows
        for column, figure in row.figures.items()
        if isinstance(figure, Figure)
    }


def _ratio(figure: Figure) -> Figure | None:
    """A figure over its alternative, or itself where it is such a ratio."""
    if figure.alternative is not None and all(figure.alternative):
        return figure.per(Figure(figure.alternative, figure.unit))
    return figure if figure.unit == "times" else None


def shown(found: Sequence[Change]) -> Shown:
    """The changes as a table for a terminal, of figures that have a better way."""
    table = Shown("benchmark", "figure")
    for column in ("old", "new", "new / old"):
        table.add_column(column, justify="right")
    table.add_column("judged by")
    table.add_column("verdict")
    colours = {"better": "green", "worse": "red"}
    for one in found:
        if one.verdict == "no direction":
            continue
        places, unit = one.new.places, one.new.unit
        old, new = one.old.median, one.new.median
        colour = colours.get(one.verdict, "default")
        table.add_row(
            escape(one.benchmark),
            escape(one.figure),
            f"{old:,.{places}f} {unit}",
            f"{new:,.{places}f} {unit}",
            f"{new / old:.2f}" if old else "",
            one.by,
            f"[{colour}]{one.verdict}[/]",
        )
    return table
