"""The README of an exported run: what it is, how to load it, its scores, and works to cite."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Iterable, Mapping, Sequence

from ml.codes.latents import USED_NATS, is_unused, is_used
from ml.components.plain_text import plain_text
from ml.components.references import cited
from ml.components.registry import components
from ml.datasets.dataset import Dataset
from ml.evaluation.encode import EncodedRows
from ml.metrics.protocol import Score
from ml.networks.model import Model
from ml.networks.networks import parameter_counts

WHAT = {
    "README.md": "this page",
    "check.npz": "a few images with our codes and decoded pixels, for `load.py` to compare with",
    "codes.npz": "posterior means, log variances, samples, KL and factors of the evaluation's rows",
    "config.json": "the whole spec, the data's source, versions, definitions of the scores",
    "load.py": "`encode` and `decode` with torch, numpy and safetensors alone",
    "scalars.json": "training curves: tag to pairs of step and value",
    "scores.json": "every score with its null, interval, params, versions and details",
    "traversal.png": "images decoded while one latent moves and the others stay",
    "weights.safetensors": "the weights; tensors are named `encoder/0.weight`",
}
HOW_TO_READ_SCORES = (
    "Arrows point to the better. The null is the score of these codes against permuted factors: a"
    " value that does not stand clear of it says nothing. The interval is of 95 %, over draws of"
    " the rows."
)
ARROWS = {True: "↑", False: "↓", None: ""}


def run_readme(
    *,
    run_id: str,
    title: str,
    model: Model,
    data: Dataset,
    encoded: EncodedRows,
    scores: Sequence[Score],
    versions: Mapping[str, str],
    latent_names: Mapping[int, str],
    files: Sequence[str],
    without_loader: str | None = None,
) -> str:
    """The page in Markdown; `without_loader` says why there is no `load.py`."""
    spec = model.spec
    shape = " x ".join(map(str, model.image_shape))
    page = _paragraphs(
        f"# {_text(title)}",
        f"A model with {_count(spec.model.latent_dim, 'latent')} for images of {shape}, trained and"
        f" scored by Heddle as run `{run_id}`. Its objective, `{spec.objective.name}`:"
        f" {_text(spec.objective.summary())}",
        "![Latent traversal](traversal.png)" if "traversal.png" in files else "",
        _loading(without_loader),
        _scores(scores),
        _latents(encoded, latent_names),
        _training(model, versions),
        _data(model, data),
        _references(model, scores),
        _files(files),
    )
    return f"{page}\n"


def _paragraphs(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part)


def _loading(without_loader: str | None) -> str:
    if without_loader is not None:
        return f"## Load it\n\nThere is no `load.py`: {_text(without_loader)}."
    return """\
## Load it

```bash
pip install torch numpy safetensors
python load.py    # encodes the images of check.npz and compares
```

```python
import numpy as np

from load import decode, encode

images = np.load("check.npz")["images"]  # (n, height, width, channels), 0 black and 1 white
mean, log_variance = encode(images)      # codes: the posterior means, (n, latents)
pixels = decode(mean)                    # the means of pixels, in [0, 1]
```"""


def _scores(scores: Sequence[Score]) -> str:
    if not scores:
        return "## Scores\n\nThe run has no scores."
    rows = [
        (
            f"{_label(score)} {ARROWS[score.higher_is_better]}".rstrip(),
            "none" if score.value is None else f"**{score.value:.4f}**",
            _null(score),
            "" if score.ci95 is None else f"{score.ci95[0]:.4f} to {score.ci95[1]:.4f}",
            f"{score.rows:,}",
            f"`{score.definition}`",
        )
        for score in scores
    ]
    head = ("score", "value", "null, mean ± sd", "interval", "rows", "definition")
    missing = "\n".join(
        f"- {_label(score)} has no value: {_text(score.error)}" for score in scores if score.error
    )
    return _paragraphs("## Scores", _table(head, rows), missing, HOW_TO_READ_SCORES)


def _label(score: Score) -> str:
    """The score's name, as in `dci.disentanglement`, with its predictor, or with its codes."""
    name = score.name if score.name == score.metric else f"{score.metric}.{score.name}"
    apart = [str(score.params["predictor"])] if "predictor" in score.params else []
    apart += ["of samples"] if score.codes == "sample" else []
    return _text(f"{name} ({', '.join(apart)})" if apart else name)


def _null(score: Score) -> str:
    return "" if score.null is None else f"{score.null.mean:.4f} ± {score.null.std:.4f}"


