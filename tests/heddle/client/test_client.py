"""What the Python client makes of a server's answers, good, bad and absent."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote
from uuid import UUID

import httpx
import pytest

from heddle.client import Client, connect, connection
from heddle.client.resources import EvaluationFailed, Experiment, ExperimentFailed
from heddle.errors import DownloadDamaged, HeddleError, ServerUnreachable, SpecError
from tests.heddle.fake_server import Answer, Broken, FakeServer, listed, problem, sha256

ERROR = {"type": "LossNotFinite", "message": "step 12: loss is nan", "advice": "lower the rate"}


def breaking(error: httpx.TransportError) -> Callable[[httpx.Request], httpx.Response]:
    def answer(request: httpx.Request) -> httpx.Response:
        raise error

    return answer


def test_the_url_comes_from_the_argument_the_home_the_environment_or_is_the_usual_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HEDDLE_URL", raising=False)
    assert connect().url == "http://127.0.0.1:8000"
    monkeypatch.setenv("HEDDLE_URL", "http://lab:80/")
    assert connect().url == "http://lab:80"
    assert connect(home=tmp_path).url == "http://lab:80"
    (tmp_path / "service.json").write_text('{"pid": 1, "url": "http://127.0.0.1:8003"}')
    assert connect(home=tmp_path).url == "http://127.0.0.1:8003"
    assert connect("http://other", home=tmp_path).url == "http://other"


def test_the_key_is_sent_as_bearer(server: FakeServer) -> None:
    client = Client("http://lab", key="secret", transport=httpx.MockTransport(server.answer))
    client.experiment("exp_01")
    assert server.requests[0].headers["Authorization"] == "Bearer secret"


def test_submit_posts_what_the_yaml_says_by_the_1_2_rules(
    client: Client, server: FakeServer
) -> None:
    experiment = client.submit("dataset: {name: dsprites}\ntraining: {rate: 1e-4, on: no}\n")
    assert experiment.id == "exp_01"
    assert server.requests[0].method == "POST"
    assert (
        server.requests[0].content
        == b'{"dataset":{"name":"dsprites"},"training":{"rate":0.0001,"on":"no"}}'
    )


@pytest.mark.parametrize("typed", ["run_a?state=failed", "run_a#scores", "run_%61", "run_a/scores"])
def test_an_id_that_is_none_names_nothing_else(
    typed: str, client: Client, server: FakeServer
) -> None:
    with pytest.raises(HeddleError, match="404"):
        client.run(typed)
    assert server.requests[0].url.raw_path == f"/v1/runs/{quote(typed, safe='')}".encode()


def test_wait_looks_until_all_has_ended(client: Client, server: FakeServer) -> None:
    states = ["queued", "running", "running", "succeeded"]
    seen = []

    def progress(experiment: Experiment) -> None:
        seen.append(experiment.state)
        server.state = states[min(len(seen), 3)]

    server.state = states[0]
    experiment = client.experiment("exp_01").wait(progress=progress)
    assert seen == states
    assert [run.swept for run in experiment.runs()] == [
        {"objective.beta": 1},
        {"objective.beta": 4},
    ]


def test_wait_names_the_runs_that_failed_with_cause_and_advice(
    client: Client, server: FakeServer
) -> None:
    server.state = "failed"
    server.runs["run_b"] |= {"state": "failed", "error": ERROR}
    with pytest.raises(ExperimentFailed) as failed:
        client.experiment("exp_01").wait()
    assert str(failed.value) == (
        "Experiment exp_01 failed\n"
        "  run_b (objective.beta=4): LossNotFinite: step 12: loss is nan - lower the rate"
    )
    assert [run.id for run in failed.value.failed] == ["run_b"]


def test_wait_gives_up_when_its_time_is_over(client: Client, server: FakeServer) -> None:
    server.state = "running"
    with pytest.raises(TimeoutError, match=r"exp_01 is running still after 0\.05 s"):
        client.experiment("exp_01").wait(timeout=0.05)


def test_wait_bears_a_server_that_is_restarted(client: Client, server: FakeServer) -> None:
    experiment = client.experiment("exp_01")
    server.instead = [breaking(httpx.ConnectError("refused"))] * 3
    assert experiment.wait().state == "succeeded"


def test_runs_have_scores_over_all_pages_curves_and_pictures(
    client: Client, tmp_path: Path
) -> None:
    run = client.run("run_a")
    assert [score["name"] for score in run.scores()] == ["mig", "disentanglement"]
    assert run.scalars() == {"loss": [(0, 400.5), (10, None)]}
    assert run.traversal(tmp_path / "new" / "t.png").read_bytes() == b"a picture"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["t.png"]
    with pytest.raises(ValueError, match=r"expected one ending in \.png or \.gif"):
        run.traversal(tmp_path / "t.jpg")


def test_a_problem_document_is_readable_a_line_an_error(client: Client, server: FakeServer) -> None:
    errors = [
        {"path": "objective.bta", "got": 4, "expected": "a known field", "nearest": "beta"},
        {"path": "training.steps", "got": -1, "expected": "at least 1", "nearest": None},
    ]
    server.instead = [lambda _: problem(422, "The spec is invalid", "2 fields", errors)]
    with pytest.raises(HeddleError) as refused:
        client.submit({"objective": {"bta": 4}})
    assert refused.value.status == 422
    assert refused.value.errors[0].nearest == "beta"
    assert str(refused.value) == (
        "422 The spec is invalid: 2 fields\n"
        "  objective.bta: got 4, expected a known field; did you mean beta?\n"
        "  training.steps: got -1, expected at least 1"
    )


def test_what_the_detail_says_is_not_said_again(client: Client, server: FakeServer) -> None:
    errors = [{"path": "seed", "got": "a", "expected": "an integer", "nearest": None}]
    server.instead = [lambda _: problem(422, "Invalid", "seed: expected an integer, got a", errors)]
    with pytest.raises(HeddleError) as refused:
        client.submit({"seed": "a"})
    assert str(refused.value) == '422 Invalid\n  seed: got "a", expected an integer'


def test_an_answer_of_something_else_is_an_error_too(client: Client, server: FakeServer) -> None:
    server.instead = [lambda _: httpx.Response(502, text="<h1>proxy</h1>")]
    with pytest.raises(HeddleError, match="502 Bad Gateway: <h1>proxy</h1>"):
        client.run("run_a")


def test_a_server_that_is_not_there_is_named_with_what_to_do() -> None:
    with pytest.raises(
        ServerUnreachable, match=r"http://127\.0\.0\.1:9 .*refused.*`heddle up`.*HEDDLE_URL"
    ):
        connect("http://127.0.0.1:9").run("run_a")


LOST = breaking(httpx.ReadError("connection reset"))
AWAY = breaking(httpx.ConnectError("refused"))


def test_a_get_is_tried_again_and_a_post_is_not(client: Client, server: FakeServer) -> None:
    server.instead = [LOST, LOST]
    assert client.run("run_a").state == "succeeded"
    assert len(server.requests) == 3
    server.instead = [LOST]
    with pytest.raises(ServerUnreachable, match="connection reset"):
        client.evaluate_run("run_a")
    assert len(server.requests) == 4


@pytest.mark.parametrize(
    "meanwhile",
    [
        [LOST, LOST],
        [breaking(httpx.RemoteProtocolError("disconnected")), AWAY, AWAY],
        [breaking(httpx.WriteError("broken pipe"))],
        [breaking(httpx.ReadTimeout("timed out"))],
        [lambda _: httpx.Response(503), AWAY],
        [lambda _: httpx.Response(503, headers={"Retry-After": "0.02"})],
    ],
)
def test_a_submission_is_sent_again_under_its_key_until_there_is_an_answer(
    meanwhile: list[Answer], client: Client, server: FakeServer
) -> None:
    server.instead = list(meanwhile)
    assert client.submit({"seed": 1}).id == "exp_01"
    assert len(server.requests) == len(meanwhile) + 1
    assert len({request.headers["Idempotency-Key"] for request in server.requests}) == 1
    assert {request.content for request in server.requests} == {b'{"seed":1}'}


def test_every_submission_has_a_key_of_its_own_or_the_one_it_is_given(
    client: Client, server: FakeServer
) -> None:
    for _ in range(2):
        client.submit({"seed": 1})
    client.submit({"seed": 1}, idempotency_key="monday's sweep")
    keys = [request.headers["Idempotency-Key"] for request in server.requests]
    assert keys[0] != keys[1] and UUID(keys[0]) and keys[2] == "monday's sweep"


def test_a_submission_is_not_sent_for_ever(
    client: Client, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "PATIENCE_SECONDS", 0.05)
    server.instead = [LOST] * 1000
    with pytest.raises(ServerUnreachable, match="connection reset"):
        client.submit({})
    server.instead = [lambda _: httpx.Response(503)] * 1000
    with pytest.raises(HeddleError, match="503"):
        client.submit({})
    assert 4 <= len(server.requests) < 100


@pytest.mark.parametrize("status", [422, 409, 500, 502])
def test_a_submission_that_is_answered_is_not_sent_again(
    status: int, client: Client, server: FakeServer
) -> None:
    server.instead = [lambda _: problem(status, "Refused")]
    with pytest.raises(HeddleError, match=str(status)):
        client.submit({})
    assert len(server.requests) == 1


def test_a_submission_to_nobody_fails_at_once(client: Client, server: FakeServer) -> None:
    server.instead = [AWAY]
    with pytest.raises(ServerUnreachable, match="refused"):
        client.submit({})


@pytest.mark.parametrize("after", ["0.02", "Wed, 21 Oct 2015 07:28:00 GMT"])
def test_a_busy_server_is_asked_again_when_it_says(
    after: str, client: Client, server: FakeServer
) -> None:
    server.instead = [
        lambda _: httpx.Response(429, headers={"Retry-After": after}),
        lambda _: httpx.Response(503, headers={"Retry-After": after}),
    ]
    assert client.run("run_a").state == "succeeded"
    server.instead = [lambda _: httpx.Response(503)]
    with pytest.raises(HeddleError, match="503"):
        client.run("run_a")


def test_download_brings_every_artifact_and_keeps_what_is_there(
    client: Client, server: FakeServer, tmp_path: Path
) -> None:
    paths = client.run("run_a").download(tmp_path)
    assert paths == [tmp_path / "curves.json", tmp_path / "plots" / "recon.png"]
    assert [path.read_bytes() for path in paths] == list(server.files.values())
    paths[0].write_bytes(b"changed")
    server.requests.clear()
    client.run("run_a").download(tmp_path)
    assert paths[0].read_bytes() == server.files["curves.json"]
    assert len([path for path in server.paths if "/artifacts/" in path]) == 1
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == [
        "curves.json",
        "recon.png",
    ]


def test_an_interrupted_download_goes_on_where_it_stopped(
    client: Client, server: FakeServer, tmp_path: Path
) -> None:
    data = server.files["plots/recon.png"]
    server.files = {"recon.png": data}
    run = client.run("run_a")
    server.requests.clear()
    server.instead = [
        lambda _: httpx.Response(
            200, json={"items": [listed("recon.png", data)], "next_cursor": None}
        ),
        lambda _: httpx.Response(200, stream=Broken(data, 1000)),
        lambda _: httpx.Response(206, stream=Broken(data[1000:], 500)),
    ]
    (path,) = run.download(tmp_path)
    assert path.read_bytes() == data
    ranges = [request.headers.get("Range") for request in server.requests[1:]]
    assert ranges == [None, "bytes=1000-", "bytes=1500-"]


def test_a_download_goes_on_after_its_process_has_ended(
    client: Client, server: FakeServer, tmp_path: Path
) -> None:
    data = server.files["plots/recon.png"]
    server.files = {"recon.png": data}
    (tmp_path / f".recon.png.{sha256(data)[:16]}.part").write_bytes(data[:700])
    (path,) = client.run("run_a").download(tmp_path)
    assert path.read_bytes() == data
    assert server.requests[-1].headers["Range"] == "bytes=700-"


def test_a_server_that_knows_no_ranges_is_read_from_the_start(
    client: Client, server: FakeServer, tmp_path: Path
) -> None:
    data = server.files["plots/recon.png"]
    (tmp_path / f".recon.png.{sha256(data)[:16]}.part").write_bytes(data[:700])
    run = client.run("run_a")
    server.instead = [
        lambda _: httpx.Response(
            200, json={"items": [listed("recon.png", data)], "next_cursor": None}
        ),
        lambda _: httpx.Response(200, content=data),
    ]
    (path,) = run.download(tmp_path)
    assert path.read_bytes() == data


def test_damaged_bytes_are_not_kept(client: Client, server: FakeServer, tmp_path: Path) -> None:
    server.instead = [
        lambda _: httpx.Response(200, json=server.runs["run_a"]),
        lambda _: httpx.Response(
            200, json={"items": [listed("a.bin", b"right")], "next_cursor": None}
        ),
        lambda _: httpx.Response(200, content=b"wrong"),
    ]
    with pytest.raises(DownloadDamaged, match=r"a\.bin: got bytes of sha256 8810ad58"):
        client.run("run_a").download(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "a/../../b", ""])
def test_a_name_that_leads_out_of_the_folder_is_refused(
    name: str, client: Client, server: FakeServer, tmp_path: Path
) -> None:
    server.files = {name: b"data"}
    with pytest.raises(HeddleError, match="expected a name inside its folder"):
        client.run("run_a").download(tmp_path / "in")
    assert list(tmp_path.iterdir()) == []


def told(state: str, **others: object) -> Callable[[httpx.Request], httpx.Response]:
    """An answer with an evaluation's document."""
    document = {"id": "eval_01", "state": state, "error": None, "scores": None} | others
    return lambda request: httpx.Response(202 if request.method == "POST" else 200, json=document)


