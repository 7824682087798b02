"""The uses of a trained model: decode, encode, generate, judge, compare, mix."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response

from api.http.body import JsonBody
from api.http.negotiation import best_match
from api.inference.bodies import (
    IMAGES_BODY,
    NEIGHBOURS_BODY,
    Decoding,
    Distances,
    Generation,
    Interpolation,
    Swap,
    check_indices,
    check_samples,
    codes_of,
    exactly_one,
    request_body,
)
from api.inference.codes import codes_at, distances_among, exchanged, nearest_to, query_of
from api.inference.image_answers import (
    FILM,
    NUMBERS,
    PICTURE,
    TYPES,
    Kind,
    answer,
    check_size,
)
from api.inference.images import Sent, SentWithSpec
from api.inference.number_answers import (
    anomaly_answer,
    codes_answer,
    neighbours_answer,
    npz,
    numbers,
)
from api.openapi import USES_A_MODEL
from api.state.context import TrainedInLane
from ml.components.spec_errors import parsed
from ml.datasets.dataset import in_unit_range
from ml.evaluation.encode import encode_images
from ml.inference.anomaly import judge, reference
from ml.inference.generation import generated
from ml.inference.interpolation import interpolate as way_between
from ml.inference.latent_swap import swapped

router = APIRouter(prefix="/v1/runs", tags=["uses"])

Scale = Annotated[
    int, Query(ge=1, le=16, description="In a picture, each pixel becomes a square of this side.")
]
Resize = Annotated[
    bool,
    Query(description="Resize images to the model's size. Without it, other sizes are refused."),
]
Samples = Annotated[
    int, Query(ge=1, le=64, description="Posterior samples over which each ELBO is averaged.")
]


def _as(offered: dict[Kind, str], body: dict[str, Any]) -> dict[str, Any]:
    """The OpenAPI part of a route that takes this body and answers with these media types."""
    binary = {"schema": {"type": "string", "contentMediaType": "application/octet-stream"}}
    as_json = {"schema": {"type": "object"}}
    content = {media: as_json if kind == "json" else binary for kind, media in offered.items()}
    ok = {"description": "The Accept header chooses; the first is the default.", "content": content}
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
    """Decode latents. Several images make a mosaic, filled row after row.

    In JSON, `images` are pixel means in [0, 1], rounded to four decimals, with the axes samples,
    height, width, and channels where there are several. In an npz they are float32.
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

    Send image files, or the `index` of images of the data set. For an encoder without noise,
    `log_variance` and `kl` are null. In an npz all three are arrays (samples, latents).
    """
    kind = best_match(request, NUMBERS)
    encoding = encode_images(found.model, sent.images(found, resize=resize))
    return codes_answer(encoding, as_npz=kind == "npz")


@router.post(
    "/{id}/generate",
    operation_id="create_samples",
    **_as(PICTURE, request_body(Generation, {"count": 16, "seed": 0})),
)
def generate(body: JsonBody, found: TrainedInLane, request: Request, scale: Scale = 1) -> Response:
    """Generate images: decode samples of the prior, N(0, I).

    A model without noise has no prior. Its samples come from a Gaussian with the mean and
    covariance of its codes, and `source` is `codes` instead of `prior`. The same seed gives the
    same images. JSON and npz hold the `latents` as well.
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
        details={"source": source},
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

    `elbo` = -(`reconstruction` + `kl`) in nats, averaged over `samples` posterior samples. The same
    image gets the same noise every time. `percentile` compares it with the evaluation's rows, which
    were drawn from the training data: it is the percentage of rows whose ELBO (of one sample) is at
    or below the image's. A low percentile is anomalous. A model without noise has no ELBO and no
    KL. Its percentile is that of -reconstruction.
    """
    best_match(request, JSON_ONLY)
    images = sent.images(found, resize=resize)
    check_samples(samples, len(images))
    judged = judge(found.model, images, samples=samples)
    return anomaly_answer(judged, reference(found.material.encoded).likeness)


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
    """Find the images of the evaluation's rows whose codes are nearest to a code.

    The code is that of an image of the data set (`index`), that of a `file` of yours (in a form,
    with the other fields in the part `spec`), or given as `latents`. The nearest come first. An
    image that is among the rows is its own nearest. A picture shows the query on the left. For
    `latents` it shows their decoded image there.
    """
    kind = best_match(request, JSON_OR_PNG)
    query = query_of(found, sent, resize=resize)
    check_size(kind, found.model, query.wanted.count + 1, scale)
    near = nearest_to(found, query)
    if kind == "json":
        return neighbours_answer(found, near, query.wanted.distance)
    shown = found.model.decode(query.code) if query.image is None else query.image
    images = np.concatenate([shown, in_unit_range(found.data, near.index)])
    return answer(kind, images, scale=scale, columns=len(images))


@router.post(
    "/{id}/distances",
    operation_id="get_distances",
    **_as(NUMBERS, request_body(Distances, {"index": [0, 5, 7]})),
)
def distances(body: JsonBody, found: TrainedInLane, request: Request) -> Response:
    """Measure the distances between the codes of images of the data set, as a matrix."""
    kind = best_match(request, NUMBERS)
    wanted = parsed(Distances, body)
    check_indices(found.data, {"index": wanted.index})
    matrix = distances_among(found, wanted.index, wanted.distance)
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

    For a `factor`, the exchanged latent is the one that shares the most mutual information with it.
    JSON gives this information, as a share of the factor's entropy, in `share`.
    """
    kind = best_match(request, PICTURE)
    wanted = parsed(Swap, body)
    exactly_one(wanted, "factor", "latents")
    check_indices(found.data, {"a": wanted.a, "b": wanted.b})
    check_size(kind, found.model, 4, scale)
    latents, share = exchanged(found, wanted)
    a, b = codes_at(found, [wanted.a, wanted.b])
    codes = swapped(a, b, latents)
    return answer(
        kind,
        found.model.decode(codes),
        scale=scale,
        columns=4,
        arrays={"codes": codes},
        details={"factor": wanted.factor, "latents": latents, "share": share},
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

    The path `spherical` turns the direction evenly and changes the norm linearly. Where the two
    directions are the same or opposite, it is the straight line. The film goes there and back. JSON
    and npz hold the `latents` as well.
    """
    kind = best_match(request, FILM)
    wanted = parsed(Interpolation, body)
    check_indices(found.data, {"a": wanted.a, "b": wanted.b})
    check_size(kind, found.model, wanted.frames, scale)
    a, b = codes_at(found, [wanted.a, wanted.b])
    latents = way_between(a, b, wanted.frames, wanted.path)
    return answer(
        kind,
        found.model.decode(latents),
        scale=scale,
        columns=wanted.frames,
        arrays={"latents": latents},
        details={"path": wanted.path},
    )
