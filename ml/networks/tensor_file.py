"""Tensors and one JSON document as safetensors bytes, the same bytes for the same content."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from safetensors.torch import load, save
from torch import Tensor

KEY = "heddle"
"""The only metadata key: with several, their order in the file changes from save to save."""


def to_bytes(tensors: Mapping[str, Tensor], document: Mapping[str, Any]) -> bytes:
    """Tensors (moved to the CPU, contiguous) and a JSON document as one file's bytes."""
    plain = {name: tensors[name].detach().cpu().contiguous() for name in sorted(tensors)}
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return save(plain, metadata={KEY: text})


def from_bytes(data: bytes) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What `to_bytes` was given. Nothing in the file is executed."""
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return load(data), json.loads(header["__metadata__"][KEY])
