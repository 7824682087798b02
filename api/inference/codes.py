"""The codes for a request: of images, of the evaluation's rows, and with exchanged latents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from api.http.body import read_json
from api.http.form import below
from api.inference.bodies import (
    Neighbours,
    NeighboursOfFile,
    Swap,
    check_indices,
    codes_of,
    exactly_one,
)
from api.inference.images import PART, SPEC, SentImages
from api.state.trained import Trained
from ml.codes.rows import ConstantFactor
from ml.components.registry import nearest
from ml.components.spec_errors import MOST_FAULTS, Fault, InvalidSpec, parsed
from ml.datasets.dataset import in_unit_range
from ml.evaluation.encode import encode_images
from ml.inference.latent_swap import most_telling
from ml.inference.neighbours import Distance, deviations, distances, nearest_rows


@dataclass(frozen=True)
class Query:
    """The code whose neighbours are wanted."""

    wanted: NeighboursOfFile
    code: np.ndarray
    """The code as an array (1, latents)."""
    image: np.ndarray | None
    """Its image as an array (1, height, width, channels). None where the code itself was sent."""


@dataclass(frozen=True)
class Neighbourhood:
    """The rows of the evaluation that are nearest to a code, the nearest first."""

    index: np.ndarray
    """The rows' indices in the data set."""
    distances: np.ndarray


def query_of(found: Trained, sent: SentImages, *, resize: bool) -> Query:
    """The code whose neighbours a request asks for.

    Raises:
        BadRequest: 400 for a body that is not JSON.
        InvalidSpec: with the request's faults.
    """
    if sent.files is not None:
        try:
            asked = parsed(NeighboursOfFile, read_json(sent.json, "The part spec"))
        except InvalidSpec as error:
            raise InvalidSpec(below(SPEC, error.faults)) from None
        images = sent.images(found, resize=resize)
        if len(images) > 1:
            raise InvalidSpec([Fault(PART, f"{len(images)} images", "one image")])
        return Query(asked, encode_images(found.model, images).mean, images)
    wanted = parsed(Neighbours, read_json(sent.json))
    exactly_one(wanted, "index", "latents")
    if wanted.latents is not None:
        latents = found.model.spec.model.latent_dim
        return Query(wanted, codes_of({"latents": wanted.latents}, latents), None)
    assert wanted.index is not None
    check_indices(found.data, {"index": wanted.index})
    seen = in_unit_range(found.data, np.array([wanted.index]))
    return Query(wanted, codes_at(found, [wanted.index]), seen)


def nearest_to(found: Trained, query: Query) -> Neighbourhood:
    """The nearest rows, as many as the query asks for."""
    index, codes = _rows(found)
    [far] = distances(query.code, codes, units=_units(codes, query.wanted.distance))
    rows = nearest_rows(far, query.wanted.count)
    return Neighbourhood(index[rows], far[rows])


def distances_among(found: Trained, index: Sequence[int], distance: Distance) -> np.ndarray:
    """The distances between the codes of images of the data set, as an array (images, images)."""
    codes = codes_at(found, index)
    return distances(codes, codes, units=_units(_rows(found)[1], distance))


def _units(rows: np.ndarray, distance: Distance) -> np.ndarray | None:
    """The unit of each latent in distances between codes. None for the latents as they are."""
    return deviations(rows) if distance == "standardised" else None


def _rows(found: Trained) -> tuple[np.ndarray, np.ndarray]:
    """The indices of the evaluation's images, each once, and the images' codes."""
    encoded = found.material.encoded
    index, first = np.unique(encoded.index, return_index=True)
    return index, encoded.mean[first]


def codes_at(found: Trained, index: Sequence[int]) -> np.ndarray:
    """The codes of images of the data set, as an array (images, latents).

    The code of an image among the evaluation's rows equals the row's code to the last bit.
    """
    wanted, (rows, known) = np.array(index), _rows(found)
    codes = encode_images(found.model, in_unit_range(found.data, wanted)).mean
    place = np.searchsorted(rows, wanted).clip(max=len(rows) - 1)
    among = rows[place] == wanted
    codes[among] = known[place[among]]
    return codes


def exchanged(found: Trained, wanted: Swap) -> tuple[list[int], float | None]:
    """The latents that a swap exchanges, and how much its latent explains of a given factor.

    Raises:
        InvalidSpec: there is no such latent or factor, or the factor is constant.
    """
    if wanted.latents is not None:
        return _known_latents(found, wanted.latents), None
    assert wanted.factor is not None
    names = found.material.factor_names
    if wanted.factor not in names:
        known = ", ".join(names) or "none, as the data set has no factors"
        hint = nearest(wanted.factor, names)
        raise InvalidSpec([Fault("factor", wanted.factor, f"a factor ({known})", hint)])
    encoded = found.material.encoded
    column = names.index(wanted.factor)
    values, kind = encoded.factors[:, column], found.material.factor_kinds[column]
    try:
        latent, share = most_telling(encoded.mean, values, wanted.factor, kind)
    except ConstantFactor:
        expected = "a factor of several values, or latents"
        raise InvalidSpec([Fault("factor", wanted.factor, expected)]) from None
    return [latent], share


def _known_latents(found: Trained, latents: list[int]) -> list[int]:
    dim = found.model.spec.model.latent_dim
    beyond = [
        Fault(f"latents[{place}]", latent, f"0 to {dim - 1}, a latent of the model")
        for place, latent in enumerate(latents)
        if latent >= dim
    ]
    if beyond:
        raise InvalidSpec(beyond[:MOST_FAULTS])
    return latents
