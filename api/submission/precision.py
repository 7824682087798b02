"""What `precision: auto` stands for here, by what the workers that train have measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ml.spec.choices import Precision
from store.database.connection import Database
from store.workers.presence import measured_precisions


class Chosen:
    """Chooses when it is first called, and then says why."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._precision: Precision | None = None
        self.reason: str | None = None
        """None if nobody asked."""

    def __call__(self) -> Precision:
        if self._precision is None:
            self._precision, self.reason = chosen(measured_precisions(self._database))
        return self._precision


def chosen(measured: Sequence[Mapping[str, Any]]) -> tuple[Precision, str]:
    """The precision, and a sentence that says why.

    Any worker may get the run. So bfloat16 is chosen if it is faster on all of them.
    """
    if not measured:
        return "float32", "auto is float32: no worker that trains has measured its device yet"
    slower = [one for one in measured if one["faster"] == "float32"]
    told = "; ".join(dict.fromkeys(map(_told, slower or measured)))
    return ("float32" if slower else "bfloat16"), (
        f"auto is {'float32' if slower else 'bfloat16'}, as was measured on {told}"
    )


def _told(one: Mapping[str, Any]) -> str:
    bfloat16 = one["bfloat16"]
    other = "no bfloat16" if bfloat16 is None else f"{bfloat16:,.0f} in bfloat16"
    return f"{one['device_model']}: {one['float32']:,.0f} images/s in float32, {other}"
