from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from api.http import body
from api.submission.planning import changes_of
from ml.components.spec_errors import InvalidSpec
from tests.api.service import SPEC, Service, problem

DEEP = 100_000


@pytest.fixture(autouse=True)
def nothing_is_written(shared: Service) -> Iterator[None]:
    """Whatever a test sends, no experiment and no run comes of it."""
    yield
    for resource in ("experiments", "runs"):
        assert shared.json(f"/v1/{resource}")["items"] == []


def text(**changes: Any) -> bytes:
    return json.dumps(SPEC | changes).encode()


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"{", "not JSON"),
        (b"{'dataset': 'digits'}", "not JSON"),
        (b'{"seed": 01}', "not JSON"),
        (b'{"seed": 1, "seed": 2}', "'seed' stands twice"),
        (b"\xff\xfe\x00", "utf-8"),
        (b'{"name": "\xed\xa0\x80"}', "utf-8"),
        (b"\xef\xbb\xbf{}", "BOM"),
        (b'{"seed": ' + b"9" * 5000 + b"}", "5000 digits"),
        (b"[" * DEEP, "too deeply"),
        (b"[" * DEEP + b"]" * DEEP, "too deeply"),
        (b'{"a":' * DEEP + b"1" + b"}" * DEEP, "too deeply"),
        (text(objective="here").replace(b'"here"', b"[" * 400 + b"]" * 400), "too deeply"),
    ],
)
def test_what_is_not_json_is_a_bad_request(shared: Service, body: bytes, told: str) -> None:
    assert told in problem(shared.send(body), 400)["detail"]


@pytest.mark.parametrize("media_type", ["text/plain", "", "application/x-www-form-urlencoded"])
def test_other_media_types_are_refused(shared: Service, media_type: str) -> None:
    answer = shared.send(text(), **{"content-type": media_type})
    assert repr(media_type) in problem(answer, 415)["detail"]


def test_a_body_of_more_than_a_million_bytes_is_refused(shared: Service) -> None:
    assert "1,000,000" in problem(shared.send(text(notes="x" * 1_000_000)), 413)["detail"]


def test_a_large_body_is_refused_also_when_it_does_not_say_its_length(shared: Service) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(11):
            yield b" " * 100_000

    headers = {"content-type": "application/json"}
    answer = shared.client.post("/v1/experiments", content=chunks(), headers=headers)
    assert "content-length" not in answer.request.headers
    problem(answer, 413)


LOCATELLO = {"name": "locatello", "latent_dim": 0}
MILLION = {"seed": list(range(1000)), "objective.beta": list(range(1000))}

FAULTS: list[tuple[Any, str, Any, str, str | None]] = [
    # body, path, got, expected, nearest
    ([], "", [], "an object", None),
    (None, "", None, "an object", None),
    ("beta_vae", "", "beta_vae", "an object", None),
    (3, "", 3, "an object", None),
    ({"objective": "vae"}, "dataset", None, "required", None),
    (SPEC | {"trainin": {"steps": 1}}, "trainin", {"steps": 1}, "training", "training"),
    (SPEC | {"": 1}, "", 1, "one of the fields", None),
    (SPEC | {"objective": "beta_vea"}, "objective.name", "beta_vea", "beta_vae", "beta_vae"),
    (SPEC | {"objective": {"name": "beta_vae", "beta": -1}}, "objective.beta", -1, "0", None),
    (SPEC | {"objective": {"name": "vae", "beta": 1}}, "objective.beta", 1, "fields name", None),
    (SPEC | {"objective": {"name": "beta_vae", "betta": 1}}, "objective.betta", 1, "beta", "beta"),
    (SPEC | {"objective": {"name": ["vae"]}}, "objective.name", "['vae']", "one of", "vae"),
    (SPEC | {"objective": None}, "objective", None, "a name, or an object", None),
    (SPEC | {"objective": {"beta": 1}}, "objective.name", None, "name of a component", None),
    (SPEC | {"training": 5}, "training", 5, "an object", None),
    (SPEC | {"training": {"precision": "float23"}}, "training.precision", "float23", "one of",
     "float32"),
    (SPEC | {"training": {"optimizer": {"betas": [0.9, 0.9, 0.9]}}}, "training.optimizer.betas",
     [0.9, 0.9, 0.9], "at most 2 items", None),
    (SPEC | {"evaluation": {"metrics": ["elbo", "mgi"]}}, "evaluation.metrics[1].name", "mgi",
     "one of", "mig"),
    (SPEC | {"model": LOCATELLO}, "model.latent_dim", 0, "greater than", None),
    (SPEC | {"seed": 2**63}, "seed", 2**63, "less than", None),
    (SPEC | {"seed": 10**400}, "seed", "1" + "0" * 199 + "…", "less than", None),
    (SPEC | {"name": ""}, "name", "", "at least 1 character", None),
    (SPEC | {"name": "n" * 300}, "name", "n" * 200 + "…", "at most 200 characters", None),
    (SPEC | {"name": 5}, "name", 5, "text", None),
    (SPEC | {"tags": "demo"}, "tags", "demo", "a list", None),
    (SPEC | {"tags": ["x", ""]}, "tags[1]", "", "at least 1 character", None),
    (SPEC | {"sweep": []}, "sweep", [], "an object", None),
    (SPEC | {"sweep": {"seed": 1}}, "sweep.seed", 1, "a list", None),
    (SPEC | {"sweep": {"seed": []}}, "sweep.seed", [], "at least 1 item", None),
    (SPEC | {"sweep": {"sede": [1]}}, "sweep.sede", "sede", "a path into", "seed"),
    (SPEC | {"sweep": {"objective.beta": [1, -4]}}, "sweep.objective.beta[1]", -4, "0", None),
    (SPEC | {"sweep": {"objective": ["vae", "vee"]}}, "sweep.objective[1].name", "vee", "one of",
     "vae"),
    (SPEC | {"sweep": MILLION}, "sweep", "1000 x 1000 = 1000000 runs", "10000 runs", None),
    (SPEC | {"training": 5, "sweep": {"training.steps": [1]}}, "training", 5, "an object", None),
    (SPEC | {"seed": 1, "sweep": {"seed.x": [1]}}, "seed", 1, "an object", None),
    ({"dataset": {"name": "digits", "size": 32}, "objective": "vae"}, "model",
     "32 x 32 with 1 channel(s)", "64 x 64", None),
]  # fmt: skip


