"""Which latent knows which factor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import model_validator

from ml.components.registry import register
from ml.evaluation.score import score
from ml.metrics.disentanglement import completeness_per_factor
from ml.metrics.protocol import Score
from ml.plots.drawing.colours import ORANGE, VERMILION
from ml.plots.drawing.matrix import hundredths, outline, show_matrix
from ml.plots.drawing.sheet import COLUMN, LABEL, PAGE, TICK, sheet
from ml.plots.of_models._dci_scores import newest_dci
from ml.plots.of_models._factors import varying
from ml.plots.protocol import Material, Needs, NothingToDraw, RunPlot
from ml.plots.usage import by_use

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class _Matrix:
    """A matrix of factors by latents, with a number for each factor and their score."""

    title: str
    factors: list[str]
    values: np.ndarray
    """The cells, (factors, latents)."""
    ends: np.ndarray
    """A number for each factor, written at the end of its row."""
    ends_called: str
    mean: float | None
    """The score that these numbers make."""
    mean_called: str


@register
class FactorLatentMatrix(RunPlot):
    r"""How much each latent knows about each factor, with the gaps that make the score.

    There is a row for each factor and a column for each latent. `quantity` says what a cell shows:

    - `mutual_information`: :math:`I(z_d; v_k) / H(v_k)`, the share of the factor's entropy, of
      posterior means in 20 bins of equal width. The number at the row's end is the gap between the
      largest value (framed) and the second (framed in dashes). The mean of the gaps is MIG, on the
      rows that the evaluation scores it on.
    - `sap`: how well each single code predicts the factor. The values are from the run's newest
      `sap` score, or else computed with a linear support vector machine. The mean gap is SAP.
    - `importance`: the share of each code in the prediction of the factor, from the newest `dci`
      score, or the newest with `predictor`. The number at the row's end is the factor's
      completeness, and the number below is the score.

    Factors that take a single value are left out.
    """

    needs: ClassVar[Needs] = frozenset({"scores"})
    name: Literal["factor_latent_matrix"] = "factor_latent_matrix"
    quantity: Literal["mutual_information", "sap", "importance"] = "mutual_information"
    """What a cell shows."""
    order: Literal["kl", "index", "factor"] = "kl"
    """Order of the latents: the most used first, by number, or the best of each factor in turn."""
    predictor: str | None = None
    """The predictor of the `dci` score, for `importance`; null means that of the newest."""

    @model_validator(mode="after")
    def _no_param_is_ignored(self) -> FactorLatentMatrix:
        if self.predictor is not None and self.quantity != "importance":
            raise ValueError("predictor is for quantity importance")
        return self

    def draw(self, material: Material) -> Figure:
        matrix = self._matrix(material)
        factors, latents = matrix.values.shape
        order = self._order(material, matrix.values)
        values = matrix.values[:, order]
        width = min(PAGE, max(COLUMN, 1.5 + 0.28 * latents))
        figure = sheet(width, 1.0 + 0.24 * factors, material.title)
        axes = figure.subplots()
        labels = [material.label(int(latent)) for latent in order]
        most = max(1.0 if self.quantity != "importance" else 0.0, float(values.max())) or 1.0
        show_matrix(axes, values, rows=matrix.factors, columns=labels, most=most)
        axes.set_title(matrix.title, fontsize=LABEL, loc="left", pad=14)
        _frame_two(axes, values)
        _row_ends(axes, matrix, latents)
        return figure

    def _matrix(self, material: Material) -> _Matrix:
        if self.quantity == "importance":
            return self._importance(material)
        columns = varying(material, why="latents are compared with nothing")
        names = [material.factor_names[column] for column in columns]
        encoded, metric = material.encoded, "sap" if self.quantity == "sap" else "mig"
        train = int(encoded.train_rows)
        rows = len(encoded.mean) if metric == "sap" else train
        found = _newest(material, "sap") if metric == "sap" else None
        try:
            [found] = (
                [found]
                if found
                else score(
                    encoded.mean[:rows],
                    encoded.factors[:rows, columns],
                    metric,
                    train_rows=train,
                    factor_names=names,
                    factor_kinds=[material.factor_kinds[column] for column in columns],
                    uncertainty=False,
                )
            )
        except ValueError as problem:
            raise NothingToDraw(f"This cannot be computed on the run's rows: {problem}.") from None
        details = found.details
        if metric == "sap":
            title, values = "score of each latent alone (SAP)", np.array(details["scores"])
        else:
            title = "mutual information / entropy of the factor"
            values = np.array(details["mutual_information"]) / details["factor_entropies"]
        return _Matrix(
            title,
            list(details["factors"]),
            values.T,
            np.array(details["gaps"]),
            "gap",
            found.value,
            metric.upper(),
        )

    def _importance(self, material: Material) -> _Matrix:
        found = newest_dci(material)
        known = ", ".join(found)
        if self.predictor is not None and self.predictor not in found:
            raise NothingToDraw(
                f"The run has no dci score with predictor {self.predictor!r}, but with {known}; ask"
                " for an evaluation with it: POST /v1/runs/{id}/evaluations."
            )
        predictor = self.predictor or next(reversed(found))
        scores = found[predictor]
        details = scores["disentanglement"].details
        importance = np.array(details["importance"])
        masses = importance.sum(axis=0)
        shares = importance / np.where(masses > 0, masses, 1.0)
        whole = scores.get("completeness")
        return _Matrix(
            f"share of importance, predictor {predictor.replace('_', ' ')} (DCI)",
            list(details["factors"]),
            shares.T,
            completeness_per_factor(importance),
            "compl.",
            whole.value if whole else None,
            "C",
        )

    def _order(self, material: Material, values: np.ndarray) -> np.ndarray:
        latents = values.shape[1]
        if self.order == "index":
            return np.arange(latents)
        if self.order == "kl":
            return by_use(material)
        # Each factor in turn takes the best of the latents that are left.
        left, order = list(range(latents)), []
        for row in values[:latents]:
            order.append(left.pop(int(np.argmax(row[left]))))
        return np.array(order + left)


def _newest(material: Material, metric: str) -> Score | None:
    found = [
        one
        for one in material.scores
        if one.metric == metric and one.codes == "mean" and one.value is not None
    ]
    return found[-1] if found else None


def _frame_two(axes: Axes, values: np.ndarray) -> None:
    """Draw frames around each row's largest and second value."""
    for row, in_row in enumerate(values):
        best, *others = np.argsort(-in_row, kind="stable")[:2]
        outline(axes, row, int(best), colour=VERMILION)
        for second in others:
            outline(axes, row, int(second), colour=ORANGE, dashed=True)


def _row_ends(axes: Axes, matrix: _Matrix, latents: int) -> None:
    """Write each factor's number right of its row, with a heading above and the score below."""
    place = latents - 0.5
    transform = axes.transData
    lines = [(-0.75, matrix.ends_called)]
    lines += [(float(row), hundredths(value)) for row, value in enumerate(matrix.ends)]
    if matrix.mean is not None:
        lines.append((len(matrix.ends) - 0.25, f"{matrix.mean_called} {matrix.mean:.3f}"))
    for row, text in lines:
        bold = row < 0 or row > len(matrix.ends) - 1
        axes.annotate(
            text,
            (place, row),
            (5, 0),
            xycoords=transform,
            textcoords="offset points",
            va="center",
            fontsize=TICK,
            color=VERMILION,
            fontweight="bold" if bold else "normal",
        )
