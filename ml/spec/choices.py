"""Choices in a spec that are not components: each is one of a few words."""

from __future__ import annotations

from typing import Literal

Precision = Literal["float32", "bfloat16"]
"""The type of number that networks compute in. Weights are float32 in both."""

AUTO = "auto"
"""In a posted spec: whichever precision is measured to be faster (`ml.spec.precision`)."""

Sampling = Literal["with_replacement", "epochs"]
"""How the images of a batch are drawn: independently, or so that all come before any repeats."""
