"""Whether a run can go on from the state that another run ended with."""

from __future__ import annotations

from ml.components.spec_errors import Fault, InvalidSpec
from ml.networks.networks import build, groups_of
from ml.spec.identity import cohort_key
from ml.spec.run_spec import RunSpec

Layout = dict[str, tuple[int, ...]]
"""Shapes of a checkpoint's tensors by their paths."""


def check_state(spec: RunSpec, known: set[tuple[str, str]] | None = None) -> None:
    """Make sure that the state of a run's origin has the same tensors as the run.

    The two may differ in numbers, batches, objective and data, but not in networks and the
    optimizer's slots. `known` holds pairs that fit: they are not checked again, and new pairs are
    added to it.

    Raises:
        InvalidSpec: the origin lacks a tensor, has another one, or one of another shape.
    """
    origin = spec.origin_spec()
    if origin is None:
        return
    pair = cohort_key(origin), cohort_key(spec)
    if known is not None and pair in known:
        return
    came, wanted = layout(origin), layout(spec)
    for path in sorted(came.keys() | wanted.keys()):
        if came.get(path) != wanted.get(path):
            raise InvalidSpec(
                [
                    Fault(
                        "origin",
                        _shown(path, came),
                        f"{_shown(path, wanted)}, as training goes on with what the run before"
                        " ended with: the same networks and optimizer",
                    )
                ]
            )
    if known is not None:
        known.add(pair)


def layout(spec: RunSpec) -> Layout:
    """The shape of each tensor of a run's checkpoint, by its path."""
    modules = build(spec, spec.dataset.image_shape())
    return {
        f"{group}/{kind}/{network}/{name}": tuple(parameter.shape)
        for group, networks in groups_of(modules).items()
        for kind in ("parameters", *spec.optimizer_of(group).slots)
        for network in networks
        for name, parameter in modules[network].named_parameters()
    }


def _shown(path: str, found: Layout) -> str:
    return f"{path} of shape {found[path]}" if path in found else f"no {path}"
