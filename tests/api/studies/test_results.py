from __future__ import annotations

import io
from typing import Any

import pandas as pd
import pytest

from api.studies.result_files import to_file
from tests.api.service import RECORD, SPEC, Service, problem

SWEEP = {**SPEC, "name": "a sweep", "sweep": {"objective.beta": [1, 4.5], "seed": [0, 1]}}


def swept(service: Service, *, finished: int = 3) -> str:
    """The path of an experiment some of whose runs are finished, one has failed."""
    id = service.post(SWEEP)["id"]
    record = {**RECORD, "final": {"loss": 1 / 3, "reconstruction": 100.25, "kl": 0.1}}
    for _ in range(finished):
        service.finish(record)
    service.fail()
    return f"/v1/experiments/{id}"


def test_results_are_one_row_a_run_in_the_order_of_the_sweep(service_on_each: Service) -> None:
    path = swept(service_on_each)
    page = service_on_each.json(f"{path}/results")
    rows = page["items"]
    assert page["next_cursor"] is None
    assert [(row["objective.beta"], row["seed"]) for row in rows] == [
        (1, 0),
        (1, 1),
        (4.5, 0),
        (4.5, 1),
    ]
    assert list(rows[0])[:6] == [
        "run_id",
        "state",
        "train_id",
        "objective.beta",
        "seed",
        "mig",
    ]
    scores = service_on_each.json(f"/v1/runs/{rows[0]['run_id']}/scores")["items"]
    assert rows[0]["mig"] == scores[0]["value"]
    assert rows[0]["final.loss"] == 1 / 3 and rows[0]["error"] is None
    assert rows[3]["state"] == "failed" and rows[3]["mig"] is None
    assert rows[3]["error"] == "the loss is NaN"


def test_pandas_reads_from_csv_and_parquet_what_the_json_says(service_on_each: Service) -> None:
    path = swept(service_on_each)
    rows = service_on_each.json(f"{path}/results")["items"]
    expected = pd.DataFrame(rows)
    csv = service_on_each.get(f"{path}/results?format=csv")
    parquet = service_on_each.get(f"{path}/results?format=parquet")
    assert csv.headers["content-disposition"] == 'attachment; filename="a-sweep.csv"'
    for found in (
        pd.read_csv(io.BytesIO(csv.content)),
        pd.read_parquet(io.BytesIO(parquet.content)),
    ):
        pd.testing.assert_frame_equal(found, expected, check_dtype=False, check_exact=True)


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("*/*", "application/json"),
        ("text/csv", "text/csv; charset=utf-8"),
        ("application/json;q=0.5, text/*", "text/csv; charset=utf-8"),
        ("application/vnd.apache.parquet", "application/vnd.apache.parquet"),
        ("text/html, */*;q=0.1", "application/json"),
    ],
)
def test_accept_chooses_the_format(service: Service, accept: str, media: str) -> None:
    path = swept(service, finished=1)
    answer = service.get(f"{path}/results", accept=accept)
    assert answer.headers["content-type"] == media and answer.headers["vary"] == "Accept"
    chosen = service.get(f"{path}/results?format=csv", accept=accept)
    assert chosen.headers["content-type"].startswith("text/csv")


def test_what_there_is_not_is_refused(service: Service) -> None:
    path = f"/v1/experiments/{service.post()['id']}"
    told = problem(service.get(f"{path}/results", accept="text/html"), 406)
    assert "text/csv" in told["detail"]
    [fault] = problem(service.get(f"{path}/results?format=xml"), 422)["errors"]
    assert fault["path"] == "format"
    for name in ("results", "summary"):
        problem(service.get(f"/v1/experiments/exp_none/{name}"), 404)


def test_an_experiment_that_has_not_begun_has_rows_without_numbers(service: Service) -> None:
    path = f"/v1/experiments/{service.post(SWEEP)['id']}"
    rows = service.json(f"{path}/results")["items"]
    assert [row["state"] for row in rows] == ["queued"] * 4 and "mig" not in rows[0]
    assert pd.read_csv(io.StringIO(service.get(f"{path}/results?format=csv").text)).shape[0] == 4
    assert service.json(f"{path}/summary")["counts"] == {"queued": 4}


def test_columns_of_mixed_values_are_text_and_whole_numbers_keep_their_digits() -> None:
    rows: list[dict[str, Any]] = [
        {"mixed": "a", "big": 2**60 + 1, "wide": 2**70, "yes": True, "none": None, "real": 1},
        {"mixed": 1.5, "big": None, "wide": 1, "yes": None, "none": None, "real": 0.1},
    ]
    for format in ("csv", "parquet"):
        file = io.BytesIO(to_file(rows, list(rows[0]), format))  # type: ignore[arg-type]
        read = pd.read_csv if format == "csv" else pd.read_parquet
        found = read(file)
        assert found["mixed"].tolist() == ["a", "1.5"] and found["real"].tolist() == [1.0, 0.1]
        assert str(found["wide"][0]) == str(2**70)
        assert found["none"].isna().all()
    table = pd.read_parquet(io.BytesIO(to_file(rows, ["big"], "parquet")), dtype_backend="pyarrow")
    assert table["big"][0] == 2**60 + 1


def test_the_summary_tells_the_best_setting_and_how_many_seeds_it_rests_on(
    service_on_each: Service,
) -> None:
    path = swept(service_on_each)
    summary = service_on_each.json(f"{path}/summary")
    assert summary["counts"] == {"succeeded": 3, "failed": 1}
    [best] = [one for one in summary["best"] if one["column"] == "mig"]
    assert best["enough_seeds"] is False and best["note"]
    assert summary["best_by_udr"] is None and summary["udr_missing"]


def test_the_leaderboard_ranks_what_is_on_a_data_set(service_on_each: Service) -> None:
    swept(service_on_each)
    [table] = service_on_each.json("/v1/leaderboard?dataset=digits")["items"]
    assert (table["metric"], table["definition"]) == ("mig", "mig@1")
    assert sum(entry["seeds"] for entry in table["entries"]) == 3
    assert {entry["setting"].get("objective.beta") for entry in table["entries"]} == {1, 4.5}
    assert service_on_each.json("/v1/leaderboard?dataset=dsprites")["items"] == []
    assert service_on_each.json("/v1/leaderboard?dataset=digits&metric=sap")["items"] == []
    assert service_on_each.json("/v1/leaderboard?dataset=digits&objective=vae")["items"] == []


@pytest.mark.parametrize(
    ("query", "path", "nearest"),
    [("", "dataset", None), ("?dataset=dsprits", "dataset", "dsprites")],
)
def test_a_leaderboard_of_no_data_set_is_refused(
    service: Service, query: str, path: str, nearest: str | None
) -> None:
    [fault] = problem(service.get(f"/v1/leaderboard{query}"), 422)["errors"]
    assert (fault["path"], fault["nearest"]) == (path, nearest)


def test_the_report_is_a_page_that_runs_nothing(service_on_each: Service) -> None:
    path = swept(service_on_each)
    answer = service_on_each.get(f"{path}/report.html")
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/html")
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    for row in service_on_each.json(f"{path}/results")["items"]:
        assert row["run_id"] in answer.text
    assert "the loss is NaN" in answer.text and "mig (higher is better)" in answer.text
    assert service_on_each.get("/v1/experiments/exp_none/report.html").status_code == 404
