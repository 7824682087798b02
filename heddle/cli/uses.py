"""Commands that use a trained model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import httpx
from rich.console import RenderableType

from heddle.cli.option_types import FileOfKind, Numbers, suffixes
from heddle.cli.options import Command, json_option, run_argument, url_option
from heddle.cli.output.terminal import print_document
from heddle.cli.output.uses import anomaly_table, codes_table, neighbours_table
from heddle.cli.work import kind_of
from heddle.client.client import connect
from heddle.client.uses import Kind

Out = tuple[Path, Kind] | None


def _out(*kinds: Kind, default: str = "") -> Callable[[Command], Command]:
    absent = f"; {default} if absent" if default else ""
    help = f"The file to write, {suffixes(kinds)}{absent}."
    return click.option("--out", metavar="FILE", type=FileOfKind(*kinds), help=help)


_files = click.argument(
    "files", nargs=-1, metavar="[FILE]...", type=click.Path(dir_okay=False, path_type=Path)
)
_index = click.option(
    "--index",
    metavar="N",
    multiple=True,
    type=click.IntRange(min=0),
    help="An image of the data set; may be repeated.",
)
_resize = click.option("--resize", is_flag=True, help="Bring images to the model's size.")
_scale = click.option(
    "--scale",
    default=1,
    show_default=True,
    type=click.IntRange(1, 16),
    help="Width and height with which each pixel is drawn.",
)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    click.echo(path)


def _give(
    answer: httpx.Response, out: Out, as_json: bool, draw: Callable[[], RenderableType]
) -> None:
    """Write the answer to the file `--out` and print its name, or print the answer."""
    if out is not None:
        _write(out[0], answer.content)
    else:
        print_document(answer.content, as_json, draw)


def _picture(
    run_id: str,
    use: str,
    document: dict[str, Any],
    *,
    out: Out,
    default: str,
    scale: int,
    as_json: bool,
    url: str | None,
) -> None:
    """Write a picture to the file `--out` and print its name, or print the document."""
    kind_of(run_id, "run")
    path, kind = out or (Path(default), "png")
    if as_json:
        kind = "json"
    given = {name: value for name, value in document.items() if value is not None}
    with connect(url) as client:
        answer = client.run(run_id).use(use, given, kind=kind, scale=scale)
    if as_json and out is None:
        click.echo(answer.content)
    else:
        _write(path, answer.content)


@click.command()
@run_argument
@click.option(
    "--latents",
    metavar="NUMBERS",
    type=Numbers(float),
    multiple=True,
    required=True,
    help="One number a latent, as in 0,0,1.5; repeat it for several images.",
)
@_out("png", "npz", "json", default="decoded.png")
@_scale
@json_option
@url_option
def decode(run_id: str, latents: tuple[list[float], ...], **common: Any) -> None:
    """Decode latents: to an image, or several to a mosaic.

    Example: heddle decode run_01jd3k --latents 0,0,1.5 --out img.png
    """
    _picture(run_id, "decode", {"latents": list(latents)}, default="decoded.png", **common)


@click.command()
@run_argument
@click.option("--count", default=16, show_default=True, type=click.IntRange(1, 256))
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0))
@_out("png", "npz", "json", default="samples.png")
@_scale
@json_option
@url_option
def generate(run_id: str, count: int, seed: int, **common: Any) -> None:
    """Generate images: decode samples of the prior.

    Example: heddle generate run_01jd3k --count 16 --out samples.png
    """
    _picture(run_id, "generate", {"count": count, "seed": seed}, default="samples.png", **common)


@click.command()
@run_argument
@click.argument("a", type=click.IntRange(min=0))
@click.argument("b", type=click.IntRange(min=0))
@click.option(
    "--factor", metavar="NAME", help="Exchange the latent with most information about it."
)
@click.option("--latents", metavar="NUMBERS", type=Numbers(int), help="Exchange these, as in 0,3.")
@_out("png", "npz", "json", default="swap.png")
@_scale
@json_option
@url_option
def swap(
    run_id: str, a: int, b: int, factor: str | None, latents: list[int] | None, **common: Any
) -> None:
    """Exchange a factor, or latents, between the images A and B of the data set.

    The picture has a, b, a with b's, and b with a's.

    Example: heddle swap run_01jd3k 3 17 --factor posX
    """
    if (factor is None) == (latents is None):
        raise click.UsageError("Expected either --factor or --latents")
    document = {"a": a, "b": b, "factor": factor, "latents": latents}
    _picture(run_id, "swap", document, default="swap.png", **common)


@click.command()
@run_argument
@click.argument("a", type=click.IntRange(min=0))
@click.argument("b", type=click.IntRange(min=0))
@click.option("--frames", default=11, show_default=True, type=click.IntRange(2, 100))
@click.option(
    "--path",
    default="linear",
    show_default=True,
    type=click.Choice(["linear", "spherical"]),
    help="spherical turns the direction evenly, and so keeps the norms.",
)
@_out("png", "gif", "npz", "json", default="interpolation.png")
@_scale
@json_option
@url_option
def interpolate(run_id: str, a: int, b: int, frames: int, path: str, **common: Any) -> None:
    """Decode the way from the code of image A to that of image B: a strip, or a film.

    Example: heddle interpolate run_01jd3k 3 17 --out film.gif
    """
    document = {"a": a, "b": b, "frames": frames, "path": path}
    _picture(run_id, "interpolate", document, default="interpolation.png", **common)


@click.command()
@run_argument
@_files
@_index
@_resize
@_out("json", "npz")
@json_option
@url_option
def encode(
    run_id: str,
    files: tuple[Path, ...],
    index: tuple[int, ...],
    resize: bool,
    out: Out,
    as_json: bool,
    url: str | None,
) -> None:
    """Show the codes of images: of your files, or of the data set by --index.

    A FILE is a PNG or JPEG image, or an npz with the array images.

    Example: heddle encode run_01jd3k a.png b.png
    """
    kind_of(run_id, "run")
    kind: Kind = "json" if as_json or out is None else out[1]
    with connect(url) as client:
        answer = client.run(run_id).use_on("encode", files, index=index, kind=kind, resize=resize)
    _give(answer, out, as_json, lambda: codes_table(_labels(files, index), answer.json()["items"]))


@click.command()
@run_argument
@_files
@_index
@click.option(
    "--samples",
    default=1,
    show_default=True,
    type=click.IntRange(1, 64),
    help="Posterior samples over which an image's ELBO is averaged.",
)
@_resize
@_out("json")
@json_option
@url_option
def anomaly(
    run_id: str,
    files: tuple[Path, ...],
    index: tuple[int, ...],
    samples: int,
    resize: bool,
    out: Out,
    as_json: bool,
    url: str | None,
) -> None:
    """Judge how unlike the training data images are: a low percentile is anomalous.

    The percentile is the share of the training data whose evidence lower bound is no higher than
    the image's.
    A FILE is a PNG or JPEG image, or an npz with the array images.

    Example: heddle anomaly run_01jd3k strange.png
    """
    kind_of(run_id, "run")
    with connect(url) as client:
        answer = client.run(run_id).use_on(
            "anomaly", files, index=index, samples=samples, resize=resize
        )
    _give(answer, out, as_json, lambda: anomaly_table(_labels(files, index), answer.json()))


@click.command()
@run_argument
@click.option("--index", metavar="N", type=click.IntRange(min=0), help="An image of the data set.")
@click.option("--latents", metavar="NUMBERS", type=Numbers(float), help="A code.")
@click.option(
    "--file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A PNG or JPEG image of yours.",
)
@click.option("--count", default=10, show_default=True, type=click.IntRange(1, 256))
@click.option(
    "--distance",
    default="euclidean",
    show_default=True,
    type=click.Choice(["euclidean", "standardised"]),
    help="standardised: each latent in units of the codes' deviation.",
)
@_scale
@_resize
@_out("png", "json")
@json_option
@url_option
def neighbours(
    run_id: str,
    index: int | None,
    latents: list[float] | None,
    file: Path | None,
    count: int,
    distance: str,
    scale: int,
    resize: bool,
    out: Out,
    as_json: bool,
    url: str | None,
) -> None:
    """Find the images whose codes are nearest, among those the run was scored on.

    Example: heddle neighbours run_01jd3k --index 5 --out nearest.png
    """
    kind_of(run_id, "run")
    if sum(given is not None for given in (index, latents, file)) != 1:
        raise click.UsageError("Expected one of --index, --latents and --file")
    kind: Kind = "json" if as_json or out is None else out[1]
    asked = {"index": index, "latents": latents, "count": count, "distance": distance}
    with connect(url) as client:
        answer = client.run(run_id).use(
            "neighbours",
            {name: value for name, value in asked.items() if value is not None},
            files=() if file is None else (file,),
            kind=kind,
            scale=scale,
            resize=resize,
        )
    _give(answer, out, as_json, lambda: neighbours_table(answer.json()["items"]))


def _labels(files: tuple[Path, ...], index: tuple[int, ...]) -> list[str]:
    return [str(path) for path in files] + [f"image {number}" for number in index]


COMMANDS = (decode, encode, generate, anomaly, neighbours, swap, interpolate)
