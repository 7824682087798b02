"""Advice: the plain reasons behind odd scores, found in the scores and training curves."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel
from scipy.special import gammainc

from ml.codes.latents import KL_TAG, USED_NATS, is_unused, is_used, latent_label
from ml.components.registry import components
from ml.evaluation.validity.caution import alternatives, cautions, not_misled
from ml.metrics.information.mutual_information import BINS
from ml.metrics.protocol import Metric, Score
from ml.metrics.significance import is_clear

if TYPE_CHECKING:
    from ml.spec.run_spec import RunSpec

Curves = Mapping[str, Sequence[tuple[int, float | None]]]
"""Training curves: tag to (step, value) pairs."""

STILL_FALLING = 0.01
"""Largest share by which the reconstruction of a trained model may fall over the last tenth."""
FEWEST_POINTS = 20
"""Fewest points of a curve that is judged."""
KNOWN = 0.2
"""A latent knows a factor from this share of its entropy on, above what chance adds."""
SHORT_OF_PERFECT = 0.95
"""Advice says so if perfect codes reach less than this share of a metric's best value."""
DEPENDENT = 0.05
"""A factor depends on another that holds more than this share of its entropy, chance aside."""
BY_CHANCE = 1e-3
"""Advice rules out chance for classes without a training row below this probability."""
SMALL_BULK = 1 / 3
"""Extremes decide a code's bins if 99 % of the rows lie in less than this share of its range."""
ENOUGH_BINS = 7
"""Bins that are enough for those rows: a third of the default number of bins."""
MOST_LISTED = 5
ENOUGH_KEPT = 0.75
"""A group's first principal component should have this share of the group's variance."""
RECONSTRUCTION = "reconstruction"


class Advice(BaseModel):
    """One reason for odd numbers, and what to do about it."""

    about: str
    """The name of a score or a factor, or `codes`, `rows` or `training`."""
    reason: str
    """What was found, with its numbers."""
    suggestion: str
    """What to change, or what not to expect."""


def curves_read(latents: int) -> list[str]:
    """The tags of all curves that are read for advice on a model with this many latents."""
    return [RECONSTRUCTION, *(f"{KL_TAG}{latent}" for latent in range(latents))]


def advise(
    scores: Sequence[Score],
    *,
    spec: RunSpec | None = None,
    curves: Curves | None = None,
    latent_names: Mapping[int, str] | None = None,
) -> list[Advice]:
    """Advice on these scores: first on the model, then on the data, then on single scores.

    Without a spec there is no advice on objective, schedules and data set; without curves there is
    none on training. `latent_names` are people's names for latents, by number. If the codes of a
    file have names, the score's details have them.
    """
    found: list[Advice] = []
    if spec is not None:
        found += _unreached(spec)
    kl = _last_kl(curves or {})
    found += _unused_latents(scores, kl, spec, latent_names or {})
    if curves:
        found += _undertrained(curves)
    if spec is not None:
        found += _not_recoverable(scores, spec)
    for score in scores:
        found += [
            *_equal_factors(score),
            *_untrained_classes(score),
            *_inside_null(score),
            *_rows_twice(score),
            *_decided_by_extremes(score, latent_names or {}),
            *_little_kept(score),
            *_shared_factor(score, kl, latent_names or {}),
            *_without_uncertainty(score),
        ]
    found += _on_perfect_codes(scores)
    found += _misleading(scores)
    # Several numbers or evaluations may give the same reason.
    return list({(one.about, one.reason): one for one in found}.values())


def _unreached(spec: RunSpec) -> Iterator[Advice]:
    from ml.spec.unreached import unreached  # Codes are advised on without torch.

    for one in unreached(spec):
        yield Advice(
            about="training",
            reason=f"{one}",
            suggestion=f"lower {one.path} to what the run has steps for, or train for more steps",
        )


def _last_kl(curves: Curves) -> dict[int, float]:
    """The KL of each latent at the last step that has one."""
    last = {
        int(tag.removeprefix(KL_TAG)): points[-1][1]
        for tag, points in curves.items()
        if tag.startswith(KL_TAG) and points
    }
    return {latent: value for latent, value in sorted(last.items()) if value is not None}


