"""Groups of codes: which they may be, and what is scored of them."""

import math
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from ml import score
from ml.codes.checked_rows import rows_of
from ml.codes.grouped_rows import grouped
from ml.codes.groups import columns_of, first_component, group_names
from ml.codes.rows import UnusableRows
from ml.components.spec_errors import InvalidSpec
from ml.evaluation.audit import metrics_of
from ml.metrics.protocol import Score
from ml.spec.evaluation_spec import FileEvaluation
from ml.studies.comparable import Comparing

LINEAR = {"name": "dci", "predictor": "linear"}
GRID = np.indices((4, 5)).reshape(2, -1).T.repeat(10, axis=0)
TURNED = np.c_[0.8 * GRID[:, 0], -0.6 * GRID[:, 0], GRID[:, 1]]
"""The first factor lies along a line in the plane of two codes."""


def scores(codes: np.ndarray, metric: Any = LINEAR, **options: Any) -> dict[str, Score]:
    found = score(codes, GRID, [metric], uncertainty=False, **options)
    return {one.name: one for one in found}


@pytest.mark.parametrize("by", ["principal_component", "importance"])
def test_a_factor_spread_over_a_group_is_complete_in_it(by: Any) -> None:
    spread = scores(TURNED)
    # The first factor has two equal importances of three: 1 - log 2 / log 3. The second has 1.
    expected = (2 - math.log(2) / math.log(3)) / 2
    assert spread["completeness"].value == pytest.approx(expected)
    assert spread["completeness"].groups is None
    whole = scores(TURNED, groups=[2, 1], group_by=by)
    for name in ("disentanglement", "completeness", "informativeness"):
        assert whole[name].value == pytest.approx(1.0)
    assert np.array(whole["disentanglement"].details["importance"]).shape == (2, 2)
    assert whole["disentanglement"].details["latents"] == ["z0..z1", "z2"]


def test_a_score_says_its_groups() -> None:
    found = scores(TURNED, groups=[[2], [1, 0]])["completeness"].groups
    assert found is not None and found.variance_kept == [1.0, pytest.approx(1.0)]
    assert (found.by, found.columns, found.names) == (
        "principal_component",
        [[2], [1, 0]],
        ["z2", "z1+z0"],
    )
    again = Score.model_validate(scores(TURNED, groups=[2, 1])["completeness"].model_dump())
    assert again.groups is not None and again.groups.columns == [[0, 1], [2]]


def test_the_importances_of_a_group_are_added_up() -> None:
    draws = np.random.default_rng(0)
    codes = GRID @ draws.normal(size=(2, 5)) + draws.normal(size=(200, 5))
    alone = np.array(scores(codes)["disentanglement"].details["importance"])
    groups = [[3, 0], [1], [2, 4]]
    together = scores(codes, groups=groups, group_by="importance")["disentanglement"]
    added = [alone[group].sum(0) for group in groups]
    np.testing.assert_allclose(together.details["importance"], added)


def test_first_components_worked_by_hand() -> None:
    line = np.arange(5.0)[:, None] * [-0.6, 0.8] + [7.0, -3.0]
    direction, share = first_component(line)
    # The first of the largest weights is positive.
    np.testing.assert_allclose(direction, [-0.6, 0.8])
    assert share == pytest.approx(1.0)
    # Variances of 4 and 1, not divided by the deviations.
    cross = np.array([[2.0, 1.0], [-2.0, 1.0], [2.0, -1.0], [-2.0, -1.0]])
    direction, share = first_component(cross)
    np.testing.assert_allclose(direction, [1.0, 0.0], atol=1e-12)
    assert share == pytest.approx(0.8)
    for dead in (np.full((4, 2), 0.1), np.zeros((4, 3), dtype=np.int64)):
        direction, share = first_component(dead)
        assert share == 1.0 and direction.tolist() == np.eye(dead.shape[1])[0].tolist()
    direction, share = first_component(1e150 * cross)
    assert share == pytest.approx(0.8)


def test_threads_do_not_change_a_bit_of_a_component() -> None:
    codes = np.random.default_rng(0).normal(size=(500, 100))
    found = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            found.append(first_component(codes)[0].tobytes())
    assert found[0] == found[1]


def test_posteriors_of_a_group_are_those_along_its_direction() -> None:
    line = np.arange(4.0)[:, None] * [0.6, 0.8]
    logvar = np.log(np.full((4, 2), [1.0, 4.0]))
    rows = rows_of(line, np.arange(4)[:, None], posterior_logvar=logvar, posterior_sample=line + 1)
    found = grouped(rows, [[0, 1]], "principal_component")
    assert found.posteriors is not None and found.posteriors.sample is not None
    np.testing.assert_allclose(found.codes[:, 0], [0, 1, 2, 3], atol=1e-12)
    np.testing.assert_allclose(found.posteriors.mean, found.codes)
    # 0.6² · 1 + 0.8² · 4
    np.testing.assert_allclose(np.exp(found.posteriors.log_variance), 2.92)
    np.testing.assert_allclose(found.posteriors.sample - found.codes, 1.4)
    assert rows.kl is not None and found.kl is not None
    np.testing.assert_allclose(found.kl[:, 0], rows.kl.sum(1))
    summed = grouped(rows, [[0, 1]], "importance")
    np.testing.assert_allclose(summed.summed_over_groups(rows.kl.mean(0)), rows.kl.sum(1).mean(0))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int64])
