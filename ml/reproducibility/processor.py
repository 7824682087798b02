"""The processor, caches and settings by which libraries choose their kernels on a CPU.

oneDNN, MKL and ATen examine the processor when they start and take kernels made for it. Different
kernels add in different orders. So two machines of one instruction set may give different bits, and
so may one machine under `ONEDNN_MAX_CPU_ISA`.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import torch

CPUINFO, CACHES = Path("/proc/cpuinfo"), Path("/sys/devices/system/cpu/cpu0/cache")
IDENTITY = (
    *("vendor_id", "cpu family", "model", "stepping"),
    *("CPU implementer", "CPU architecture", "CPU variant", "CPU part", "CPU revision"),
)
"""Lines of /proc/cpuinfo that together name a processor, first those of x86, then those of ARM."""
VECTOR = ("sse", "ssse", "avx", "fma", "f16c", "amx", "asimd", "sve", "sme", "neon")
VECTOR_PARTS = ("bf16", "fp16", "fphp", "i8mm", "f32mm", "f64mm", "fcma", "vnni")
"""Beginnings and parts of the flags of arithmetic. Other flags change with the operating system's
kernel."""
SETTINGS = ("ONEDNN_", "DNNL_", "MKL_", "ATEN_CPU_")
"""Beginnings of the environment variables that make these libraries choose other kernels."""
GPU_SETTINGS = ("CUBLAS_", "CUDNN_", "NVIDIA_TF32_OVERRIDE", "TORCH_ALLOW_TF32_")
"""Beginnings of the same for the libraries of a GPU."""
ONLY_PRINTED = ("VERBOSE", "JIT_PROFILE", "JIT_DUMP", "LOGINFO", "LOGDEST", "LOGLEVEL")
"""Parts of the names of variables that change only what is printed, and no number."""


@dataclass(frozen=True)
class Processor:
    """Everything that decides which kernels a CPU is given, besides the libraries' versions."""

    name: str
    """Its maker's name for it."""
    identity: str
    """Maker, family, model, stepping."""
    instructions: str
    """The vector instructions that it has, or that a virtual machine passes on."""
    caches: str
    """Sizes of the first core's caches, by which libraries cut matrix products into blocks."""
    capability: str
    """The instruction set that ATen takes its own kernels for."""
    settings: Mapping[str, str]

    def model(self) -> str:
        """A short description for people, with a digest of all fields."""
        found = hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()
        return " ".join([self.name, self.capability, *assignments(self.settings), f"({found[:8]})"])


@cache
def processor() -> Processor:
    """This machine's processor, with the settings at the time of the first call."""
    return processor_of(
        CPUINFO.read_text(errors="replace") if CPUINFO.exists() else "",
        caches=" ".join(file.read_text().strip() for file in sorted(CACHES.glob("index*/size"))),
        capability=torch.backends.cpu.get_cpu_capability(),
        settings=settings(SETTINGS),
    )


def processor_of(
    cpuinfo: str, *, caches: str, capability: str, settings: Mapping[str, str]
) -> Processor:
    """The first processor in /proc/cpuinfo. What is missing there comes from `platform`."""
    lines = (line.partition(":") for line in cpuinfo.partition("\n\n")[0].splitlines())
    known = {key.strip(): value.strip() for key, _, value in lines}
    flags = (known.get("flags") or known.get("Features") or "").split()
    return Processor(
        name=known.get("model name") or platform.processor() or platform.machine(),
        identity=" ".join(known[key] for key in IDENTITY if key in known) or platform.machine(),
        instructions=" ".join(
            sorted(
                flag
                for flag in flags
                if flag != "smep"  # It protects memory and is not ARM's sme.
                and (flag.startswith(VECTOR) or any(part in flag for part in VECTOR_PARTS))
            )
        ),
        caches=caches,
        capability=capability,
        settings=settings,
    )


def settings(beginnings: tuple[str, ...]) -> dict[str, str]:
    """This process's environment variables with these beginnings, in alphabetical order."""
    return {
        name: value
        for name, value in sorted(os.environ.items())
        if name.startswith(beginnings) and not any(part in name for part in ONLY_PRINTED)
    }


def assignments(settings: Mapping[str, str]) -> list[str]:
    """Each setting as `NAME=value`."""
    return [f"{name}={value}" for name, value in settings.items()]
