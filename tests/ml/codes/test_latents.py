"""Latents as they are spoken of."""

from __future__ import annotations

import math

import numpy as np

from ml.codes.latents import USED_NATS, is_unused, is_used, latent_label


def test_a_latent_is_used_above_the_limit_and_unused_at_it() -> None:
    kl = np.array([0.0, USED_NATS, np.nextafter(USED_NATS, 1), 3.0])
    assert is_used(kl).tolist() == [False, False, True, True]
    assert is_unused(kl).tolist() == [True, True, False, False]


def test_a_latent_without_a_kl_is_neither_used_nor_unused() -> None:
    assert not is_used(math.nan) and not is_unused(math.nan)


def test_a_latent_is_called_by_its_number_and_its_name() -> None:
    assert latent_label(3, {3: "smile"}) == "z3 smile"
    assert latent_label(4, {3: "smile"}) == "z4"
