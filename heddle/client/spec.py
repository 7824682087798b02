"""Specs as people write them: in YAML 1.2, where 1e-4 is a number and `no` is a word."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from heddle.errors import SpecError


def parse_yaml(text: str, origin: str) -> Any:
    """Return the value of a YAML 1.2 document (such as JSON), made of what JSON can carry.

    Raises:
        SpecError: it is not YAML, or holds a value that JSON cannot. The error names `origin`.
    """
    try:
        # The loader in C follows YAML 1.1, where 1e-4 is a word and 010 is eight.
        value = YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        raise SpecError(f"{origin} is not YAML", detail=str(error)) from error
    return _plain(value, origin)


def read_spec(spec: Mapping[str, Any] | str | Path) -> dict[str, Any]:
    """Read a spec from a mapping, a file's path, or YAML text.

    A text is a path if a file of that name exists, else YAML.

    Raises:
        SpecError: the file cannot be read, or it does not hold a mapping.
    """
    if isinstance(spec, Mapping):
        return dict(_plain(dict(spec), "spec"))
    if isinstance(spec, Path) or _names_a_file(spec):
        try:
            text = Path(spec).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SpecError(f"Cannot read the spec {spec}", detail=str(error)) from error
        return _mapping(parse_yaml(text, str(spec)), str(spec))
    return _mapping(parse_yaml(spec, "spec"), repr(spec if len(spec) < 80 else spec[:77] + "..."))


def override(spec: dict[str, Any], assignment: str) -> None:
    """Apply `path=value` to a spec: `training.steps=500`, `sweep.objective.beta=[1, 4]`.

    Values are YAML. Mappings that the path lacks are made. Under `sweep` the rest of the path is
    one key, as the keys of a sweep are paths.

    Raises:
        SpecError: there is no `=`, or the path leads through something that is not a mapping.
    """
    path, value = assigned(assignment)
    keys = path.split(".", 1) if path.startswith("sweep.") else path.split(".")
    place = spec
    for depth, key in enumerate(keys[:-1], start=1):
        if place.get(key) is None:
            place[key] = {}
        place = place[key]
        if not isinstance(place, dict):
            raise SpecError(
                f"Cannot set {path}: {'.'.join(keys[:depth])} is {place!r}, expected a mapping"
            )
    place[keys[-1]] = value


def assigned(assignment: str) -> tuple[str, Any]:
    """Path and value of `path=value`; the value is read as YAML.

    Raises:
        SpecError: there is no `=`.
    """
    path, equals, text = assignment.partition("=")
    if not equals or not path.strip("."):
        raise SpecError(f"Got the override {assignment!r}, expected path=value")
    return path, parse_yaml(text, f"the value of {path}")


def _names_a_file(text: str) -> bool:
    try:
        return "\n" not in text and Path(text).is_file()
    except OSError:  # A long line of YAML is not a file name.
        return False


def _mapping(value: Any, origin: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise SpecError(f"Got {origin}, expected an existing file or a YAML mapping")
    return value


def _plain(value: Any, where: str) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, f"{where}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, (datetime.date, datetime.datetime)):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        raise SpecError(f"{where}: got {value}, expected a finite number")
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise SpecError(f"{where}: got a {type(value).__name__}, expected what JSON can carry")
