"""Tensors and a JSON document as a safetensors file. Equal content gives equal bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from safetensors.torch import load, save
from torch import Tensor

KEY = "heddle"
"""The only metadata key. With several keys, their order in the file would change with each save."""


def to_bytes(tensors: Mapping[str, Tensor], document: Mapping[str, Any]) -> bytes:
    """The bytes of a file with the tensors (moved to the CPU, contiguous) and the document."""
    plain = {name: tensors[name].detach().cpu().contiguous() for name in sorted(tensors)}
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return save(plain, metadata={KEY: text})


def from_bytes(data: bytes) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the document of a file. Nothing in the file is executed."""
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return load(data), json.loads(header["__metadata__"][KEY])
