"""Choices of a spec that are no components: each a word of a few."""

from __future__ import annotations

from typing import Literal

Precision = Literal["float32", "bfloat16"]
"""In which numbers networks compute; weights are float32 in both."""

Sampling = Literal["with_replacement", "epochs"]
"""How the images of a batch are drawn: each by itself, or all before any comes again."""
