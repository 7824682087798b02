"""Data sets that people send: their files are read, stored in the data folder, and recorded.

The files come in one form, or in parts beforehand. Either way they lie in the folder of uploads
while they are read.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, TypeVar

from anyio import to_thread
from fastapi import Depends, Request
from pydantic import BaseModel
from starlette.datastructures import FormData, UploadFile

from api.documents.datasets import NewDataset, SentInParts
from api.http.body import MAX_BYTES, body_bytes, read_json
from api.http.form import MEDIA_TYPE, FormBounds, below, read_form, repeated, too_large
from api.http.negotiation import media_type
from api.state.context import Context, Here
from api.submission.folders import stored_datasets, uploads
from api.submission.uploads import kind_of_part, plain_name
from ml.components.registry import components, nearest
from ml.components.spec_errors import MOST_FAULTS, Fault, InvalidSpec, parsed, shown
from ml.datasets.tables.importing import import_table, understood
from ml.datasets.tables.options import Bounds, TableOptions, UnusableTable
from ml.datasets.tables.stored import About
from store import datasets
from store.datasets import StoredDataset, add_dataset, find_dataset
from store.errors import NameTaken, NotFound
from store.files.folders import check_mark
from store.files.upload_folder import Upload

PARTS = ("file", "factors", "spec")
SEND_IN_PARTS = "a larger file is sent in parts, by POST /v1/uploads"
_COPIED_BYTES = 1 << 20
M = TypeVar("M", bound=BaseModel)


class BuiltIn(Exception):
    """A data set comes with Heddle, so nobody may have its name, change it or delete it."""

    def __init__(self, name: str) -> None:
        super().__init__(f"The data set {name!r} comes with Heddle. Give yours another name.")
        self.name = name


@dataclass(frozen=True)
class Sent:
    """A data set as it was sent, with files that have come whole."""

    new: NewDataset
    options: TableOptions
    file: Upload
    factors: Upload | None


def refuse_built_in(name: str) -> None:
    """Refuse the name of a data set that comes with Heddle. Raises `BuiltIn`."""
    if name in components("dataset"):
        raise BuiltIn(name)


async def _sent(request: Request, here: Here) -> AsyncGenerator[Sent]:
    """The data set in a request: a form with its files, or JSON that names files sent in parts.

    Raises:
        BadRequest: 413 for a body that is too large, 415 for another media type, 400 for a body
            that cannot be read.
        InvalidSpec: a part is missing or unknown, or a field is wrong.
    """
    if media_type(request.headers) != MEDIA_TYPE:
        body = await body_bytes(request)
        yield await to_thread.run_sync(_of_json, body)
        return
    form = await _form(request, here.settings.dataset_bytes)
    try:
        sent = await to_thread.run_sync(_of_form, form)
    finally:
        await form.close()
    try:
        yield sent
    finally:
        await to_thread.run_sync(_discard, sent)


SentDataset = Annotated[Sent, Depends(_sent)]


def store_dataset(here: Context, sent: Sent) -> StoredDataset:
    """Read the files, store what they hold, and record it.

    Raises:
        InvalidSpec: the files hold no data set that can be used.
        BuiltIn, NameTaken: the name is taken.
        NotFound, WrongOffset, UploadBusy, UploadDamaged: of a file that comes in parts.
        NotWritable: the data folder takes no files.
    """
    refuse_built_in(sent.new.name)
    _refuse_taken(here, sent.new.name)
    folder = stored_datasets()
    check_mark(here.database, folder)
    with _files(sent) as (file, factors):
        about = _stored(here, sent, file, factors)
        added = add_dataset(here.database, _row(sent, about))
        # What was stored before may have been removed just before it was recorded. It is kept now.
        if not folder.path(about.digest).exists():
            _stored(here, sent, file, factors)
    _discard(sent)
    return added


def understand_dataset(here: Context, sent: Sent) -> About:
    """What would be stored. Nothing is kept. Raises the errors of `store_dataset`."""
    refuse_built_in(sent.new.name)
    _refuse_taken(here, sent.new.name)
    with _files(sent) as (file, factors), _faults_named(sent, file, factors):
        return understood(file, factors, options=sent.options, bounds=_bounds(here))


def _stored(here: Context, sent: Sent, file: Path, factors: Path | None) -> About:
    folder = stored_datasets()
    with folder.writing(), _faults_named(sent, file, factors):
        return import_table(
            file, factors, into=folder.root, options=sent.options, bounds=_bounds(here)
        )


def _bounds(here: Context) -> Bounds:
    return Bounds(stored_bytes=here.settings.dataset_stored_bytes)


def _row(sent: Sent, about: About) -> datasets.NewDataset:
    return datasets.NewDataset(
        name=sent.new.name,
        digest=about.digest,
        description=sent.new.description,
        licence=sent.new.licence,
        private=sent.new.private,
        source=sent.file.name,
        about=about.model_dump(mode="json"),
        bytes=about.bytes,
    )


def _refuse_taken(here: Context, name: str) -> None:
    """Refuse a name that is taken before the files are read. Raises `NameTaken`."""
    with suppress(NotFound):
        raise NameTaken(name, find_dataset(here.database, name).name)


@contextmanager
def _files(sent: Sent) -> Iterator[tuple[Path, Path | None]]:
    folder = uploads()
    with ExitStack() as held:
        file = held.enter_context(folder.whole(sent.file.id))
        if sent.factors is None:
            yield file, None
        else:
            yield file, held.enter_context(folder.whole(sent.factors.id))


@contextmanager
def _faults_named(sent: Sent, file: Path, factors: Path | None) -> Iterator[None]:
    """Turn what is wrong with the files into an answer. Files are called as their sender does."""
    called = {shown(file.name): shown(sent.file.name or "a file without a name")}
    if factors is not None and sent.factors is not None:
        called[shown(factors.name)] = shown(sent.factors.name or "a file without a name")
    try:
        yield
    except UnusableTable as error:
        faults = [
            replace(fault, got=called[fault.got]) if fault.got in called else fault
            for fault in error.faults
        ]
        raise InvalidSpec(faults[:MOST_FAULTS]) from None


def _discard(sent: Sent) -> None:
    for one in (sent.file, sent.factors):
        if one is not None:
            with suppress(NotFound):
                uploads().remove(one.id)


async def _form(request: Request, most_bytes: int) -> FormData:
    bounds = FormBounds(
        body_bytes=most_bytes,
        files=len(PARTS) + 1,
        fields=len(PARTS) + 1,
        field_bytes=MAX_BYTES,
        too_large=f"The body may have {most_bytes:,} bytes (HEDDLE_DATASET_BYTES).",
    )
    expected = f"{MEDIA_TYPE} with the parts file, factors and spec, or JSON that names uploads"
    return await read_form(request, bounds, expected=expected)


def _of_form(form: FormData) -> Sent:
    """A data set whose files are copied from a form to the folder of uploads."""
    given = form.multi_items()
    expected = "one of the parts " + ", ".join(PARTS)
    faults = [
        Fault(shown(name), kind_of_part(value), expected, nearest(name, PARTS))
        for name, value in given
        if name not in PARTS
    ]
    faults += repeated(form, PARTS)
    file, factors, spec = (form.get(name) for name in PARTS)
    if not isinstance(file, UploadFile):
        got = None if file is None else kind_of_part(file)
        faults.append(Fault("file", got, "a zip, npz or HDF5 file, as by curl -F file=@faces.zip"))
    if factors is not None and not isinstance(factors, UploadFile):
        faults.append(
            Fault("factors", kind_of_part(factors), "a file, as by -F factors=@faces.csv")
        )
    if faults:
        raise InvalidSpec(faults[:MOST_FAULTS])
    assert isinstance(file, UploadFile)
    assert factors is None or isinstance(factors, UploadFile)
    try:
        new, options = _described(read_json(_text(spec), "The part spec"))
    except InvalidSpec as error:
        raise InvalidSpec(below("spec", error.faults)) from None
    copied = _copied(file, "file")
    try:
        return Sent(new, options, copied, None if factors is None else _copied(factors, "factors"))
    except BaseException:
        uploads().remove(copied.id)
        raise


def _text(spec: Any) -> bytes:
    if spec is None:
        return b"{}"
    data: bytes = spec.encode() if isinstance(spec, str) else spec.file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise too_large(f"The spec may have {MAX_BYTES:,} bytes.")
    return data


def _copied(part: UploadFile, called: str) -> Upload:
    """A file of a form as an upload that has come. `called` is the part's name."""
    folder, file = uploads(), part.file
    size = file.seek(0, 2)
    file.seek(0)
    if not size:
        raise InvalidSpec([Fault(called, "an empty file", "a file that holds something")])
    begun = folder.begin(size, name=plain_name(part.filename or ""))
    try:
        with folder.adding(begun.id, 0) as add:
            while chunk := file.read(_COPIED_BYTES):
                add(chunk)
    except BaseException:
        folder.remove(begun.id)
        raise
    return begun