def _unused_latents(
    scores: Sequence[Score],
    at_last: Mapping[int, float],
    spec: RunSpec | None,
    names: Mapping[int, str],
) -> Iterator[Advice]:
    kl, where = at_last, "at the last step"
    if not kl:
        known = next((score for score in scores if "kl_per_latent" in score.details), None)
        if known is None:
            return
        kl, where = dict(enumerate(known.details["kl_per_latent"])), "on the rows scored"
        called = [_called(known, latent, names) for latent in kl]
    else:
        called = [latent_label(latent, names) for latent in kl]
    unused = [name for name, value in zip(called, kl.values(), strict=True) if is_unused(value)]
    if not unused:
        return
    if len(unused) == len(kl):
        yield Advice(
            about="training",
            reason=f"all {len(kl)} latents have collapsed: each has a KL below {USED_NATS} nats"
            f" {where}, so that codes say nothing of the image",
            suggestion=f"{_more_in_latents(spec)}; no score of these codes means anything",
        )
    else:
        yield Advice(
            about="training",
            reason=f"{len(unused)} of {len(kl)} latents are unused ({', '.join(unused)}): a KL"
            f" below {USED_NATS} nats {where}",
            suggestion="usual where there are more latents than factors; if factors are missing"
            f" from the codes, {_more_in_latents(spec)}",
        )


LESS_WEIGHT = "train with less weight on the KL"


def _more_in_latents(spec: RunSpec | None) -> str:
    """What to change in an objective so that its latents hold more of the image."""
    if spec is None:
        return LESS_WEIGHT
    objective, scheduled = spec.objective, spec.training.coefficients
    try:
        pixels = math.prod(spec.dataset.image_shape())
    except (OSError, ValueError):
        # The images of a table are gone, and weights may depend on their size.
        return LESS_WEIGHT
    values = objective.coefficients(pixels=pixels, latents=spec.model.latent_dim)
    params: dict[str, list[str]] = {"lower": [], "raise": []}
    growing = None
    for weight in objective.kl_weights():
        value = getattr(objective, weight.param)
        value = values[weight.coefficient] if value is None else value
        if weight.turned == "lower":
            if value <= 0:
                continue
            if weight.coefficient not in scheduled:
                growing = growing or weight.coefficient
        params[weight.turned].append(f"objective.{weight.param} ({value:g})")
    changes = [f"{turned} {' or '.join(some)}" for turned, some in params.items() if some]
    if growing is not None:
        changes.append(f"let {growing} grow from zero (training.coefficients.{growing}: warm_up)")
    if not changes:
        return (
            f"{objective.name} has no param that could be turned for it: take an objective that"
            " weighs its KL, as beta_vae does with a beta below 1"
        )
    return ", or ".join(changes)


def _undertrained(curves: Curves) -> Iterator[Advice]:
    values = np.array(
        [value for _, value in curves.get(RECONSTRUCTION, ()) if value is not None], dtype=float
    )
    if len(values) < FEWEST_POINTS:
        return
    tenth = len(values) // 10
    last, before = values[-tenth:], values[-2 * tenth : -tenth]
    fall = float(before.mean() - last.mean())
    # The noise of batches: the deviation of each mean, from differences of neighbouring points.
    noise = float(np.diff(values[-2 * tenth :]).std() / math.sqrt(max(1, tenth)))
    if fall > STILL_FALLING * abs(float(before.mean())) and fall > 2 * noise:
        yield Advice(
            about="training",
            reason="the reconstruction was still falling when training ended: by"
            f" {fall / abs(float(before.mean())):.1%} from the last tenth but one to the last",
            suggestion="train for more steps before comparing scores",
        )


def _not_recoverable(scores: Sequence[Score], spec: RunSpec) -> Iterator[Advice]:
    dataset = spec.dataset
    judged = {name for score in scores for name in score.details.get("factors", ())}
    for factor, why in dataset.not_recoverable.items():
        if factor in judged:
            yield Advice(
                about=factor,
                reason=f"{factor} of {dataset.name} cannot be told fully from an image: {why}",
                suggestion="even a perfect encoder falls short of a perfect score on it",
            )


