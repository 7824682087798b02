"""Files of codes and factors: what they hold, and every way in which they may be wrong."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.codes.arrays_file import read_arrays
from ml.codes.codes_and_factors import CodesAndFactors, _column
from ml.codes.found_arrays import UnusableArrays
from ml.evaluation.encode import EncodedRows
from tests.npz import (
    CODES,
    FACTORS,
    bomb,
    declaring,
    encrypted,
    endless_directory,
    good_members,
    npy,
    npz,
    understated,
    with_codes,
    zipped,
)


def read(data: bytes, **options: Any) -> CodesAndFactors:
    return read_arrays(io.BytesIO(data), **options)


@pytest.mark.parametrize("compressed", [False, True])
def test_arrays_come_as_they_were_saved(compressed: bool) -> None:
    found = read(npz(compressed=compressed))
    assert found.codes.dtype == np.float32 and np.array_equal(found.codes, CODES)
    assert found.factors.dtype == FACTORS.dtype and np.array_equal(found.factors, FACTORS)
    assert found.factor_names is None and found.posterior_logvar is None


def test_the_codes_of_a_run_are_read_as_they_were_fetched() -> None:
    run = EncodedRows(
        index=np.arange(len(CODES)),
        factors=FACTORS,
        mean=CODES,
        log_variance=-CODES,
        sample=CODES + 1,
        kl=CODES**2,
        reconstruction=np.ones(len(CODES)),
        train_rows=np.array(3),
    )
    found = read(run.to_npz())
    np.testing.assert_array_equal(found.codes, CODES)
    np.testing.assert_array_equal(found.factors, FACTORS)
    np.testing.assert_array_equal(found.posterior_logvar, -CODES)
    np.testing.assert_array_equal(found.posterior_sample, CODES + 1)


def test_what_may_stand_beside_them_comes_too() -> None:
    found = read(
        npz(
            factor_names=np.array(["shape", "größe"]),
            factor_sizes=np.array([3, 4], dtype=np.uint8),
            factor_kinds=np.array(["discrete", "continuous"]),
            posterior_logvar=-CODES,
            posterior_sample=2 * CODES,
        )
    )
    assert found.factor_names == ("shape", "größe")
    assert found.factor_sizes == (3, 4)
    assert found.factor_kinds == ("discrete", "continuous")
    assert found.posterior_logvar is not None and np.array_equal(found.posterior_logvar, -CODES)
    assert found.posterior_sample is not None
    assert np.array_equal(found.posterior_sample, 2 * CODES)


@pytest.mark.parametrize("dtype", [">f4", "<f8", ">f8", "<f2", "<i8", "|b1"])
def test_numbers_of_other_machines_and_orders_are_read_as_they_are(dtype: str) -> None:
    codes = np.asfortranarray((CODES * 3).astype(dtype))
    found = read(npz(codes=codes))
    assert np.array_equal(found.codes, codes)
    assert found.codes.dtype.isnative and found.codes.dtype.kind == codes.dtype.kind


def test_names_of_bytes_are_read_as_text() -> None:
    names = np.array([b"shape", "größe".encode()])
    assert read(npz(factor_names=names)).factor_names == ("shape", "größe")
    latin = np.array([b"shape", "größe".encode("latin-1")])
    found = read(npz(factor_names=latin, code_names=np.array([b"a", b"b", b"c"])))
    assert found.factor_names == ("shape", "größe")
    assert "read as Latin-1" in found.assumed[0]
    assert found.code_names == ("a", "b", "c")


def test_names_that_are_pickles_are_left_aside() -> None:
    found = read(npz(factor_names=np.array(["a", "b"], dtype=object)))
    assert found.factor_names is None
    [aside] = found.left_aside
    assert aside.name == "factor_names" and "pickles, which are never read" in aside.why


def test_bfloat16_is_read_by_its_bits_and_said() -> None:
    codes = CODES.view(np.uint32) >> 16
    found = read(npz(codes=codes.astype(np.uint16).view("V2")))
    assert found.codes.dtype == np.float32
    np.testing.assert_array_equal(found.codes.view(np.uint32) >> 16, codes)
    assert np.abs(found.codes - CODES).max() < 0.02
    assert found.assumed == ("'codes' has the dtype |V2, read as bfloat16",)


@pytest.mark.parametrize("dtype", ["U", "S"])
def test_factors_of_text_are_classes_or_the_numbers_that_they_are(dtype: str) -> None:
    colours = np.array(["red", "green", "blue"])[FACTORS[:, 0]]
    texts = np.stack([colours, FACTORS[:, 1].astype(str)], axis=1).astype(dtype)
    found = read(npz(factors=texts))
    # blue, green, red
    np.testing.assert_array_equal(found.factors[:, 0], 2 - FACTORS[:, 0])
    np.testing.assert_array_equal(found.factors[:, 1], FACTORS[:, 1])
    assert found.factor_kinds == ("discrete", "discrete")


def test_floating_integers_are_classes_where_they_are_few_and_that_is_said() -> None:
    whole = np.arange(60.0)
    factors = np.stack([whole % 15, whole // 2, whole % 3 / 2, np.sqrt(whole)], axis=1)
    found = read(npz(factors=factors))
    assert found.factor_kinds == ("discrete", "continuous", "continuous", "continuous")
    np.testing.assert_array_equal(found.factors, factors)
    classes, many, fractions = found.assumptions()
    assert classes == (
        "factor 'factor_0': its floating numbers are integers of 15 values, taken as classes"
    )
    assert many.endswith("integers, but of 30 values: taken as continuous")
    assert fractions.endswith("its 3 values are no integers: taken as continuous")
    kinds = ("continuous", "discrete", "discrete", "continuous")
    for said in (
        read(npz(factors=factors), factor_kinds=kinds),
        read(npz(factors=factors, factor_kinds=np.array(kinds))),
    ):
        assert said.factor_kinds == kinds and not said.assumptions()


def test_long_labels_of_many_rows_are_classes() -> None:
    classes = np.arange(400_000) % 3
    labels = np.array(["a" * 200, "b" * 200, "c" * 200])[classes]
    found = _column(labels, None)
    assert found.kind == "discrete"
    np.testing.assert_array_equal(found.values, classes)


def test_an_index_among_factors_is_refused_unless_its_kind_is_said() -> None:
    codes = np.random.default_rng(0).random((180, 2))
    for counted in ([*range(180)], [*range(7, 97)] * 2):
        factors = np.stack([np.arange(180) % 3, counted], axis=1)
        for dtype in (np.int64, np.float32):
            with pytest.raises(UnusableArrays, match="'factor_1' counts the rows, as an index"):
                read(npz(codes=codes, factors=factors.astype(dtype)))
        kinds = ("discrete", "continuous")
        assert read(npz(codes=codes, factors=factors), factor_kinds=kinds).factor_kinds == kinds


@pytest.mark.parametrize("dtype", [bool, np.int8, np.float32])
def test_classes_in_a_column_each_are_refused(dtype: Any) -> None:
    classes = np.arange(60) % 5
    one_hot = np.eye(5, dtype=dtype)[classes]
    with pytest.raises(UnusableArrays, match="5 columns with a single 1 in each row"):
        read(npz(codes=CODES, factors=one_hot))
    # One row with two makes them attributes.
    one_hot[-1] = 1
    assert read(npz(codes=CODES, factors=one_hot)).factors.shape == (60, 5)


def test_a_list_of_labels_is_one_factor() -> None:
    for labels in (FACTORS[:, 0], FACTORS[None, :, 0]):
        found = read(npz(factors=labels))
        np.testing.assert_array_equal(found.factors, FACTORS[:, :1])
        assert "one factor" in found.assumed[0]


def test_the_codes_of_a_run_may_be_its_samples() -> None:
    names = ("index", "kl", "reconstruction", "train_rows", "log_variance")
    held = dict.fromkeys(names, np.zeros(60)) | {"mean": CODES, "sample": CODES + 1}
    found = read(npz(codes=None, **held), codes_array="sample")
    np.testing.assert_array_equal(found.codes, CODES + 1)
    # What the posterior is around means is of no use to samples.
    assert found.posterior_logvar is found.posterior_sample is None
    assert "mean" in [one.name for one in found.left_aside]


NAN = np.where(np.arange(180).reshape(60, 3) == 100, np.nan, CODES)
INFINITE = np.where(CODES > 2, np.inf, CODES)
OBJECTS = np.empty((60, 3), dtype=object)
FIELDS = np.zeros((60, 3), dtype=[("a", "f4")])
HEADER = "{'descr': '<f4', 'fortran_order': False, 'shape': (60, 3), }"

WRONG: dict[str, tuple[Callable[[], bytes], str, str, str]] = {
    # what is sent, path, got, expected
    "NaN": (lambda: npz(codes=NAN), "codes", "nan in row 33, column 1", "finite"),
    "infinity": (lambda: npz(posterior_logvar=INFINITE), "posterior_logvar", "inf", "finite"),
    "objects": (lambda: npz(codes=OBJECTS), "codes", "dtype object", "numbers"),
    "fields": (lambda: npz(codes=FIELDS), "codes", "dtype void", "numbers"),
    "complex": (lambda: npz(codes=CODES * 1j), "codes", "dtype complex64", "numbers"),
    "text": (lambda: npz(codes=CODES.astype(str)), "codes", "dtype str", "numbers"),
    "no codes": (lambda: npz(codes=None), "codes", "None", "required"),
    "no factors": (lambda: npz(factors=None), "factors", "None", "required"),
    "rows": (lambda: npz(factors=FACTORS[:-1]), "factors", "59 rows", "60 rows, as in codes"),
    "one row": (lambda: npz(codes=CODES[:1], factors=FACTORS[:1]), "codes", "1 row", "2 rows"),
    "no rows": (lambda: npz(codes=CODES[:0]), "codes", "[0, 3]", "(samples, latents)"),
    "no latents": (lambda: npz(codes=CODES[:, :0]), "codes", "[60, 0]", "(samples, latents)"),
    "one axis": (lambda: npz(codes=CODES[:, 0]), "codes", "[60]", "(samples, latents)"),
    "three axes": (lambda: npz(factors=FACTORS[None]), "factors", "[1, 60, 2]", "(samples, fac"),
    "many factors": (lambda: npz(factors=np.zeros((60, 257))), "factors", "257", "256"),
    "many latents": (lambda: npz(codes=np.zeros((60, 4097))), "codes", "4097", "4,096"),
    "transposed": (
        lambda: npz(codes=CODES.T, factors=FACTORS.T),
        "",
        "codes [3, 60] and factors [2, 60]",
        "transposed; save codes.T and factors.T",
    ),
    "transposed codes": (lambda: npz(codes=CODES.T), "", "[3, 60]", "save codes.T in"),
    "transposed factors": (
        lambda: npz(factors=FACTORS.T),
        "",
        "codes [60, 3] and factors [2, 60]",
        "save factors.T in",
    ),
    "transposed alike": (
        lambda: npz(codes=CODES.T, factors=np.tile(FACTORS[:, :1], 3).T),
        "",
        "codes [3, 60] and factors [3, 60]",
        "save codes.T and factors.T",
    ),
    "objects for labels": (
        lambda: npz(factors=FACTORS.astype(object)),
        "factors",
        "dtype object",
        "never read: save labels by",
    ),
    "merged classes": (
        lambda: npz(factors=(FACTORS[:, :1] * 2.0 + 2**24).astype(np.float32)),
        "factors",
        "'factor_0' has 16777220 among classes in float32",
        "--factor-kinds",
    ),
    "numbers among text": (
        lambda: npz(factors=np.where(FACTORS[:, :1] > 1, "?", "7")),
        "factors",
        "'factor_0' has '?' in row 40",
        "--factor-kinds",
    ),
    "gaps in text": (
        lambda: npz(factors=np.where(FACTORS[:, :1] > 1, "nan", "red")),
        "factors",
        "20 missing values, the first in row 40",
        "numbers, or text",
    ),
    "letters that are none": (
        lambda: npz(factors=np.array(["a", "\ud800"])[FACTORS % 2]),
        "factors",
        "no letters",
        "printable text",
    ),
    "codes twice": (lambda: npz(codes=None, z=CODES, mu=CODES), "codes", "z, mu", "--codes-array"),
    "posterior": (
        lambda: npz(posterior_sample=CODES[:, :2]),
        "posterior_sample",
        "[60, 2]",
        "[60, 3] of codes",
    ),
    "names": (lambda: npz(factor_names=np.array(["a"])), "factor_names", "1", "2, one for each"),
    "names' dtype": (lambda: npz(factor_names=np.array([1, 2])), "factor_names", "int64", "text"),
    "an empty name": (lambda: npz(factor_names=np.array(["a", ""])), "factor_names", "", "print"),
    "NUL": (lambda: npz(factor_names=np.array(["a", "b\0c"])), "factor_names", "b\0c", "printable"),
    "half a letter": (
        lambda: npz(factor_names=np.array(["a", "\ud800"])),
        "factor_names",
        "ud800",
        "printable",
    ),
    "no letter": (
        lambda: npz(factor_names=np.array([[1], [1 << 30]], dtype="<u4").view("<U1")[:, 0]),
        "",
        "",
        "a whole npz file",
    ),
    "a long name": (
        lambda: npz(factor_names=np.array(["a", "b" * 201])),
        "factor_names",
        "201 letters",
        "200",
    ),
    "kinds": (
        lambda: npz(factor_kinds=np.array(["discrete", "discret"])),
        "factor_kinds",
        "discret",
        "discrete, continuous",
    ),
    "sizes": (lambda: npz(factor_sizes=np.array([3, 0])), "factor_sizes", "0", "at least 1"),
    "sizes' dtype": (lambda: npz(factor_sizes=np.array([3.0, 4])), "factor_sizes", "float", "int"),
    "no zip": (lambda: b"codes and factors", "", "not a zip", "a whole npz file"),
    "nothing": (lambda: b"", "", "not a zip", "a whole npz file"),
    "an npy": (lambda: npy(CODES), "", "not a zip", "a whole npz file"),
    "cut off": (lambda: npz()[:-40], "", "not a zip", "a whole npz file"),
    "no member": (lambda: zipped(), "codes", "None", "required"),
    "twice": (
        lambda: zipped(*good_members(), *good_members()[:1]),
        "codes",
        "two members",
        "one",
    ),
    "encrypted": (encrypted, "codes", "encrypted", "without a password"),
    "lzma": (
        lambda: with_codes(npy(CODES), compression=zipfile.ZIP_LZMA),
        "codes",
        "compression 14",
        "deflated",
    ),
    "a bomb": (lambda: bomb(900_000_000), "codes", "inflate to 900000000", "at most 1032 times"),
    "understated": (understated, "", "CRC", "a whole npz file"),
    "endless directory": (endless_directory, "", "too long", "a whole npz file"),
    "no npy": (lambda: with_codes(b"\x93NUMPX" + npy(CODES)[6:]), "", "magic", "whole npz"),
    "a later npy": (lambda: with_codes(b"\x93NUMPY\x03\x00" + npy(CODES)[8:]), "", "3, 0", "whole"),
    "too little data": (lambda: with_codes(declaring(HEADER)), "codes", "0 bytes", "720"),
    "a huge shape": (
        lambda: with_codes(declaring(HEADER.replace("60", "2_000_000"))),
        "codes",
        "0 bytes",
        "24000000",
    ),
    "a negative shape": (
        lambda: with_codes(declaring(HEADER.replace("60, 3", "-60, -3"), bytes(720))),
        "codes",
        "[-60, -3]",
        "(samples, latents)",
    ),
    "a header of code": (lambda: with_codes(declaring("__import__('os')")), "", "", "whole npz"),
    "a deep header": (lambda: with_codes(declaring("(" * 9000)), "", "", "whole npz"),
    "a long header": (lambda: with_codes(declaring(HEADER + " " * 20_000)), "", "", "whole npz"),
    "an odd dtype": (
        lambda: with_codes(declaring(HEADER.replace("<f4", "<q9"))),
        "",
        "",
        "whole npz",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_told_with_its_place(name: str) -> None:
    make, path, got, expected = WRONG[name]
    with pytest.raises(UnusableArrays) as refusal:
        read(make())
    fault = refusal.value.faults[0]
    assert fault.path == path
    assert got in str(fault.got) and expected in fault.expected
    assert str(refusal.value).startswith(f"{path or 'file'}: expected ")


def test_an_unknown_array_is_told_with_the_name_that_was_probably_meant() -> None:
    with pytest.raises(UnusableArrays) as refusal:
        read(npz(codes=None, code=CODES))
    faults = {fault.path: fault for fault in refusal.value.faults}
    assert set(faults) == {"code", "codes"}
    assert faults["code"].nearest == "codes"
    assert "posterior_logvar" in faults["code"].expected


def test_of_thousands_of_arrays_an_error_names_some() -> None:
    held = npz(codes=None, **{f"other{k}": np.zeros(1) for k in range(300)})
    for options in ({}, {"codes_array": "otter"}):
        with pytest.raises(UnusableArrays, match=r"other0, .* and \d+ more") as refusal:
            read(held, **options)
        assert len(str(refusal.value)) < 2000


def test_a_member_that_is_no_npy_is_refused() -> None:
    with pytest.raises(UnusableArrays, match="codes"):
        read(zipped(*good_members(), ("codes", b"")))


def test_all_faults_come_at_once() -> None:
    with pytest.raises(UnusableArrays) as refusal:
        read(npz(codes=NAN, factors=FACTORS[:-1], factor_names=np.array(["a"])))
    assert {fault.path for fault in refusal.value.faults} == {"codes", "factors", "factor_names"}


def test_arrays_may_be_only_so_large_together() -> None:
    size = len(npy(CODES)) + len(npy(FACTORS))
    assert len(read(npz(), most_bytes=size).codes) == 60
    with pytest.raises(UnusableArrays, match=f"at most {size - 1} bytes, got '{size} bytes"):
        read(npz(), most_bytes=size - 1)


def test_a_pickle_is_never_run() -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return (pytest.fail, ("ran",))

    trap = np.array([[Trap()] * 3] * 60)
    with pytest.raises(UnusableArrays, match="dtype object"):
        read(npz(codes=trap))


def test_a_small_file_takes_little_memory_whatever_it_declares() -> None:
    huge = with_codes(declaring(HEADER.replace("60, 3", "2_000_000, 4096")))
    for data in (huge, bomb(4_000_000_000), understated(), endless_directory()):
        tracemalloc.start()
        with pytest.raises(UnusableArrays):
            read(data)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 8_000_000


def test_no_bytes_raise_anything_else() -> None:
    good = npz(factor_names=np.array(["a", "b"]))
    places = st.integers(0, len(good) - 1)

    @settings(max_examples=300, deadline=None, database=None, derandomize=True)
    @given(st.lists(st.tuples(places, st.integers(0, 255)), max_size=4), places)
    def examine(changes: list[tuple[int, int]], end: int) -> None:
        data = bytearray(good)
        for place, value in changes:
            data[place] = value
        for given_bytes in (bytes(data), bytes(data[:end])):
            try:
                found = read(given_bytes)
            except UnusableArrays as error:
                assert error.faults
            else:
                assert len(found.codes) == len(found.factors)

    examine()
