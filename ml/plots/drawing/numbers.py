"""Numbers as pictures tell them."""

from __future__ import annotations

import numpy as np


def alike(values: np.ndarray) -> list[str]:
    """Numbers with as many decimals each, so that the largest has two digits at least.

    -0.003, 0.62 and 2.2 are told as 0.0, 0.6 and 2.2.
    """
    largest = float(np.abs(values).max(initial=0.0))
    if not 1e-4 <= largest < 1e6:
        return [f"{value:.1e}" if value else "0" for value in values.tolist()]
    decimals = max(0, 1 - int(np.floor(np.log10(largest))))
    # Adding zero leaves no negative one.
    rounded = [round(value, decimals) + 0.0 for value in values.astype(float).tolist()]
    return [f"{value:.{decimals}f}".replace("-", "\N{MINUS SIGN}") for value in rounded]
