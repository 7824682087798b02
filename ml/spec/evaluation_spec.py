"""Specs of evaluations without training: of a file of codes, or of a run once more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import BeforeValidator, Field, TypeAdapter, ValidationInfo, field_validator

from ml.codes.checked_rows import rows_of
from ml.codes.codes_and_factors import CodesAndFactors
from ml.codes.file_account import FileAccount, account_of
from ml.codes.found_arrays import LONGEST_NAME, MOST_FACTORS, UnusableArrays
from ml.codes.grouped_rows import grouped
from ml.codes.groups import GroupBy, columns_of, uncovered
from ml.codes.rows import FactorKind, Rows, UnusableRows
from ml.components.spec_errors import Fault, InvalidSpec, parsed, shown
from ml.metrics.summed_importance import why_not_summed
from ml.reproducibility.draws import MAX_SEED
from ml.spec.identity import FORMAT, SCORING, digest
from ml.spec.parts import AnyMetric, Evaluation, Part, Traversal

if TYPE_CHECKING:
    from ml.spec.run_spec import RunSpec

READING = 2
"""Version of how arrays are understood. Since 2, floats with few integer values are classes."""

_GROUPS = (
    Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1)]
    | Annotated[
        list[Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]],
        Field(min_length=1),
    ]
)
FOR_NUMBERS: tuple[dict[str, Any], ...] = (
    {"name": "mig"},
    {"name": "sap", "predictor": "correlation"},
    {"name": "dci", "predictor": "lasso"},
)
"""The metrics of a file with a continuous factor, if none are asked for. The usual predictors of
sap and dci predict classes, and would refuse the factor."""

FactorName = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]


class FileEvaluation(Part):
    """How a file of codes and factors is scored."""

    name: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """A name for people. It is not part of the identity."""
    metrics: Annotated[list[AnyMetric], Field(max_length=64)] = Field(
        default_factory=lambda: Evaluation().metrics
    )
    """By default mig, sap and dci. If a factor of the file is continuous, sap's predictor is then
    correlation and dci's lasso, as their usual predictors predict classes."""
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] = 0
    """Seed of permutations, subsamples and predictors."""
    train_rows: Annotated[int, Field(ge=1)] | None = None
    """Number of rows, from the first, on which predictors are fitted. They are tested on the rest.
    Null means three quarters."""
    uncertainty: bool = True
    """Whether to compute each score's null and interval, too."""
    factor_names: Annotated[list[FactorName], Field(max_length=MOST_FACTORS)] | None = None
    """A name for each column of factors. These names replace those in the file."""
    factor_kinds: Annotated[list[FactorKind], Field(max_length=MOST_FACTORS)] | None = None
    """A kind for each column of factors. These kinds replace those in the file. Without either,
    floating-point factors are continuous, except that those with few values, all integers, are
    classes."""
    groups: (
        Annotated[list[list[int]], BeforeValidator(columns_of, json_schema_input_type=_GROUPS)]
        | None
    ) = None
    """Groups of codes that count as one latent each: the columns of each, as [[0, 1, 2], [3, 4]],
    or sizes of consecutive groups, as [3, 2]. Each column is in one group. Null means that each
    code is a latent."""
    group_by: GroupBy = "principal_component"
    """How a group becomes one latent: by its first principal component, for any metric, or by the
    summed importance of its codes, for metrics that have one (`dci`)."""
    codes_array: Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)] | None = None
    """The array of the file that has the codes. Null means `codes`, or else an array with another
    usual name for codes."""
    factors_array: Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)] | None = None
    """The array of the file that has the factors. Null means `factors`, or else an array with
    another usual name for factors."""

    @field_validator("group_by")
    @classmethod
    def _fits(cls, value: GroupBy, info: ValidationInfo) -> GroupBy:
        if value == "principal_component":
            return value
        if info.data.get("groups", ()) is None:
            raise ValueError("groups beside it, as there is nothing to sum")
        for metric in info.data.get("metrics", ()):
            if (why := why_not_summed(metric)) is not None:
                raise ValueError(f"principal_component: {why}")
        return value

    @classmethod
    def parse(cls, data: object) -> Self:
        """A checked spec with its defaults filled in. Raises `InvalidSpec`."""
        return parsed(cls, data)

    def document(self) -> dict[str, Any]:
        """The resolved spec as JSON values."""
        return self.model_dump(mode="json")

    def key(self) -> str:
        """The identity of the scores of a given file."""
        document = self.model_dump(mode="json", exclude={"name"})
        if self.groups is None:
            # Evaluations from before there were groups keep their key.
            del document["groups"], document["group_by"]
        document["metrics"] = [metric.identity() for metric in self.metrics]
        return digest(
            {
                "format": FORMAT,
                "reading": READING,
                "scoring": SCORING,
                "file_evaluation": document,
            }
        )

    def reading(self) -> dict[str, Any]:
        """How the file is read: options of `ml.codes.arrays_file.read_arrays`."""
        return self.model_dump(include={"codes_array", "factors_array", "factor_kinds"})

    def account(self, arrays: CodesAndFactors) -> FileAccount:
        """How a file is understood, before its codes are grouped. Raises the errors of `rows`."""
        rows = self._rows(arrays)
        self._check_groups(rows)
        return account_of(
            rows,
            left_aside=arrays.left_aside,
            assumed=(*arrays.assumptions(), *self.assumptions(rows)),
        )

    def fitting(self, rows: Rows) -> Self:
        """The same evaluation. If no metrics were asked for, they are those for these factors."""
        if not self.assumptions(rows):
            return self
        metrics = TypeAdapter(list[AnyMetric]).validate_python(FOR_NUMBERS)
        return self.model_copy(update={"metrics": metrics})

    def assumptions(self, rows: Rows) -> tuple[str, ...]:
        """What the spec leaves open and the kinds of the factors decide."""
        if "metrics" in self.model_fields_set or "continuous" not in rows.factor_kinds:
            return ()
        name = rows.factor_names[rows.factor_kinds.index("continuous")]
        return (
            f"factor {name!r} is continuous and no metrics were asked for: sap is by correlation"
            " and dci by lasso, as their usual predictors predict classes",
        )

    def rows(self, arrays: CodesAndFactors) -> Rows:
        """The file's rows, ready to be scored.

        Codes are grouped. Factors that have a single value according to the file's `factor_sizes`
        are left out.

        Raises:
            InvalidSpec: the spec does not fit the arrays.
            UnusableArrays: the arrays cannot be scored.
        """
        rows = self._rows(arrays)
        self._check_groups(rows)
        return rows if self.groups is None else grouped(rows, self.groups, self.group_by)

    def _check_groups(self, rows: Rows) -> None:
        if self.groups is None:
            return
        expected = uncovered(self.groups, rows.codes.shape[1])
        if expected is not None:
            raise InvalidSpec([Fault("groups", shown(self.groups), expected)])

    def _rows(self, arrays: CodesAndFactors) -> Rows:
        """The file's rows with each code as a latent."""
        columns = arrays.factors.shape[1]
        faults = [
            Fault(name, len(given), f"{columns}, one for each column of factors in the file")
            for name in ("factor_names", "factor_kinds")
            if (given := getattr(self, name)) is not None and len(given) != columns
        ]
        if self.train_rows is not None and self.train_rows > len(arrays.codes):
            expected = f"at most {len(arrays.codes)}, the rows in the file"
            faults.append(Fault("train_rows", self.train_rows, expected))
        if faults:
            raise InvalidSpec(faults)
        try:
            rows = rows_of(
                arrays.codes,
                arrays.factors,
                seed=self.seed,
                train_rows=self.train_rows,
                posterior_logvar=arrays.posterior_logvar,
                posterior_sample=arrays.posterior_sample,
                factor_names=self.factor_names or arrays.factor_names,
                factor_sizes=arrays.factor_sizes,
                factor_kinds=self.factor_kinds or arrays.factor_kinds,
                code_names=arrays.code_names,
            )
        except UnusableRows as error:
            raise UnusableArrays([Fault("", None, f"arrays to score, but {error}")]) from None
        return rows.without_single_valued(arrays.factor_sizes or ())


class RunEvaluation(Evaluation):
    """How a trained run is scored once more: an evaluation, and its pictures if they change."""

    traversal: Traversal | None = None
    """The traversal; null means that of the run's own spec."""

    @classmethod
    def parse(cls, data: object) -> Self:
        """A checked spec with its defaults filled in. Raises `InvalidSpec`."""
        return parsed(cls, data)

    def of(self, run: Mapping[str, Any]) -> RunSpec:
        """The spec of a run with this evaluation in place of its own. Raises `InvalidSpec`."""
        from ml.spec.run_spec import RunSpec  # It needs torch, and codes are scored without.

        changed = {**run, "evaluation": self.model_dump(mode="json", exclude={"traversal"})}
        if self.traversal is not None:
            changed["traversal"] = self.traversal.model_dump(mode="json")
        return RunSpec.parse(changed)
