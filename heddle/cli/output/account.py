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


def group_lines(scores: Sequence[Mapping[str, Any]]) -> list[Text]:
    """What the groups of codes are: `z0..z2 (81% of its variance), z3`. No line without groups."""
    groups = next((score["groups"] for score in scores if score.get("groups")), None)
    if groups is None:
        return []
    kept = groups["variance_kept"] or [1.0] * len(groups["names"])
    named = [
        f"{name} ({share:.0%} of its variance)" if share < 1 else name
        for name, share in zip(groups["names"], kept, strict=True)
    ]
    by = groups["by"].replace("_", " ")
    return [Text(f"{len(named)} latents, each a group of codes by {by}: {_shown(named)}")]


def _kind(factor: Mapping[str, Any]) -> str:
    if factor["kind"] == "continuous":
        return "continuous"
    return f"{factor['values']} class{'es' * (factor['values'] != 1)}"


def _shown(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_SHOWN} more" if len(names) > MOST_SHOWN else ""
    return ", ".join(names[:MOST_SHOWN]) + more
