"""The account of a file of codes and factors: how it was read, to be shown beside its scores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import ConfigDict

from ml.codes.rows import FactorKind, Rows
from ml.components.described import Described


class _Part(Described):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FactorRead(_Part):
    """One factor as it was read."""

    name: str
    kind: FactorKind
    values: int
    """How many different values it takes."""


class LeftAside(_Part):
    """An array or a column that is neither a code nor a factor."""

    name: str
    why: str


class FileAccount(_Part):
    """How a file was read. Look here first if a score is odd."""

    rows: int
    codes: list[str]
    """Names of the codes, or z0, z1, … if the file has none."""
    factors: list[FactorRead]
    left_aside: list[LeftAside]
    assumed: list[str]
    """Everything that the file leaves open and a rule decided."""


def account_of(
    rows: Rows, *, left_aside: Sequence[LeftAside] = (), assumed: Sequence[str] = ()
) -> FileAccount:
    """The account of rows as they are scored."""
    columns = rows.factors.T
    return FileAccount(
        rows=len(rows),
        codes=list(rows.code_names or (f"z{column}" for column in range(rows.codes.shape[1]))),
        factors=[
            FactorRead(name=name, kind=kind, values=len(np.unique(column)))
            for name, kind, column in zip(
                rows.factor_names, rows.factor_kinds, columns, strict=True
            )
        ],
        left_aside=list(left_aside),
        assumed=list(assumed),
    )