def _latents(encoded: EncodedRows, names: Mapping[int, str]) -> str:
    """The latents that are used or have a name, the largest KL first."""
    kl = encoded.kl.mean(axis=0)
    order = sorted(range(len(kl)), key=lambda latent: (-kl[latent], latent))
    shown = [latent for latent in order if latent in names or is_used(kl[latent])]
    rows = [(f"`z{latent}`", _text(names.get(latent, "")), _number(kl[latent])) for latent in shown]
    idle = int(is_unused(kl).sum())
    rest = f"{idle} of {_count(len(kl), 'latent')} idle, below {USED_NATS} nats." if idle else ""
    if not rows and not rest:
        return ""
    table = _table(("latent", "name", "mean KL, nats"), rows) if rows else ""
    return _paragraphs("## Latents", table, rest)


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.3f}"


def _training(model: Model, versions: Mapping[str, str]) -> str:
    spec = model.spec
    training = spec.training
    pixels = math.prod(model.image_shape)
    numbers = spec.objective.coefficients(pixels=pixels, latents=spec.model.latent_dim)
    weights = sum(parameter_counts(spec)[network] for network in ("encoder", "decoder"))
    rows = [
        ("objective", f"`{spec.objective.name}`{_numbers(numbers)}"),
        ("architecture", f"`{spec.model.name}`, {weights:,} weights"),
        ("steps", f"{model.steps:,} of {training.batch_size} images ({training.sampling})"),
        ("optimizer", f"`{training.optimizer.name}`{_numbers(_params(training.optimizer))}"),
        ("schedule", f"`{training.schedule.name}`"),
        ("likelihood", training.likelihood),
        ("precision", training.precision),
        ("seed", str(spec.seed)),
        ("versions", ", ".join(f"{_text(name)} {_text(v)}" for name, v in versions.items())),
    ]
    return "## How it was trained\n\n" + _table(("", ""), [row for row in rows if row[1]])


def _params(component: object) -> dict[str, object]:
    fields: dict[str, object] = dict(vars(component))
    fields.pop("name", None)
    return fields


def _numbers(values: Mapping[str, object]) -> str:
    parts = [
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in values.items()
    ]
    return f" ({_text(', '.join(parts))})" if parts else ""


def _data(model: Model, data: Dataset) -> str:
    chosen = model.spec.dataset
    described = zip(data.factor_names, data.factor_sizes, data.factor_kinds, strict=True)
    factors = ", ".join(
        f"{_text(name)} ({size if kind == 'discrete' else kind})" for name, size, kind in described
    )
    origin = (
        f"The images were {data.source}."
        if data.source == "rendered"
        else f"Source: `{_text(data.source)}`."
    )
    return _paragraphs(
        "## Data",
        # What is said of image tables in general says nothing of this one.
        _prose(chosen.description())
        if chosen.known_as == chosen.name
        else f"The images are the data set {_text(chosen.known_as)}, which was uploaded.",
        *(_text(note) for note in data.notes),
        f"{len(data):,} images; factors with how many values they take: {factors or 'none'}.",
        origin,
    )


def _prose(description: str) -> str:
    """A component's documentation without its sections."""
    text = description.partition("\n\nReferences:")[0].partition("\n\nRaises:")[0]
    return "\n\n".join(_text(paragraph) for paragraph in text.split("\n\n"))


def _references(model: Model, scores: Sequence[Score]) -> str:
    spec = model.spec
    posterior = type(spec.objective.posterior)
    metrics = components("metric")
    parts = (spec.objective, spec.model, spec.dataset, spec.training.optimizer)
    described = [(part.name, part.description()) for part in parts]
    described.insert(1, ("posterior", inspect.getdoc(posterior) or ""))
    described += [
        (name, metrics[name].description())
        for name in dict.fromkeys(score.metric for score in scores)
        if name in metrics
    ]
    works = cited(described)
    if not works:
        return ""
    listed = [
        f"- {work}, <{work.url}>: {', '.join(f'`{name}`' for name in names)}"
        for work, names in works.items()
    ]
    return (
        "## Cite\n\nThis run stands on the works below; whoever reports its numbers should cite"
        " them.\n\n" + "\n".join(listed)
    )


def _files(files: Iterable[str]) -> str:
    rows = [(f"`{name}`", WHAT.get(name, "a picture of the run")) for name in files]
    return "## Files\n\n" + _table(("file", "what it holds"), rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _text(text: str) -> str:
    """The text in one line, escaped so that Markdown shows it unchanged, in tables too."""
    escaped = re.sub(
        r"([\\`*\[\]<>|#$&~]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9]))", r"\\\1", plain_text(text)
    )
    return " ".join(escaped.split())
