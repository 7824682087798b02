"""What was chosen of a resolved spec: what decides weights, without what is as by default."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from operator import itemgetter
from typing import Any

from ml.spec.identity import NOT_IDENTITY
from ml.spec.run_spec import RunSpec
from ml.studies.chosen_data import leaves

DECIDING = ("dataset", "model", "objective", "training")
"""The parts of a spec that, with the seed, decide weights; and `origin`, where there is one."""
DATA = "dataset."


def deciding(spec: Mapping[str, Any]) -> dict[str, Any]:
    """What decides the weights of a run but the seed: equal for the runs of a setting."""
    training = {k: v for k, v in spec["training"].items() if k not in NOT_IDENTITY}
    origin = {"origin": spec["origin"]} if spec.get("origin") else {}
    return {name: spec[name] for name in DECIDING} | {"training": training} | origin


def chosen(spec: Mapping[str, Any]) -> dict[str, Any]:
    """All of the objective, and what else is not as by default but the data; dotted paths."""
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
        # One has no defaults, or is no longer installed.
        return {}
    return dict(leaves("", deciding(spec.document())))
