"""Drives every metric through known worlds, and writes and draws what they gave.

python docs/write_validity.py [METRIC...]

takes a few minutes on one core. It writes `ml/evaluation/validity/certificates.json`, the pictures
and then the pages of `write_catalogue.py`. If metrics are named, the certificates of others are
kept where their version is still the same.
"""

from __future__ import annotations

import runpy
import sys
import time
from collections.abc import Collection, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from ml.evaluation.score import metric_of
from ml.evaluation.validity import certificate
from ml.evaluation.validity.certificate import Certificate, certificate_of, certificates
from ml.evaluation.validity.drive import certify, settings
from ml.evaluation.validity.properties import REQUIRED, SEEN
from ml.evaluation.validity.worlds import PATH, noisy

FOLDER = Path(__file__).parent
IMAGES = FOLDER / "images"
ACROSS = 6
"""Panels in a row."""
# Blue and orange differ for readers who cannot tell red from green. A failure has a mark as well.
HAS, NEITHER, FAILS = "#3b6ea5", "#eeeeee", "#e69f00"
COLOURS = ListedColormap([FAILS, NEITHER, HAS])
SEEN_COLOURS = ListedColormap([NEITHER, NEITHER, HAS])


def drive(names: Collection[str]) -> list[Certificate]:
    """The certificate of every setting, which is also told as it comes.

    Metrics that are not among the names keep theirs. No names stand for all metrics.
    """
    found = []
    for name, setting in settings():
        metric = metric_of({"name": name, **setting.params})
        params = metric.model_dump(mode="json", exclude={"name"})
        kept = certificate_of(name, params, f"{name}@{metric.version}")
        if names and name not in names and kept is not None and kept.params == params:
            found.append(kept)
            continue
        began = time.process_time()
        found.append(certify(name, setting))
        took = time.process_time() - began
        errors = "".join(f"\n    {world}: {why}" for world, why in found[-1].errors.items())
        print(f"{found[-1].label}: {took:.1f} CPU seconds{errors}", flush=True)
    return found


def draw_properties(found: Sequence[Certificate]) -> Figure:
    """A matrix of numbers and properties.

    A cell is blue where a number has a property or penalises a change, and orange with a cross
    where it fails a property.
    """
    numbers = [(one, name) for one in found for name in one.judged()]
    figure = Figure(figsize=(7.2, 1.6 + 0.16 * len(numbers)), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[len(REQUIRED), len(SEEN)], sharey=True)
    for axes, properties, colours, title in (
        (left, REQUIRED, COLOURS, "has (blue), fails (orange, ×)"),
        (right, SEEN, SEEN_COLOURS, "penalises (blue)"),
    ):
        marks = {False: 0, None: 1, True: 2}
        cells = [[marks[one.verdicts[name][p].holds] for p in properties] for one, name in numbers]
        axes.pcolormesh(cells, cmap=colours, vmin=0, vmax=2, edgecolors="white", linewidth=0.8)
        if properties is REQUIRED:
            failed = [
                (across + 0.5, down + 0.5)
                for down, row in enumerate(cells)
                for across, mark in enumerate(row)
                if mark == marks[False]
            ]
            axes.plot(*zip(*failed, strict=True), "x", color="black", markersize=3.5, mew=0.8)
        axes.set_xticks(
            [k + 0.5 for k in range(len(properties))],
            [one.short for one in properties.values()],
            rotation=60,
            ha="left",
            fontsize=6.5,
        )
        axes.xaxis.tick_top()
        axes.set_xlabel(title, fontsize=7)
        axes.tick_params(length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)
    labels = [name if name == one.label else f"{one.label} {name}" for one, name in numbers]
    left.set_yticks([k + 0.5 for k in range(len(numbers))], labels, fontsize=6)
    left.invert_yaxis()
    return figure


def draw_paths(found: Sequence[Certificate]) -> Figure:
    """A panel for each metric: its numbers on the path from perfect codes to noise."""
    several = [one for one in found if one.numbers]
    down = -(-len(several) // ACROSS)
    figure = Figure(figsize=(7.2, 1.25 * down), layout="constrained")
    panels = figure.subplots(down, ACROSS, sharex=True, squeeze=False).ravel()
    for axes, one in zip(panels, several, strict=False):
        for name, driven in one.numbers.items():
            known = [(share, driven.values.get(noisy(share))) for share in PATH]
            places = [(share, value) for share, value in known if value is not None]
            axes.plot(*zip(*places, strict=True), linewidth=1, label=name)
        axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
        axes.set_title(one.label.replace(":", "\n"), fontsize=5)
        axes.tick_params(labelsize=5, length=2)
        if len(one.numbers) > 1:
            axes.legend(fontsize=3.5, frameon=False, handlelength=1)
    for axes in panels[len(several) :]:
        axes.set_visible(False)
    return figure


def main(names: Collection[str]) -> None:
    """Drive, write, draw."""
    certificate.FILE.write_text(certificate.written(drive(names)), encoding="utf-8")
    certificates.cache_clear()
    with mpl.rc_context({"font.family": "DejaVu Sans"}):
        for name, draw in (("properties", draw_properties), ("paths", draw_paths)):
            draw(certificates()).savefig(IMAGES / f"validity_{name}.png", dpi=120)
    runpy.run_path(str(FOLDER / "write_catalogue.py"), run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1:])
