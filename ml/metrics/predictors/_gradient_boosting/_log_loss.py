r"""The log loss: the first raw predictions of boosting, gradients, and probabilities.

Raw predictions are (trees an iteration, samples). There is one for each class, or, with two
classes, a single one for the second class's log-odds.

References:
    scikit-learn 1.9.1, _loss/_loss.pyx.tp and link.py
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from scipy.special import expit, logit


def prior(labels: np.ndarray, classes: int) -> np.ndarray:
    """Raw predictions, (trees an iteration,), that give every row the classes' frequencies."""
    counts = np.bincount(labels, minlength=classes)
    epsilon = np.finfo(np.float64).eps
    frequencies = np.clip(counts / counts.sum(), epsilon, 1 - epsilon)
    raw: np.ndarray
    if classes == 2:
        raw = logit(frequencies[1:])
    else:
        raw = np.log(frequencies / np.exp(np.mean(np.log(frequencies))))
    return raw


def probabilities(raw: np.ndarray) -> np.ndarray:
    """Class probabilities (samples, classes) of raw predictions."""
    if len(raw) == 1:
        second = expit(raw[0])
        return np.stack([1 - second, second], axis=1)
    rows = np.ascontiguousarray(raw.T)
    scaled = np.exp(rows - rows.max(axis=1, keepdims=True))
    shares: np.ndarray = scaled / scaled.sum(axis=1, keepdims=True)
    return shares


@njit(nogil=True, cache=True, error_model="numpy")
def two_class_gradients(raw, labels, gradients):
    """y - p for each row, where y in {0, 1} is its label and p its probability of 1."""
    for row in range(len(labels)):
        y = np.float64(labels[row])
        if raw[0, row] > -37:
            odds = math.exp(-raw[0, row])
            gradients[0, row] = -(((1 - y) - y * odds) / (1 + odds))
        else:
            # So far below zero, 1 + exp(raw) is 1 in double precision.
            gradients[0, row] = -(math.exp(raw[0, row]) - y)


@njit(nogil=True, cache=True, error_model="numpy")
def many_class_gradients(raw, labels, gradients):
    """y - p for each class and row, where y is 1 for the row's own class and 0 for others."""
    classes, samples = raw.shape
    highest = raw[0].copy()
    for k in range(1, classes):
        for row in range(samples):
            highest[row] = max(highest[row], raw[k, row])
    total = np.zeros(samples)
    for k in range(classes):
        for row in range(samples):
            gradients[k, row] = math.exp(raw[k, row] - highest[row])
            total[row] += gradients[k, row]
    for k in range(classes):
        for row in range(samples):
            gradients[k, row] = -(gradients[k, row] / total[row] - (labels[row] == k))