def _equal_factors(score: Score) -> Iterator[Advice]:
    for names in score.details.get("equal_factors", ()):
        yield Advice(
            about=names[0],
            reason=f"{' and '.join(names)} are one factor given {_times(len(names))}: each tells"
            " the others of every row",
            suggestion="leave all but one of them out; a latent that knows it is marked down for"
            " knowing several, and in means over factors it counts as often as it is given",
        )


def _times(count: int) -> str:
    return "twice" if count == 2 else f"{count} times"


def _untrained_classes(score: Score) -> Iterator[Advice]:
    for factor, found in score.details.get("untrained_classes", {}).items():
        yield Advice(
            about=factor,
            reason=f"{found['untrained']} of {found['classes']} classes of {factor} have no"
            f" training row, so that {found['share_of_test_rows']:.0%} of the test rows of"
            f" {score.metric}"
            " cannot be predicted",
            suggestion="shuffle the rows: they stand in an order, and the first ones are for"
            " training"
            if _in_order(found)
            else "give more rows of its rare classes, or cut it into fewer (factor_bins)",
        )


def _in_order(untrained: Mapping[str, float]) -> bool:
    """Whether rows in random order would hardly leave so many classes without a training row."""
    # P(X >= n) for a Poisson distribution with this mean.
    probability = gammainc(untrained["untrained"], max(untrained["expected"], 1e-300))
    return bool(probability < BY_CHANCE)


def _inside_null(score: Score) -> Iterator[Advice]:
    # An error is 1 - accuracy, and would give the same advice.
    if score.value is None or score.null is None or score.name.startswith("error"):
        return
    null = score.null
    if is_clear(score.value, null, higher_is_better=score.higher_is_better) is False:
        yield Advice(
            about=score.name,
            reason=f"{score.name} {score.value:.4g} lies inside its null ({null.mean:.4g} ±"
            f" {null.std:.2g}, {null.replicates} permutations)",
            suggestion="codes that are the factors themselves get no more on these rows: this"
            " metric can tell nothing of them here, see another"
            if _as_good_as_factors(score)
            else "it cannot be told from codes that know nothing of the factors",
        )


def _rows_twice(score: Score) -> Iterator[Advice]:
    """Advice on repeated rows, which predictors may know by heart."""
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


def _decided_by_extremes(score: Score, names: Mapping[int, str]) -> Iterator[Advice]:
    """Advice on codes with a few values so extreme that the others share only a few bins."""
    shares, bins = score.details.get("bulk_shares", ()), score.params.get("bins")
    if bins is None:
        return
    few = {
        latent: share
        for latent, share in enumerate(shares)
        if share < SMALL_BULK and share * bins < ENOUGH_BINS
    }
    if not few:
        return
    parts = [f"{share:.1%} of the range of {_called(score, k, names)}" for k, share in few.items()]
    listed = ", ".join(parts[:MOST_LISTED])
    more = f" and so on, of {len(parts)} codes" if len(parts) > MOST_LISTED else ""
    left = math.ceil(max(few.values()) * bins) + 1
    yield Advice(
        about="codes",
        reason=f"a few extremes decide how codes are cut: 99% of the rows lie in {listed}{more},"
        f" which leaves them no more than {left} of {bins} bins of equal width",
        suggestion="such scores are then small whatever the codes know of the factors: set more"
        " bins, or score codes without heavy tails, as their ranks are",
    )


def _little_kept(score: Score) -> Iterator[Advice]:
    """Advice on groups of codes whose first principal component leaves much of them out."""
    if score.groups is None or score.groups.variance_kept is None:
        return
    kept = zip(score.groups.names, score.groups.variance_kept, strict=True)
    little = [f"{share:.0%} of {name}" for name, share in kept if share < ENOUGH_KEPT]
    if little:
        more = f" and so on, of {len(little)} groups" if len(little) > MOST_LISTED else ""
        yield Advice(
            about="codes",
            reason="the first principal component has only"
            f" {', '.join(little[:MOST_LISTED])}{more}, by variance: what else these groups know is"
            " not scored",
            suggestion="see dci by their summed importance as well (group_by importance), to which"
            " all their codes count",
        )


