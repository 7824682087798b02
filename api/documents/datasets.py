"""Data sets: those that come with Heddle, and those that people uploaded."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field

from api.documents.base import Document, moment
from ml.components.described import Described
from ml.components.spec_errors import parsed
from ml.datasets.choices import Known, factors_of
from ml.datasets.dataset import Dataset as OpenedDataset
from ml.datasets.protocol import DatasetComponent
from ml.datasets.tables.stored import About
from store.datasets import StoredDataset
from store.files.upload_folder import Upload

Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_.\-]{0,99}$")]
"""A name that anybody may give a data set: letters, digits and _ . - after a letter."""
UploadId = Annotated[str, Field(min_length=1, max_length=100)]


class Factor(Document):
    """A factor of variation."""

    name: str
    kind: Literal["discrete", "continuous"]
    size: int | None
    """How many values it takes. It is null for a continuous factor."""


class DatasetDocument(Document):
    """A data set, which a spec names as `dataset: NAME`."""

    name: str
    uploaded: bool
    """Whether somebody uploaded it. Others come with Heddle."""
    description: str
    images: int | None
    """The number of images. It is null for a data set that comes with Heddle if it was not opened
    for this answer (in lists), or if the operator has yet to put its file in place."""
    shape: tuple[int, int, int] | None
    """Height, width and channels. It is null if they depend on params that have no default."""
    factors: list[Factor] | None
    """They are null where `images` is null, and empty where none are known."""
    labelled: int | None
    """How many images have all of their factors."""
    source: str
    """The file that was sent; or rendered, a package's name, or the digest of the file that was
    read. It is empty where that is not known yet."""
    licence: str
    """What whoever sent it says of its licence."""
    private: bool
    """Whether lists leave it out, unless they are asked for private ones. Everybody who knows its
    name may use it, as there are no accounts yet."""
    digest: str | None
    """Of what is stored: images and factors. It is null for data sets that come with Heddle."""
    bytes: int | None
    created_at: datetime | None
    former_names: list[str]
    """The names before it was renamed. They lead to it as well, so nobody else gets them."""
    notes: list[str]
    """What users should know about these data, as what was odd in the file that was sent."""
    links: dict[str, str]


class Understood(Document):
    """What would be stored of a data set that was sent."""

    name: str
    images: int
    shape: tuple[int, int, int]
    factors: list[Factor]
    labelled: int
    """How many images have all of their factors."""
    digest: str
    bytes: int
    notes: list[str]
    """How the file was read, and what was odd in it."""

    @classmethod
    def of(cls, name: str, about: About) -> Self:
        """What was found in the files, under the name that was sent with them."""
        found = about.model_dump(mode="json")
        return cls(name=name, digest=about.digest, bytes=about.bytes, **about_fields(found))


class UploadDocument(Document):
    """A file that comes in parts."""

    id: str
    name: str
    offset: int
    """The bytes that have come. The next part begins here."""
    bytes: int
    """The bytes of the whole file."""
    links: dict[str, str]


class Body(Described):
    """A client's data. Unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def parse(cls, data: object) -> Self:
        """Check a client's data. Raises `InvalidSpec` with every fault."""
        return parsed(cls, data)


class NewUpload(Body):
    """A file that is about to be sent in parts."""

    bytes: Annotated[int, Field(ge=1)]
    """Its size."""
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    """Its SHA-256 in lower-case hexadecimal. With it the whole file is checked in the end."""
    name: Annotated[str, Field(max_length=255)] = ""
    """The file's name."""


class NewDataset(Body):
    """What is said of a data set that is sent, beside how its file is read."""

    name: Name
    """Letters, digits and _ . - after a letter. Data sets that come with Heddle have theirs."""
    description: Annotated[str, Field(max_length=10_000)] = ""
    licence: Annotated[str, Field(max_length=10_000)] = ""
    private: bool = False
    """Whether lists leave it out, unless they are asked for private ones."""


class SentInParts(Body):
    """Files that have come in parts."""

    upload: UploadId
    """The id of the upload of the file of images."""
    factors_upload: UploadId | None = None
    """The id of the upload of the table of factors, if that is another file."""


class DatasetChange(Body):
    """What may be changed of an uploaded data set."""

    name: Name = ""
    """The new name. The old one goes on leading to the data set."""
    description: Annotated[str, Field(max_length=10_000)] = ""
    licence: Annotated[str, Field(max_length=10_000)] = ""
    private: bool = False


def uploaded_document(found: StoredDataset) -> DatasetDocument:
    """The document of an uploaded data set."""
    return DatasetDocument(
        name=found.name,
        uploaded=True,
        description=found.description,
        licence=found.licence,
        private=found.private,
        digest=found.digest,
        bytes=found.bytes,
        created_at=moment(found.created_at),
        former_names=found.former_names,
        source=found.source,
        links=_links(found.name),
        **about_fields(found.about),
    )


def about_fields(about: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a document that follow from what was found in a file."""
    return {
        "images": about["images"],
        "shape": about["shape"],
        "factors": [{name: one[name] for name in Factor.model_fields} for one in about["factors"]],
        "labelled": about["labelled"],
        "notes": [*about["taken"], *about["odd"]],
    }


def built_in_document(
    component: type[DatasetComponent], opened: OpenedDataset | None, notes: list[str]
) -> DatasetDocument:
    """The document of a data set that comes with Heddle, as far as it is known."""
    name = component.component_name()
    known = _known_factors(component) if opened is None else factors_of(opened)
    factors = known and [
        Factor(name=factor, kind=one.kind, size=one.size if one.kind == "discrete" else None)
        for factor, one in known.items()
    ]
    return DatasetDocument(
        name=name,
        uploaded=False,
        description=component.summary(),
        images=None if opened is None else len(opened),
        shape=opened.image_shape if opened else _shape(component),
        factors=factors,
        labelled=None if opened is None else len(opened.labelled()),
        source="" if opened is None else opened.source,
        licence="",
        private=False,
        digest=None,
        bytes=None,
        created_at=None,
        former_names=[],
        notes=[*(opened.notes if opened else ()), *notes],
        links=_links(name),
    )


def upload_document(found: Upload) -> UploadDocument:
    """The document of a file that comes in parts."""
    links = {"self": f"/v1/uploads/{found.id}", "datasets": "/v1/datasets"}
    return UploadDocument(
        id=found.id, name=found.name, offset=found.offset, bytes=found.bytes, links=links
    )


def _shape(component: type[DatasetComponent]) -> tuple[int, int, int] | None:
    try:
        return component.model_validate({"name": component.component_name()}).image_shape()
    except (OSError, ValueError):
        return None


def _known_factors(component: type[DatasetComponent]) -> Mapping[str, Known] | None:
    try:
        return component.model_validate({"name": component.component_name()}).known_factors()
    except (OSError, ValueError):
        return None


def _links(name: str) -> dict[str, str]:
    here = f"/v1/datasets/{name}"
    return {"self": here, "samples": f"{here}/samples.png", "factors": f"{here}/factors.csv"}
