"""What was understood of a file of codes, as lines for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text

MOST_SHOWN = 12


def account_title(file: str, account: Mapping[str, Any]) -> str:
    """`codes.csv: 400 rows, 3 codes z0, z1, z2, factors shape (3 classes), x (continuous)`."""
    codes = account["codes"]
    factors = [f"{one['name']} ({_kind(one)})" for one in account["factors"]]
    return (
        f"{file}: {account['rows']} rows, {len(codes)} codes {_shown(codes)},"
        f" factors {_shown(factors)}"
    )


def account_lines(account: Mapping[str, Any] | None) -> list[Text]:
    """What was left aside, grouped by the reason, and what was assumed."""
    if account is None:
        return []
    aside: dict[str, list[str]] = {}
    for one in account["left_aside"]:
        aside.setdefault(one["why"], []).append(one["name"])
    lines = [f"left aside {_shown(names)}: {why}" for why, names in aside.items()]
    lines += [f"assumed: {one}" for one in account["assumed"]]
    return [Text(line, style="yellow") for line in lines]


def _kind(factor: Mapping[str, Any]) -> str:
    if factor["kind"] == "continuous":
        return "continuous"
    return f"{factor['values']} class{'es' * (factor['values'] != 1)}"


def _shown(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_SHOWN} more" if len(names) > MOST_SHOWN else ""
    return ", ".join(names[:MOST_SHOWN]) + more
