"""A run's folder, with a process as its witness that has torch, numpy and safetensors alone."""

from __future__ import annotations

import io
import json
import math
import subprocess
import sys
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from safetensors.torch import load
from torch import nn

from ml.components.references import Reference, cited, references
from ml.components.registry import components
from ml.datasets.dataset import Dataset
from ml.datasets.protocol import dataset
from ml.evaluation.encode import EncodedRows, encode_rows
from ml.evaluation.score import score
from ml.export.plain_loader import NotPlain, plain_loader
from ml.export.run_folder import TrainedRun, run_folder
from ml.metrics.protocol import Score
from ml.networks.model import Model
from ml.networks.networks import build, initial_parameters
from ml.objectives.posteriors.protocol import Posterior
from ml.spec.run_spec import RunSpec

FILES = {
    "README.md",
    "check.npz",
    "codes.npz",
    "config.json",
    "load.py",
    "scalars.json",
    "scores.json",
    "traversal.png",
    "weights.safetensors",
}

CASES: dict[str, dict[str, Any]] = {
    **{name: {"model": {"name": name}} for name in components("model")},
    **{
        f"mlp, {activation}": {
            "model": {"name": "mlp", "activation": activation, "hidden": [20, 12]}
        }
        for activation in ("leaky_relu", "tanh", "elu", "silu")
    },
    "conv by layer": {"model": {"name": "conv", "normalization": "layer", "hidden": []}},
    "conv by group": {"model": {"name": "conv", "normalization": "group", "channels": [8, 16]}},
    "a point": {"model": "burgess", "objective": "ae"},
    "a further network": {"model": "burgess", "objective": "factor_vae"},
    "32 pixels": {"model": {"name": "conv"}, "dataset": {"name": "digits", "size": 32}},
}

WITNESS = """
import contextlib, io, json, sys
from pathlib import Path
for ours in ("ml", "api", "heddle", "store", "worker"):
    sys.modules[ours] = None  # Importing it raises.
import numpy as np
for folder in json.loads(sys.argv[1]):
    program, said, ended = Path(folder, "load.py"), io.StringIO(), None
    loaded = {"__name__": "__main__", "__file__": str(program)}
    with contextlib.redirect_stdout(said):
        try:
            exec(compile(program.read_text(), program, "exec"), loaded)
        except SystemExit as end:
            ended = end.code
    Path(folder, "said.txt").write_text(said.getvalue() + json.dumps(ended))
    given = np.load(folder + "/given.npz")
    mean, log_variance = loaded["encode"](given["images"])
    np.savez(folder + "/told.npz", mean=mean, log_variance=log_variance,
             pixels=loaded["decode"](given["latents"]))
"""


def model_of(changes: dict[str, Any]) -> Model:
    """Initial weights, with biases that are not zero: what is left out must be missed."""
    given = {"dataset": "digits", "objective": "vae", "evaluation": {"metrics": []}, **changes}
    spec = RunSpec.parse(given)
    shape = spec.dataset.image_shape()
    parameters = initial_parameters(build(spec, shape), seed=1)
    draws = torch.Generator().manual_seed(0)
    for named in parameters.values():
        for tensor in named.values():
            if tensor.ndim == 1:
                tensor += 0.3 * torch.randn(tensor.shape, generator=draws)
    return Model(spec, shape, parameters, steps=0)


@cache
def opened(component: str) -> Dataset:
    return dataset(**json.loads(component))


def trained(model: Model, **changes: Any) -> TrainedRun:
    data = opened(model.spec.dataset.model_dump_json())
    wanted = model.spec.evaluation.model_copy(update={"rows": 20, "test_rows": 10})
    encoded = encode_rows(model, data, wanted)
    run = TrainedRun(
        run_id="run_1",
        model=model,
        data=data,
        weights=model.to_bytes(),
        codes=encoded.to_npz(),
        encoded=encoded,
        scores=[],
        scalars={"loss": [(1, 9.0), (2, None)]},
        pictures={"traversal.png": b"a picture"},
        latent_names={},
        versions={"torch": "2.10", "numpy": "2.1"},
    )
    return replace(run, **changes)


def written(run: TrainedRun, folder: Path) -> Path:
    folder.mkdir()
    for name, data in run_folder(run).items():
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture(scope="module")
def witnessed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Model, Path]]:
    """Each case's model and folder, after one process without our code has used all of them."""
    home = tmp_path_factory.mktemp("folders")
    found = {}
    for number, (case, changes) in enumerate(CASES.items()):
        model = model_of(changes)
        folder = written(trained(model), home / str(number))
        draws = np.random.default_rng(7)
        np.savez(
            folder / "given.npz",
            images=draws.random((5, *model.image_shape), dtype=np.float32),
            latents=draws.normal(size=(4, model.spec.model.latent_dim)),
        )
        found[case] = model, folder
    folders = json.dumps([str(folder) for _, folder in found.values()])
    subprocess.run(
        [sys.executable, "-I", "-c", WITNESS, folders], cwd=home, check=True, timeout=120
    )
    return found


