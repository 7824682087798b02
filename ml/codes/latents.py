"""The labels of latents, and which latents count as used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import overload

import numpy as np

USED_NATS = 0.01
"""Mean KL to the prior above which a latent counts as used, as in UDR (Duan et al., 2020)."""
KL_TAG = "kl_per_latent/"
"""The tag of a latent's KL over training is this text and the latent's number."""


def latent_label(latent: int, names: Mapping[int, str]) -> str:
    """`z3`, or `z3 smile` if people named the latent."""
    name = names.get(latent)
    return f"z{latent} {name}" if name else f"z{latent}"


@overload
def is_used(kl: float) -> bool: ...
@overload
def is_used(kl: np.ndarray) -> np.ndarray: ...
def is_used(kl: float | np.ndarray) -> bool | np.ndarray:
    """Whether latents of this mean KL in nats are used. False if there is no KL (NaN)."""
    return kl > USED_NATS


@overload
def is_unused(kl: float) -> bool: ...
@overload
def is_unused(kl: np.ndarray) -> np.ndarray: ...
def is_unused(kl: float | np.ndarray) -> bool | np.ndarray:
    """Whether latents of this mean KL in nats are unused. False if there is no KL (NaN)."""
    return kl <= USED_NATS