@pytest.mark.parametrize("metric", ["mig", "modularity", LINEAR])
def test_groups_of_one_code_are_the_codes(dtype: Any, metric: Any) -> None:
    codes = (10 * np.random.default_rng(1).normal(size=(200, 3))).astype(dtype)
    plain, single = scores(codes, metric), scores(codes, metric, groups=[1, 1, 1])
    assert {k: v.value for k, v in plain.items()} == {k: v.value for k, v in single.items()}
    moved = scores(codes[:, [2, 0, 1]], metric, groups=[[1], [2], [0]])
    assert {k: v.value for k, v in plain.items()} == {k: v.value for k, v in moved.items()}


def test_neither_rotation_nor_order_within_a_group_changes_its_score() -> None:
    draws = np.random.default_rng(2)
    codes = np.c_[TURNED, draws.normal(size=200)] + 0.1 * draws.normal(size=(200, 4))
    turn = np.linalg.qr(draws.normal(size=(3, 3)))[0]
    turned = np.c_[codes[:, :3] @ turn, codes[:, 3]]
    for metric in (LINEAR, {"name": "sap", "predictor": "correlation"}):
        values = [
            [one.value for one in scores(given, metric, groups=groups).values()]
            for given, groups in (
                (codes, [3, 1]),
                (turned, [3, 1]),
                (codes[:, [3, 2, 0, 1]], [[1, 3, 2], [0]]),
            )
        ]
        np.testing.assert_allclose(values[1], values[0])
        np.testing.assert_allclose(values[2], values[0])


def test_names_of_groups() -> None:
    called = [f"z{k}" for k in range(9)]
    groups = [[0, 1, 2], [4], [3, 5], [8, 7, 6]]
    assert group_names(groups, called) == ["z0..z2", "z4", "z3+z5", "z8+z7+z6"]
    assert group_names([[0, 2, 4, 6, 8]], called) == ["z0+z2+…+z8"]


@pytest.mark.parametrize(
    ("groups", "told"),
    [
        ([], "sizes of consecutive groups"),
        ("3,2", "sizes of consecutive groups"),
        ([[0, 1], []], "sizes of consecutive groups"),
        ([[0, 1], 2], "sizes of consecutive groups"),
        ([[0, -1]], "sizes of consecutive groups"),
        ([[0.5]], "sizes of consecutive groups"),
        ([True, 2], "sizes of consecutive groups"),
        ([0, 3], "sizes from 1"),
        ([10**15], "sizes from 1"),
        ([[0, 1], [1, 2]], "column 1 is there 2 times"),
        ([2], "column 2 is in none"),
        ([[0, 1], [2, 7]], "columns from 0 to 2, but there is column 7"),
    ],
)
def test_what_are_no_groups_is_said(groups: Any, told: str) -> None:
    with pytest.raises(UnusableRows, match="groups must") as refused:
        score(TURNED, GRID, "mig", groups=groups)
    assert told in str(refused.value)
    if "in none" not in told and "from 0" not in told:
        with pytest.raises(InvalidSpec) as invalid:
            FileEvaluation.parse({"groups": groups})
        assert [fault.path for fault in invalid.value.faults] == ["groups"]
        assert told in invalid.value.faults[0].expected


def test_groups_may_be_arrays() -> None:
    assert columns_of(np.array([2, 1])) == columns_of([[0, 1], [2]]) == [[0, 1], [2]]
    assert columns_of(np.array([[0, 2], [1, 3]])) == [[0, 2], [1, 3]]


def test_a_metric_without_an_importance_refuses_to_sum_it() -> None:
    with pytest.raises(UnusableRows, match=r"mig has no importance.*as dci has"):
        scores(TURNED, "mig", groups=[2, 1], group_by="importance")
    with pytest.raises(UnusableRows, match="group_by must be principal_component or importance"):
        scores(TURNED, groups=[2, 1], group_by="sum")  # type: ignore[arg-type]
    for spec, told in (
        ({"groups": [2, 1], "metrics": ["dci", "mig"]}, "mig has no importance"),
        ({"metrics": ["dci"]}, "groups beside it"),
    ):
        with pytest.raises(InvalidSpec) as invalid:
            FileEvaluation.parse({"group_by": "importance", **spec})
        assert [fault.path for fault in invalid.value.faults] == ["group_by"]
        assert told in str(invalid.value)


def test_an_audit_of_summed_groups_has_metrics_with_an_importance_alone() -> None:
    rows = rows_of(TURNED, GRID)
    assert "mig" in {one["name"] for one in metrics_of(rows)}
    for by, names in (("importance", {"dci"}), ("principal_component", {"dci", "mig"})):
        found = metrics_of(grouped(rows, [[0, 1], [2]], by))  # type: ignore[arg-type]
        assert {one["name"] for one in found} & {"dci", "mig"} == names


def test_groups_are_part_of_an_evaluations_identity_if_there_are_some() -> None:
    def key(**spec: Any) -> str:
        return FileEvaluation.parse({"metrics": ["dci"], **spec}).key()

    assert key() == key(groups=None, group_by="principal_component")
    assert key(groups=[2, 1]) == key(groups=[[0, 1], [2]])
    several = [
        key(),
        key(groups=[2, 1]),
        key(groups=[1, 2]),
        key(groups=[2, 1], group_by="importance"),
    ]
    assert len(set(several)) == 4


def test_scores_of_groups_do_not_compare_with_others() -> None:
    comparing = Comparing({"dataset": {"name": "digits"}})
    plain = scores(TURNED)["completeness"]
    several = [plain, *(scores(TURNED, groups=g)["completeness"] for g in ([2, 1], [1, 2]))]
    found = [comparing.score(one) for one in several]
    assert "groups" not in found[0] and found[1] != found[2]
