"""What a trained model is used for: decode, encode, generate, judge, compare, mix."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import httpx

from heddle.client.connection import Connection
from heddle.errors import SpecError

Kind = Literal["png", "json", "npz", "gif"]
Distance = Literal["euclidean", "standardised"]

MEDIA_TYPES: dict[Kind, str] = {
    "png": "image/png",
    "json": "application/json",
    "npz": "application/x-npz",
    "gif": "image/gif",
}


class Uses:
    """What may be asked of a run's model once it is trained; what is not raises `HeddleError`.

    Pictures come as the bytes of a file: a PNG, or with `kind` an npz (`images` as float32, which
    `numpy.load(io.BytesIO(...))` reads), JSON, and where it is told a GIF. `scale` draws each pixel
    as so many by so many. Images of the data set are named by their index.
    """

    _client: Connection

    @property
    def id(self) -> str:
        raise NotImplementedError

    def use(
        self,
        name: str,
        document: Any = None,
        *,
        files: Sequence[str | Path] = (),
        kind: Kind = "json",
        **params: Any,
    ) -> httpx.Response:
        """The API's answer to a use by its name (`decode`, …), of a document, files or both.

        `kind` is what it comes as, and `params` go into the query.

        Raises:
            HeddleError: what the server answered, when it is not a success: 409 for a run that is
                not trained yet, 422 for what its model does not take.
            SpecError: a file cannot be read.
            ServerUnreachable: when there is no answer.
        """
        parts: list[tuple[str, tuple[str | None, bytes]]] = [
            ("file", (Path(path).name, _read(Path(path)))) for path in files
        ]
        if files and document is not None:
            parts.append(("spec", (None, json.dumps(document).encode())))
        return self._client.post(
            f"/v1/runs/{self.id}/{name}",
            document,
            files=parts,
            accept=MEDIA_TYPES[kind],
            **params,
        )

    def use_on(
        self,
        name: str,
        files: Sequence[str | Path],
        *,
        index: Sequence[int] = (),
        kind: Kind = "json",
        **params: Any,
    ) -> httpx.Response:
        """The API's answer to a use of images: either of files or of the data set, by index."""
        if bool(files) == bool(index):
            got = f"{len(files)} files and {len(index)} indices"
            raise SpecError(f"Got {got}, expected either files or indices of images")
        document = {"index": list(index)} if index else None
        return self.use(name, document, files=files, kind=kind, **params)

    def decode(
        self, latents: Sequence[Sequence[float]], *, kind: Kind = "png", scale: int = 1
    ) -> bytes:
        """Images of latents, a row an image; of several a mosaic."""
        return self.use("decode", {"latents": latents}, kind=kind, scale=scale).content

    def encode(
        self, *files: str | Path, index: Sequence[int] = (), resize: bool = False
    ) -> list[dict[str, Any]]:
        """`mean` (the code), `log_variance` and `kl` of each image: of files, or of the data set.

        A file is a PNG or JPEG, or an npz with the array `images`. `resize` brings images to the
        model's size, which are refused otherwise.
        """
        answer = self.use_on("encode", files, index=index, resize=resize)
        return list(answer.json()["items"])

    def generate(
        self, count: int = 16, *, seed: int = 0, kind: Kind = "png", scale: int = 1
    ) -> bytes:
        """Images of the prior; the same seed gives the same ones."""
        document = {"count": count, "seed": seed}
        return self.use("generate", document, kind=kind, scale=scale).content

    def anomaly(
        self,
        *files: str | Path,
        index: Sequence[int] = (),
        samples: int = 1,
        resize: bool = False,
    ) -> list[dict[str, Any]]:
        """`elbo`, `reconstruction`, `kl` in nats and `percentile` of each image; as `encode` takes.

        The percentile is the share of the training data whose ELBO is at or below it: low is
        anomalous. The ELBO is averaged over `samples`.
        """
        answer = self.use_on("anomaly", files, index=index, samples=samples, resize=resize)
        return list(answer.json()["items"])

    def neighbours(
        self,
        index: int | None = None,
        *,
        latents: Sequence[float] | None = None,
        file: str | Path | None = None,
        count: int = 10,
        distance: Distance = "euclidean",
    ) -> list[dict[str, Any]]:
        """`index`, `distance` and `factors` of the images whose codes are nearest, nearest first.

        To that of an image of the data set, to a code, or to that of a file's image.
        """
        of = {"index": index, "latents": latents, "count": count, "distance": distance}
        document = {name: value for name, value in of.items() if value is not None}
        answer = self.use("neighbours", document, files=() if file is None else (file,))
        return list(answer.json()["items"])

    def distances(
        self, index: Sequence[int], *, distance: Distance = "euclidean"
    ) -> list[list[float]]:
        """The matrix of distances between the codes of images of the data set."""
        answer = self.use("distances", {"index": list(index), "distance": distance})
        return list(answer.json()["distances"])

    def swap(
        self,
        a: int,
        b: int,
        *,
        factor: str | None = None,
        latents: Sequence[int] | None = None,
        kind: Kind = "png",
        scale: int = 1,
    ) -> bytes:
        """Four images: a, b, a with b's, b with a's, a factor or latents being exchanged.

        Of a factor it is the latent that tells most about it.
        """
        of = {"factor": factor, "latents": latents}
        document = {name: value for name, value in of.items() if value is not None}
        return self.use("swap", {"a": a, "b": b, **document}, kind=kind, scale=scale).content

    def interpolate(
        self,
        a: int,
        b: int,
        *,
        frames: int = 11,
        path: Literal["linear", "spherical"] = "linear",
        kind: Kind = "png",
        scale: int = 1,
    ) -> bytes:
        """Images on the way from the code of a to that of b, both included; also as a GIF."""
        document = {"a": a, "b": b, "frames": frames, "path": path}
        return self.use("interpolate", document, kind=kind, scale=scale).content


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SpecError(f"Cannot read the file {path}", detail=str(error)) from error
