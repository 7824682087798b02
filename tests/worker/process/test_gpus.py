"""GPUs as NVML tells of them, and programs on them that are none of ours."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from ml.training.precision import Measured
from store.states import JobKind, RunState
from store.workers.presence import Presence, present, say_gone, say_present
from store.workers.troubles import troubles
from tests.worker.fake_nvml import FakeGpu, FakeNvml
from tests.worker.workplace import Workplace, on_sqlite, spec, until
from worker.evaluation import evaluate_next
from worker.process import gpus, presence
from worker.process.gpus import Gpu, find_gpu, foreign_use
from worker.process.stores import host_name
from worker.training import train_next

GIB = 1 << 30


@pytest.fixture
def program(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Somebody's program; no child of this process."""
    script = tmp_path / "train.py"
    script.write_text("import time; print(flush=True); time.sleep(600)")
    with subprocess.Popen(
        [sys.executable, str(script), "--token=secret"], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> FakeGpu:
    """The GPU of this process."""
    card = FakeGpu()
    found = find_gpu(FakeNvml(card), {})
    monkeypatch.setattr("worker.process.gpus.gpu", lambda: found)
    monkeypatch.setattr("worker.process.gpus.knows_processes", lambda: True)
    monkeypatch.setattr("worker.process.gpus.relatives", lambda: {os.getpid()})
    return card


def found(environment: dict[str, str], *cards: FakeGpu) -> str | None:
    gpu = find_gpu(FakeNvml(*cards), environment)
    return gpu and gpu.name


def test_the_gpu_is_the_one_that_cuda_takes_first() -> None:
    a, b = FakeGpu("GPU-aaaa-1", "a"), FakeGpu("GPU-bbbb-2", "b")
    in_order = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    assert found({}, a) == "a"
    assert found(in_order, a, b) == "a"
    assert found(in_order | {"CUDA_VISIBLE_DEVICES": "1,0"}, a, b) == "b"
    assert found({"CUDA_VISIBLE_DEVICES": "GPU-bbbb-2,0"}, a, b) == "b"
    assert found({"CUDA_VISIBLE_DEVICES": "GPU-bb"}, a, b) == "b"
    mig = FakeGpu("MIG-cccc", "c")
    assert found({"CUDA_VISIBLE_DEVICES": "MIG-cccc"}, a, mig) == "c"


@pytest.mark.parametrize("visible", ["", "-1", "2", "GPU-cc", "MIG-none", "none"])
def test_a_gpu_that_is_not_there_is_none(visible: str) -> None:
    environment = {"CUDA_VISIBLE_DEVICES": visible, "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    assert find_gpu(FakeNvml(FakeGpu("GPU-a"), FakeGpu("GPU-b")), environment) is None


def test_cuda_may_count_several_gpus_otherwise_unless_told() -> None:
    assert find_gpu(FakeNvml(FakeGpu(), FakeGpu()), {}) is None


def test_without_a_driver_there_is_no_gpu() -> None:
    assert find_gpu(FakeNvml(FakeGpu(), driver=False), {}) is None
    assert gpus.gpu() is None or isinstance(gpus.gpu(), Gpu)


def test_what_nvml_does_not_answer_is_none() -> None:
    silent = find_gpu(FakeNvml(FakeGpu("", None, None, None, None)), {})
    assert silent is not None
    assert (silent.name, silent.memory(), silent.processes(), silent.joules()) == (
        None,
        None,
        [],
        None,
    )
    telling = find_gpu(FakeNvml(FakeGpu(processes={1: 5, 2: None})), {})
    assert telling is not None
    assert telling.joules() == 5000.0
    assert telling.memory() == (80 * GIB, 79 * GIB)
    assert [one.pid for one in telling.processes()] == [1]


def test_a_foreign_process_is_named_without_its_arguments(
    program: subprocess.Popen[bytes], card: FakeGpu
) -> None:
    gpu = gpus.gpu()
    assert gpu is not None
    card.processes = {program.pid: 20 * GIB + GIB // 10}
    python, user = Path(sys.executable).name, psutil.Process().username()
    assert foreign_use(gpu, {os.getpid()}) == (
        f"GPU 0 (NVIDIA H100) is used by process {program.pid}"
        f" ({python} train.py of user {user}, 20.1 GiB); waits until it ends"
    )
    assert foreign_use(gpu, {program.pid}) is None
    card.processes = {program.pid: 255 << 20}
    assert foreign_use(gpu, set()) is None
    card.processes = {program.pid: GIB, os.getppid(): 2 * GIB}
    assert f"process {os.getppid()} (" in (foreign_use(gpu, set()) or "")
    assert "and 1 more; waits until they end" in (foreign_use(gpu, set()) or "")


def test_one_that_has_ended_is_no_matter(program: subprocess.Popen[bytes], card: FakeGpu) -> None:
    card.processes = {program.pid: GIB}
    program.kill()
    program.wait()
    gpu = gpus.gpu()
    assert gpu is not None
    assert foreign_use(gpu, set()) is None


@on_sqlite
def test_a_worker_waits_while_somebody_uses_its_gpu_and_says_so(
    workplace: Workplace, program: subprocess.Popen[bytes], card: FakeGpu
) -> None:
    run_id = workplace.post(spec(steps=2))
    database = workplace.stores.database
    card.processes = {program.pid: 3 * GIB, os.getpid(): 5 * GIB}
    assert not train_next()
    assert workplace.run(run_id).attempts == 0
    assert f"process {program.pid} (" in troubles(database)[JobKind.TRAIN]

    # What is Heddle's own is not waited for.
    other = Presence("other", JobKind.TRAIN, host_name(), program.pid, "", "", 1, 1)
    say_present(database, other)
    assert train_next()
    assert troubles(database) == {}
    say_gone(database, "other")

    # Nor does it keep an evaluation, which is done on the CPU.
    assert evaluate_next()
    assert workplace.run(run_id).state is RunState.SUCCEEDED


@on_sqlite
@pytest.mark.parametrize("ignored", ["setting", "namespace"])
def test_a_foreign_process_may_be_ignored(
    ignored: str,
    workplace: Workplace,
    program: subprocess.Popen[bytes],
    card: FakeGpu,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if ignored == "setting":
        workplace.configure(foreign="ignore")
    else:
        monkeypatch.setattr("worker.process.gpus.knows_processes", lambda: False)
    workplace.post(spec(steps=2))
    card.processes = {program.pid: 3 * GIB}
    assert train_next()


def test_ids_of_processes_are_known_where_there_is_one_namespace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for namespace, known in (("pid:[4026531836]", True), ("pid:[4026532999]", False)):
        monkeypatch.setattr(Path, "readlink", lambda _, to=namespace: Path(to))
        assert gpus.knows_processes() is known


def test_relatives_are_whom_this_process_comes_from_and_whom_it_started(
    program: subprocess.Popen[bytes],
) -> None:
    assert {os.getpid(), os.getppid()} <= gpus.relatives()
    assert 1 in gpus.relatives() or os.getppid() == 0


def test_a_worker_says_that_it_is_there_until_it_ends(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "SAID_SECONDS", 0.05)
    database = workplace.stores.database
    saying = presence.Saying(database, JobKind.EVALUATE)
    until(lambda: present(database))
    [seen] = present(database)
    assert (seen.said.pid, seen.said.device) == (os.getpid(), "cpu")
    assert 0 < (seen.said.memory_free_bytes or 0) < (seen.said.memory_bytes or 0)
    until(lambda: present(database)[0].seen_at > seen.seen_at)
    saying.end()
    assert present(database) == []


def test_those_of_this_host_that_were_killed_are_forgotten(
    workplace: Workplace, program: subprocess.Popen[bytes]
) -> None:
    database, told = workplace.stores.database, presence.presence(JobKind.TRAIN)
    here = {"here": told.host, "elsewhere": "another host"}
    for where, host in here.items():
        say_present(database, replace(told, name=where, host=host, pid=program.pid))
    say_present(database, told)
    presence.bury(database, told.host)
    assert len(present(database)) == 3
    program.kill()
    program.wait()
    presence.bury(database, told.host)
    assert {one.said.name for one in present(database)} == {told.name, "elsewhere"}


def test_the_memory_of_a_gpu_is_the_cards(card: FakeGpu, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.process.presence.default_device", lambda: torch.device("cuda", 0))
    told = presence.presence(JobKind.TRAIN)
    assert (told.device, told.device_model) == ("cuda:0", "NVIDIA H100")
    assert (told.memory_bytes, told.memory_free_bytes) == (80 * GIB, 79 * GIB)


def test_a_worker_outlives_a_database_that_is_away(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "SAID_SECONDS", 0.02)
    database, calls = workplace.stores.database, []

    def away(*_: object, **__: object) -> None:
        calls.append(1)
        raise OSError("away")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(presence, "say_present", away)
        saying = presence.Saying(database, JobKind.TRAIN)
        until(lambda: len(calls) > 2)
    until(lambda: present(database))
    saying.end()


def test_a_worker_says_what_it_measured_once_it_has(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "SAID_SECONDS", 0.02)
    database, calls = workplace.stores.database, []

    def measured() -> dict[str, Any] | None:
        calls.append(present(database)[0].said.precisions)
        # Somebody else uses the GPU at first.
        return {"faster": "float32"} if len(calls) == 3 else None

    saying = presence.Saying(database, JobKind.TRAIN, measured)
    until(lambda: present(database) and present(database)[0].said.precisions)
    saying.end()
    assert calls == [None] * 3


def test_only_a_worker_that_trains_measures_and_only_a_free_device(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates = Measured(100.0, 20.0, 0.5, "a CPU")
    monkeypatch.setattr(presence, "measured", lambda _device: rates)
    here = workplace.stores
    assert presence.measured_here(here, JobKind.EVALUATE) is None
    assert presence.measured_here(here, JobKind.TRAIN) == rates.document()
    monkeypatch.setattr(presence, "device_trouble", lambda *_: "used by others")
    assert presence.measured_here(here, JobKind.TRAIN) is None
