"""The command line: what it prints, and with which status it exits."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner, Result

from heddle.cli import main as cli
from heddle.cli.output.live import progress_line
from tests.heddle.fake_server import FakeServer, problem

PROGRESS = {
    "stage": "training",
    "step": 500,
    "steps": 1800,
    "images_per_second": 640.4,
    "eta_seconds": 131.2,
    "loss": 82.11111,
}


pytestmark = pytest.mark.usefixtures("connected")


def heddle(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(cli.main, arguments, input=stdin)


def test_submit_prints_the_experiment_and_its_runs(server: FakeServer, tmp_path: Path) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text("training: {steps: 10, rate: 1e-4}\n")
    result = heddle("submit", str(spec), "--set", "training.steps=20", "--set", "seed=3")
    assert result.exit_code == 0, result.output
    for word in ("exp_01", "run_a", "run_b", "objective.beta", "succeeded"):
        assert word in result.output
    posted = json.loads(server.requests[0].content)
    assert posted == {"training": {"steps": 20, "rate": 1e-4}, "seed": 3}


def test_submit_reads_standard_input(server: FakeServer) -> None:
    result = heddle("submit", "-", "--json", stdin="dataset: {name: dsprites}\n")
    assert result.exit_code == 0
    assert json.loads(server.requests[0].content) == {"dataset": {"name": "dsprites"}}


def test_submit_can_show_what_it_would_do(server: FakeServer) -> None:
    answered = {
        "runs": 4,
        "reused": 1,
        "parameters": 1_200_000,
        "steps": 900_000,
        "seconds": 3725.2,
        "memory_bytes": 19_200_000,
        "position": 3,
        "warnings": ["Two seeds [/are] few."],
    }
    server.instead = [lambda _: httpx.Response(200, json=answered)] * 2
    shown = heddle("submit", "-", "--dry-run", stdin="seed: 1\n").output
    for part in ("4, 1 of them reused", "1,200,000", "900,000", "1:02:05", "19.2 MB", "3"):
        assert part in shown
    assert "Two seeds [/are] few." in shown
    assert server.requests[0].url.params["dry_run"] == "true"
    document = json.loads(heddle("submit", "-", "--dry-run", "--json", stdin="seed: 1\n").output)
    assert document == answered
    assert heddle("submit", "-", "--dry-run", "--key", "a", stdin="seed: 1\n").exit_code == 2
    assert len(server.requests) == 2


def test_submit_may_be_given_a_key(server: FakeServer) -> None:
    assert heddle("submit", "-", "--key", "clé", stdin="seed: 1\n").exit_code == 0
    assert server.requests[0].headers["Idempotency-Key"].encode() == "clé".encode()


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        (("show", "exp_01"), "/v1/experiments/exp_01"),
        (("show", "run_a"), "/v1/runs/run_a"),
        (("watch", "exp_01"), "/v1/experiments/exp_01"),
        (("scores", "run_a"), "/v1/runs/run_a/scores"),
        (("cancel", "exp_01"), "/v1/experiments/exp_01/cancel"),
        (("resume", "run_a"), "/v1/runs/run_a/resume"),
        (("pin", "exp_01"), "/v1/experiments/exp_01/pin"),
        (("unpin", "run_a"), "/v1/runs/run_a/unpin"),
    ],
)
def test_json_is_what_was_served(arguments: tuple[str, ...], path: str, server: FakeServer) -> None:
    odd = b'{ "id":"%s",  "state":"succeeded", "items":[], "runs":[], "more":1.50 }'
    odd %= arguments[1].encode()
    server.instead = [lambda _: httpx.Response(200, content=odd)] * 2
    result = heddle(*arguments, "--json")
    assert result.exit_code == 0, result.output
    assert result.stdout_bytes == odd + b"\n"
    assert server.paths[-1] == path


@pytest.mark.parametrize(("answer", "deletes"), [("y\n", True), ("n\n", False), ("", False)])
def test_delete_asks_first_and_says_what_would_go(
    server: FakeServer, answer: str, deletes: bool
) -> None:
    document = {**server.experiment(), "usage": {"artifacts": 5_100_000, "checkpoints": 100_000}}
    server.instead = [lambda _: httpx.Response(200, json=document)]
    result = heddle("delete", "exp_01", stdin=answer)
    assert "exp_01 (sweep: 2 runs, 5.2 MB)" in result.output
    assert [request.method for request in server.requests] == ["GET", *["DELETE"] * deletes]
    assert result.exit_code == (0 if deletes else 1)


def test_delete_takes_experiments_and_evaluations_at_their_word(server: FakeServer) -> None:
    for id, path in (("exp_01", "experiments"), ("eval_01", "evaluations")):
        assert heddle("delete", id, "--yes").exit_code == 0
        assert server.requests[-1].method == "DELETE" and server.paths[-1] == f"/v1/{path}/{id}"
    refused = heddle("delete", "run_a", "--yes")
    assert refused.exit_code == 2 and "exp_… or eval_…" in refused.output


def test_watch_prints_lines_where_there_is_no_terminal(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.state = "running"
    server.runs["run_b"] |= {"state": "training", "progress": PROGRESS}
    usual = server.answer

    def end_it(request: httpx.Request) -> httpx.Response:
        if server.paths.count("/v1/experiments/exp_01") == 3:
            server.state = server.runs["run_b"]["state"] = "succeeded"
        return usual(request)

    monkeypatch.setattr(server, "answer", end_it)
    result = heddle("watch", "exp_01")
    assert result.exit_code == 0, result.output
    assert result.output.splitlines() == [
        "run_b (objective.beta=4) training 500/1800, loss 82.11, 640 images/s, 0:02:11 left",
        "run_a (objective.beta=1) succeeded",
        "run_b (objective.beta=4) succeeded",
        "exp_01 succeeded",
    ]


def test_progress_may_be_absent(server: FakeServer) -> None:
    assert progress_line("training", {}) == "training"
    assert (
        progress_line("training", {"stage": "encoding", "step": None, "loss": None}) == "encoding"
    )


def test_trouble_is_told_at_the_end_of_a_line() -> None:
    progress = {"stage": "training", "step": 5, "steps": 10, "trouble": "The disk is full."}
    assert progress_line("training", progress) == "training 5/10, trouble: The disk is full."


def test_failed_work_exits_with_1_and_says_why(server: FakeServer) -> None:
    server.state = "failed"
    error = {"type": "OutOfMemory", "message": "[cuda] 3 GB wanted", "advice": "halve the batch"}
    server.runs["run_b"] |= {"state": "failed", "error": error}
    watched = heddle("watch", "exp_01")
    assert watched.exit_code == 1
    assert "run_b (objective.beta=4): OutOfMemory: [cuda] 3 GB wanted - halve" in watched.stderr
    shown = heddle("show", "exp_01")
    assert shown.exit_code == 0
    assert "OutOfMemory: [cuda] 3 GB wanted" in shown.output
    assert "halve the batch" in shown.output
    run = heddle("show", "run_b")
    assert "[cuda] 3 GB wanted" in run.output
    as_json = heddle("watch", "exp_01", "--json")
    assert as_json.exit_code == 1
    assert json.loads(as_json.stdout)["state"] == "failed"


def test_scores_are_tables(server: FakeServer) -> None:
    result = heddle("scores", "exp_01")
    assert result.exit_code == 0, result.output
    for word in (
        "run_a",
        "run_b",
        "0.1235",
        "[0.1, 0.15]",
        "0.01 ± 0.002 (3)",
        "ConstantFactor: shape",
    ):
        assert word in result.output
    assert "mig lies inside its null. Advice: train [more]." in result.output


def test_download_gives_each_run_of_an_experiment_a_folder(tmp_path: Path) -> None:
    result = heddle("download", "exp_01", "--to", str(tmp_path))
    assert result.exit_code == 0, result.output
    assert (tmp_path / "run_a" / "curves.json").exists()
    assert (tmp_path / "run_b" / "plots" / "recon.png").exists()
    assert str(tmp_path / "run_a" / "curves.json") in result.output
    assert heddle("download", "run_a", "--to", str(tmp_path)).exit_code == 0
    assert (tmp_path / "curves.json").exists()


@pytest.mark.parametrize(
    "arguments",
    [("show", "01"), ("watch", "run_a"), ("download", "run_a"), ("submit", "absent.yaml"), ("go",)],
)
def test_a_command_that_makes_no_sense_exits_with_2(arguments: tuple[str, ...]) -> None:
    assert heddle(*arguments).exit_code == 2


@pytest.mark.parametrize(("status", "code"), [(422, 2), (404, 2), (409, 1), (500, 1)])
def test_a_refusal_exits_by_whose_it_is_to_change(
    status: int, code: int, server: FakeServer
) -> None:
    errors = [{"path": "objective.bta", "got": 1, "expected": "a known field", "nearest": "beta"}]
    server.instead = [lambda _: problem(status, "Refused", None, errors)]
    result = heddle("submit", "-", stdin="a: 1\n")
    assert result.exit_code == code
    assert "objective.bta: got 1, expected a known field; did you mean beta?" in result.stderr


def test_a_broken_spec_exits_with_2(server: FakeServer) -> None:
    assert heddle("submit", "-", stdin="a: [1\n").exit_code == 2
    assert heddle("submit", "-", "--set", "steps", stdin="a: 1\n").exit_code == 2
    assert server.requests == []


def test_every_command_has_an_example() -> None:
    for name, command in cli.main.commands.items():
        assert f"Example: heddle {name}" in (command.help or "")


def test_an_evaluation_is_shown_stopped_and_taken_up_again(server: FakeServer) -> None:
    for verb in ("show", "cancel", "resume", "retry"):
        result = heddle(verb, "eval_1")
        assert result.exit_code == 0, result.output
        assert "eval_1" in result.output
    assert "0.1235" in heddle("scores", "eval_1").output
    assert heddle("watch", "eval_1").exit_code == 2