def _as_good_as_factors(score: Score) -> bool:
    """Whether the score is as good as that of perfect codes, which are the factors."""
    perfect = score.details.get("on_perfect_codes")
    return (
        perfect is not None
        and score.value is not None
        and (score.value >= SHORT_OF_PERFECT * perfect["value"]) is score.higher_is_better
    )


def _on_perfect_codes(scores: Sequence[Score]) -> Iterator[Advice]:
    """Advice where even perfect codes get well below a metric's best value on these rows.

    Scores that do so for the same reasons are told together.
    """
    alike: dict[tuple[str, float], dict[str, tuple[Score, float, list[str]]]] = {}
    for score in scores:
        perfect, best = score.details.get("on_perfect_codes"), score.perfect or score.range[1]
        if perfect is None or best is None or perfect["value"] >= SHORT_OF_PERFECT * best:
            continue
        capped, dependent = list(_too_few_bins(score)), list(_dependent_factors(score))
        others = (alternatives(score, "many_values") if capped else []) or (
            alternatives(score, "dependent_factors") if dependent else []
        )
        given = f"{score.name} {perfect['value']:.3g}"
        several = alike.setdefault(("; ".join([*capped, *dependent]), best), {})
        several.setdefault(given, (score, perfect["value"], others))
    for (why, best), several in alike.items():
        yield Advice(
            about="rows" if len(several) > 1 else next(iter(several.values()))[0].name,
            reason=f"codes that are the factors themselves get {', '.join(several)} on these"
            f" rows{': ' if why else ''}{why}",
            suggestion=_held_against(list(several.values()), best),
        )


def _held_against(several: Sequence[tuple[Score, float, list[str]]], best: float) -> str:
    """What to hold scores against, of which perfect codes get less, or what to read instead."""
    if len(several) == 1:
        ((score, value, others),) = several
        found = f"hold {score.name} against {value:.3g} and not against {best:g}"
        return f"{found}, or {not_misled(others)}" if others else found
    names: dict[str, list[str]] = {}
    for score, _, others in several:
        if others:
            names.setdefault(", ".join(others), []).append(score.name)
    found = f"hold each against that and not against {best:g}"
    listed = [f"in place of {', '.join(of)} {see}" for see, of in names.items()]
    return f"{found}, or see what is not misled there: {'; '.join(listed)}" if listed else found


def _too_few_bins(score: Score) -> Iterator[str]:
    bins, entropies = score.params.get("bins"), score.details.get("factor_entropies")
    if bins is None or entropies is None:
        return
    most = math.log(bins)
    capped = [
        f"{most / entropy:.2f} of {factor}"
        for factor, entropy in zip(score.details["factors"], entropies, strict=True)
        if entropy > most * 1.01
    ]
    if capped:
        yield f"a code cut into {bins} bins holds at most {', '.join(capped)} (bins is a param)"


def _dependent_factors(score: Score) -> Iterator[str]:
    """The pair of factors that depend most on each other: beyond chance, and by chance."""
    matrix = score.details["on_perfect_codes"].get("mutual_information")
    if matrix is None or len(matrix) < 2:
        return
    entropies = np.array(score.details["factor_entropies"])
    classes = np.minimum(np.exp(entropies), score.params["bins"])
    shares, chance = np.array(matrix) / entropies, _chance(score, classes)
    for matrix_of_pairs in (shares, chance):
        np.fill_diagonal(matrix_of_pairs, 0.0)
    factors = score.details["factors"]
    one, other = np.unravel_index(int((shares - chance).argmax()), shares.shape)
    if (shares - chance)[one, other] > DEPENDENT:
        yield (
            f"factors depend on each other, {factors[one]} tells {shares[one, other]:.0%} of"
            f" {factors[other]}"
        )
    one, other = np.unravel_index(int(chance.argmax()), chance.shape)
    if chance[one, other] > DEPENDENT:
        yield (
            f"of so many values {score.rows} rows are few, by chance alone {factors[one]} tells"
            f" {chance[one, other]:.0%} of {factors[other]}"
        )


