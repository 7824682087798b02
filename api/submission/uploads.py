"""Files of codes that clients send in a multipart body.

A file goes to disk while it comes in. Its arrays are checked in memory.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Annotated, Any, BinaryIO

from anyio import to_thread
from fastapi import Depends, Request
from starlette.datastructures import FormData, UploadFile

from api.http.body import MAX_BYTES, read_json
from api.http.form import (
    MEDIA_TYPE,
    FieldTooLarge,
    FormBounds,
    below,
    read_form,
    repeated,
    too_large,
)
from api.state.context import Context, Here
from ml.codes.arrays_file import read_arrays
from ml.codes.file_account import FileAccount
from ml.codes.found_arrays import UnusableArrays
from ml.components.registry import nearest
from ml.components.spec_errors import MOST_FAULTS, Fault, InvalidSpec, shown
from ml.spec.evaluation_spec import FileEvaluation

PARTS = ("file", "spec")
LONGEST_FILE_NAME = 255
SEND_LESS = "send fewer rows, or arrays of a smaller dtype by numpy.savez_compressed."


@dataclass(frozen=True)
class Upload:
    """A file whose arrays can be scored as the spec says."""

    content: BinaryIO
    """It is at its beginning, and is closed when the request has been answered."""
    name: str
    spec: FileEvaluation
    account: FileAccount
    """What was found in the file."""


async def _upload(request: Request, here: Here) -> AsyncGenerator[Upload]:
    """The upload in a request, checked.

    Raises:
        BadRequest: 413 for a body that is too large, 415 for another media type, 400 for a body
            that is not multipart.
        InvalidSpec: a part is missing or unknown, or the spec or an array is wrong.
    """
    form = await _form(request, here.settings.upload_bytes)
    try:
        # One at a time. The memory that one upload may take is too much for several at once.
        async with here.lanes.checking.place():
            checked = await to_thread.run_sync(_checked, form, here)
        yield checked
    finally:
        await form.close()


CheckedUpload = Annotated[Upload, Depends(_upload)]


async def _form(request: Request, most_bytes: int) -> FormData:
    bounds = FormBounds(
        body_bytes=most_bytes,
        # The spec may come as a file too. One more part of each kind is enough to name the fault.
        files=len(PARTS) + 1,
        fields=len(PARTS) + 1,
        field_bytes=MAX_BYTES,
        too_large=f"The body may have {most_bytes:,} bytes (HEDDLE_UPLOAD_BYTES); {SEND_LESS}",
    )
    expected = f"{MEDIA_TYPE} with the parts file and spec"
    try:
        return await read_form(request, bounds, expected=expected)
    except FieldTooLarge:
        detail = f"A part that is no file may have {MAX_BYTES:,} bytes; {SEND_LESS}"
        raise too_large(detail) from None


def _checked(form: FormData, here: Context) -> Upload:
    file, spec = _parts(form)
    try:
        parsed = FileEvaluation.parse(read_json(spec, "The part spec"))
    except InvalidSpec as error:
        raise InvalidSpec(below("spec", error.faults)) from None
    try:
        most_bytes = here.settings.upload_array_bytes
        arrays = read_arrays(file.file, most_bytes=most_bytes, **parsed.reading())
        account, fitting = parsed.account(arrays), parsed.fitting(parsed.rows(arrays))
    except InvalidSpec as error:
        raise InvalidSpec(below("spec", error.faults)) from None
    except UnusableArrays as error:
        raise InvalidSpec(below("file", error.faults)) from None
    file.file.seek(0)
    return Upload(file.file, plain_name(file.filename or ""), fitting, account)


def _parts(form: FormData) -> tuple[UploadFile, bytes]:
    """The file, and the JSON of the spec. A missing spec is an empty object."""
    given = form.multi_items()
    expected = "one of the parts " + ", ".join(PARTS)
    faults = [
        Fault(shown(name), kind_of_part(value), expected, nearest(name, PARTS))
        for name, value in given
        if name not in PARTS
    ]
    faults += repeated(form, PARTS)
    file, spec = form.get("file"), form.get("spec", "{}")
    if not isinstance(file, UploadFile):
        got = None if file is None else kind_of_part(file)
        faults.append(Fault("file", got, "an npz file, as by curl -F file=@codes.npz"))
    if faults:
        raise InvalidSpec(faults[:MOST_FAULTS])
    assert isinstance(file, UploadFile)
    if isinstance(spec, str):
        return file, spec.encode()
    data = spec.file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise too_large(f"The spec may have {MAX_BYTES:,} bytes; {SEND_LESS}")
    return file, data


def kind_of_part(part: Any) -> str:
    """What a part of a form is, for the message about one of the wrong kind."""
    return "a file" if isinstance(part, UploadFile) else "text that is no file"


def plain_name(name: str) -> str:
    """The file's name without its folders and without letters that cannot be printed."""
    last = PurePosixPath(name.replace("\\", "/")).name
    return "".join(letter for letter in last if letter.isprintable())[:LONGEST_FILE_NAME]
