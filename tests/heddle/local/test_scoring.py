"""`heddle score FILE`: what is read, what is printed, and with which status it exits."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from heddle.cli import main as cli
from heddle.cli.output.work import file_score_table
from heddle.cli.scoring import parse_metrics
from heddle.errors import SpecError
from heddle.local.choice import Choice
from heddle.local.code_groups import groups_of
from heddle.local.codes_file import read_codes, write_npz
from heddle.local.codes_table import read_table
from heddle.local.table import UnusableTable
from ml import score
from tests.heddle.fake_server import connect_to

QUICK = ("--quick", "--metrics", "mig")


def heddle(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli.main, [str(argument) for argument in arguments])


def printed(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    found: list[dict[str, Any]] = json.loads(result.stdout)["items"]
    return found


@pytest.fixture
def columns() -> dict[str, np.ndarray]:
    """200 rows: two codes that are a factor each but for noise, and a third of noise."""
    draws = np.random.default_rng(0)
    size, x = draws.integers(0, 5, 200), draws.integers(0, 8, 200)
    noise = draws.standard_normal((3, 200)).astype(np.float32)
    z0, z1 = (noise[0] * 0.1 + size).astype(np.float32), (noise[1] * 0.1 + x).astype(np.float32)
    return {"size": size, "z0": z0, "z1": z1, "z2": noise[2], "x": x}


@pytest.fixture
def npz(columns: dict[str, np.ndarray], tmp_path: Path) -> Path:
    return write_arrays(columns, tmp_path / "codes.npz")


def write_arrays(columns: dict[str, np.ndarray], path: Path) -> Path:
    codes = np.stack([columns[name] for name in ("z0", "z1", "z2")], axis=1)
    factors = np.stack([columns["size"], columns["x"]], axis=1)
    np.savez(path, codes=codes, factors=factors, factor_names=np.array(["size", "x"]))
    return path


def table_of(columns: dict[str, Any], path: Path) -> Path:
    table = pa.table(columns)
    if path.suffix == ".parquet":
        pa.parquet.write_table(table, path)
    else:
        delimiter = "\t" if path.suffix == ".tsv" else ","
        pa.csv.write_csv(table, path, pa.csv.WriteOptions(delimiter=delimiter))
    return path


def test_metrics_that_nobody_asked_for_fit_continuous_factors(npz: Path) -> None:
    found = json.loads(heddle("score", npz, "--quick", "--json").stdout)
    assert {one["metric"] for one in found["items"]} == {"mig", "sap", "dci"}
    sap, dci = (next(one for one in found["items"] if one["metric"] == n) for n in ("sap", "dci"))
    assert (sap["params"]["predictor"], dci["params"]["predictor"]) == (
        "linear_svm",
        "gradient_boosting",
    )
    result = heddle("score", npz, "--quick", "--factor-kinds", "size=continuous", "--json")
    items = printed(result)
    assert [one["error"] for one in items] == [None] * len(items)
    sap, dci = (next(one for one in items if one["metric"] == name) for name in ("sap", "dci"))
    assert (sap["params"]["predictor"], dci["params"]["predictor"]) == ("correlation", "lasso")
    (assumed,) = json.loads(result.stdout)["understood"]["assumed"]
    assert assumed.startswith("factor 'size' is continuous and no metrics were asked for")
    shown = heddle("score", npz, "--quick", "--factor-kinds", "continuous").output
    assert "predictor=correlation" in shown and "predictor=lasso" in shown
    asked = heddle("score", npz, "--quick", "--factor-kinds", "continuous", "--metrics", "sap")
    assert asked.exit_code == 1 and "set factor_bins" in asked.output


def test_an_npz_gives_the_scores_of_its_arrays(npz: Path, columns: dict[str, np.ndarray]) -> None:
    codes = np.stack([columns[name] for name in ("z0", "z1", "z2")], axis=1)
    factors = np.stack([columns["size"], columns["x"]], axis=1)
    metrics = ["mig", {"name": "dci", "predictor": "linear"}]
    expected = score(codes, factors, metrics, seed=3, train_rows=120, factor_names=["size", "x"])
    asked = ("--metrics", "mig,dci:predictor=linear", "--seed", "3", "--train-rows", "120")
    found = printed(heddle("score", npz, *asked, "--json"))
    for theirs, ours in zip(found, expected, strict=True):
        assert theirs | {"seconds": 0} == ours.model_dump(mode="json") | {"seconds": 0}


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
def test_a_table_gives_the_scores_of_the_same_npz(
    suffix: str, npz: Path, columns: dict[str, np.ndarray], tmp_path: Path
) -> None:
    path = table_of(columns, tmp_path / f"codes{suffix}")
    of_table = printed(heddle("score", path, *QUICK, "--json"))
    of_npz = printed(heddle("score", npz, *QUICK, "--json"))
    assert of_table[0]["value"] == pytest.approx(of_npz[0]["value"], abs=1e-6)
    assert of_table[0]["details"]["factors"] == ["size", "x"]
    arrays = read_codes(path, Choice())
    assert arrays.codes.dtype == (np.float32 if suffix == ".parquet" else np.float64)
    assert arrays.factor_kinds == ("discrete", "discrete")


def test_the_table_shows_values_intervals_nulls_and_definitions(npz: Path) -> None:
    result = heddle("score", npz, "--metrics", "mig,dci:predictor=linear:factor_bins=null")
    assert result.exit_code == 0, result.output
    table, _, _ = result.stdout.partition("\n!")
    lines = {line.split()[0]: line for line in table.splitlines() if line.strip()}
    value = printed(heddle("score", npz, "--metrics", "mig", "--json"))[0]
    low, high = value["ci95"]
    assert f"{value['value']:.4f}  {low:.4f}–{high:.4f}" in lines["mig@1"]
    assert f"{value['null']['mean']:.4f}±{value['null']['std']:.4f} (1000)" in lines["mig@1"]
    assert "dci@2 predictor=linear factor_bins=null" in result.stdout
    for number in ("disentanglement", "completeness", "informativeness"):
        assert "(50)" in lines[number]


def test_quick_leaves_out_nulls_and_intervals(npz: Path) -> None:
    (found,) = printed(heddle("score", npz, *QUICK, "--json"))
    assert found["value"] > 0.5
    assert found["null"] is found["ci95"] is None


def test_the_table_holds_in_eighty_columns(npz: Path) -> None:
    metrics = "sap:predictor=logistic_regression,explicitness,dci:predictor=linear"
    found = printed(heddle("score", npz, "--metrics", metrics, "--json"))
    screen = Console(file=io.StringIO(), width=80)
    screen.print(file_score_table("codes.npz", found, parse_metrics(metrics)))
    assert isinstance(screen.file, io.StringIO)
    text = screen.file.getvalue()
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    for one in found:
        assert f"{one['value']:.4f}" in text
        assert one["name"] in text


def test_a_metric_that_fails_is_told_and_the_others_stand(
    columns: dict[str, np.ndarray], tmp_path: Path
) -> None:
    path = tmp_path / "constant.npz"
    ones = np.ones(200, dtype=int)
    np.savez(
        path,
        codes=np.stack([columns["z0"], columns["z1"]], axis=1),
        factors=np.stack([columns["size"], ones], axis=1),
        factor_names=np.array(["size", "[colour]"]),
    )
    result = heddle("score", path, "--quick", "--metrics", "mig,sap:predictor=correlation")
    assert result.exit_code == 1
    assert "mig: ConstantFactor: factor '[colour]' (column 1) has the single value 1" in (
        result.stdout
    )
    without = heddle("score", path, *QUICK, "--factors", "size", "--json")
    assert printed(without)[0]["value"] > 0.5
    as_json = heddle("score", path, *QUICK, "--json")
    assert as_json.exit_code == 1
    assert json.loads(as_json.stdout)["items"][0]["error"].startswith("ConstantFactor")


def test_the_codes_of_a_run_have_posteriors_to_score(
    npz: Path, columns: dict[str, np.ndarray], tmp_path: Path
) -> None:
    means = np.stack([columns["z0"], columns["z1"]], axis=1)
    factors = np.stack([columns["size"], columns["x"]], axis=1)
    spread = np.full_like(means, 2 * np.log(0.1))
    sample = means + 0.1 * np.random.default_rng(1).standard_normal(means.shape, dtype=np.float32)
    others = dict.fromkeys(("index", "kl", "reconstruction", "train_rows"), np.zeros(1))
    path = tmp_path / "of_a_run.npz"
    np.savez(path, mean=means, log_variance=spread, sample=sample, factors=factors, **others)
    asked = ("--quick", "--metrics", "mig_posterior,elbo_decomposition,aam,active_units")
    found = printed(heddle("score", path, *asked, "--json"))
    expected = score(
        means,
        factors,
        ["mig_posterior", "elbo_decomposition", "aam", "active_units"],
        posterior_logvar=spread,
        posterior_sample=sample,
        uncertainty=False,
    )
    assert [one["value"] for one in found] == [one.value for one in expected]
    assert found[0]["value"] > 0.9
    told = heddle("score", npz, *asked)
    assert "mig_posterior needs the posterior of each row" in " ".join(told.stdout.split())
    assert "give posterior_logvar" in " ".join(told.stdout.split())


@pytest.mark.parametrize(
    ("metrics", "told"),
    [
        ("mgi", "did you mean mig?"),
        ("mig:bns=10", "did you mean bins?"),
        ("mig:bins=1", "metrics[0].bins: got 1"),
        ("dci:predictor=laso", "did you mean lasso?"),
        ("dci:lasso", "expected param=value"),
        ("dci:cv=[1", "is not YAML"),
        (",", "Got no metric"),
    ],
)
def test_metrics_that_make_no_sense_exit_with_2(metrics: str, told: str, npz: Path) -> None:
    result = heddle("score", npz, "--metrics", metrics)
    assert result.exit_code == 2, result.output
    assert told in result.stderr


def test_params_are_yaml_scalars() -> None:
    assert parse_metrics("mig, sap:C=1e-2:cv=5,dci:predictor=lasso:factor_bins=null") == [
        {"name": "mig"},
        {"name": "sap", "C": 0.01, "cv": 5},
        {"name": "dci", "predictor": "lasso", "factor_bins": None},
    ]


def test_a_file_that_is_none_exits_with_2(npz: Path, tmp_path: Path) -> None:
    assert heddle("score", tmp_path / "absent.npz").exit_code == 2
    text = tmp_path / "codes.txt"
    text.write_text("z0,size\n1,2\n")
    result = heddle("score", text)
    assert result.exit_code == 2
    assert "expected .npz, .csv" in result.stderr
    broken = tmp_path / "broken.npz"
    broken.write_bytes(npz.read_bytes()[:300])
    assert heddle("score", broken).exit_code == 2
    no_factors = tmp_path / "only.npz"
    np.savez(no_factors, codes=np.zeros((3, 2)))
    result = heddle("score", no_factors)
    assert result.exit_code == 2
    assert "factors: got null, expected an array: it is required" in result.stderr
    too_many = heddle("score", npz, "--train-rows", "201")
    assert too_many.exit_code == 2
    assert "train_rows: got 201, expected at most 200" in too_many.stderr


def test_kinds_of_factors_are_by_type_unless_said(tmp_path: Path) -> None:
    draws = np.random.default_rng(0)
    columns = {
        "code_0": draws.random(60),
        "code1": draws.random(60),
        "shape": [("square", "ellipse", "heart")[k % 3] for k in range(60)],
        "shown": [k % 2 == 0 for k in range(60)],
        "scale": [0.5 + 0.1 * (k % 6) for k in range(60)],
    }
    path = table_of(columns, tmp_path / "codes.csv")
    arrays = read_codes(path, Choice())
    assert arrays.codes.shape == (60, 2)
    assert arrays.factor_names == ("shape", "shown", "scale")
    assert arrays.factor_kinds == ("discrete", "discrete", "continuous")
    # ellipse, heart, square
    assert arrays.factors[:4, 0].tolist() == [2, 0, 1, 2]
    said = read_codes(path, Choice(kinds="scale=discrete"))
    assert said.factor_kinds == ("discrete",) * 3
    assert read_codes(path, Choice(kinds="continuous")).factor_kinds == ("continuous",) * 3
    each = read_codes(path, Choice(kinds="discrete,continuous,discrete"))
    assert each.factor_kinds == ("discrete", "continuous", "discrete")
    for kinds in ("discret", "discrete,discrete", "size=discrete", "scale=often"):
        with pytest.raises(SpecError):
            read_codes(path, Choice(kinds=kinds))


def test_columns_are_chosen_by_names_and_patterns(tmp_path: Path) -> None:
    draws = np.random.default_rng(0)
    named = {f"enc.{k}": draws.random(40) for k in range(3)}
    columns = named | {"id": np.arange(40), "size": np.arange(40) % 4, "z9": np.arange(40) % 5}
    path = table_of(columns, tmp_path / "codes.parquet")
    found = read_table(path, codes=["enc.*"], factors=["z9", "size"])
    assert found["factor_names"].tolist() == ["size", "z9"]
    np.testing.assert_array_equal(found["codes"][:, 1], columns["enc.1"])
    # What is chosen for factors is no code, whatever it is called.
    with pytest.raises(UnusableTable, match="no columns called z0, code_0 or latent_0"):
        read_table(path, factors=["z9"])


def test_columns_of_an_npz_are_chosen_by_their_names(npz: Path, tmp_path: Path) -> None:
    whole = read_codes(npz, Choice())
    part = read_codes(npz, Choice(codes=("z[12]",), factors=("x",)))
    np.testing.assert_array_equal(part.codes, whole.codes[:, 1:])
    np.testing.assert_array_equal(part.factors, whole.factors[:, 1:])
    assert part.factor_names == ("x",)
    written = tmp_path / "part.npz"
    write_npz(written, part)
    again = read_codes(written, Choice())
    np.testing.assert_array_equal(again.codes, part.codes)
    assert again.factor_names == ("x",)
    with pytest.raises(SpecError, match="No factor is called 'y'"):
        read_codes(npz, Choice(factors=("y",)))


def _without(*names: str) -> Callable[[dict[str, Any]], None]:
    def drop(columns: dict[str, Any]) -> None:
        for name in names:
            del columns[name]

    return drop


def _with(name: str, values: Callable[[int], Any]) -> Callable[[dict[str, Any]], None]:
    def put(columns: dict[str, Any]) -> None:
        columns[name] = [values(row) for row in range(200)]

    return put


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_with("size", lambda row: None if row == 7 else row % 3), "'size' has 1 missing .* row 7"),
        (_with("z1", lambda row: None if row > 5 else 0.5), "'z1' has 194 missing .* row 6"),
        (_with("x", lambda row: "ab"[row % 2] if row else ""), "'x' has 1 missing .* row 0"),
        (_with("z1", lambda row: "ab"[row % 2]), "'z1' of codes is of type string and has a in"),
        (_with("z1", lambda row: str(row) if row != 9 else "?"), r"has \? in row 9"),
        (_with("z1", lambda row: float("inf") if row == 4 else 0.5), "'z1' is inf in row 4"),
        (_with("size", lambda _: 3), "'size' of factors has the single value 3"),
        (_with("", lambda row: row), "'Unnamed: 5' .* no name .* --drop 'Unnamed: 5'"),
        (_without("z0", "z1", "z2"), "no columns called z0, code_0 or latent_0.*'size', 'x'"),
        (_without("size", "x"), "no columns besides the codes 'z0', 'z1', 'z2'"),
    ],
)
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_column_that_cannot_be_used_is_named(
    change: Callable[[dict[str, Any]], None],
    told: str,
    suffix: str,
    columns: dict[str, Any],
    tmp_path: Path,
) -> None:
    change(columns)
    if suffix == ".parquet" and "row 0" in told:
        columns["x"][0] = None
    path = table_of(columns, tmp_path / f"codes{suffix}")
    with pytest.raises(UnusableTable, match=told):
        read_table(path)
    result = heddle("score", path, *QUICK)
    assert result.exit_code == 2


def test_a_table_that_is_none_is_refused(tmp_path: Path) -> None:
    for name, text in (
        ("empty.csv", ""),
        ("ragged.csv", "z0,x\n1,2,3\n"),
        ("one.csv", "z0,x\n1,2\n"),
        ("twice.csv", "z0,x,x\n1,2,3\n4,5,6\n"),
        ("no.parquet", "z0,x\n1,2\n"),
    ):
        path = tmp_path / name
        path.write_text(text)
        with pytest.raises(UnusableTable):
            read_table(path)
    with pytest.raises(UnusableTable, match="Cannot read"):
        read_table(tmp_path / "absent.csv")
    dates = pa.table({"z0": [1.0, 2.0], "day": pa.array([1, 2], pa.date32())})
    pa.parquet.write_table(dates, tmp_path / "dates.parquet")
    with pytest.raises(UnusableTable, match=r"'day' of factors is of type date32"):
        read_table(tmp_path / "dates.parquet")


class Evaluating:
    """A server that has one evaluation; a test sets how it ends."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self.end: dict[str, Any] = {"state": "succeeded", "error": None}
        self.posted: dict[str, Any] = {}
        self.score = {
            **dict.fromkeys(("error", "ci95", "null")),
            **dict.fromkeys(("metric", "name"), "mig"),
            "definition": "mig@1",
            "params": {"bins": 20},
            "value": 0.25,
            "higher_is_better": True,
            "range": [0.0, 1.0],
            "perfect": 1.0,
            "rows": 100,
            "seed": 0,
            "versions": {},
        }

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if request.method == "POST":
            request.read()
            queued = {"id": "eva_1", "state": "queued", "error": None}
            return httpx.Response(202, json=queued | self.posted)
        if request.url.path.endswith("/scores"):
            return httpx.Response(200, json={"items": [self.score], "next_cursor": None})
        return httpx.Response(200, json={"id": "eva_1", **self.end})


