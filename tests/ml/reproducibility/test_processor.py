"""What a CPU is told apart by: whatever makes libraries choose other kernels."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ml.reproducibility.environment import environment
from ml.reproducibility.processor import SETTINGS, processor_of, settings
from tests.ml.recorders import Kept
from tests.ml.training.test_train import paused, spec

CPUINFO = """processor\t: 0
vendor_id\t: GenuineIntel
cpu family\t: 6
model\t\t: 106
model name\t: Intel(R) Xeon(R) Platinum 8375C CPU @ 2.90GHz
stepping\t: 6
microcode\t: 0xd0003a5
cpu MHz\t\t: 2899.9
flags\t\t: fpu sse sse2 ssse3 fma avx avx2 smep avx512f avx512_vnni constant_tsc

processor\t: 1
vendor_id\t: another
"""
ARM = """processor\t: 0
BogoMIPS\t: 243.75
Features\t: fp asimd asimdhp cpuid sve bf16 i8mm
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x1
CPU part\t: 0xd40
CPU revision\t: 1
"""
KNOWN = processor_of(CPUINFO, caches="48K 32K", capability="AVX512", settings={})


def test_a_processor_is_read_from_what_linux_tells() -> None:
    assert KNOWN.name == "Intel(R) Xeon(R) Platinum 8375C CPU @ 2.90GHz"
    assert KNOWN.identity == "GenuineIntel 6 106 6"
    assert KNOWN.instructions == "avx avx2 avx512_vnni avx512f fma sse sse2 ssse3"
    assert KNOWN.model().startswith(f"{KNOWN.name} AVX512 (")
    arm = processor_of(ARM, caches="", capability="SVE256", settings={})
    assert (arm.identity, arm.instructions) == ("0x41 8 0x1 0xd40 1", "asimd asimdhp bf16 i8mm sve")
    unknown = processor_of("", caches="", capability="DEFAULT", settings={})
    assert unknown.name and unknown.identity


def test_whatever_chooses_other_kernels_is_another_model() -> None:
    others = [
        processor_of(changed, caches="48K 32K", capability="AVX512", settings={})
        for changed in (
            CPUINFO.replace("106", "143"),
            CPUINFO.replace("stepping\t: 6", "stepping\t: 7"),
            CPUINFO.replace(" avx512_vnni", ""),
        )
    ]
    others += [
        replace(KNOWN, caches="32K 32K"),
        replace(KNOWN, capability="AVX2"),
        replace(KNOWN, settings={"ONEDNN_MAX_CPU_ISA": "AVX2"}),
    ]
    assert len({one.model() for one in (KNOWN, *others)}) == 7
    assert "ONEDNN_MAX_CPU_ISA=AVX2" in others[-1].model()


@pytest.mark.parametrize(
    ("before", "after"),
    [("0xd0003a5", "0xd0003b9"), ("2899.9", "3100.0"), (" constant_tsc", " ibrs"), ("smep ", "")],
)
def test_updates_of_the_system_are_no_other_model(before: str, after: str) -> None:
    changed = CPUINFO.replace(before, after)
    assert changed != CPUINFO
    again = processor_of(changed, caches="48K 32K", capability="AVX512", settings={})
    assert again.model() == KNOWN.model()


def test_variables_that_only_tell_are_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    before = settings(SETTINGS)
    monkeypatch.setenv("ONEDNN_VERBOSE", "1")
    assert settings(SETTINGS) == before
    monkeypatch.setenv("MKL_CBWR", "COMPATIBLE")
    assert settings(SETTINGS) == {**before, "MKL_CBWR": "COMPATIBLE"}


GO_ON = """
import json, sys
from pathlib import Path
import torch
from ml import train
from tests.ml.recorders import Kept
torch.set_num_threads(1)
run, path = json.loads(sys.argv[1]), Path(sys.argv[2])
model = train(run, Kept(start=path.read_bytes()))
print(json.dumps(model.record["history"]))
"""


def test_a_run_taken_up_under_other_kernels_says_that_it_is_elsewhere(tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        kept: Kept = paused(spec(), at=4)
        here = environment(torch.device("cpu"))
    finally:
        torch.set_num_threads(threads)
    file = tmp_path / "checkpoint"
    file.write_bytes(kept.files[-1])
    root = Path(__file__).parents[3]
    told = subprocess.run(
        [sys.executable, "-c", GO_ON, json.dumps(spec()), str(file)],
        env={**os.environ, "ONEDNN_MAX_CPU_ISA": "SSE41", "PYTHONPATH": str(root)},
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
    )
    before, after = json.loads(told.stdout)
    assert (before["from_step"], before["device_model"]) == (0, here["device_model"])
    # A width binds on the device model that made the checkpoint, and so not there.
    assert after["from_step"] == 4 and after["device_model"] != here["device_model"]
    assert "ONEDNN_MAX_CPU_ISA=SSE41" in after["device_model"]
    assert after["processor"]["settings"]["ONEDNN_MAX_CPU_ISA"] == "SSE41"
