"""The works that components cite, read from the `References:` of their documentation."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_SECTION = re.compile(r"^References:\n((?:[ \t]+\S.*\n?|\n)+)", re.MULTILINE)
_WORK = re.compile(
    r"(?P<authors>[A-Z][\w-]+(?: et al\.| and [A-Z][\w-]+)?), (?P<year>\d{4}),\s+"
    r"(?P<url>https?://[^\s,;]+)"
)


@dataclass(frozen=True)
class Reference:
    """A published work."""

    authors: str
    """The authors as cited, for example `Chen et al.`"""
    year: int
    url: str

    def __str__(self) -> str:
        return f"{self.authors} ({self.year})"


def references(description: str) -> list[Reference]:
    """The works that a component's whole documentation names under `References:`, in order."""
    return [
        Reference(found["authors"], int(found["year"]), found["url"])
        for section in _SECTION.findall(description)
        for found in _WORK.finditer(section)
    ]


def cited(described: Iterable[tuple[str, str]]) -> dict[Reference, list[str]]:
    """Each cited work once, with the names of all that cite it.

    `described` has pairs of a name and its documentation.
    """
    found: dict[Reference, list[str]] = {}
    for name, description in described:
        for work in references(description):
            # One component may give the year of the preprint and another that of the journal.
            known = next((one for one in found if one.url == work.url), work)
            names = found.setdefault(known, [])
            if name not in names:
                names.append(name)
    return found