@pytest.fixture
def evaluating(monkeypatch: pytest.MonkeyPatch) -> Evaluating:
    found = Evaluating()
    connect_to(found.answer, monkeypatch)
    return found


def test_a_server_scores_what_it_is_sent(evaluating: Evaluating, npz: Path) -> None:
    result = heddle("score", npz, *QUICK, "--server", "--seed", "4", "--json")
    assert printed(result) == [evaluating.score]
    posted = evaluating.requests[0]
    assert posted.url.path == "/v1/evaluations"
    assert npz.read_bytes() in posted.content
    spec = {"metrics": [{"name": "mig"}], "seed": 4, "train_rows": None, "uncertainty": False}
    assert json.dumps({**spec, "name": "codes.npz"}).encode() in posted.content
    shown = heddle("score", npz, "--url", "http://heddle.test", "--metrics", "mig")
    assert "0.2500" in shown.stdout


@pytest.mark.parametrize(("rows", "sent"), [("all", "all"), ("500", 500), (None, None)])
def test_a_server_scores_a_run_on_as_many_images_as_asked(
    rows: str | None, sent: object, evaluating: Evaluating
) -> None:
    asked = () if rows is None else ("--rows", rows)
    assert heddle("score", "run_a", *QUICK, *asked, "--server").exit_code == 0
    posted = evaluating.requests[0]
    assert posted.url.path == "/v1/runs/run_a/evaluations"
    assert json.loads(posted.content).get("rows") == sent


