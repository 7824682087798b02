"""Presets by name: the spec of a known experiment, its sources, and what differs from them."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field
from ruamel.yaml import YAML

from ml.components.described import Described
from ml.components.registry import UnknownComponent
from ml.experiments.experiment import MAX_RUNS

FOLDER = Path(__file__).parent

Sentence = Annotated[str, Field(min_length=1)]
Seeds = Annotated[int, Field(ge=1, le=MAX_RUNS)]


class _Model(Described):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Look(_Model):
    """A plot of the experiment that shows what the preset is about."""

    plot: str
    """The name of the plot."""
    params: dict[str, Any] = {}
    """Its params."""


class Choices(_Model):
    """What may be chosen about a preset by name. Any other change is made to its spec."""

    dataset: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """The name of the data set to train on; the preset's own if absent."""
    seeds: Seeds | None = None
    """The number of seeds, which are 0, 1, 2 and so on; the preset's own if absent."""


class Preset(_Model):
    """A known experiment, ready to be posted."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    summary: Sentence
    """What the experiment is, in a line."""
    version: Annotated[int, Field(ge=1)] = 1
    """It changes when the spec does."""
    source: Annotated[str, Field(pattern=r"^\S.*, \d{4}, https://\S+$")]
    """The work that the experiment is from: authors, year, address."""
    places: list[Sentence]
    """Where in the work, or in code, each of the spec's values was found."""
    differs: list[Sentence]
    """What the work used and the spec lacks or does otherwise, and what is not known of it."""
    datasets: Annotated[list[str], Field(min_length=1)]
    """The data sets of the work. Each of them makes an experiment."""
    look: list[Look] = []
    """Plots of the experiment that show what it is about."""
    spec: dict[str, Any]
    """The experiment, as it is posted."""

    @property
    def runs(self) -> int:
        """The number of runs that the spec asks for."""
        return math.prod(len(values) for values in self.spec.get("sweep", {}).values())

    def with_choices(self, choices: Choices) -> Preset:
        """A copy whose spec has these choices. That they can be run is checked with the spec."""
        spec = copy.deepcopy(self.spec)
        if choices.dataset is not None:
            spec["dataset"] = choices.dataset
        if choices.seeds is not None:
            spec["sweep"] = spec.get("sweep", {}) | {"seed": list(range(choices.seeds))}
        return self.model_copy(update={"spec": spec})


@cache
def presets() -> Mapping[str, Preset]:
    """Every preset, by name, in alphabetical order.

    Raises:
        pydantic.ValidationError: a file is no preset.
        ValueError: a file has another name than its preset.
    """
    return {path.stem: read_preset(path) for path in sorted(FOLDER.glob("*.yaml"))}


def preset(name: str) -> Preset:
    """The preset of this name.

    Raises:
        UnknownComponent: no preset has the name; the error gives the known and nearest names.
    """
    known = presets()
    if name not in known:
        raise UnknownComponent("preset", name, known)
    return known[name]


def read_preset(path: Path) -> Preset:
    """The preset in a YAML 1.2 file. It raises the errors of `presets`."""
    # The loader in C follows YAML 1.1, where 1e-4 is a word.
    data = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    found = Preset.model_validate(data)
    if found.name != path.stem:
        raise ValueError(f"{path.name} has the preset {found.name!r}, but a file is named after it")
    return found
