"""Answers with codes, scores and distances, as the file or the document that a client wants."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from fastapi.responses import JSONResponse, Response

from api.answers.files import NPZ
from api.inference.codes import Neighbourhood
from api.state.trained import Trained
from ml.datasets.dataset import UNKNOWN, FactorKind
from ml.inference.anomaly import Judged, percentiles
from ml.inference.neighbours import Distance
from ml.networks.model import Encoding


def codes_answer(encoding: Encoding, *, as_npz: bool) -> Response:
    """An answer with the codes of images."""
    arrays = {
        "mean": encoding.mean,
        "log_variance": encoding.log_variance,
        "kl": encoding.kl,
    }
    if as_npz:
        return npz(arrays)
    rows = zip(*map(numbers, arrays.values()), strict=True)
    items = [
        {name: _none_if_none(value) for name, value in zip(arrays, row, strict=True)}
        for row in rows
    ]
    return JSONResponse({"items": items})


def anomaly_answer(judged: Judged, usual: np.ndarray) -> Response:
    """An answer with the terms and percentiles of images. `usual` is the reference's likeness."""
    columns = {
        "elbo": judged.elbo,
        "reconstruction": judged.reconstruction,
        "kl": judged.kl,
        "percentile": percentiles(judged.likeness, usual),
    }
    items = [
        {name: None if column is None else numbers(column[row]) for name, column in columns.items()}
        for row in range(len(judged.reconstruction))
    ]
    source = "rows of the evaluation, drawn from the training data"
    return JSONResponse({"items": items, "reference": {"rows": len(usual), "source": source}})


def neighbours_answer(found: Trained, near: Neighbourhood, distance: Distance) -> Response:
    """An answer with the nearest rows and their factors."""
    data, factors = found.data, found.data.factors(near.index)
    items = [
        {
            "index": int(index),
            "distance": float(far),
            "factors": None
            if factors is None
            else {
                name: _known(value, kind)
                for name, value, kind in zip(
                    data.factor_names, factors[place].tolist(), data.factor_kinds, strict=True
                )
            },
        }
        for place, (index, far) in enumerate(zip(near.index, near.distances, strict=True))
    ]
    return JSONResponse({"items": items, "distance": distance})


def _known(value: float, kind: FactorKind) -> float | None:
    """A factor's value, or None if it is not known."""
    unknown = math.isnan(value) or (kind == "discrete" and value == UNKNOWN)
    return None if unknown else value


def npz(arrays: Mapping[str, np.ndarray]) -> Response:
    """An answer with arrays in a file that `numpy.load` reads."""
    file = io.BytesIO()
    np.savez_compressed(file, **dict(arrays))  # type: ignore[arg-type]
    return Response(file.getvalue(), media_type=NPZ)


def numbers(array: np.ndarray) -> Any:
    """An array as lists, with null in place of numbers that are not finite."""
    array = np.asarray(array)
    finite = np.isfinite(array)
    if finite.all():
        return array.tolist()
    found = array.astype(object)
    found[~finite] = None
    return found.tolist()


def _none_if_none(values: list[float | None]) -> list[float | None] | None:
    """A row of numbers, or None where all of them are None."""
    return None if all(value is None for value in values) else values