def test_rows_are_of_a_run_and_a_number_or_all(evaluating: Evaluating, npz: Path) -> None:
    for arguments in ((npz, "--rows", "all"), ("run_a", "--rows", "every")):
        refused = heddle("score", *arguments)
        assert refused.exit_code == 2 and "rows" in refused.output
    assert evaluating.requests == []


def test_a_server_is_sent_an_npz_of_a_table(
    evaluating: Evaluating, columns: dict[str, np.ndarray], tmp_path: Path
) -> None:
    path = table_of(columns, tmp_path / "codes.csv")
    assert heddle("score", path, *QUICK, "--server").exit_code == 0
    content = evaluating.requests[0].content
    start = content.index(b"PK\x03\x04")
    with np.load(io.BytesIO(content[start : content.rindex(b"\r\n--")])) as sent:
        np.testing.assert_array_equal(sent["factors"][:, 1], columns["x"])
        assert sent["factor_names"].tolist() == ["size", "x"]


def test_what_the_server_understood_is_said(evaluating: Evaluating, npz: Path) -> None:
    factor = {"name": "size", "kind": "discrete", "values": 5}
    evaluating.posted["understood"] = {
        "rows": 7,
        "codes": ["z0"],
        "factors": [factor],
        "left_aside": [],
        "assumed": ["the array 'y' has the factors"],
    }
    shown = heddle("score", npz, *QUICK, "--server").stdout
    assert "codes.npz: 7 rows, 1 codes z0, factors size (5 classes)" in shown
    assert "assumed: the array 'y' has the factors" in shown
    chosen = heddle("score", npz, *QUICK, "--server", "--codes", "z1", "--json").stdout
    assert json.loads(chosen)["understood"]["codes"] == ["z1"]


