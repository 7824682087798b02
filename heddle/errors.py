"""Errors between a client, a service and a home folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class FieldError:
    """One thing to change in a request: where it is, what came, what was expected."""

    path: str
    got: Any = None
    expected: str | None = None
    nearest: str | None = None

    def __str__(self) -> str:
        line = f"{self.path or 'body'}: got {json.dumps(self.got, default=str)}"
        if self.expected:
            line += f", expected {self.expected}"
        if self.nearest:
            line += f"; did you mean {self.nearest}?"
        return line


class HeddleError(Exception):
    """Heddle could not do what was asked; `str()` has a line for each thing to change.

    `status` is the HTTP status if the error is a server's answer, else None.
    """

    def __init__(
        self,
        title: str,
        *,
        status: int | None = None,
        detail: str | None = None,
        errors: Sequence[FieldError] = (),
    ) -> None:
        super().__init__(title)
        self.title = title
        self.status = status
        self.detail = detail
        self.errors = list(errors)

    def __str__(self) -> str:
        head = self.title if self.status is None else f"{self.status} {self.title}"
        # Many servers state the errors twice, in a sentence and in the list.
        repeated = self.errors and all(error.path in (self.detail or "") for error in self.errors)
        if self.detail and self.detail != self.title and not repeated:
            head += f": {self.detail}"
        return "\n".join([head, *(f"  {error}" for error in self.errors)])

    @classmethod
    def of_problem(cls, status: int, problem: Mapping[str, Any]) -> HeddleError:
        """Read an `application/problem+json` document; any member may be absent."""
        errors = [
            FieldError(
                path=str(error.get("path") or ""),
                got=error.get("got"),
                expected=error.get("expected"),
                nearest=_joined(error.get("nearest")),
            )
            for error in problem.get("errors") or []
        ]
        title = str(problem.get("title") or "The server refused")
        return cls(title, status=status, detail=problem.get("detail"), errors=errors)


def _joined(nearest: str | Sequence[str] | None) -> str | None:
    if nearest is None or isinstance(nearest, str):
        return nearest
    return " or ".join(nearest)


class ServerUnreachable(HeddleError):
    """Nothing answers at the URL. Start a service there, or set HEDDLE_URL to one."""

    def __init__(self, url: str, cause: object) -> None:
        super().__init__(
            f"No Heddle server answers at {url} ({cause}). "
            "Start one with `heddle up`, or name another by --url or HEDDLE_URL."
        )
        self.url = url


class SpecError(HeddleError):
    """A spec, an override or a file cannot be used, which was found before a server was asked."""


class DownloadDamaged(HeddleError):
    """The downloaded bytes do not have the digest of the artifact; they were discarded."""

    def __init__(self, name: str, got: str, expected: str) -> None:
        super().__init__(f"Artifact {name}: got bytes of sha256 {got}, expected {expected}")


class ServiceError(HeddleError):
    """The embedded service could not start, or had to end."""


class HomeUnusable(ServiceError):
    """A home folder cannot be made or written."""

    def __init__(self, home: Path, cause: OSError) -> None:
        super().__init__(
            f"The home folder {home} cannot be used: {cause.strerror or cause}. Make it one that"
            " this user may write, or give another by --home or HEDDLE_HOME."
        )


class HomeServed(ServiceError):
    """Another `heddle up` serves this home folder already."""

    def __init__(self, home: Path, pid: object, url: object) -> None:
        super().__init__(
            f"{home} is served already, by process {pid} at {url}. "
            f"Use that one (HEDDLE_URL={url}), end it, or give another folder with --home."
        )


class PortTaken(ServiceError):
    """The port to serve on cannot be bound."""

    def __init__(self, host: str, port: int, cause: OSError) -> None:
        super().__init__(
            f"Cannot serve on {host}:{port}: {cause.strerror}. Give a free one with --port."
        )


class ChildFailed(ServiceError):
    """A process of the service ended too often, too early or with an error.

    The message holds the last lines of its log, from the byte `since` on.
    """

    def __init__(self, name: str, what: str, log: Path, since: int = 0) -> None:
        super().__init__(f"{name} {what}. The end of {log}", detail="\n" + tail(log, since=since))


def tail(log: Path, lines: int = 20, *, since: int = 0) -> str:
    """The last lines of a log file from the byte `since` on, or a note that there are none."""
    text = log.read_bytes()[since:].decode(errors="replace") if log.exists() else ""
    return "\n".join(text.splitlines()[-lines:]) or "(the log is empty)"
