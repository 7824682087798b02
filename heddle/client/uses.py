"""Uses of a trained model: decode, encode, generate, find anomalies, compare, interpolate."""

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
    """Uses of a run's model once it is trained. Before that they raise `HeddleError`.

    Pictures come as the bytes of a file, which `kind` chooses: a PNG, an npz (`images` as float32,
    which `numpy.load(io.BytesIO(...))` reads), JSON, or where the method says so a GIF. `scale` is
    the height and width with which each pixel is drawn. Images of the data set are given by their
    index.
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
        """Use the model by a name of the API (`decode`, …) on a document, files or both.

        `kind` is the kind of file in which the answer comes. `params` go into the query.

        Raises:
            HeddleError: the server's answer is not a success: 409 for a run that is not trained
                yet, 422 for what its model does not take.
            SpecError: a file cannot be read.
            ServerUnreachable: there is no answer.
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
        """Use the model on images: either those of files, or those of the data set by `index`."""
        if bool(files) == bool(index):
            got = f"{len(files)} files and {len(index)} indices"
            raise SpecError(f"Got {got}, expected either files or indices of images")
        document = {"index": list(index)} if index else None
        return self.use(name, document, files=files, kind=kind, **params)

    def decode(
        self, latents: Sequence[Sequence[float]], *, kind: Kind = "png", scale: int = 1
    ) -> bytes:
        """Decode latents, one row an image. Several images come as a mosaic."""
        return self.use("decode", {"latents": latents}, kind=kind, scale=scale).content

    def encode(
        self, *files: str | Path, index: Sequence[int] = (), resize: bool = False
    ) -> list[dict[str, Any]]:
        """Return `mean` (the code), `log_variance` and `kl` of each image.

        The images are those of files or of the data set. A file is a PNG or JPEG, or an npz with
        the array `images`. With `resize` images are brought to the model's size. Without it, images
        of another size are refused.
        """
        answer = self.use_on("encode", files, index=index, resize=resize)
        return list(answer.json()["items"])

    def generate(
        self, count: int = 16, *, seed: int = 0, kind: Kind = "png", scale: int = 1
    ) -> bytes:
        """Decode samples of the prior. The same seed gives the same images."""
        document = {"count": count, "seed": seed}
        return self.use("generate", document, kind=kind, scale=scale).content

    def anomaly(
        self,
        *files: str | Path,
        index: Sequence[int] = (),
        samples: int = 1,
        resize: bool = False,
    ) -> list[dict[str, Any]]:
        """Return `elbo`, `reconstruction`, `kl` in nats and `percentile` of each image.

        Images are given as for `encode`. The percentile is the share of the training data whose
        ELBO is not above the image's: low is anomalous. The ELBO is averaged over `samples`.
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
        """Return `index`, `distance` and `factors` of the images of nearest codes, in order.

        They are near the code of an image of the data set (`index`), the code `latents`, or the
        code of an image in a file.
        """
        of = {"index": index, "latents": latents, "count": count, "distance": distance}
        document = {name: value for name, value in of.items() if value is not None}
        answer = self.use("neighbours", document, files=() if file is None else (file,))
        return list(answer.json()["items"])

    def distances(
        self, index: Sequence[int], *, distance: Distance = "euclidean"
    ) -> list[list[float]]:
        """Return the matrix of distances between the codes of images of the data set."""
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
        """Exchange a factor or latents between two images: a, b, a with b's, b with a's.

        For a factor, the latent that has most information about it is exchanged.
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
        """Decode the way from the code of a to that of b, both included. It also comes as a GIF."""
        document = {"a": a, "b": b, "frames": frames, "path": path}
        return self.use("interpolate", document, kind=kind, scale=scale).content


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SpecError(f"Cannot read the file {path}", detail=str(error)) from error
