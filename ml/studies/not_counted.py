"""What a study's numbers leave out: runs that have not succeeded, missing scores, few seeds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from ml.studies.study import Study, StudyRun
from ml.studies.values import ENOUGH_SEEDS, SUCCEEDED, counted

ENDED = frozenset({SUCCEEDED, "failed", "cancelled"})


def not_counted(study: Study) -> list[str]:
    """Sentences about the runs, scores and seeds that a study lacks."""
    runs = study.runs
    going = [run for run in runs if run.state not in ENDED]
    failed = [run for run in runs if run.state == "failed"]
    cancelled = [run for run in runs if run.state == "cancelled"]
    sentences = []
    if going:
        sentences.append(f"{_share(going, runs)} not ended yet and {_stand(going)} in no number.")
    if failed:
        reasons = _reasons(run.error or "no reason was recorded" for run in failed)
        sentences.append(
            f"{_share(failed, runs)} failed and {_stand(failed)} in no number: {reasons}"
        )
    if cancelled:
        sentences.append(
            f"{_share(cancelled, runs)} been cancelled and {_stand(cancelled)} in no number."
        )
    done = [run for run in runs if run.state == SUCCEEDED]
    if done and not study.score_columns:
        sentences.append("No scores were asked for, so no setting is the best by one.")
    for name in study.score_columns:
        without = [run for run in done if _lacks(study, run, name)]
        if without:
            reasons = _reasons(
                run.missing(name) or "it was not asked for, or is not finite" for run in without
            )
            sentences.append(
                f"{name} is missing from {len(without)} of the {len(done)} runs that succeeded:"
                f" {reasons}"
            )
    few = _few_seeds(study)
    if few:
        sentences.append(few)
    return sentences


def _lacks(study: Study, run: StudyRun, column: str) -> bool:
    """Whether the run lacks a finite number in this column.

    It lacks none if it has the same number in another column, which only does not compare.
    """
    if counted(run, column) is not None:
        return False
    return column in run.values or not any(name in run.values for name in study.like(column))


def _share(some: Sequence[StudyRun], runs: Sequence[StudyRun]) -> str:
    return f"{len(some)} of {len(runs)} runs {'has' if len(some) == 1 else 'have'}"


def _stand(some: Sequence[StudyRun]) -> str:
    return "stands" if len(some) == 1 else "stand"


def _reasons(reasons: Iterable[str]) -> str:
    """The commonest reason and the number of other reasons, as the end of a sentence."""
    ordered = Counter(reasons).most_common()
    reason = ordered[0][0].strip().rstrip(".")
    more = len(ordered) - 1
    if not more:
        return f"{reason}."
    return f"{reason}; and {more} other reason{'s' if more > 1 else ''}."


def _few_seeds(study: Study) -> str | None:
    """A sentence that counts the settings with too few seeds that succeeded; None without any."""
    seeds = [
        count
        for runs in study.settings.values()
        if (count := len({run.seed for run in runs if run.state == SUCCEEDED}))
    ]
    few = [count for count in seeds if count < ENOUGH_SEEDS]
    if not few:
        return None
    fewest, most = min(few), max(few)
    number = str(fewest) if fewest == most else f"{fewest} to {most}"
    return (
        f"{len(few)} of {len(seeds)} settings {'rests' if len(few) == 1 else 'rest'} on {number}"
        f" seed{'s' if most > 1 else ''}; at least {ENOUGH_SEEDS} are needed before an order of"
        " settings means much."
    )
