"""Factors that readers of published files know before they open anything."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from ml.components.registry import components
from ml.datasets.protocol import DatasetComponent, MissingFile

PUBLISHED = {
    name: cast(type[DatasetComponent], found)
    for name, found in components("dataset").items()
    if found.__module__.startswith("ml.datasets.published.")
}
IMAGES = {
    "cars3d": 17_568,
    "chairs3d": 86_366,
    "faces3d": 127_050,
    "isaac3d": 737_280,
    "mpi3d_real": 1_036_800,
    "mpi3d_real_complex": 460_800,
    "mpi3d_realistic": 1_036_800,
    "mpi3d_toy": 1_036_800,
    "shapes3d": 480_000,
}
"""Of those that are full grids, by their publishers."""


@pytest.mark.parametrize("name", PUBLISHED)
def test_they_are_known_without_a_file(name: str, folder: Path) -> None:
    component = PUBLISHED[name].model_validate({"name": name})
    known = component.known_factors()
    with pytest.raises(MissingFile):
        component.identity()
    if name == "celeba":
        # Their names are in the table.
        assert known is None
        return
    assert known is not None
    assert all(not one.values or len(one.values) == one.size for one in known.values())
    count = 1
    for one in known.values():
        count *= one.size
    assert count == IMAGES.get(name, count)


def test_a_choice_that_does_not_fit_is_found_without_a_file() -> None:
    shapes = PUBLISHED["shapes3d"]
    assert not shapes.model_validate({"name": "shapes3d", "only": {"scale": [7]}}).unfit_choices()
    assert shapes.model_validate({"name": "shapes3d", "only": {"scale": [8]}}).unfit_choices()
    norb = {"name": "smallnorb", "only": {"instance": [1]}}
    assert PUBLISHED["smallnorb"].model_validate(norb).unfit_choices()
    assert not PUBLISHED["smallnorb"].model_validate({**norb, "instance": True}).unfit_choices()