def _of_json(body: bytes) -> Sent:
    """A data set whose files came in parts."""
    data = read_json(body)
    if not isinstance(data, Mapping):
        raise InvalidSpec([Fault("", shown(data), "an object with upload and name")])
    own = {key: value for key, value in data.items() if key in SentInParts.model_fields}
    files = SentInParts.parse(own)
    new, options = _described({key: value for key, value in data.items() if key not in own})
    file = uploads().find(files.upload)
    factors = files.factors_upload and uploads().find(files.factors_upload)
    return Sent(new, options, file, factors or None)


def _described(data: Any) -> tuple[NewDataset, TableOptions]:
    """What a request says of a data set, and how its file is read."""
    if not isinstance(data, Mapping):
        raise InvalidSpec([Fault("", shown(data), "an object with name")])
    known = sorted({*NewDataset.model_fields, *TableOptions.model_fields})
    faults = [
        Fault(
            shown(key),
            shown(data[key]),
            "one of the fields " + ", ".join(known),
            nearest(key, known),
        )
        for key in data
        if key not in known
    ]
    own = {key: value for key, value in data.items() if key in NewDataset.model_fields}
    others = {key: value for key, value in data.items() if key in TableOptions.model_fields}
    new = _collected(NewDataset, own, faults)
    options = _collected(TableOptions, others, faults)
    if faults or new is None or options is None:
        raise InvalidSpec(faults[:MOST_FAULTS])
    return new, options


def _collected(model: type[M], data: Mapping[str, Any], faults: list[Fault]) -> M | None:
    try:
        return parsed(model, data)
    except InvalidSpec as error:
        faults += error.faults
        return None
