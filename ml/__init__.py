"""Disentangling autoencoders: spec, data, models, objectives, training, metrics and pictures.

>>> from ml import dataset, train, evaluate, score
"""

from ml.datasets.protocol import dataset
from ml.evaluation.evaluate import evaluate
from ml.evaluation.score import score
from ml.training.loop import train

__all__ = ["dataset", "evaluate", "score", "train"]
