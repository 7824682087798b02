"""Codes and factors in an npz file, which is read without trusting any of its bytes.

The service, the workers and the command line all read npz files by this module.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from typing import Any, BinaryIO

from ml.codes.codes_and_factors import CodesAndFactors, codes_and_factors, with_kinds
from ml.codes.found_arrays import (
    MOST_BYTES,
    Check,
    Found,
    Side,
    UnusableArrays,
    find_arrays,
)
from ml.codes.npz_members import OtherSize, open_npz, read_member, unreadable
from ml.codes.rows import FactorKind
from ml.components.spec_errors import Fault, shown


def read_arrays(
    file: BinaryIO,
    *,
    most_bytes: int = MOST_BYTES,
    codes_array: str | None = None,
    factors_array: str | None = None,
    factor_kinds: Sequence[FactorKind] | None = None,
) -> CodesAndFactors:
    """Read a file as `numpy.savez` and `savez_compressed` write it, or the codes.npz of a run.

    Nothing is unpickled. The sizes that members and headers declare are checked before memory is
    allocated, so that a small file cannot take much memory.

    Args:
        file: a seekable file, open for reading in binary.
        most_bytes: the most bytes of all arrays that are read together, inflated.
        codes_array: the array that has the codes, if it is not the one that the names suggest.
        factors_array: the same for the factors.
        factor_kinds: one kind for each factor. They take precedence over the file and the rule.

    Raises:
        UnusableArrays: this is no such file, or its arrays cannot be scored: a name, dtype or shape
            does not fit, a value is NaN or infinite, or several arrays may be meant.
    """
    chosen: dict[Side, str | None] = {"codes": codes_array, "factors": factors_array}
    found = npz_arrays(file, chosen, most_bytes=most_bytes)
    return with_kinds(codes_and_factors(found), factor_kinds)


def npz_arrays(
    file: BinaryIO,
    chosen: dict[Side, str | None],
    *,
    most_bytes: int = MOST_BYTES,
) -> Found:
    """The arrays of an npz that belong to the sides (codes or factors) that are keys of `chosen`.

    Raises:
        UnusableArrays: as in `read_arrays`.
    """
    try:
        with open_npz(file) as archive:
            return find_arrays(_Npz(archive), chosen, most_bytes=most_bytes)
    except UnusableArrays:
        raise
    except Exception as error:
        # On made-up bytes, zipfile, zlib and numpy's parser of headers raise a dozen kinds.
        reason = str(error) or type(error).__name__
        expected = "a whole npz file, as numpy.savez writes it; heddle score reads other kinds"
        raise UnusableArrays([Fault("", shown(reason), expected)]) from None


class _Npz:
    """The members of an npz."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._members: dict[str, list[zipfile.ZipInfo]] = {}
        for info in archive.infolist():
            self._members.setdefault(info.filename.removesuffix(".npy"), []).append(info)

    def names(self) -> list[str]:
        return list(self._members)

    def faults(self, wanted: Sequence[str], most_bytes: int) -> list[Fault]:
        found = []
        for name in wanted:
            info, *others = self._members[name]
            if others:
                found.append(Fault(shown(name), "two members of this name", "one"))
            elif not info.filename.endswith(".npy"):
                found.append(Fault(shown(name), shown(info.filename), f"a member {name}.npy"))
            elif (unread := unreadable(info)) is not None:
                found.append(Fault(shown(name), *unread))
        total = sum(self._members[name][0].file_size for name in wanted)
        if total > most_bytes:
            found.append(Fault("", f"{total} bytes inflated", f"at most {most_bytes} bytes"))
        return found

    def read(self, name: str, check: Check) -> Any:
        try:
            return read_member(self._archive, self._members[name][0], check)
        except OtherSize as error:
            expected = f"{error.declared}, as its header says"
            raise UnusableArrays([Fault(shown(name), f"{error.held} bytes", expected)]) from None