def _chance(score: Score, classes: np.ndarray) -> np.ndarray:
    """What chance adds to each latent's share of a factor's entropy, (latents, factors)."""
    entropies = np.array(score.details["factor_entropies"])
    # (classes - 1)(values - 1) / 2N, where exp(H) stands for the number of values.
    added = np.outer(classes - 1, np.exp(entropies) - 1) / (2 * score.rows)
    shares: np.ndarray = np.minimum(added / entropies, 1.0)
    return shares


def _shared_factor(
    score: Score, at_last: Mapping[int, float], names: Mapping[int, str]
) -> Iterator[Advice]:
    """Advice on factors that two latents know well, or that an unused latent knows."""
    if not _leads(score) or "mutual_information" not in score.details:
        return
    shares = np.array(score.details["mutual_information"]) / score.details["factor_entropies"]
    # Posteriors are not cut, but rarely tell more than so many places apart.
    bins = score.params.get("bins", BINS)
    above_chance = shares - _chance(score, np.full(len(shares), bins))
    kl = dict(enumerate(score.details.get("kl_per_latent", ()))) or at_last
    used = [latent for latent in range(len(shares)) if is_used(kl.get(latent, math.inf))]
    for factor, column, known in zip(
        score.details["factors"], shares.T, above_chance.T, strict=True
    ):
        for latent in np.flatnonzero(known > KNOWN).tolist():
            if latent not in used:
                yield _known_to_an_unused(score, factor, latent, column, kl, names)
        if len(used) < 2:
            continue
        second, best = np.array(used)[np.argsort(column[used])[-2:]]
        if known[best] > KNOWN and known[second] > 0.7 * known[best]:
            one, other = (_called(score, latent, names) for latent in (best, second))
            yield Advice(
                about=factor,
                reason=f"two latents know {factor}: {one} holds {column[best]:.0%} of its"
                f" entropy and {other} {column[second]:.0%}",
                suggestion=f"the gap that {score.name} measures is small though the codes keep the"
                " factor; see modularity and DCI",
            )


def _known_to_an_unused(
    score: Score,
    factor: str,
    latent: int,
    shares: np.ndarray,
    kl: Mapping[int, float],
    names: Mapping[int, str],
) -> Advice:
    called = _called(score, latent, names)
    return Advice(
        about=factor,
        reason=f"{called} is unused, with a KL of {kl[latent]:.2g} nats the decoder learns next to"
        f" nothing from it, though its {score.codes} still follows {factor}: cut into bins of its"
        f" own narrow range, it holds {shares[latent]:.0%} of the factor's entropy",
        suggestion="scores count it like any other latent, as they do not depend on the scale of"
        " codes; leave it out, or score samples, in which it is noise (codes: [sample])",
    )


def _leads(score: Score) -> bool:
    component = components("metric").get(score.metric)
    return component is not None and issubclass(component, Metric) and component.leads


def _called(score: Score, latent: int, names: Mapping[int, str]) -> str:
    """The latent's name in the file that was scored, or else its label with people's name."""
    latent = int(latent)
    named: Sequence[Any] = score.details.get("latents", ())
    return str(named[latent]) if named else latent_label(latent, names)


def _without_uncertainty(score: Score) -> Iterator[Advice]:
    why = score.details.get("without_uncertainty")
    if why:
        in_order = any(map(_in_order, score.details.get("untrained_classes", {}).values()))
        yield Advice(
            about=score.metric,
            reason=f"{score.metric} comes without all of its null and interval ({why})",
            suggestion="its value stands; shuffled rows would give the rest"
            if in_order
            else "its value stands; more rows of what is rare would give the rest",
        )


def _misleading(scores: Sequence[Score]) -> Iterator[Advice]:
    """Advice on data that lie where some of the scores mislead, by their certificates."""
    for one in cautions(scores):
        yield Advice(about=one.about, reason=one.reason, suggestion=one.suggestion)