@pytest.mark.parametrize(("body", "path", "got", "expected", "nearest"), FAULTS)
def test_a_fault_is_told_with_its_path_and_what_would_do(
    shared: Service, body: Any, path: str, got: Any, expected: str, nearest: str | None
) -> None:
    refused = problem(shared.send(json.dumps(body).encode()), 422)
    [error] = refused["errors"]
    assert (error["path"], error["got"], error["nearest"]) == (path, got, nearest)
    assert expected in error["expected"]
    # A reader of the detail alone learns the same.
    assert error["expected"] in refused["detail"] and (path or "spec") in refused["detail"]


@pytest.mark.parametrize(
    ("number", "got"), [("NaN", "nan"), ("1e999", "inf"), ("-Infinity", "-inf")]
)
@pytest.mark.parametrize(
    ("template", "path"),
    [
        ('{"objective": {"name": "beta_vae", "beta": %s}}', "objective.beta"),
        ('{"sweep": {"objective.beta": [1, %s]}}', "sweep.objective.beta[1]"),
        ('{"seed": %s}', "seed"),
        ('{"tags": [{"no": %s}]}', "tags[0].no"),
    ],
)
def test_numbers_that_are_not_finite_are_refused(
    shared: Service, template: str, path: str, number: str, got: str
) -> None:
    [error] = problem(shared.send((template % number).encode()), 422)["errors"]
    assert (error["path"], error["got"], error["expected"]) == (path, got, "a finite number")


@pytest.mark.parametrize(
    ("half", "got"), [(r"\u0000", "\0"), (r"a\ud800", "a\\ud800"), (r"\udfffb", "\\udfffb")]
)
def test_text_that_no_database_holds_is_refused(shared: Service, half: str, got: str) -> None:
    [error] = problem(shared.send(b'{"name": "%s"}' % half.encode()), 422)["errors"]
    assert (error["path"], error["got"]) == ("name", got)
    [error] = problem(shared.send(b'{"objective": {"%s": NaN}}' % half.encode()), 422)["errors"]
    assert (error["path"], error["got"]) == ("objective", got)