def parts_of(request: httpx.Request) -> dict[str, tuple[str, bytes]]:
    """The parts of a multipart body by name: headers and content."""
    _, _, boundary = request.headers["content-type"].partition("boundary=")
    parts = request.content.split(f"--{boundary}".encode())[1:-1]
    found = {}
    for part in parts:
        head, _, content = part.strip(b"\r\n").partition(b"\r\n\r\n")
        name = head.decode().partition('name="')[2].partition('"')[0]
        found[name] = (head.decode(), content)
    return found


def test_a_file_is_sent_with_its_spec(client: Client, server: FakeServer, tmp_path: Path) -> None:
    path = tmp_path / "codes.npz"
    path.write_bytes(bytes(range(256)) * 1000)
    server.instead = [told("queued", reused=False)]
    evaluation = client.evaluate_file(path, "metrics: [mig]\ntolerance: 1e-4\n")
    assert (evaluation.id, evaluation.state, evaluation.error) == ("eval_01", "queued", None)
    [request] = server.requests
    assert (request.method, request.url.path) == ("POST", "/v1/evaluations")
    parts = parts_of(request)
    assert set(parts) == {"spec", "file"}
    assert parts["file"][1] == path.read_bytes() and 'filename="codes.npz"' in parts["file"][0]
    assert parts["spec"][1] == b'{"metrics": ["mig"], "tolerance": 0.0001}'
    assert "filename" not in parts["spec"][0]


