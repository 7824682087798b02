"""What a latent is called wherever it is spoken of."""

from __future__ import annotations

from collections.abc import Mapping


def latent_label(latent: int, names: Mapping[int, str]) -> str:
    """`z3`, or with the name that people gave it `z3 smile`."""
    name = names.get(latent)
    return f"z{latent} {name}" if name else f"z{latent}"
