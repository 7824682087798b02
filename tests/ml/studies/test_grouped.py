"""What describes many groups at once is, to the last bit, what describes each by itself."""

from __future__ import annotations

import json
import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ml.metrics.protocol import Score
from ml.studies.grouped import described
from ml.studies.seeds_or_rows import seeds_or_rows, seeds_or_rows_of_many
from ml.studies.statistics import describe
from ml.studies.stored_score import StoredScores

VALUES = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([0.0, -0.0, 0.5, 1e308])


@given(st.lists(st.lists(VALUES, max_size=9), max_size=6))
def test_groups_are_described_as_each_by_itself(groups: list[list[float]]) -> None:
    found = described([np.array(group, dtype=np.float64) for group in groups])
    # The text tells 0 and -0 apart.
    assert [one.model_dump_json() for one in found] == [
        describe(group).model_dump_json() for group in groups
    ]


def test_large_groups_are_described_as_each_by_itself() -> None:
    draws = np.random.default_rng(0)
    for size in (1, 2, 7, 8, 9, 50, 129, 1_000):
        groups = list(draws.normal(size=(20, size)) * 10.0 ** draws.integers(-5, 5, (20, 1)))
        assert described(groups) == [describe(group.tolist()) for group in groups]


@given(st.lists(st.lists(VALUES, min_size=3, max_size=3), min_size=1, max_size=5), st.data())
def test_settings_are_advised_as_each_by_itself(
    values: list[list[float]], data: st.DataObject
) -> None:
    width = st.none() | st.floats(0, 1e308)
    widths = [[data.draw(width) for _ in those] for those in values]
    known = [[math.nan if one is None else one for one in those] for those in widths]
    assert seeds_or_rows_of_many(np.array(values), np.array(known)) == [
        seeds_or_rows(those, of_rows) for those, of_rows in zip(values, widths, strict=True)
    ]


TEXTS = st.text() | st.sampled_from(['"],[1,2]]', "null]", "[null,null]"])


@given(
    st.lists(
        st.tuples(st.none() | VALUES, st.none() | TEXTS, st.none() | st.tuples(VALUES, VALUES)),
        min_size=1,
        max_size=4,
    ),
    st.booleans(),
)
def test_half_widths_of_an_evaluation_are_those_of_each_score(
    scores: list[tuple[float | None, str | None, tuple[float, float] | None]], spaces: bool
) -> None:
    one = Score.model_validate(
        {"metric": "mig", "name": "mig", "value": None, "rows": 1, "seed": 0, "versions": {}}
        | {"definition": "mig 1", "params": {}, "codes": "mean"}
        | {"higher_is_better": True, "range": (0, 1), "perfect": 1}
    )
    separators = (", ", ": ") if spaces else (",", ":")
    lines = "\n".join(
        json.dumps([value, error, None, ci95], separators=separators)
        for value, error, ci95 in scores
    )
    expected = [
        None if value is None or ci95 is None else max(value - ci95[0], ci95[1] - value)
        for value, _, ci95 in scores
    ]
    assert StoredScores((one,) * len(scores), lines).half_widths() == expected
