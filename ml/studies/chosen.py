"""What was chosen in a resolved spec: the values that decide weights and are not defaults."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from operator import itemgetter
from typing import Any

from ml.spec.identity import NOT_IDENTITY
from ml.spec.run_spec import RunSpec
from ml.studies.chosen_data import leaves

DECIDING = ("dataset", "model", "objective", "training")
"""The parts of a spec that decide weights, beside the seed and an `origin` if there is one."""
DATA = "dataset."


def deciding(spec: Mapping[str, Any]) -> dict[str, Any]:
    """All that decides a run's weights except the seed. It is equal for the runs of a setting.

    What an uploaded data set is called is left out, as it may be renamed.
    """
    training = {k: v for k, v in spec["training"].items() if k not in NOT_IDENTITY}
    origin = {"origin": spec["origin"]} if spec.get("origin") else {}
    data = {key: value for key, value in spec["dataset"].items() if key != "called"}
    parts = {name: spec[name] for name in DECIDING}
    return parts | {"dataset": data, "training": training} | origin


def chosen(spec: Mapping[str, Any]) -> dict[str, Any]:
    """All values of the objective, and all others except the data's that are not defaults.

    Keys are dotted paths.
    """
    usual = _usual(str(spec["objective"]["name"]))
    return {
        path: value
        for path, value in sorted(leaves("", deciding(spec)), key=itemgetter(0))
        if not path.startswith(DATA)
        and (
            (path.startswith("objective.") and value is not None)
            or path not in usual
            or usual[path] != value
        )
    }


@lru_cache(maxsize=1_000)
def _usual(objective: str) -> Mapping[str, Any]:
    try:
        # Any data set will do, as its values are not looked at.
        spec = RunSpec.model_validate({"dataset": "digits", "objective": objective})
    except ValueError:
        # The objective has no defaults, or is no longer installed.
        return {}
    return dict(leaves("", deciding(spec.document())))
