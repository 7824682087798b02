"""What a trained model is used for: decode, encode, generate, judge, compare, mix."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response

from api.http.body import JsonBody, read_json
from api.http.form import below
from api.http.negotiation import best_match
from api.inference.bodies import (
    IMAGES_BODY,
    NEIGHBOURS_BODY,
    Decoding,
    Distances,
    Generation,
    Interpolation,
    Neighbours,
    NeighboursOfFile,
    Swap,
    check_indices,
    codes_of,
    exactly_one,
    request_body,
)
from api.inference.image_answers import (
    FILM,
    NUMBERS,
    PICTURE,
    TYPES,
    Kind,
    answer,
    check_size,
    npz,
    numbers,
)
from api.inference.images import PART, SPEC, Sent, SentImages, SentWithSpec
from api.openapi import USES_A_MODEL
from api.state.context import TrainedInLane
from api.state.trained import Trained
from ml.codes.rows import ConstantFactor
from ml.components.registry import nearest
from ml.components.spec_errors import Fault, InvalidSpec, parsed
from ml.datasets.unit_range import in_unit_range
from ml.evaluation.encode_images import encode_images
from ml.inference.anomaly import judge, percentiles, reference
from ml.inference.generation import generated
from ml.inference.interpolation import interpolate as way_between
from ml.inference.latent_swap import most_telling, swapped
from ml.inference.neighbours import deviations, nearest_rows
from ml.inference.neighbours import distances as distances_between

router = APIRouter(prefix="/v1/runs", tags=["uses"])

MOST_DRAWN = 8192
"""Posterior samples that one request may have decoded."""

Scale = Annotated[
    int, Query(ge=1, le=16, description="Each pixel becomes so many by so many, in a picture.")
]
Resize = Annotated[
    bool, Query(description="Bring images to the model's size, which are refused otherwise.")
]
Samples = Annotated[
    int, Query(ge=1, le=64, description="Posterior samples over which an image's ELBO is averaged.")
]


def _as(offered: dict[Kind, str], body: dict[str, Any]) -> dict[str, Any]:
    """What OpenAPI is told of a route that takes this body and answers these media types."""
    binary = {"schema": {"type": "string", "contentMediaType": "application/octet-stream"}}
    as_json = {"schema": {"type": "object"}}
    content = {media: as_json if kind == "json" else binary for kind, media in offered.items()}
    ok = {"description": "By the Accept header, the first by default.", "content": content}
    return {
        "response_class": Response,
        "responses": USES_A_MODEL | {200: ok},
        "openapi_extra": {"requestBody": body},
    }


JSON_ONLY: dict[Kind, str] = {"json": TYPES["json"]}
JSON_OR_PNG: dict[Kind, str] = {"json": TYPES["json"], "png": TYPES["png"]}


@router.post(
    "/{id}/decode",
    operation_id="create_decoded_images",
    **_as(PICTURE, request_body(Decoding, {"latents": [[0, 0, 1.5], [0, 0, -1.5]]})),
)
def decode(body: JsonBody, found: TrainedInLane, request: Request, scale: Scale = 1) -> Response:
    """Decode latents: one image as itself, several as a mosaic, row after row.

    In JSON `images` (samples, height, width, and channels where there are several) are pixel means
    in [0, 1], rounded to four decimals; in an npz they are float32.
    """
    kind = best_match(request, PICTURE)
    wanted = parsed(Decoding, body).latents
    given = {f"latents[{row}]": code for row, code in enumerate(wanted)}
    latents = codes_of(given, found.model.spec.model.latent_dim)
    check_size(kind, found.model, len(latents), scale)
    return answer(kind, found.model.decode(latents), scale=scale)


@router.post("/{id}/encode", operation_id="create_codes", **_as(NUMBERS, IMAGES_BODY))
def encode(sent: Sent, found: TrainedInLane, request: Request, resize: Resize = False) -> Response:
    """Encode images: `mean` (the code), `log_variance` and `kl` in nats, of each latent.

    Of files of yours, or of images of the data set by `index`. An encoder without noise has null in
    place of variance and KL. In an npz they are arrays (samples, latents).
    """
    kind = best_match(request, NUMBERS)
    encoding = encode_images(found.model, sent.images(found, resize=resize))
    arrays = {
        "mean": encoding.mean,
        "log_variance": encoding.log_variance,
        "kl": encoding.kl,
    }
    if kind == "npz":
        return npz(arrays)
    rows = zip(*map(numbers, arrays.values()), strict=True)
    items = [
        {name: _none_if_none(value) for name, value in zip(arrays, row, strict=True)}
        for row in rows
    ]
    return JSONResponse({"items": items})


@router.post(
    "/{id}/generate",
    operation_id="create_samples",
    **_as(PICTURE, request_body(Generation, {"count": 16, "seed": 0})),
)
def generate(body: JsonBody, found: TrainedInLane, request: Request, scale: Scale = 1) -> Response:
    """Make up images: decode samples of the prior, N(0, I).

    A model without noise has no prior; its samples are of a Gaussian with the mean and covariance
    of its codes, and `source` says `codes` in place of `prior`. The same seed gives the same
    images. JSON and npz have the `latents` as well.
    """
    kind = best_match(request, PICTURE)
    wanted = parsed(Generation, body)
    check_size(kind, found.model, wanted.count, scale)
    latents, source = generated(found.material.encoded, wanted.count, wanted.seed)
    return answer(
        kind,
        found.model.decode(latents),
        scale=scale,
        arrays={"latents": latents},
        told={"source": source},
    )


@router.post("/{id}/anomaly", operation_id="create_anomaly_scores", **_as(JSON_ONLY, IMAGES_BODY))
def anomaly(
    sent: Sent,
    found: TrainedInLane,
    request: Request,
    samples: Samples = 1,
    resize: Resize = False,
) -> Response:
    """Judge how unlike the training data images are, by their evidence lower bound.

    `elbo` = -(`reconstruction` + `kl`) in nats, of one posterior sample or averaged over `samples`,
    with the same noise for the same image every time. `percentile` is the share, in percent, of the
    evaluation's rows, drawn from the training data, whose ELBO (of one sample) is at or below it:
    low is anomalous. A model without noise has no ELBO and no KL; there the percentile is that of
    -reconstruction.
    """
    best_match(request, JSON_ONLY)
    images = sent.images(found, resize=resize)
    if samples * len(images) > MOST_DRAWN:
        expected = f"at most {MOST_DRAWN // len(images)} for {len(images)} images"
        raise InvalidSpec([Fault("samples", samples, expected)])
    judged = judge(found.model, images, samples=samples)
    usual = reference(found.material.encoded).likeness
    columns = {
        "elbo": judged.elbo,
        "reconstruction": judged.reconstruction,
        "kl": judged.kl,
        "percentile": percentiles(judged.likeness, usual),
    }
    items = [
        {name: None if column is None else numbers(column[row]) for name, column in columns.items()}
        for row in range(len(images))
    ]
    source = "rows of the evaluation, drawn from the training data"
    return JSONResponse({"items": items, "reference": {"rows": len(usual), "source": source}})


@router.post(
    "/{id}/neighbours",
    operation_id="get_neighbours",
    **_as(JSON_OR_PNG, NEIGHBOURS_BODY),
)
def neighbours(
    sent: SentWithSpec,
    found: TrainedInLane,
    request: Request,
    scale: Scale = 1,
    resize: Resize = False,
) -> Response:
    """Find the images of the evaluation's rows whose codes are nearest to another's.

    To that of an image of the data set by `index`, of a `file` of yours (in a form, with the other
    fields in the part `spec`), or to `latents`. The nearest come first; an image that is among the
    rows is its own nearest. In a picture, the query (of latents, what they decode to) stands on the
    left.
    """
    kind = best_match(request, JSON_OR_PNG)
    index, codes = _rows(found)
    wanted, query, seen = _query(found, sent, resize=resize)
    check_size(kind, found.model, wanted.count + 1, scale)
    units = deviations(codes) if wanted.distance == "standardised" else None
    [far] = distances_between(query, codes, units=units)
    rows = nearest_rows(far, wanted.count)
    if kind == "png":
        shown = found.model.decode(query) if seen is None else seen
        images = np.concatenate([shown, in_unit_range(found.data, index[rows])])
        return answer(kind, images, scale=scale, columns=len(images))
    factors = found.data.factors(index[rows])
    names = found.material.factor_names
    items = [
        {
            "index": int(index[row]),
            "distance": float(far[row]),
            "factors": None
            if factors is None
            else dict(zip(names, factors[place].tolist(), strict=True)),
        }
        for place, row in enumerate(rows)
    ]
    return JSONResponse({"items": items, "distance": wanted.distance})


@router.post(
    "/{id}/distances",
    operation_id="get_distances",
    **_as(NUMBERS, request_body(Distances, {"index": [0, 5, 7]})),
)
def distances(body: JsonBody, found: TrainedInLane, request: Request) -> Response:
    """Measure the distances between the codes of images of the data set, a matrix."""
    kind = best_match(request, NUMBERS)
    wanted = parsed(Distances, body)
    check_indices(found.data, {"index": wanted.index})
    codes = _codes(found, wanted.index)
    units = deviations(_rows(found)[1]) if wanted.distance == "standardised" else None
    matrix = distances_between(codes, codes, units=units)
    if kind == "npz":
        return npz({"index": np.array(wanted.index), "distances": matrix})
    return JSONResponse(
        {"index": wanted.index, "distance": wanted.distance, "distances": numbers(matrix)}
    )


@router.post(
    "/{id}/swap",
    operation_id="create_swap",
    **_as(PICTURE, request_body(Swap, {"a": 0, "b": 5, "factor": "posX"})),
)
def swap(body: JsonBody, found: TrainedInLane, request: Request, scale: Scale = 1) -> Response:
    """Exchange a factor, or latents, between two images: a, b, a with b's, b with a's, decoded.

    Of a `factor`, the latent is exchanged that tells most about it: the largest mutual information
    as a share of the factor's entropy, which JSON gives as `share`.
    """
    kind = best_match(request, PICTURE)
    wanted = parsed(Swap, body)
    exactly_one(wanted, "factor", "latents")
    check_indices(found.data, {"a": wanted.a, "b": wanted.b})
    check_size(kind, found.model, 4, scale)
    latents, share = _exchanged(found, wanted)
    a, b = _codes(found, [wanted.a, wanted.b])
    codes = swapped(a, b, latents)
    return answer(
        kind,
        found.model.decode(codes),
        scale=scale,
        columns=4,
        arrays={"codes": codes},
        told={"factor": wanted.factor, "latents": latents, "share": share},
    )


@router.post(
    "/{id}/interpolate",
    operation_id="create_interpolation",
    **_as(FILM, request_body(Interpolation, {"a": 0, "b": 5, "frames": 11})),
)
def interpolate(
    body: JsonBody, found: TrainedInLane, request: Request, scale: Scale = 1
) -> Response:
    """Decode the way from the code of one image to that of another, as a strip or a film.

    `spherical` turns the direction evenly, and takes the norm from one to the other in a straight
    line; where the two directions are the same or opposite, it is the straight line. The film
    goes there and back. JSON and npz have the `latents` as well.
    """
    kind = best_match(request, FILM)
    wanted = parsed(Interpolation, body)
    check_indices(found.data, {"a": wanted.a, "b": wanted.b})
    check_size(kind, found.model, wanted.frames, scale)
    a, b = _codes(found, [wanted.a, wanted.b])
    latents = way_between(a, b, wanted.frames, wanted.path)
    return answer(
        kind,
        found.model.decode(latents),
        scale=scale,
        columns=wanted.frames,
        arrays={"latents": latents},
        told={"path": wanted.path},
    )


def _query(
    found: Trained, sent: SentImages, *, resize: bool
) -> tuple[NeighboursOfFile, np.ndarray, np.ndarray | None]:
    """What is asked for, the code (1, latents) that is asked of, and its image where it has one."""
    if sent.files is not None:
        try:
            asked = parsed(NeighboursOfFile, read_json(sent.json, "The part spec"))
        except InvalidSpec as error:
            raise InvalidSpec(below(SPEC, error.faults)) from None
        images = sent.images(found, resize=resize)
        if len(images) > 1:
            raise InvalidSpec([Fault(PART, f"{len(images)} images", "one image")])
        return asked, encode_images(found.model, images).mean, images
    wanted = parsed(Neighbours, read_json(sent.json))
    exactly_one(wanted, "index", "latents")
    if wanted.latents is not None:
        latents = found.model.spec.model.latent_dim
        return wanted, codes_of({"latents": wanted.latents}, latents), None
    assert wanted.index is not None
    check_indices(found.data, {"index": wanted.index})
    seen = in_unit_range(found.data, np.array([wanted.index]))
    return wanted, _codes(found, [wanted.index]), seen


def _rows(found: Trained) -> tuple[np.ndarray, np.ndarray]:
    """The evaluation's images, each once, and their codes."""
    encoded = found.material.encoded
    index, first = np.unique(encoded.index, return_index=True)
    return index, encoded.mean[first]