def test_an_evaluation_that_fails_exits_with_1(evaluating: Evaluating, npz: Path) -> None:
    error = {"type": "OutOfMemory", "message": "no room", "advice": None}
    evaluating.end = {"state": "failed", "error": error}
    result = heddle("score", npz, "--server")
    assert result.exit_code == 1
    assert "OutOfMemory: no room" in result.stderr


def test_other_commands_do_not_wait_for_torch() -> None:
    program = (
        "import sys, heddle.cli.main; sys.exit(bool({'torch', 'pyarrow', 'ml'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_help_tells_score_from_scores() -> None:
    assert "heddle scores" in heddle("score", "--help").stdout
    assert "heddle score`" in heddle("scores", "--help").stdout


def table_file(tmp_path: Path, columns: dict[str, Any]) -> Path:
    return table_of(columns, tmp_path / "codes.csv")


def advice_of(path: Path, *arguments: str) -> str:
    result = heddle("score", path, "--metrics", "mig", *arguments, "--json")
    found = json.loads(result.stdout)["advice"]
    return "\n".join(f"{one['reason']}. {one['suggestion']}" for one in found)


@pytest.mark.parametrize("suffix", [".csv", ".npz"])
def test_chosen_latents_keep_their_names(
    suffix: str, columns: dict[str, np.ndarray], tmp_path: Path
) -> None:
    """Two codes that know one factor are called what the file, or the choice, calls them."""
    size = columns["size"].astype(float)
    if suffix == ".csv":
        named = {"latent_3": size, "latent_5": columns["z2"], "latent_7": size + 0.1}
        path = table_file(tmp_path, named | {"size": columns["size"]})
        chosen, names = "latent_3,latent_7", ["latent_3", "latent_7"]
    else:
        path, chosen, names = tmp_path / "codes.npz", "z1,z3", ["z1", "z3"]
        codes = np.stack([columns["z2"], size, columns["z1"], size + 0.1], axis=1)
        np.savez(path, codes=codes, factors=columns["size"][:, None], factor_names=["size"])
    told = advice_of(path, "--codes", chosen, "--factors", "size")
    assert f"two latents know size: {names[1]} holds" in told or f"{names[0]} holds" in told
    assert all(name in told for name in names) and "z0" not in told
    [found] = printed(
        heddle("score", path, *QUICK, "--codes", chosen, "--factors", "size", "--json")
    )
    assert found["details"]["latents"] == names


def test_names_of_codes_go_to_a_server_and_back(
    columns: dict[str, np.ndarray], tmp_path: Path
) -> None:
    path = table_file(tmp_path, {"latent_3": columns["z0"], "size": columns["size"]})
    sent = tmp_path / "sent.npz"
    write_npz(sent, read_codes(path, Choice()))
    assert read_codes(sent, Choice()).code_names == ("latent_3",)


def test_a_factor_given_twice_is_said_so_and_a_coarser_one_is_not(
    columns: dict[str, np.ndarray], tmp_path: Path
) -> None:
    both = {"z0": columns["z0"], "z1": columns["z1"], "size": columns["size"], "x": columns["x"]}
    twice = table_file(tmp_path, both | {"again": [f"class {one}" for one in columns["size"]]})
    assert "size and again are one factor given twice" in advice_of(twice)
    coarser = table_file(tmp_path, both | {"large": columns["size"] > 2})
    assert "given twice" not in advice_of(coarser)


def test_rows_in_grid_order_are_to_be_shuffled_and_shuffled_ones_are_not(tmp_path: Path) -> None:
    grid = np.indices((8, 5, 5)).reshape(3, -1).T
    draws = np.random.default_rng(0)
    for rows, said in ((grid, True), (draws.permutation(grid), False)):
        codes = rows + draws.normal(0, 0.1, rows.shape)
        columns = {f"z{k}": codes[:, k] for k in range(3)}
        path = table_file(tmp_path, columns | dict(zip("abc", rows.T, strict=True)))
        told = advice_of(path, "--metrics", "sap")
        assert ("2 of 8 classes of a have no training row" in told) is said
        assert ("shuffle the rows" in told) is said
        assert "more rows" not in told


def test_a_factor_that_varies_after_the_training_rows_alone_is_to_be_shuffled(
    tmp_path: Path,
) -> None:
    late = (np.arange(200) >= 160).astype(int)
    for factor, said in ((late, True), (np.arange(200) % 2, False)):
        path = table_file(tmp_path, {"z0": np.arange(200.0), "late": factor})
        result = heddle("score", path, "--metrics", "sap", "--quick")
        assert ("single value" in result.stdout) is said
        assert ("shuffle the rows, of which the first 150" in result.stdout) is said


def test_perfect_codes_of_dependent_factors_are_told_their_ceiling(tmp_path: Path) -> None:
    draws = np.random.default_rng(0)
    one, other = draws.integers(0, 4, (2, 4000))
    for share, said in ((0.77, True), (0.0, False)):
        copied = np.where(draws.random(4000) < share, one, other)
        columns = {"z0": one + 0.0, "z1": copied + 0.0, "shape": one, "x": copied}
        told = advice_of(table_file(tmp_path, columns), "--metrics", "mig,modularity")
        assert ("get mig 0.4" in told and "factors depend" in told) is said
        assert "cannot be told from codes that know nothing" not in told


def test_groups_are_given_by_sizes_or_by_names(npz: Path) -> None:
    for text, columns in (
        ("z0+z2,z1", [[0, 2], [1]]),
        ("z[01],z2", [[0, 1], [2]]),
    ):
        found = printed(heddle("score", npz, *QUICK, "--groups", text, "--json"))
        assert found[0]["groups"]["columns"] == columns
    shown = heddle("score", npz, *QUICK, "--groups", "2,1").stdout
    assert "2 latents, each a group of codes by principal component: z0..z1 (" in shown
    summed = ("--groups", "2,1", "--group-by", "importance")
    audited = heddle("audit", npz, "--quick", *summed)
    assert "2 latents, factors size, x" in audited.stdout
    assert "by importance: z0..z1, z2" in audited.stdout
    for options, told in (
        (("--groups", "z0+z9,z1"), "No code is called 'z9'"),
        (("--groups", "2"), "column 2 is in none"),
        (summed, "mig has no importance"),
    ):
        refused = heddle("score", npz, *QUICK, *options)
        assert refused.exit_code == 2 and told in refused.output


def test_a_plus_may_be_part_of_the_name_of_a_code() -> None:
    assert groups_of("a+b,c", ["a+b", "c"]) == [[0], [1]]
    assert groups_of("a+b,c", ["a", "b", "c"]) == [[0, 1], [2]]


def test_groups_go_to_a_server_as_columns(evaluating: Evaluating, npz: Path) -> None:
    assert heddle("score", npz, *QUICK, "--server", "--groups", "z0+z2,z1").exit_code == 0
    assert b'"groups": [[0, 2], [1]]' in evaluating.requests[0].content
    assert heddle("score", "run_1", *QUICK, "--groups", "2,1").exit_code == 2


def test_scores_against_rows_are_a_table_and_a_picture(
    npz: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shown = heddle("score", npz, "--metrics", "mig", "--rows-curve")
    assert shown.exit_code == 0 and "codes_rows.png" in shown.stdout
    assert [line.split()[0] for line in shown.stdout.splitlines() if "±" in line][:1] == ["100"]
    assert (tmp_path / "codes_rows.png").read_bytes().startswith(b"\x89PNG")
    result = heddle(*("score", npz, "--metrics", "mig", "--rows-curve", "--out", "a.svg", "--json"))
    document = json.loads(result.stdout)
    assert document["picture"] == "a.svg" and b"<svg" in (tmp_path / "a.svg").read_bytes()
    (curve,) = document["curves"]
    assert [point["rows"] for point in curve["points"]] == [100, 200]
    for wrong in (("--out", "a.gif"), ("--server",), ("--url", "http://heddle.test")):
        assert heddle("score", npz, "--rows-curve", *wrong).exit_code == 2
    assert heddle("score", npz, *QUICK, "--out", "a.png").exit_code == 2
