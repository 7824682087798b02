"""Finding the factors that can be drawn, and one of them by its name."""

from __future__ import annotations

import numpy as np

from ml.components.registry import nearest
from ml.components.spec_errors import Fault, InvalidSpec
from ml.plots.protocol import Material, NothingToDraw

MOST_KINDS = 10
"""Most values of a factor that are drawn as kinds. With more, the factor is drawn as a number."""
CYCLIC = ("orientation", "azimuth")
"""Parts of the names of cyclic factors, whose last value is next to the first."""


def varying(material: Material, *, why: str) -> list[int]:
    """Columns of the factors that take several values.

    Raises:
        NothingToDraw: there are none. `why` completes the message: what then cannot be drawn.
    """
    found = [
        column
        for column in range(len(material.factor_names))
        if np.ptp(material.encoded.factors[:, column]) > 0
    ]
    if not found:
        raise NothingToDraw(
            f"The data set has no factors that vary, and {why}: train on a data set with known"
            " factors, or give its images labels."
        )
    return found


def column_of(material: Material, param: str, name: str) -> int:
    """The column of the factor that a param names.

    Raises:
        InvalidSpec: there is no such factor.
    """
    if name in material.factor_names:
        return material.factor_names.index(name)
    known = ", ".join(material.factor_names) or "none, as the data set has no factors"
    raise InvalidSpec(
        [Fault(param, name, f"a factor ({known})", nearest(name, material.factor_names))]
    )


def is_cyclic(name: str) -> bool:
    """Whether the factor's last value is next to its first, as an angle's is."""
    return any(part in name.lower() for part in CYCLIC)
