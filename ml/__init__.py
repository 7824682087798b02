"""Disentangling autoencoders: spec, data, models, objectives, training, metrics and pictures.

>>> from ml import dataset, train, evaluate, score
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ml.datasets.protocol import dataset
    from ml.evaluation.evaluate import evaluate
    from ml.evaluation.score import score
    from ml.training.loop import train

__all__ = ["dataset", "evaluate", "score", "train"]

_PLACES = {
    "dataset": "ml.datasets.protocol",
    "evaluate": "ml.evaluation.evaluate",
    "score": "ml.evaluation.score",
    "train": "ml.training.loop",
}


def __getattr__(name: str) -> Any:
    # Every module below is imported after this one, and most need neither data nor torch.
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)
