"""Which columns of a table are codes, which are factors, and which are neither."""

from __future__ import annotations

import difflib
import fnmatch
import re
from collections.abc import Collection, Sequence

from heddle.local.table import MOST_SHOWN, Table, UnusableTable
from ml.codes.found_arrays import ALIASES, Side

_STEMS = ("z", "code", "latent", "dim", "z_dim", "latent_dim", *ALIASES["codes"])
_PLACE = r"([ _.-]?|[\[({])(?P<number>[0-9]{1,9})[\])}]?"
CODE = re.compile(rf"(?P<stem>{'|'.join(_STEMS)}){_PLACE}", re.IGNORECASE)
"""Names of columns that are codes unless the user says otherwise: a name that an array of codes may
have, with a number, such as z0, z_0, z[0], mu0, latent_0."""
_SPREAD = re.compile(
    rf"((z|latent)[ _]?)?(log[ _]?)?(var(iance)?|std|sigma)s?{_PLACE}", re.IGNORECASE
)
"""Names of columns that have the spread of the posterior."""
_NO_NAME = re.compile(
    r"Unnamed: \d+(_level_\d+|\.\d+)?|__index_level_\d+__|level_\d+|index|idx", re.IGNORECASE
)
"""Names that pandas gives, on writing or reading, to columns without one."""


def matching(pattern: str, names: Collection[str]) -> list[str]:
    """Return the name that equals the pattern, as for z[0], or else all names that it matches."""
    if pattern in names:
        return [pattern]
    return [name for name in names if fnmatch.fnmatchcase(name, pattern)]