@pytest.mark.parametrize(
    "body",
    [
        {f"field{number}": 1 for number in range(1000)},
        SPEC | {"objective": {"name": "vae"} | {f"field{number}": 1 for number in range(1000)}},
        SPEC | {"evaluation": {"metrics": ["none"] * 64}},
        SPEC | {"sweep": {"seed": [-1] * 1000}},
        SPEC | {"notes": [float("nan")] * 1000},
        SPEC | {"n" * 100_000: 1},
        SPEC | {"objective": {"name": "n" * 100_000}},
        SPEC | {"objective": {"name": "vae", "n" * 100_000: 1}},
        SPEC | {"sweep": {"n" * 100_000: [1]}},
    ],
    ids=["unknown", "deeper", "metrics", "sweep", "nan", "name", "tag", "field", "path"],
)
def test_the_answer_to_many_or_long_faults_is_short(shared: Service, body: Any) -> None:
    answer = shared.send(json.dumps(body).encode())
    assert 1 <= len(problem(answer, 422)["errors"]) <= 20
    assert len(answer.content) < 16_000


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../../etc/passwd", "a/../../b", "C:\\x.npz", "\\\\host\\x", "n" * 5000]
)
def test_files_outside_the_data_folder_are_not_looked_at(shared: Service, path: str) -> None:
    dataset = {"name": "dsprites", "path": path}
    [error] = problem(shared.send(text(dataset=dataset)), 422)["errors"]
    assert error["path"] == "dataset.path"
    assert error["got"] == (path if len(path) <= 200 else path[:200] + "…")


def test_a_missing_file_is_a_fault_at_the_place_that_names_it(shared: Service) -> None:
    sweep = {"dataset.path": [None, "absent.npz"]}
    [error] = problem(shared.send(text(dataset="dsprites", sweep=sweep)), 422)["errors"]
    assert (error["path"], error["got"]) == ("sweep.dataset.path[1]", "absent.npz")
    assert "Put it there" in error["expected"]


@pytest.mark.parametrize(
    ("query", "path", "expected", "nearest"),
    [
        ("runs?stat=queued", "stat", "one of the parameters", "state"),
        ("runs?state=quued", "state", "one of queued", "queued"),
        ("runs?limit=0", "limit", "greater than or equal to 1", None),
        ("runs?limit=501", "limit", "less than or equal to 500", None),
        ("runs?limit=ten", "limit", "integer", None),
        ("runs?limit=1&limit=2", "limit", "a single value", None),
        ("runs?cursor=abc", "cursor", "next_cursor", None),
        ("runs?cursor=", "cursor", "next_cursor", None),
        ("runs?cursor=%E2%82%AC", "cursor", "next_cursor", None),
        ("runs?tag=%00", "tag", "without NUL", None),
        ("runs?experiment=%00", "experiment", "without NUL", None),
        ("runs?dataset=a%00", "dataset", "without NUL", None),
        ("runs?%00=1", "\0", "one of the parameters", None),
        (
            "experiments?stat=queued",
            "stat",
            "one of the parameters name, notes, tag, state",
            "state",
        ),
        ("runs/x/scalars?max_points=1", "max_points", "greater than or equal to 2", None),
        ("runs/x?verbose=1", "verbose", "one of the parameters wait", None),
        ("catalog?kind=metric", "kind", "no parameters", None),
    ],
)
def test_parameters_that_mean_nothing_are_refused(
    shared: Service, query: str, path: str, expected: str, nearest: str | None
) -> None:
    errors = problem(shared.get(f"/v1/{query}"), 422)["errors"]
    assert (errors[0]["path"], errors[0]["nearest"]) == (path, nearest)
    assert expected in errors[0]["expected"]


def test_a_cursor_of_another_list_is_refused(shared: Service) -> None:
    cursor = "cnVuXzAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAw"  # A run's.
    assert shared.json(f"/v1/runs?cursor={cursor}")["items"] == []
    problem(shared.get(f"/v1/experiments?cursor={cursor}"), 422)


@pytest.mark.parametrize("query", ["?forse=true", "?force=perhaps", "?dry_run=2"])
def test_a_post_with_a_wrong_parameter_writes_nothing(shared: Service, query: str) -> None:
    problem(shared.client.post(f"/v1/experiments{query}", json=SPEC), 422)


IDS = ["run_none", "%F0%9F%A7%B5", "%ff", "x" * 10_000, "..", "%27%3B--"]


@pytest.mark.parametrize("id", IDS)
@pytest.mark.parametrize(
    "path", ["", "/scores", "/scalars", "/artifacts", "/traversal.png", "/plots/curves.png",
             "/codes.npz"],
)  # fmt: skip
def test_an_unknown_run_is_not_found(shared: Service, id: str, path: str) -> None:
    problem(shared.get(f"/v1/runs/{id}{path}"), 404)


@pytest.mark.parametrize("id", IDS)
@pytest.mark.parametrize("resource", ["experiments", "runs"])
def test_nothing_can_be_done_with_what_is_unknown(shared: Service, resource: str, id: str) -> None:
    problem(shared.get(f"/v1/{resource}/{id}"), 404)
    for verb in ("cancel", "resume"):
        problem(shared.client.post(f"/v1/{resource}/{id}/{verb}"), 404)


