"""Short names of settings, for legends and ticks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ml.studies.study import Study
from ml.studies.values import plain

Setting = tuple[tuple[str, Any], ...]


def short_path(path: str, among: Iterable[str]) -> str:
    """The last word of a path, or the whole path if another one ends in the same word."""
    last = path.rpartition(".")[2]
    return path if sum(other.rpartition(".")[2] == last for other in among) > 1 else last


def short_name(study: Study, setting: Setting) -> str:
    """A setting as text: `beta 4, latent_dim 10`. Names of components have no path before them."""
    name = ", ".join(
        plain(value)
        if path.endswith(".name")
        else f"{short_path(path, study.paths)} {plain(value)}"
        for path, value in setting
    )
    return name or "the only setting"


def short_names(study: Study) -> dict[Setting, str]:
    """The name of every setting, in the order of the sweep."""
    return {setting: short_name(study, setting) for setting in study.settings}
