"""Settings in few words, for legends and ticks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ml.studies.study import Study
from ml.studies.values import plain

Setting = tuple[tuple[str, Any], ...]


def short_path(path: str, among: Iterable[str]) -> str:
    """The last word of a path, or all of it where another path ends in the same."""
    last = path.rpartition(".")[2]
    return path if sum(other.rpartition(".")[2] == last for other in among) > 1 else last


def short_name(study: Study, setting: Setting) -> str:
    """`beta 4, latent_dim 10`; names of components stand for themselves."""
    told = ", ".join(
        plain(value)
        if path.endswith(".name")
        else f"{short_path(path, study.paths)} {plain(value)}"
        for path, value in setting
    )
    return told or "the only setting"


def short_names(study: Study) -> dict[Setting, str]:
    """The name of every setting, in the order of the sweep."""
    return {setting: short_name(study, setting) for setting in study.settings}
