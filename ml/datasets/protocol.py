"""Datasets by name: their parameters, how they are opened, and where their files lie."""

from __future__ import annotations

import functools
import os
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PureWindowsPath
from typing import Annotated, Any, ClassVar, TypeAlias, cast

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from ml.components.component import Component
from ml.components.registry import find
from ml.components.spec_errors import Fault
from ml.datasets.choices import Choices, Known, Part, choose, unfit, why_incomplete
from ml.datasets.dataset import Dataset

Progress: TypeAlias = Callable[[int, int], None]
"""Called with (images done, images in all) while a dataset is prepared. It may raise to stop it."""


class MissingFile(FileNotFoundError):
    """A dataset's file is missing: the operator has yet to put it in the data folder."""

    def __init__(
        self,
        file: Path,
        *,
        size: str,
        published: str,
        sha256: str | None = None,
        md5: str | None = None,
        what: str = "file",
    ) -> None:
        self.file, self.size, self.published = file, size, published
        self.sha256, self.md5 = sha256, md5
        known = {"sha256": sha256, "md5": md5}
        checksum = ", ".join(f"{name} {value}" for name, value in known.items() if value)
        checksum = checksum or "checksum not known here"
        super().__init__(
            f"there is no {what} {file}. Put it there ({size}, {checksum}; the data folder is"
            f" {data_folder()}). It is published at {published}"
        )


class UnusableFile(ValueError):
    """A dataset's file exists but does not hold the data it should."""

    def __init__(self, file: Path, reason: str) -> None:
        self.file, self.reason = file, reason
        super().__init__(f"{file.name} cannot be used: {reason}")


class DatasetComponent(Choices, Component):
    """The parameters of a dataset, and how to open it.

    A dataset that is read from a file has the file's SHA-256 in place of its path in `identity`,
    since the same path may hold other data tomorrow.
    """

    kind: ClassVar[str] = "dataset"
    not_recoverable: ClassVar[Mapping[str, str]] = {}
    """Factors that no encoder can fully recover from an image, each with the reason."""
    splits: ClassVar[Mapping[str, Sequence[Mapping[str, Sequence[int]]]]] = {}
    """Published splits by name: the combinations of factor values that `without` holds out."""
    grid: ClassVar[bool | None] = None
    """What `complete_grid` says by default."""

    input_noise: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Adds Gaussian noise to what the encoder sees in training, with this standard deviation in
    units of a white pixel, clipped to [0, 1]. The decoder still has to make the image without the
    noise. Scores and pictures are of images without noise."""
    input_mask: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Hides this share of each image from the encoder in training: a black part of the image's
    proportions at a random place. The decoder still has to make the whole image. Scores and
    pictures are of whole images."""

    @field_validator("without", mode="before")
    @classmethod
    def _published_split(cls, given: object) -> object:
        if not isinstance(given, str):
            return given
        if given not in cls.splits:
            known = ", ".join(cls.splits) or "none, as this data set has no published split"
            raise ValueError(f"combinations of factor values, or a published split: {known}")
        return cls.splits[given]

    @property
    def known_as(self) -> str:
        """What people call the data set: by default the component's name."""
        return self.name

    @abstractmethod
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels, which are known before the data are opened."""

    @abstractmethod
    def read(self, progress: Progress | None = None) -> Dataset:
        """All images, which are prepared first if need be.

        Raises:
            MissingFile: the operator has yet to put a file in its place.
            UnusableFile: the file does not hold the data it should.
        """

    def identity(self) -> dict[str, Any]:
        """Parameters and version. Those of every data set count only if they are set.

        So a run from before such a parameter existed keeps its identity.
        """
        identity = super().identity()
        for name, default in _defaults().items():
            if getattr(self, name) == default:
                del identity[name]
        return identity

    def known_factors(self) -> Mapping[str, Known] | None:
        """The factors, if they are known before the data are opened, else None."""
        return None

    def unfit_choices(self) -> list[Fault]:
        """The choices that cannot fit, as far as the factors are known before opening."""
        factors = self.known_factors()
        return [] if factors is None else unfit(self, factors)

    def complete_grid(self) -> bool | None:
        """Whether all images together are every combination of the factors' values, once each.

        None means that this is known only when the data are opened.
        """
        return self.grid

    def no_population(self, part: Part) -> str | None:
        """Why the images of a part are no complete grid, as far as that is known before opening."""
        whole = self.complete_grid()
        if whole is False:
            return f"{self.known_as} is no complete grid of its factors"
        if part == "chosen" and self.images is not None:
            return "dataset.images draws some of the images"
        return why_incomplete(self, self.known_factors() or {}, part) if whole else None

    def open(self, progress: Progress | None = None, part: Part = "chosen") -> Dataset:
        """The images that the parameters choose, or those that they leave out, or all.

        Raises:
            MissingFile, UnusableFile: as `read`.
            UnfitChoice: a choice does not fit the data.
        """
        return choose(self.read(progress), self, part)


def dataset(name: str, **params: Any) -> Dataset:
    """Open the dataset of this name, and prepare it first if need be.

    Raises:
        UnknownComponent: no dataset has this name; the error gives the nearest name.
        pydantic.ValidationError: a parameter is unknown or out of range.
        MissingFile, UnusableFile: as `DatasetComponent.open`.
    """
    component = cast(type[DatasetComponent], find(DatasetComponent.kind, name))
    return component.model_validate({**params, "name": name}).open()


def data_folder() -> Path:
    """The folder of operators' files and prepared data: HEDDLE_DATA, or HEDDLE_HOME/data."""
    chosen = os.environ.get("HEDDLE_DATA")
    home = os.environ.get("HEDDLE_HOME") or ".heddle"
    return (Path(chosen) if chosen else Path(home) / "data").absolute()


def operator_file(path: str) -> Path:
    """The file that an `OperatorPath` means."""
    return data_folder() / path


def _stays_in_data_folder(path: str, info: ValidationInfo) -> str:
    if not path or "\0" in path:
        raise ValueError(f"expected the path of a file, but got {path!r}")
    # The rules of Windows accept both kinds of slash, and drives as well.
    parts = PureWindowsPath(path)
    if (info.context or {}).get("remote") and (parts.anchor or ".." in parts.parts):
        raise ValueError(
            f"the path is relative to the server's data folder and stays in it, but got {path!r}"
        )
    return path


OperatorPath = Annotated[str, AfterValidator(_stays_in_data_folder)]
"""The path of a file that the operator put in place, relative to `data_folder()`.

Python callers may also give an absolute path, or one that leads out of the folder. Values from HTTP
clients are validated with the context `{"remote": True}`, which keeps them inside the folder.
"""


@functools.cache
def _defaults() -> dict[str, Any]:
    """The defaults of the parameters that every data set has."""
    return {
        name: field.get_default(call_default_factory=True)
        for name, field in DatasetComponent.model_fields.items()
        if name != "name"
    }
