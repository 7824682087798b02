"""The plan of a posted spec: what a dry run answers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from api.documents.experiments import Plan
from ml.networks.networks import MODEL, parameter_counts
from ml.spec.run_spec import RunSpec
from ml.spec.unreached import Unreached, unreached
from store.experiments.dry_run import DryRun
from store.experiments.new_run import NewRun
from store.states import JobKind

BYTES_OF_A_NUMBER = 4
SEEDS_TO_COMPARE = 5
"""Seeds differ as much as settings do, so that a median over fewer says little."""


def plan_document(
    specs: Sequence[RunSpec],
    runs: Sequence[NewRun],
    found: DryRun,
    troubles: Mapping[JobKind, str],
    *,
    made: str | None = None,
    precision: str | None = None,
) -> Plan:
    """The document of a plan.

    `made` is the experiment that the request's key made before, and `precision` says what `auto`
    stands for.
    """
    # Runs of one cohort have the same networks.
    unlike = {run.cohort_key: spec for spec, run in zip(specs, runs, strict=True)}
    counts = [_counts(spec) for spec in unlike.values()]
    return Plan(
        runs=len(runs),
        reused=found.reused,
        parameters=max(sum(networks[name] for name in MODEL) for networks, _ in counts),
        steps=found.steps,
        seconds=found.seconds,
        memory_bytes=max(
            BYTES_OF_A_NUMBER * copies * sum(networks.values()) for networks, copies in counts
        ),
        position=found.position,
        starts_in_seconds=found.starts_in,
        warnings=[
            *([] if precision is None else [f"training.precision: {precision}."]),
            *_warnings(runs, found, troubles, made),
            *_too_short(specs),
        ],
    )


def _counts(spec: RunSpec) -> tuple[dict[str, int], int]:
    """The number of weights of each network, and how many numbers training holds for a weight."""
    return parameter_counts(spec), 2 + len(spec.training.optimizer.slots)


def _warnings(
    runs: Sequence[NewRun], found: DryRun, troubles: Mapping[JobKind, str], made: str | None
) -> Iterator[str]:
    if made is not None:
        yield f"Experiment {made} was made by this very request, and would be the answer to it."
    if JobKind.TRAIN in troubles and found.steps:
        yield f"Workers take no training at the moment: {troubles[JobKind.TRAIN]}"
    if JobKind.EVALUATE in troubles:
        yield f"Workers take no evaluation at the moment: {troubles[JobKind.EVALUATE]}"
    if found.again:
        yield (
            f"{found.again} of the runs failed or were cancelled before, and would be taken up"
            " again from their newest checkpoint."
        )
    if not found.steps and not found.again:
        yield "Nothing would be trained anew; post it with force=true to train it again."
    seeds = {run.seed for run in runs}
    if len(runs) > len(seeds) and len(seeds) < SEEDS_TO_COMPARE:
        yield (
            f"Settings are compared by {len(seeds)} {'seed' if len(seeds) == 1 else 'seeds'}, and"
            f" seeds differ as much as settings: {SEEDS_TO_COMPARE} are the least for a median."
        )


def _too_short(specs: Sequence[RunSpec]) -> Iterator[str]:
    """Warn of params that a run ends too early for: one sentence a param, about its first run."""
    by_path: dict[str, list[Unreached]] = defaultdict(list)
    for spec in specs:
        for one in unreached(spec):
            by_path[one.path].append(one)
    for several in by_path.values():
        all_of_them = len(several) == len(specs)
        where = "" if all_of_them else f" in {len(several)} of {len(specs)} runs"
        yield f"Too few steps{where}: {several[0]}."