def _codes(found: Trained, index: list[int]) -> np.ndarray:
    """Codes (images, latents) of images of the data set.

    Of those among the evaluation's rows they are the rows' own, to the last bit.
    """
    wanted, (rows, known) = np.array(index), _rows(found)
    codes = encode_images(found.model, in_unit_range(found.data, wanted)).mean
    place = np.searchsorted(rows, wanted).clip(max=len(rows) - 1)
    among = rows[place] == wanted
    codes[among] = known[place[among]]
    return codes


def _exchanged(found: Trained, wanted: Swap) -> tuple[list[int], float | None]:
    """The latents that a swap exchanges; of a factor, how much its latent tells about it."""
    dim, names = found.model.spec.model.latent_dim, found.material.factor_names
    if wanted.latents is not None:
        beyond = [
            Fault(f"latents[{place}]", latent, f"0 to {dim - 1}, a latent of the model")
            for place, latent in enumerate(wanted.latents)
            if latent >= dim
        ]
        if beyond:
            raise InvalidSpec(beyond[:20])
        return wanted.latents, None
    assert wanted.factor is not None
    if wanted.factor not in names:
        known = ", ".join(names) or "none, as the data set has no factors"
        hint = nearest(wanted.factor, names)
        raise InvalidSpec([Fault("factor", wanted.factor, f"a factor ({known})", hint)])
    encoded = found.material.encoded
    values = encoded.factors[:, names.index(wanted.factor)]
    try:
        latent, share = most_telling(encoded.mean, values, wanted.factor)
    except ConstantFactor:
        expected = "a factor of several values, or latents"
        raise InvalidSpec([Fault("factor", wanted.factor, expected)]) from None
    return [latent], share


def _none_if_none(values: list[float | None]) -> list[float | None] | None:
    """A row of numbers; null where it has none at all."""
    return None if all(value is None for value in values) else values