def chosen(patterns: Sequence[str], names: Sequence[str], what: str) -> list[str]:
    """Return the names that any of the patterns equals or matches, in the order of `names`.

    Raises:
        UnusableTable: a pattern matches none of them.
    """
    known, found = dict.fromkeys(names), set()
    for pattern in patterns:
        matched = matching(pattern, known)
        found.update(matched)
        if not matched:
            near = difflib.get_close_matches(pattern, names, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else "."
            raise UnusableTable(f"No {what} is called {pattern!r}{hint} There are {listed(names)}")
    return [name for name in names if name in found]


class ChosenColumns:
    """Which columns are codes, which are factors, and why the others are neither."""

    def __init__(
        self,
        table: Table,
        sides: Sequence[Side],
        codes: Sequence[str],
        factors: Sequence[str],
        drop: Sequence[str],
    ) -> None:
        self._table = table
        self._names = list(table.columns)
        self.assumed: list[str] = []
        self.left_aside = {
            name: why for name, why in table.aside.items() if name not in table.columns
        }
        names = [*self._names, *self.left_aside]
        patterns = self._whole(drop)
        if len(sides) < len(ALIASES):
            # A column to drop may be in the other file.
            patterns = [pattern for pattern in patterns if matching(pattern, names)]
        dropped = set(chosen(patterns, names, "column"))
        of_factors = self._named(factors) if "factors" in sides else []
        self.codes: list[str] = []
        if "codes" in sides:
            self.codes = self._named(codes) or self._by_pattern(set(of_factors) | dropped)
            if both := set(self.codes) & set(of_factors):
                raise UnusableTable(f"Column {min(both)!r} is chosen for codes and for factors")
        self.unnamed: set[str] = set()
        if "factors" in sides and not of_factors:
            of_factors = self._others(dropped, alone="codes" not in sides)
            self.unnamed = set(of_factors)
        self.factors = [name for name in of_factors if name not in dropped]
        self.codes = [name for name in self.codes if name not in dropped]
        self._check(sides)
        used = {*self.codes, *self.factors}
        for name in self._names:
            if name not in used:
                self.left_aside.setdefault(name, self._why(name, dropped))

    def _whole(self, patterns: Sequence[str]) -> list[str]:
        """The patterns, with the name of each list column replaced by its parts."""
        lists = self._table.lists
        return [part for pattern in patterns for part in lists.get(pattern, [pattern])]

    def _named(self, patterns: Sequence[str]) -> list[str]:
        return chosen(self._whole(patterns), self._names, "column")

    def _by_pattern(self, taken: set[str]) -> list[str]:
        """Columns that are called as codes are. They must have one stem, and each number once."""
        called = {name: match for name in self._names if (match := CODE.fullmatch(name))}
        found = [name for name in called if name not in taken]
        if not found and (of_list := self._list_of("codes", taken)):
            return of_list
        ways: dict[str, list[str]] = {}
        for name in found:
            ways.setdefault(name[: called[name].start("number")], []).append(name)
        numbers = [int(called[name]["number"]) for name in found]
        stems = {called[name]["stem"].lower() for name in found}
        if len(stems) > 1 or len(set(numbers)) < len(numbers):
            kinds = " and ".join(f"{names[0]!r} (of {len(names)})" for names in ways.values())
            raise UnusableTable(
                f"{self._table.path} has codes of more than one kind, {kinds}; say by --codes which"
                f" are meant, as in --codes '{next(iter(ways))}*'"
            )
        return found

    def _list_of(self, side: Side, taken: set[str]) -> list[str]:
        """The parts of the list column that has the codes, or the factors; none without one."""
        lists = {name: parts for name, parts in self._table.lists.items() if not taken & set(parts)}
        others = ALIASES["factors" if side == "codes" else "codes"]
        called = [name for name in lists if name.lower() in ALIASES[side]]
        called = called or [name for name in lists if name.lower() not in others]
        if len(called) > 1:
            raise UnusableTable(
                f"{self._table.path} has several list columns, {listed(called)}; say by --codes"
                " which has the codes"
            )
        if called:
            self.assumed.append(f"the lists in {called[0]!r} are the {side}")
        return lists[called[0]] if called else []

    def _others(self, dropped: set[str], *, alone: bool) -> list[str]:
        """The columns that are factors if the user names none."""
        table = self._table
        taken = {*self.codes, *dropped, *table.aside}
        rest = [name for name in self._names if name not in taken]
        of_lists = {
            part: name.lower() in ALIASES["factors"]
            for name, parts in table.lists.items()
            for part in parts
        }
        rest = [name for name in rest if alone or of_lists.get(name, True)]
        # Columns called as codes do not become factors when the user chose other columns as codes.
        rest = [name for name in rest if not CODE.fullmatch(name)] or (rest if alone else [])
        for name in rest:
            if name in table.nameless or _NO_NAME.fullmatch(name):
                raise UnusableTable(
                    f"Column {name!r} of {table.path} has no name of its own, as the index of a"
                    f" frame; leave it out by --drop {name!r}, or name the factors by --factors"
                    " (pandas writes no index with index=False)"
                )
            if _SPREAD.fullmatch(name):
                raise UnusableTable(
                    f"Column {name!r} of {table.path} is called as the spread of a code, not as a"
                    " factor; leave such columns out by --drop, or name the factors by --factors"
                )
        return rest

    def _why(self, name: str, dropped: set[str]) -> str:
        if name in dropped:
            return "dropped"
        if name in self._table.aside:
            return self._table.aside[name]
        if CODE.fullmatch(name):
            return "called as a code is, but not chosen"
        return "not chosen"

    def _check(self, sides: Sequence[Side]) -> None:
        path = self._table.path
        if "codes" in sides and not self.codes:
            raise UnusableTable(
                f"{path} has no columns called z0, code_0 or latent_0 and so on; say by --codes"
                f" which are codes. There are {listed(self._names)}"
            )
        if "factors" in sides and not self.factors:
            raise UnusableTable(
                f"{path} has no columns besides the codes {listed(self.codes)}; a file of factors"
                " alone is given by --factors-file"
            )


def listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_SHOWN} more" if len(names) > MOST_SHOWN else ""
    return ", ".join(map(repr, names[:MOST_SHOWN])) + more
