"""Files of codes that clients send: a multipart body, on disk while it comes, checked in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import PurePosixPath
from typing import Annotated, Any, BinaryIO

from anyio import to_thread
from fastapi import Depends, Request
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from api.http.body import MAX_BYTES, check_charset, read_json
from api.http.negotiation import media_type
from api.http.problems import BadRequest
from api.state.context import Context, Here
from ml.codes.arrays_file import UnusableArrays, read_arrays
from ml.codes.file_account import FileAccount
from ml.components.registry import nearest
from ml.components.spec_errors import MOST_FAULTS, Fault, InvalidSpec, shown
from ml.spec.evaluation_spec import FileEvaluation

MEDIA_TYPE = "multipart/form-data"
PARTS = ("file", "spec")
LONGEST_FILE_NAME = 255
LONGEST_LENGTH = 20
"""Digits of a length that is read as a number."""


@dataclass(frozen=True)
class Upload:
    """A file whose arrays can be scored as the spec says."""

    content: BinaryIO
    """At its beginning, and closed when the request is answered."""
    name: str
    spec: FileEvaluation
    account: FileAccount
    """What was understood of it."""


async def _upload(request: Request, here: Here) -> AsyncGenerator[Upload]:
    """The upload in a request, checked.

    Raises:
        BadRequest: 413 for too large a body, 415 for another media type, 400 for one that is no
            multipart.
        InvalidSpec: a part is missing or unknown; the spec or an array is wrong.
    """
    form = await _form(request, here.settings.upload_bytes)
    try:
        # One at a time: what is a bearable size once is not for everybody at once.
        async with here.lanes.checking.turn():
            checked = await to_thread.run_sync(_checked, form, here)
        yield checked
    finally:
        await form.close()


CheckedUpload = Annotated[Upload, Depends(_upload)]


async def _form(request: Request, most_bytes: int) -> FormData:
    came = media_type(request.headers)
    if came != MEDIA_TYPE:
        raise BadRequest(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"The body must be {MEDIA_TYPE} with the parts file and spec, but is {shown(came)!r}.",
        )
    check_charset(request)
    parser = MultiPartParser(
        request.headers,
        _no_more_than(most_bytes, request),
        # The spec may come as a file, too; one more of each is enough to say what is wrong.
        max_files=len(PARTS) + 1,
        max_fields=len(PARTS) + 1,
        max_part_size=MAX_BYTES,
    )
    try:
        return await parser.parse()
    except ClientDisconnect:
        raise BadRequest(HTTPStatus.BAD_REQUEST, "The body ended before it was whole.") from None
    except MultiPartException as error:
        # The only size that the parser itself minds is that of a part that is no file.
        if "maximum size" in error.message:
            raise _too_large(f"A part that is no file may have {MAX_BYTES:,} bytes") from None
        raise BadRequest(
            HTTPStatus.BAD_REQUEST, f"The body is not {MEDIA_TYPE}: {error.message}"
        ) from None


async def _no_more_than(most_bytes: int, request: Request) -> AsyncGenerator[bytes]:
    told = f"The body may have {most_bytes:,} bytes (HEDDLE_UPLOAD_BYTES)"
    length = request.headers.get("content-length", "")
    if length.isdecimal() and (len(length) > LONGEST_LENGTH or int(length) > most_bytes):
        raise _too_large(told)
    seen = 0
    async for chunk in request.stream():
        seen += len(chunk)
        if seen > most_bytes:
            raise _too_large(told)
        yield chunk


def _too_large(told: str) -> BadRequest:
    return BadRequest(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"{told}; send fewer rows, or arrays of a smaller dtype by numpy.savez_compressed.",
    )


def _checked(form: FormData, here: Context) -> Upload:
    file, spec = _parts(form)
    try:
        parsed = FileEvaluation.parse(read_json(spec, "The part spec"))
    except InvalidSpec as error:
        raise InvalidSpec(_below("spec", error.faults)) from None
    try:
        most_bytes = here.settings.upload_array_bytes
        arrays = read_arrays(file.file, most_bytes=most_bytes, **parsed.reading())
        account = parsed.account(arrays)
    except InvalidSpec as error:
        raise InvalidSpec(_below("spec", error.faults)) from None
    except UnusableArrays as error:
        raise InvalidSpec(_below("file", error.faults)) from None
    file.file.seek(0)
    return Upload(file.file, _plain_name(file.filename or ""), parsed, account)


def _parts(form: FormData) -> tuple[UploadFile, bytes]:
    """The file, and the spec's JSON, which is that of an empty one where there is none."""
    given = form.multi_items()
    expected = "one of the parts " + ", ".join(PARTS)
    faults = [
        Fault(shown(name), _kind(value), expected, nearest(name, PARTS))
        for name, value in given
        if name not in PARTS
    ]
    counts = Counter(name for name, _ in given)
    faults += [
        Fault(name, f"{counts[name]} parts", "one part") for name in PARTS if counts[name] > 1
    ]
    file, spec = form.get("file"), form.get("spec", "{}")
    if not isinstance(file, UploadFile):
        got = None if file is None else _kind(file)
        faults.append(Fault("file", got, "an npz file, as by curl -F file=@codes.npz"))
    if faults:
        raise InvalidSpec(faults[:MOST_FAULTS])
    assert isinstance(file, UploadFile)
    if isinstance(spec, str):
        return file, spec.encode()
    data = spec.file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise _too_large(f"The spec may have {MAX_BYTES:,} bytes")
    return file, data


def _kind(part: Any) -> str:
    return "a file" if isinstance(part, UploadFile) else "text that is no file"


def _below(part: str, faults: Sequence[Fault]) -> list[Fault]:
    """Faults at their paths in the whole request."""
    return [replace(fault, path=f"{part}.{fault.path}" if fault.path else part) for fault in faults]


def _plain_name(name: str) -> str:
    """A file's own name without its folders, fit to be stored and shown."""
    last = PurePosixPath(name.replace("\\", "/")).name
    return "".join(letter for letter in last if letter.isprintable())[:LONGEST_FILE_NAME]