def test_a_file_goes_piece_by_piece(server: FakeServer, tmp_path: Path) -> None:
    path = tmp_path / "codes.npz"
    with path.open("wb") as file:
        file.truncate(5_000_000)
    sizes: list[int] = []

    class Reading(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            assert isinstance(request.stream, httpx.SyncByteStream)
            sizes.extend(map(len, request.stream))
            return told("queued")(request)

    Client("http://heddle.test", transport=Reading()).evaluate_file(path)
    assert sum(sizes) > 5_000_000 and max(sizes) < 200_000


def test_a_file_that_is_not_there_is_named_before_any_server_is_asked(
    client: Client, server: FakeServer, tmp_path: Path
) -> None:
    with pytest.raises(SpecError, match=r"Cannot read the file .*codes\.npz"):
        client.evaluate_file(tmp_path / "codes.npz")
    assert server.requests == []


def test_what_the_server_says_of_a_file_is_told(
    client: Client, server: FakeServer, tmp_path: Path
) -> None:
    (tmp_path / "codes.npz").write_bytes(b"no zip")
    error = {"path": "file.codes", "got": "nan", "expected": "finite numbers", "nearest": None}
    server.instead = [lambda _: problem(422, "Unprocessable", "1 fault", [error])]
    with pytest.raises(HeddleError, match=r'file\.codes: got "nan", expected finite numbers'):
        client.evaluate_file(tmp_path / "codes.npz")
    server.instead = [breaking(httpx.WriteError("broken pipe"))]
    with pytest.raises(ServerUnreachable, match="broken pipe"):
        client.evaluate_file(tmp_path / "codes.npz")


def test_a_run_is_evaluated_again(client: Client, server: FakeServer) -> None:
    server.instead = [told("queued"), told("queued")]
    assert client.evaluate_run("run_a", {"metrics": ["mig"], "seed": 2}).id == "eval_01"
    assert client.evaluate_run("run_a").state == "queued"
    assert server.paths == ["/v1/runs/run_a/evaluations"] * 2
    assert server.requests[0].content == b'{"metrics":["mig"],"seed":2}'
    assert server.requests[1].content == b"{}"


def test_an_evaluation_is_waited_for_and_has_scores(client: Client, server: FakeServer) -> None:
    states = ["queued", "running", "running", "succeeded"]
    server.instead = [
        *(told(state) for state in states),
        lambda _: httpx.Response(200, json={"items": [{"value": 1}], "next_cursor": "2"}),
        lambda _: httpx.Response(200, json={"items": [{"value": 2}], "next_cursor": None}),
    ]
    seen: list[str] = []
    evaluation = client.evaluation("eval_01").wait(progress=lambda one: seen.append(one.state))
    assert seen == states[1:]
    assert [score["value"] for score in evaluation.scores()] == [1, 2]
    assert server.paths == ["/v1/evaluations/eval_01"] * 4 + ["/v1/evaluations/eval_01/scores"] * 2


@pytest.mark.parametrize(
    ("state", "error", "message"),
    [
        ("failed", ERROR, "failed: LossNotFinite: step 12: loss is nan - lower the rate"),
        ("cancelled", None, "was cancelled"),
    ],
)
def test_an_evaluation_that_ended_without_scores_says_why(
    client: Client, server: FakeServer, state: str, error: object, message: str
) -> None:
    server.instead = [told("running"), told(state, error=error)]
    with pytest.raises(EvaluationFailed) as failed:
        client.evaluation("eval_01").wait()
    assert str(failed.value) == f"Evaluation eval_01 {message}"
    assert failed.value.evaluation.error == error


def test_an_evaluation_is_cancelled_and_resumed(client: Client, server: FakeServer) -> None:
    server.instead = [told("queued"), told("cancelled"), told("queued")]
    evaluation = client.evaluation("eval_01")
    assert evaluation.cancel().state == "cancelled"
    assert evaluation.resume().state == "queued"
    assert server.paths[1:] == [f"/v1/evaluations/eval_01/{verb}" for verb in ("cancel", "resume")]


def test_events_come_back_to_a_server_that_is_busy_a_few_times(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(time, "sleep", lambda seconds: asked.append(f"pause {seconds}"))
    busy = httpx.Response(503, headers={"Retry-After": "7"}, json={"title": "Busy", "status": 503})
    event = httpx.Response(200, text='data: {"position": 4}\n\n')
    answers = [busy, busy, event, *[busy] * 5]

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers.get("Last-Event-ID", "from now on"))
        given = answers.pop(0)
        return httpx.Response(given.status_code, headers=given.headers, content=given.content)

    events = Client("http://lab", transport=httpx.MockTransport(answer)).events()
    assert next(events) == {"position": 4}
    assert asked == ["from now on", "pause 7.0", "from now on", "pause 7.0", "from now on"]
    with pytest.raises(HeddleError, match="Busy"):
        next(events)
    assert asked[6:] == ["4", "pause 7.0"] * 4 + ["4"]


def test_a_dry_run_goes_by_its_former_name_too(client: Client, server: FakeServer) -> None:
    client.dry_run({"seed": 1}, priority=2)
    client.plan({"seed": 1}, priority=2)
    run = client.run("run_a")
    run.dry_run("extend", {"steps": 9})
    run.plan("extend", {"steps": 9})
    asked = [(one.url, one.content) for one in server.requests if one.method == "POST"]
    assert asked[0] == asked[1] and asked[2] == asked[3]
    assert [url.params["dry_run"] for url, _ in asked] == ["true"] * 4
    assert asked[2][0].path == "/v1/runs/run_a/extend"
