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
    """All that decides a run's weights except the seed. It is equal for the runs of a setting."""
    training = {k: v for k, v in spec["training"].items() if k not in NOT_IDENTITY}
    origin = {"origin": spec["origin"]} if spec.get("origin") else {}
    return {name: spec[name] for name in DECIDING} | {"training": training} | origin


def chosen(spec: Mapping[str, Any]) -> dict[str, Any]:
    """All values of the objective, and all others except the data's that are not defaults.

    Keys are dotted paths.
    """
    dataset, objective = str(spec["dataset"]["name"]), str(spec["objective"]["name"])
    usual = _usual(dataset, objective)
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
def _usual(dataset: str, objective: str) -> Mapping[str, Any]:
    try:
        spec = RunSpec.model_validate({"dataset": dataset, "objective": objective})
    except ValueError:
        # The data set or the objective has no defaults, or is no longer installed.
        return {}
    return dict(leaves("", deciding(spec.document())))
