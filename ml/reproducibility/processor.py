"""What makes libraries choose one kernel on a CPU and not another: processor, caches, settings.

oneDNN, MKL and ATen look at the processor as they start and take kernels made for it, which add in
other orders. Two machines of one instruction set may thus give other bits, and so may one machine
under `ONEDNN_MAX_CPU_ISA`.
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
"""Lines of /proc/cpuinfo that together name a processor, of x86 and of ARM."""
VECTOR = ("sse", "ssse", "avx", "fma", "f16c", "amx", "asimd", "sve", "sme", "neon")
VECTOR_PARTS = ("bf16", "fp16", "fphp", "i8mm", "f32mm", "f64mm", "fcma", "vnni")
"""Beginnings and parts of the flags that tell of arithmetic. Others come and go with kernels."""
SETTINGS = ("ONEDNN_", "DNNL_", "MKL_", "ATEN_CPU_")
"""Beginnings of the variables by which people hold these libraries to other kernels."""
GPU_SETTINGS = ("CUBLAS_", "CUDNN_", "NVIDIA_TF32_OVERRIDE", "TORCH_ALLOW_TF32_")
"""The same for a GPU's."""
ONLY_TELL = ("VERBOSE", "JIT_PROFILE", "JIT_DUMP", "LOGINFO", "LOGDEST", "LOGLEVEL")
"""Parts of names of variables that change what is printed, and no number."""


@dataclass(frozen=True)
class Processor:
    """All that decides which kernels a CPU is given, besides the libraries' versions."""

    name: str
    """As its maker calls it."""
    identity: str
    """Maker, family, model, stepping."""
    instructions: str
    """The vector instructions that it has, or that a virtual machine lets through."""
    caches: str
    """Sizes of the first core's caches, by which products are cut into blocks."""
    capability: str
    """What ATen takes its own kernels for."""
    settings: Mapping[str, str]

    def model(self) -> str:
        """In few words for people, with a digest of all of it."""
        found = hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()
        return " ".join([self.name, self.capability, *told(self.settings), f"({found[:8]})"])


@cache
def processor() -> Processor:
    """The one of this process, with the settings that were there when it was first asked for."""
    return processor_of(
        CPUINFO.read_text(errors="replace") if CPUINFO.exists() else "",
        caches=" ".join(file.read_text().strip() for file in sorted(CACHES.glob("index*/size"))),
        capability=torch.backends.cpu.get_cpu_capability(),
        settings=settings(SETTINGS),
    )


def processor_of(
    cpuinfo: str, *, caches: str, capability: str, settings: Mapping[str, str]
) -> Processor:
    """The processor that /proc/cpuinfo tells of first; where it says nothing, Python's word."""
    lines = (line.partition(":") for line in cpuinfo.partition("\n\n")[0].splitlines())
    told = {key.strip(): value.strip() for key, _, value in lines}
    flags = (told.get("flags") or told.get("Features") or "").split()
    return Processor(
        name=told.get("model name") or platform.processor() or platform.machine(),
        identity=" ".join(told[key] for key in IDENTITY if key in told) or platform.machine(),
        instructions=" ".join(
            sorted(
                flag
                for flag in flags
                if flag != "smep"  # Protects memory, and is no ARM's sme.
                and (flag.startswith(VECTOR) or any(part in flag for part in VECTOR_PARTS))
            )
        ),
        caches=caches,
        capability=capability,
        settings=settings,
    )


def settings(beginnings: tuple[str, ...]) -> dict[str, str]:
    """The variables of these beginnings that this process was given, in order."""
    return {
        name: value
        for name, value in sorted(os.environ.items())
        if name.startswith(beginnings) and not any(part in name for part in ONLY_TELL)
    }


def told(settings: Mapping[str, str]) -> list[str]:
    """`NAME=value` of each."""
    return [f"{name}={value}" for name, value in settings.items()]
