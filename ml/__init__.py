"""Disentangling autoencoders: spec, data, models, objectives, training, metrics and pictures.

>>> from ml import dataset, train, evaluate, score
"""

from ml.dataset import dataset
from ml.evaluate import evaluate
from ml.score import score
from ml.train import train

__all__ = ["dataset", "evaluate", "score", "train"]
