"""Advice: the plain reasons behind odd scores, found in the scores and curves themselves."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from pydantic import BaseModel

from ml.dataset import DatasetComponent
from ml.metric import Score
from ml.null_test import is_clear

Curves = Mapping[str, Sequence[tuple[int, float | None]]]
"""Training curves: tag to (step, value) pairs."""

UNUSED_KL = 0.01
"""Nats; a latent with less is unused, as in UDR (Duan et al., 2020)."""
STILL_FALLING = 0.01
"""Share of the reconstruction by which a trained model may still improve over its last tenth."""
FEWEST_POINTS = 20
"""Of a curve that is to be judged."""
LATENT = "kl_per_latent/"
RECONSTRUCTION = "reconstruction"
CAPACITY = "capacity"


class Advice(BaseModel):
    """One reason for odd numbers, and what to do about it."""

    about: str
    """A score's name, a factor's, `rows`, or `training`."""
    reason: str
    """What was seen, with its numbers."""
    suggestion: str
    """What to change, or what not to expect."""


def advise(
    scores: Sequence[Score],
    *,
    curves: Curves | None = None,
    dataset: DatasetComponent | None = None,
) -> list[Advice]:
    """What stands behind these scores: the model first, then the data, then single scores.

    Without curves nothing is said of the training, without a data set nothing of its factors.
    """
    found: list[Advice] = []
    if curves:
        found += [*_unused_latents(curves), *_capacity_below(curves), *_undertrained(curves)]
    if dataset is not None:
        found += _not_recoverable(scores, dataset)
    for score in scores:
        found += [
            *_inside_null(score),
            *_rows_twice(score),
            *_too_few_bins(score),
            *_shared_factor(score),
            *_without_uncertainty(score),
        ]
    # Several numbers or evaluations may give the same reason.
    return list({(one.about, one.reason): one for one in found}.values())


def _unused_latents(curves: Curves) -> Iterator[Advice]:
    kl = {
        int(tag.removeprefix(LATENT)): points[-1][1]
        for tag, points in curves.items()
        if tag.startswith(LATENT) and points and points[-1][1] is not None
    }
    unused = sorted(
        latent for latent, value in kl.items() if value is not None and value < UNUSED_KL
    )
    if not unused:
        return
    listed = ", ".join(f"z{latent}" for latent in unused)
    lower = "give it more capacity" if CAPACITY in curves else "lower the weight of the KL (beta)"
    if len(unused) == len(kl):
        yield Advice(
            about="training",
            reason=f"all {len(kl)} latents have collapsed: each has a KL below {UNUSED_KL} nats at"
            " the last step, so that codes say nothing of the image",
            suggestion=f"{lower}, or let its weight grow from zero; no score of these codes"
            " means anything",
        )
    else:
        yield Advice(
            about="training",
            reason=f"{len(unused)} of {len(kl)} latents are unused ({listed}): a KL below"
            f" {UNUSED_KL} nats at the last step",
            suggestion="usual where there are more latents than factors; if factors are missing"
            f" from the codes, {lower}",
        )


def _capacity_below(curves: Curves) -> Iterator[Advice]:
    """The capacity of an annealed VAE that was still growing at the end."""
    points = [value for _, value in curves.get(CAPACITY, ()) if value is not None]
    if len(points) > 1 and points[-1] > points[-2]:
        yield Advice(
            about="training",
            reason=f"the capacity was still growing when training ended, at {points[-1]:.3g} nats",
            suggestion="set objective.anneal_steps well below training.steps",
        )


def _undertrained(curves: Curves) -> Iterator[Advice]:
    values = np.array(
        [value for _, value in curves.get(RECONSTRUCTION, ()) if value is not None], dtype=float
    )
    if len(values) < FEWEST_POINTS:
        return
    tenth = len(values) // 10
    last, before = values[-tenth:], values[-2 * tenth : -tenth]
    fall = float(before.mean() - last.mean())
    # A batch's noise: deviation of each mean, from differences of neighbours.
    noise = float(np.diff(values[-2 * tenth :]).std() / math.sqrt(max(1, tenth)))
    if fall > STILL_FALLING * abs(float(before.mean())) and fall > 2 * noise:
        yield Advice(
            about="training",
            reason="the reconstruction was still falling when training ended: by"
            f" {fall / abs(float(before.mean())):.1%} from the last tenth but one to the last",
            suggestion="train for more steps before comparing scores",
        )


def _not_recoverable(scores: Sequence[Score], dataset: DatasetComponent) -> Iterator[Advice]:
    judged = {name for score in scores for name in score.details.get("factors", ())}
    for factor, why in dataset.not_recoverable.items():
        if factor in judged:
            yield Advice(
                about=factor,
                reason=f"{factor} of {dataset.name} cannot be told fully from an image: {why}",
                suggestion="even a perfect encoder falls short of a perfect score on it",
            )


def _inside_null(score: Score) -> Iterator[Advice]:
    # An error is 1 - accuracy, and says the same.
    if score.value is None or score.null is None or score.name.startswith("error"):
        return
    null = score.null
    if is_clear(score.value, null, higher_is_better=score.higher_is_better) is False:
        yield Advice(
            about=score.name,
            reason=f"{score.name} {score.value:.4g} lies inside its null ({null.mean:.4g} ±"
            f" {null.std:.2g}, {null.replicates} permutations)",
            suggestion="it cannot be told from codes that know nothing of the factors",
        )


def _rows_twice(score: Score) -> Iterator[Advice]:
    """Rows that are one and the same, which predictors know by heart."""
    repeated, trained_on = (
        score.details.get(name, 0) for name in ("repeated_rows", "test_rows_trained_on")
    )
    if trained_on:
        yield Advice(
            about="rows",
            reason=f"{trained_on:,} of {score.details['test_rows']:,} test rows stand among the"
            " training rows, too, with the same codes and factors, so that predictors know them"
            " by heart",
            suggestion="give each image once, or all rows of an image to one part: order them by"
            " image and set train_rows to where one ends; read these scores beside their nulls,"
            " which permute equal rows together",
        )
    elif repeated:
        yield Advice(
            about="rows",
            reason=f"{repeated:,} of {score.rows:,} rows repeat another one, with the same codes"
            " and factors",
            suggestion="give each image once: what stands twice raises mutual information; nulls"
            " and intervals keep equal rows together",
        )


def _too_few_bins(score: Score) -> Iterator[Advice]:
    bins, entropies = score.params.get("bins"), score.details.get("factor_entropies")
    if score.metric != "mig" or bins is None or entropies is None:
        return
    most = math.log(bins)
    capped = {
        factor: f"{most / entropy:.2f}"
        for factor, entropy in zip(score.details["factors"], entropies, strict=True)
        if entropy > most * 1.01
    }
    if capped:
        yield Advice(
            about=score.name,
            reason=f"codes are cut into {bins} bins, which hold {most:.2f} nats at most; some"
            f" factors have more ({', '.join(capped)})",
            suggestion="their gaps cannot exceed"
            f" {', '.join(f'{cap} ({factor})' for factor, cap in capped.items())};"
            " for more, set bins, and compare scores of equal bins only",
        )


def _shared_factor(score: Score) -> Iterator[Advice]:
    """Factors that a latent knows well, and a second one too: what makes a gap small."""
    if score.metric != "mig" or "mutual_information" not in score.details:
        return
    entropies = np.array(score.details["factor_entropies"])
    # What chance adds to each: (bins - 1)(values - 1) / 2N, with exp(H) for the number of values.
    chance = (score.params["bins"] - 1) * (np.exp(entropies) - 1) / (2 * score.rows)
    shares = np.array(score.details["mutual_information"]) / entropies
    above_chance = shares - chance / entropies
    if len(shares) < 2:
        return
    for factor, column, told in zip(
        score.details["factors"], shares.T, above_chance.T, strict=True
    ):
        second, best = np.argsort(column)[-2:]
        if told[best] > 0.2 and told[second] > 0.7 * told[best]:
            yield Advice(
                about=factor,
                reason=f"two latents know {factor}: z{best} holds {column[best]:.0%} of its"
                f" entropy and z{second} {column[second]:.0%}",
                suggestion="the gap that MIG measures is small though the codes keep the factor;"
                " see modularity and DCI",
            )


def _without_uncertainty(score: Score) -> Iterator[Advice]:
    why = score.details.get("without_uncertainty")
    if why:
        yield Advice(
            about=score.metric,
            reason=f"{score.metric} comes without all of its null and interval ({why})",
            suggestion="its value stands; more rows of what is rare would give the rest",
        )
