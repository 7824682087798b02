"""The names under which a run's artifacts are kept, found and fetched."""

from __future__ import annotations

WEIGHTS = "weights.safetensors"
"""The trained weights, with the spec that they were trained under."""
CODES = "codes.npz"
"""Codes and factors of the rows that the first evaluation asked for."""
GRID_CODES = "grid_codes.npz"
"""The posteriors of every image, which evaluations of a population share. They are dropped after
some days (`store.retention.grid_codes`) and made anew when they are needed."""
CURVES = "scalars.json"
"""The training curves of a trained run."""
TRAVERSAL = "traversal.png"
"""Images decoded while one latent moves and the others stay."""
SNAPSHOTS = "snapshots/"
"""How the names of snapshots begin, which are weights from before the last step."""


def snapshot(step: int) -> str:
    """The name of the weights as they were at a step."""
    return f"{SNAPSHOTS}{step:08}.safetensors"


def picture(plot: str) -> str:
    """The name of the picture that an evaluation has drawn with this plot."""
    return f"{plot}.png"