@pytest.mark.parametrize("case", CASES)
def test_the_loader_encodes_and_decodes_without_us_as_the_model_does(
    case: str, witnessed: dict[str, tuple[Model, Path]]
) -> None:
    model, folder = witnessed[case]
    given, told = np.load(folder / "given.npz"), np.load(folder / "told.npz")
    ours = model.encode(torch.from_numpy(given["images"]).permute(0, 3, 1, 2))
    assert np.ptp(ours.mean, axis=0).min() > 1e-3  # Else the images would be of no effect.
    np.testing.assert_allclose(told["mean"], ours.mean, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(told["log_variance"], ours.log_variance, rtol=1e-6, atol=1e-6)
    pixels = model.decode(given["latents"])
    assert told["pixels"].shape == pixels.shape == (4, *model.image_shape)
    np.testing.assert_allclose(told["pixels"], pixels, rtol=0, atol=1e-6)


@pytest.mark.parametrize("case", CASES)
def test_the_loader_checks_itself(case: str, witnessed: dict[str, tuple[Model, Path]]) -> None:
    said, failed = (witnessed[case][1] / "said.txt").read_text().splitlines()
    assert said.startswith("8 images: codes differ by at most ")
    assert failed == "0"


def test_a_loader_run_as_a_program_refuses_weights_that_are_not_the_runs(tmp_path: Path) -> None:
    run = trained(model_of({"model": {"name": "mlp", "hidden": [4]}}))
    folder = written(run, tmp_path / "run")

    def ended() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-I", "load.py"]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)

    assert (whole := ended()).returncode == 0 and whole.stderr == ""
    with np.load(folder / "check.npz") as check:
        np.savez(folder / "check.npz", **{**check, "mean": check["mean"] + 0.01})
    assert (damaged := ended()).returncode == 1, damaged.stderr
    assert "codes differ by at most 1.0e-02" in damaged.stdout


@pytest.fixture(scope="module")
def run() -> TrainedRun:
    factors = np.stack(np.unravel_index(np.arange(60), (3, 4, 5)), axis=1)
    codes = factors + 0.1 * np.random.default_rng(0).normal(size=factors.shape)
    scores = [
        *score(codes, factors, ["mig", {"name": "dci", "predictor": "lasso"}]),
        Score(
            metric="sap",
            name="sap",
            value=None,
            error="ConstantFactor: shape | one value",
            higher_is_better=True,
            range=(0, 1),
            perfect=1,
            params={},
            definition="sap@1",
            rows=60,
            seed=0,
            versions={},
        ),
    ]
    model = model_of({"model": {"name": "mlp", "hidden": [8]}, "objective": "beta_vae"})
    return trained(model, scores=scores, latent_names={3: "smile | <b>"})


def test_the_folder_has_what_it_should_and_the_same_bytes_each_time(run: TrainedRun) -> None:
    files = run_folder(run)
    assert set(files) == FILES
    assert run_folder(run) == files
    assert files["weights.safetensors"] == run.weights
    assert "encoder/1.weight" in load(files["weights.safetensors"])
    config = json.loads(files["config.json"])
    assert RunSpec.parse(config["spec"]) == run.model.spec
    assert config["dataset"]["factor_names"] == ["digit"]
    assert config["dataset"]["source"] == run.data.source
    assert config["definitions"] == ["dci@2", "mig@1", "sap@1"]
    assert config["latent_names"] == {"3": "smile | <b>"}
    told = [Score.model_validate(one) for one in json.loads(files["scores.json"])]
    assert told == list(run.scores)
    assert json.loads(files["scalars.json"]) == {"loss": [[1, 9.0], [2, None]]}
    encoded = EncodedRows.from_npz(files["codes.npz"])
    np.testing.assert_array_equal(encoded.mean, run.encoded.mean)
    check = np.load(io.BytesIO(files["check.npz"]))
    np.testing.assert_allclose(check["mean"], run.encoded.mean[:8], atol=1e-5)


def test_files_are_named_by_us_alone(run: TrainedRun) -> None:
    given = {"../evil.png": b"", "a/b.png": b"", "load.py": b"", "curves.png": b"", "t.gif": b""}
    files = run_folder(replace(run, pictures=given))
    assert set(files) == FILES - {"traversal.png"} | {"curves.png", "t.gif"}
    assert b"def encode" in files["load.py"]


def test_the_readme_has_the_scores_the_data_and_whom_to_cite(run: TrainedRun) -> None:
    page = run_folder(run)["README.md"].decode()
    [mig] = [one for one in run.scores if one.name == "mig"]
    assert mig.value and mig.null and mig.ci95
    assert (
        f"| mig ↑ | **{mig.value:.4f}** | {mig.null.mean:.4f} ± {mig.null.std:.4f} |"
        f" {mig.ci95[0]:.4f} to {mig.ci95[1]:.4f} | 60 | `mig@1` |" in page
    )
    assert "dci.disentanglement (lasso)" in page
    assert "- sap has no value: ConstantFactor: shape \\| one value" in page
    assert run.data.source in page
    assert (
        "- Higgins et al. (2017), <https://openreview.net/forum?id=Sy2fzU9gl>: `beta_vae`" in page
    )
    assert "- Chen et al. (2018), <https://arxiv.org/abs/1802.04942>: `mig`" in page
    assert "Eastwood and Williams (2018)" in page and "Kingma and Welling (2014)" in page
    assert "`beta_vae` (beta 4)" in page
    # What people call a latent is text, in a table as well.
    assert "smile \\| \\<b\\>" in page
    # Every picture that is shown is there.
    assert "![Latent traversal](traversal.png)" in page
    assert "traversal.png" not in run_folder(replace(run, pictures={}))["README.md"].decode()


def test_no_table_of_the_readme_has_a_row_too_long(run: TrainedRun) -> None:
    lines = run_folder(run)["README.md"].decode().splitlines()
    for before, line in pairwise(lines):
        if before.startswith("|") and line.startswith("|"):
            bars = [one.replace("\\|", "").count("|") for one in (before, line)]
            assert bars[0] == bars[1], line


class Halved(nn.Module):
    """A layer that torch does not have."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs / 2


def test_a_layer_that_torch_does_not_have_is_told_and_not_written(
    run: TrainedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = type(run.model.spec.model).encoder

    def encoder(*args: Any) -> nn.Module:
        layers = made(*args)
        assert isinstance(layers, nn.Sequential)
        return layers.append(Halved())

    monkeypatch.setattr(type(run.model.spec.model), "encoder", encoder)
    with pytest.raises(NotPlain, match="Halved is no layer of torch's own"):
        plain_loader(run.model, "a run")
    files = run_folder(run)
    assert "load.py" not in files
    page = files["README.md"].decode()
    assert "There is no `load.py`: Halved is no layer of torch's own" in page
    assert "pip install" not in page


def test_a_posterior_that_is_not_known_is_told(
    run: TrainedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Other(type(run.model.spec.objective.posterior)):  # type: ignore[misc]
        numbers_per_latent: ClassVar[int] = 2

    other: Posterior = Other()
    monkeypatch.setattr(type(run.model.spec.objective), "posterior", other)
    with pytest.raises(NotPlain, match="Other"):
        plain_loader(run.model, "a run")


def test_a_posterior_states_how_torch_reads_its_head(
    run: TrainedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Turned(type(run.model.spec.objective.posterior)):  # type: ignore[misc]
        head_in_torch: ClassVar[str] = "log_variance, mean = head.chunk(2, dim=1)"

    monkeypatch.setattr(type(run.model.spec.objective), "posterior", Turned())
    assert f"\n    {Turned.head_in_torch}\n" in plain_loader(run.model, "a run")


def test_a_title_cannot_end_the_loaders_first_line(run: TrainedRun) -> None:
    text = plain_loader(run.model, 'a """\nimport os # \\')
    compile(text, "load.py", "exec")
    assert text.splitlines()[0].startswith('"""a')
    assert "\nimport os" not in text


def test_references_are_read_from_documentation() -> None:
    text = """What it means.

References:
    Chen et al., 2018, https://arxiv.org/abs/1802.04942; bins as in
    Locatello et al., 2019, https://arxiv.org/abs/1811.12359, and
    Kim and Mnih, 2018, https://arxiv.org/abs/1802.05983, appendix A
"""
    chen, locatello, kim = references(text)
    assert chen == Reference("Chen et al.", 2018, "https://arxiv.org/abs/1802.04942")
    assert (str(locatello), str(kim)) == ("Locatello et al. (2019)", "Kim and Mnih (2018)")
    assert references("As in Chen et al., 2018, https://arxiv.org/abs/1802.04942.") == []
    assert cited([("a", text), ("b", text), ("a", text)]) == {
        work: ["a", "b"] for work in (chen, locatello, kim)
    }


@pytest.mark.parametrize("kind", ["objective", "model", "metric", "dataset", "optimizer"])
def test_every_reference_of_a_component_is_read(kind: str) -> None:
    for component in components(kind).values():
        text = component.description()
        section = text.partition("References:")[2]
        assert len(references(text)) == section.count("http"), component


def test_an_encoder_without_noise_has_no_kl_in_its_readme() -> None:
    point = trained(model_of({"model": {"name": "mlp", "hidden": [8]}, "objective": "ae"}))
    assert all(math.isnan(value) for value in point.encoded.kl.flat)
    page = run_folder(point)["README.md"].decode()
    assert "## Latents" not in page and "nan" not in page
    assert "The run has no scores." in page