@pytest.mark.parametrize(
    "path", ["experiments/%00", "runs/%00", "runs/%00/scores", "runs/a%00/codes.npz"]
)
def test_nul_in_an_id_is_refused(shared: Service, path: str) -> None:
    assert problem(shared.get(f"/v1/{path}"), 422)["errors"][0]["path"] == "id"


def test_the_nearest_plot_is_named(shared: Service) -> None:
    refused = problem(shared.get("/v1/runs/x/plots/travrsal.png"), 404)
    [error] = refused["errors"]
    assert (error["path"], error["got"], error["nearest"]) == ("plot", "travrsal", "traversal")
    assert "curves" in error["expected"]


@pytest.mark.parametrize(
    "path", ["/nothing", "/v1", "/v1/runs/a/b/c", "/v1/runs/x/plots/curves.gif"]
)
def test_where_nothing_is_the_path_is_told(shared: Service, path: str) -> None:
    assert path in problem(shared.get(path), 404)["detail"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/v1/experiments", "GET, POST"),
        ("PUT", "/v1/runs/x", "GET, PATCH"),
        ("GET", "/v1/runs/x/cancel", "POST"),
        ("POST", "/v1/artifacts/" + "0" * 64, "GET, HEAD"),
        ("OPTIONS", "/v1/runs", "GET"),
        ("TRACE", "/v1/runs", "GET"),
        ("BREW", "/healthz", "GET"),
    ],
)
def test_a_wrong_method_is_told_the_right_ones(
    shared: Service, method: str, path: str, allowed: str
) -> None:
    answer = shared.client.request(method, path)
    assert answer.headers["allow"] == allowed
    assert allowed in problem(answer, 405)["detail"]


class Name(str):
    """A name that counts how often it is compared."""

    compared = 0
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        Name.compared += 1
        return str(self) == other


def test_a_name_that_stands_twice_is_found_without_comparing_all_with_all() -> None:
    names = [Name(f"name{number}") for number in range(1000)]
    with pytest.raises(ValueError, match="'name999' stands twice"):
        body.without_duplicates([(name, 0) for name in [*names, Name("name999")]])
    assert 0 < Name.compared < 100


@pytest.mark.parametrize(
    ("method", "path", "content"),
    [
        ("GET", "/v1/runs?" + "&".join(f"stat{number}=1" for number in range(2000)), {}),
        ("POST", "/v1/runs/x/clone", {f"change{number}": 1 for number in range(2000)}),
        ("POST", "/v1/experiments", {f"datase{number}": 1 for number in range(2000)}),
        ("POST", "/v1/experiments", SPEC | {"objective": {"name": "vae", "beta" * 30_000: 1}}),
    ],
    ids=["query", "changes", "fields", "long"],
)
def test_few_names_are_looked_up_however_many_or_long_they_are(
    shared: Service, monkeypatch: pytest.MonkeyPatch, method: str, path: str, content: Any
) -> None:
    looked_up: list[int] = []
    real = difflib.get_close_matches

    def counting(word: str, *rest: Any, **options: Any) -> list[str]:
        looked_up.append(len(word))
        return real(word, *rest, **options)

    monkeypatch.setattr(difflib, "get_close_matches", counting)
    if path == "/v1/runs/x/clone":
        with pytest.raises(InvalidSpec):
            changes_of(content)
    else:
        problem(shared.client.request(method, path, json=content), 422)
    assert len(looked_up) <= 20 and sum(looked_up) <= 20 * 200


@pytest.mark.parametrize(
    ("swept", "told"),
    [
        ("a=" + "[" * 5000, None),
        ("a=" + '{"b":' * 5000, None),
        ("a=" + "1" * 5000, None),
        ("a=1e400", None),
        ('a="\\ud800"', "surrogates"),
        ('a="\\u0000"', "NUL"),
        ('a="b', None),
        ("a=[1]", None),
        ("a", "path=value"),
    ],
)
@pytest.mark.parametrize("resource", ["experiments", "runs"])
def test_no_value_of_a_sweep_makes_a_list_fail(
    shared: Service, resource: str, swept: str, told: str | None
) -> None:
    answer = shared.client.get(f"/v1/{resource}", params={"swept": swept})
    if told is None:
        assert answer.json() == {"items": [], "next_cursor": None}
    else:
        [error] = problem(answer, 422)["errors"]
        assert error["path"] == "swept" and told in error["expected"]


def test_long_headers_are_not_told_again_in_full(shared: Service) -> None:
    refused = problem(shared.send(text(), **{"content-type": "text/" + "x" * 10_000}), 415)
    assert len(refused["detail"]) < 1000
    twice = b'{"%s": 1, "%s": 2}' % (b"n" * 100_000, b"n" * 100_000)
    assert len(problem(shared.send(twice), 400)["detail"]) < 1000
