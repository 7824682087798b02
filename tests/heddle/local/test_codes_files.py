"""Files of codes as people have them: each is read as it was meant, or refused with a way out."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
import scipy.io
import scipy.sparse
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from heddle.cli import main as cli
from heddle.errors import SpecError
from heddle.local import inflated
from heddle.local.choice import Choice, Dialect
from heddle.local.codes_file import read_codes
from ml import score
from ml.codes.codes_and_factors import CodesAndFactors

ROWS = 120
DRAWS = np.random.default_rng(0)
SHAPE, SCALE = np.arange(ROWS) % 3, DRAWS.integers(0, 4, ROWS)
CODES = (
    np.stack([SHAPE + 0.125, SCALE * 0.5, np.zeros(ROWS)], axis=1)
    + DRAWS.standard_normal((ROWS, 3)) * 0.1
)
FACTORS = np.stack([SHAPE, SCALE], axis=1)
NAMES = ["z0", "z1", "z2", "shape", "scale"]


def frame() -> pd.DataFrame:
    whole = pd.DataFrame(CODES, columns=NAMES[:3])
    return whole.assign(shape=SHAPE, scale=SCALE)


def csv_text(separator: str = ",", header: str | None = ",".join(NAMES), end: str = "") -> str:
    """A table of CODES and FACTORS; `header` as it stands."""
    rows = [
        separator.join([*(repr(float(z)) for z in codes), *map(str, factors.tolist())]) + end
        for codes, factors in zip(CODES, FACTORS, strict=True)
    ]
    return "\n".join([header, *rows] if header is not None else rows) + "\n"


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def heddle(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli.main, [str(argument) for argument in arguments])


def is_read(
    path: Path, *, names: tuple[str, ...] | None = ("shape", "scale"), **choice: Any
) -> CodesAndFactors:
    """The file, once it is clear that it has the very codes and factors."""
    found = read_codes(path, Choice(**choice))
    np.testing.assert_array_equal(found.codes, CODES)
    np.testing.assert_array_equal(found.factors, FACTORS)
    assert found.factor_kinds == ("discrete", "discrete")
    assert found.factor_names == names
    return found


def aside(found: CodesAndFactors) -> list[str]:
    return [one.name for one in found.left_aside]


TEXTS: dict[str, tuple[str | bytes, str]] = {
    # what is in the file, and what is said of it
    "plain": (csv_text(), ""),
    "blanks in the header": (csv_text(header="z0, z1 ,z2, shape, scale"), ""),
    "blanks around cells": (csv_text(" , ", "z0 , z1 , z2 , shape , scale"), ""),
    "a header as a comment": (csv_text(header="# " + ",".join(NAMES)), ""),
    "comments before": ("# by hand\n#\n" + csv_text(), "2 lines before the header begin with #"),
    "comments among rows": (csv_text() + "# the end\n", "1 lines among the rows begin with #"),
    "comments of as many cells": (
        csv_text().replace("\n", "\n#m,m,m,class,class\n", 1) + "#1,2,3,4,5\n",
        "2 lines among the rows begin with #",
    ),
    "lines of blanks": (csv_text() + "   \n\t\n", ""),
    "quotes behind blanks": (
        '"' + csv_text('", "', '", "'.join(NAMES)).replace("\n", '"\n"')[:-1],
        "",
    ),
    "savetxt": ("# 2024\n# " + csv_text(), ""),
    "CRLF": (csv_text().replace("\n", "\r\n"), ""),
    "CR": (csv_text().replace("\n", "\r"), ""),
    "empty lines": ("\n\n" + csv_text() + "\n\n", ""),
    "UTF-8 with its mark": (b"\xef\xbb\xbf" + csv_text().encode(), ""),
    "UTF-16": (csv_text().encode("utf-16"), "UTF-16"),
    "UTF-16 of other order": (b"\xfe\xff" + csv_text().encode("utf-16-be"), "UTF-16"),
    "semicolons": (csv_text(";", ";".join(NAMES)), "separated by semicolons"),
    "tabs": (csv_text("\t", "\t".join(NAMES)), "separated by tabs"),
    "bars": (csv_text("|", "|".join(NAMES)), "separated by bars"),
    "single blanks": (csv_text(" ", "# " + " ".join(NAMES)), "separated by blanks"),
    "decimal commas": (csv_text(";", ";".join(NAMES)).replace(".", ","), "decimal commas"),
    "quoted decimal commas": (
        "\n".join(
            ",".join(f'"{cell}"' for cell in line.split(";"))
            for line in csv_text(";", ";".join(NAMES)).replace(".", ",").splitlines()
        ),
        "decimal commas",
    ),
    "quoted names": (csv_text(header='"z0","z1","z2","shape", "scale"'), ""),
    "a separator at each end": (csv_text(header=",".join(NAMES) + ",", end=","), ""),
    "integers with a point": (
        csv_text().replace("\n", ".0\n").replace("scale.0", "scale"),
        "'scale': its floating numbers are integers of 4 values, taken as classes",
    ),
    "plus signs": (csv_text().replace("\n", "\n+").removesuffix("+").replace("+-", "-"), ""),
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_csv_is_read_as_it_was_meant_and_what_was_assumed_is_said(
    name: str, tmp_path: Path
) -> None:
    content, said = TEXTS[name]
    found = is_read(written(tmp_path / "codes.csv", content))
    assert found.code_names == ("z0", "z1", "z2")
    assert said in "; ".join(found.assumptions())
    assert bool(found.assumptions()) == bool(said)


def test_a_latin_1_header_is_read_and_said(tmp_path: Path) -> None:
    header = "z0,z1,z2,shape,größe"
    path = written(tmp_path / "codes.csv", csv_text(header=header).encode("latin-1"))
    found = is_read(path, names=("shape", "größe"))
    assert "no UTF-8 (byte 17 is 0xf6), read as Latin-1" in found.assumed[0]


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz", "zst"])
def test_a_compressed_csv_is_read_whatever_it_is_called(kind: str, tmp_path: Path) -> None:
    data = csv_text().encode()
    compressed = {
        "gz": gzip.compress(data[:900]) + gzip.compress(data[900:]),
        "bz2": bz2.compress(data),
        "xz": lzma.compress(data),
        "zst": pa.compress(data, codec="zstd", asbytes=True),
    }[kind]
    for name in (f"codes.csv.{kind}", f"codes.TSV.{kind}", "codes.csv"):
        assert "compressed by" in is_read(written(tmp_path / name, compressed)).assumed[0]
    cut = written(tmp_path / f"cut.csv.{kind}", compressed[:-20])
    with pytest.raises(SpecError):
        read_codes(cut, Choice())


def test_what_inflates_beyond_measure_is_refused_in_little_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inflated, "_SMALL", 1 << 20)
    bomb = written(tmp_path / "codes.csv.bz2", bz2.compress(bytes(8_000_000)))
    with pytest.raises(SpecError, match="inflates to more than") as refusal:
        read_codes(bomb, Choice())
    assert "1,048,576 bytes" in str(refusal.value)
    monkeypatch.setattr(inflated, "_SMALL", 1 << 40)
    with pytest.raises(SpecError, match="inflates to more than 5,000,000 bytes"):
        inflated.inflated(bomb, most_bytes=5_000_000)


REFUSED: dict[str, tuple[str | bytes, str, dict[str, Any]]] = {
    # what is in the file, what is said, and what resolves it
    "no header": (
        csv_text(header=None),
        "--no-header",
        {
            "dialect": Dialect(header=False),
            "codes": ("column_[0-2]",),
            "factors": ("column_3", "column_4"),
            "names": ("column_3", "column_4"),
        },
    ),
    "an index without a name": (
        frame().to_csv(),
        "--drop 'Unnamed: 0'",
        {"drop": ("Unnamed: 0",)},
    ),
    "an index read again": (
        "Unnamed: 0" + frame().to_csv(),
        "--drop 'Unnamed: 0'",
        {"factors": ("shape", "scale")},
    ),
    "a column of many values beside classes": (
        frame().assign(loss=CODES[:, 0] * 2, mu=CODES[:, 1]).to_csv(index=False),
        "'loss', 'mu' are not called as codes are .* --factors shape,scale",
        {"drop": ("loss", "mu")},
    ),
    "an index that begins again, of another name": (
        frame().assign(id=[*range(70), *range(50)]).to_csv(index=False),
        "'id' of factors counts the rows, as an index does; leave it out by --drop 'id'",
        {"drop": ("id",)},
    ),
    "an index that was read twice": (
        frame().assign(**{"Unnamed: 0.1": SHAPE, "level_1": SCALE}).to_csv(index=False),
        "'Unnamed: 0.1' .*has no name of its own",
        {"drop": ("Unnamed*", "level_*")},
    ),
    "an index beside the same one read again": (
        frame().assign(**{"Unnamed: 0": SHAPE}).to_csv(),
        "'Unnamed: 0.1' .*has no name of its own",
        {"drop": ("Unnamed*",)},
    ),
    "codes of two kinds, no number twice": (
        csv_text(header="z0,z1,mean_2,shape,scale"),
        r"more than one kind, 'z0' \(of 2\) and 'mean_2' \(of 1\)",
        {"codes": ("z*", "mean_2")},
    ),
    "the spread of codes": (
        frame().assign(**{f"logvar{k}": CODES[:, k] for k in range(3)}).to_csv(index=False),
        "'logvar0' .*is called as the spread of a code",
        {"drop": ("logvar*",)},
    ),
    "a frame of each row": (
        frame().assign(frame=np.arange(ROWS)[::-1]).to_csv(index=False),
        "'frame' .*different in every row.*--drop 'frame'.*--factor-kinds 'frame=continuous'",
        {"drop": ("frame",)},
    ),
    "a single value": (
        frame().assign(split="test").to_csv(index=False),
        "'split' of factors has the single value test; leave it out by --drop 'split'",
        {"drop": ("split",)},
    ),
    "a header shorter than rows, as of write.table": (
        " ".join(f'"{name}"' for name in NAMES) + "\n" + csv_text(" ", header=None, end=" 1"),
        "a quote without its partner, or within a cell; .*--separator",
        {},
    ),
    "codes twice": (
        frame().assign(**{f"code_{k}": CODES[:, k] + 1 for k in range(3)}).to_csv(index=False),
        r"more than one kind, 'z0' \(of 3\) and 'code_0' \(of 3\); say by --codes",
        {"codes": ("z*",)},
    ),
    "fractions or thousands": (
        "\n".join(
            ["z0;z1;z2;shape;scale", *(f"{k + 1},{k + 100};0;1;{k % 3};0" for k in range(9))]
        ),
        "'z0' has 1,100, which may be a fraction or thousands; say --decimal ,",
        {},
    ),
    "two ways of writing": (
        csv_text(";", ";".join(NAMES)).replace(".", ",", 1),
        "among numbers with decimal commas",
        {},
    ),
    "numbers and text": (
        csv_text().replace("\n", "?\n", 8).replace("scale?", "scale"),
        "'scale' of factors has '.\\?' in row 0 .*--factor-kinds 'scale=discrete'",
        {},
    ),
    "dates": (
        frame().assign(day=[f"2024-05-{k % 9 + 1:02}" for k in range(ROWS)]).to_csv(index=False),
        "'day' of factors has dates, as 2024-05-01",
        {"drop": ("day",)},
    ),
    "thousands": (
        frame().assign(size=[f"{k % 3 + 1},000,000" for k in range(ROWS)]).to_csv(index=False),
        "'size' of factors has 1,000,000, which looks like a number but is none",
        {"drop": ("size",)},
    ),
    "missing labels": (
        frame().assign(kind=["red", "None", "blue"] * 40).to_csv(index=False),
        "'kind' has 40 missing values, the first in row 1",
        {"drop": ("kind",)},
    ),
    "a name twice": (csv_text(header="z0,z1,z2,shape, shape"), "2 columns called 'shape'", {}),
    "rows longer than the header": (csv_text(end=","), "Expected 5 columns, got 6", {}),
    "a header alone": (",".join(NAMES), "has 0 rows", {}),
    "nothing": ("", "it is empty", {}),
    "comments alone": ("# z0,z1\n", "it is empty", {}),
    "UTF-16 without its mark": (csv_text().encode("utf-16-le"), "a NUL at byte 1", {}),
    "half of UTF-16": (csv_text().encode("utf-16")[:-1], "begins as UTF-16 does, but is none", {}),
    "codes beyond exact numbers": (
        frame().assign(z2=2**53 + np.arange(ROWS)).to_csv(index=False),
        "'z2' of codes has integers beyond",
        {},
    ),
    "classes that have merged": (
        frame().assign(id=(2.0**60 + 1e6 * SHAPE)).to_csv(index=False),
        "'id' of factors has .* among classes in float64",
        {"drop": ("id",)},
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_csv_that_can_be_meant_otherwise_is_refused_with_a_way_out(
    name: str, tmp_path: Path
) -> None:
    content, told, resolved = REFUSED[name]
    path = written(tmp_path / "codes.csv", content)
    with pytest.raises(SpecError) as refusal:
        read_codes(path, Choice())
    with pytest.raises(AssertionError, match=told):
        raise AssertionError(str(refusal.value))
    assert heddle("score", path, "--metrics", "mig", "--quick").exit_code == 2
    if resolved:
        is_read(path, **resolved)


def test_decimal_commas_that_are_said_are_taken(tmp_path: Path) -> None:
    content, _, _ = REFUSED["fractions or thousands"]
    path = written(tmp_path / "codes.csv", str(content).replace(";0\n", ";1\n", 4))
    found = read_codes(path, Choice(dialect=Dialect(decimal=",")))
    assert found.codes[:2, 0].tolist() == [1.1, 2.101]


def test_text_among_numbers_is_a_class_where_that_is_said(tmp_path: Path) -> None:
    content, _, _ = REFUSED["numbers and text"]
    found = read_codes(written(tmp_path / "a.csv", content), Choice(kinds="scale=discrete"))
    assert len(np.unique(found.factors[:, 1])) > 4


def test_ids_of_any_length_are_told_apart(tmp_path: Path) -> None:
    of = {"id64": 2**53, "of_20": 2**64, "of_30": 10**30}
    columns = {name: [str(first + k % 3) for k in range(ROWS)] for name, first in of.items()}
    path = written(tmp_path / "codes.csv", frame().assign(**columns).to_csv(index=False))
    found = read_codes(path, Choice())
    for column in range(2, 5):
        np.testing.assert_array_equal(found.factors[:, column], SHAPE)
    numbers = pa.table(
        {
            "z0": CODES[:, 0],
            "u64": pa.array([2**64 - 3 + k % 3 for k in range(ROWS)], pa.uint64()),
            "decimal": pa.array([10**30 + k % 3 for k in range(ROWS)], pa.decimal128(38)),
        }
    )
    pyarrow.parquet.write_table(numbers, tmp_path / "codes.parquet")
    for column in read_codes(tmp_path / "codes.parquet", Choice()).factors.T:
        np.testing.assert_array_equal(column, SHAPE)


def test_quoted_cells_may_hold_separators_and_lines(tmp_path: Path) -> None:
    label = ['"round, red"', '"a ""cube""\nof two lines"', "blue"]
    text = "z0,kind\n" + "".join(f"{k}.5,{label[k % 3]}\n" for k in range(ROWS))
    found = read_codes(written(tmp_path / "codes.csv", text), Choice())
    # a cube, blue, round
    assert found.factors[:3, 0].tolist() == [2, 0, 1]


@pytest.mark.parametrize(
    "called",
    ["z_{}", "z[{}]", "z {}", "Z.{}", "mu{}", "mean_{}", "latent0{}", "dim_{}", "codes.{}"],
)
def test_codes_are_known_by_the_names_that_people_give(called: str, tmp_path: Path) -> None:
    names = [called.format(k) for k in range(3)]
    header = ",".join([*names, "shape", "z_position"])
    found = is_read(
        written(tmp_path / "codes.csv", csv_text(header=header)), names=("shape", "z_position")
    )
    assert found.code_names == tuple(names)
    assert not found.assumptions()


def test_a_name_that_is_a_pattern_too_means_itself(tmp_path: Path) -> None:
    names = ["z[0]", "z0", "z1"]
    whole = save_npz(tmp_path / "codes.npz", codes=CODES, factors=FACTORS, code_names=names)
    assert read_codes(whole, Choice(drop=("z[0]",))).code_names == ("z0", "z1")
    table = written(tmp_path / "codes.csv", csv_text(header="z[0],z0,z1,shape,scale"))
    factors = save_npz(tmp_path / "factors.npz", factors=FACTORS)
    found = read_codes(table, Choice(codes=("z*",), drop=("z[0]",), factors_file=factors))
    assert found.code_names == ("z0", "z1")


def test_integers_that_differ_in_every_row_may_measure(tmp_path: Path) -> None:
    times = frame().assign(time=DRAWS.permutation(ROWS))
    path = written(tmp_path / "codes.csv", times.to_csv(index=False))
    found = read_codes(path, Choice(kinds="time=continuous"))
    assert found.factor_kinds == ("discrete", "discrete", "continuous")


def test_the_last_factor_of_a_grid_is_no_index(tmp_path: Path) -> None:
    grid = frame().assign(place=np.arange(ROWS) % 40, far=np.arange(ROWS) // 30)
    path = written(tmp_path / "codes.csv", grid.to_csv(index=False))
    found = read_codes(path, Choice())
    assert found.factor_names == ("shape", "scale", "place", "far")


def test_colours_of_a_first_column_are_no_comments(tmp_path: Path) -> None:
    colours = frame().assign(colour=[f"#{k % 3}f0000" for k in range(ROWS)])
    colours = colours[["colour", *NAMES[:3]]]
    found = read_codes(written(tmp_path / "codes.csv", colours.to_csv(index=False)), Choice())
    assert found.factors[:4, 0].tolist() == [0, 1, 2, 0]


def test_columns_called_as_codes_but_not_chosen_are_no_factors(tmp_path: Path) -> None:
    path = written(tmp_path / "codes.csv", csv_text())
    found = read_codes(path, Choice(codes=("z2", "z0")))
    assert found.code_names == ("z0", "z2")
    assert found.factor_names == ("shape", "scale")
    assert [(one.name, one.why) for one in found.left_aside] == [
        ("z1", "called as a code is, but not chosen")
    ]


def test_the_index_that_pandas_names_is_left_aside_unless_it_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "codes.parquet"
    pd.concat([frame()[:60], frame()[60:].set_axis(range(60))]).to_parquet(path)
    assert aside(is_read(path)) == ["__index_level_0__"]
    frame().set_index(["shape", SHAPE * 2]).to_parquet(path)
    found = read_codes(path, Choice())
    assert found.factor_names == ("scale",)
    assert aside(found) == ["shape", "__index_level_1__"]
    named = read_codes(path, Choice(factors=("shape", "scale")))
    assert set(named.factor_names or ()) == {"shape", "scale"}
    # Without what pandas says of it, it is a column without a name.
    bare = pa.table({"z0": CODES[:, 0], "shape": SHAPE, "__index_level_0__": SCALE})
    pyarrow.parquet.write_table(bare, path)
    with pytest.raises(SpecError, match=r"__index_level_0__.*has no name of its own"):
        read_codes(path, Choice())


@pytest.mark.parametrize("name", ["latent", "embedding"])
@pytest.mark.parametrize("fixed", [True, False])
def test_lists_of_one_length_are_codes(name: str, fixed: bool, tmp_path: Path) -> None:
    path = tmp_path / "codes.parquet"
    kind = pa.list_(pa.float64(), 3) if fixed else pa.list_(pa.float64())
    lists = pa.array(CODES.tolist(), kind)
    pyarrow.parquet.write_table(pa.table({name: lists, "shape": SHAPE, "scale": SCALE}), path)
    found = is_read(path)
    assert found.code_names == tuple(f"{name}_{k}" for k in range(3))
    assert f"'{name}'" in found.assumed[0]
    is_read(path, codes=(name,))
    both = {"codes": lists, "images": lists, "factors": pa.array(FACTORS.tolist())}
    pyarrow.parquet.write_table(pa.table(both), path)
    is_read(path, names=("factors_0", "factors_1"))
    ragged = pa.table({name: [[1.0], [1.0, 2.0]], "shape": [0, 1]})
    pyarrow.parquet.write_table(ragged, path)
    with pytest.raises(SpecError, match=f"'{name}' has lists of 1, 2 numbers"):
        read_codes(path, Choice())


@pytest.mark.parametrize("suffix", ["npz", "npy", "h5", "mat", "csv", "parquet"])
def test_a_file_that_is_not_there_is_said_to_be_so(suffix: str, tmp_path: Path) -> None:
    factors = save_npz(tmp_path / "factors.npz", factors=FACTORS)
    with pytest.raises(SpecError, match=f"codes.{suffix}.*No such file"):
        read_codes(tmp_path / f"codes.{suffix}", Choice(factors_file=factors))


def test_codes_may_be_truth_values(tmp_path: Path) -> None:
    path = tmp_path / "codes.parquet"
    pyarrow.parquet.write_table(
        pa.table({"z0": SHAPE > 0, "z1": CODES[:, 1], "shape": SHAPE}), path
    )
    assert read_codes(path, Choice()).codes[:3, 0].tolist() == [0, 1, 1]


@pytest.mark.parametrize("names", [("z0", "z0"), ("z0", " z0"), ("z", "z_0"), ("", "Unnamed: 0")])
def test_two_columns_of_one_name_are_refused(names: tuple[str, str], tmp_path: Path) -> None:
    path = tmp_path / "codes.parquet"
    first = pa.array(CODES.tolist()) if names[0] == "z" else pa.array(CODES[:, 0])
    columns = [first, pa.array(CODES[:, 1]), pa.array(SHAPE)]
    pyarrow.parquet.write_table(pa.table(columns, [*names, "shape"]), path)
    with pytest.raises(SpecError, match=f"two columns called '{names[1].strip()}'"):
        read_codes(path, Choice())


@pytest.mark.parametrize(
    "column",
    [
        pa.array([{"a": 1}, {"a": 2}] * 4),
        pa.array([[("a", 1)], [("b", 2)]] * 4, pa.map_(pa.string(), pa.int64())),
        pa.array([1, 2] * 4, pa.timestamp("s")),
        pa.array([1, 2] * 4, pa.duration("s")),
        pa.nulls(8),
        pa.array([b"\xff", b"\xfe"] * 4),
        pa.array([[{"a": 1}], [{"a": 2}]] * 4),
        pa.array([1.0, None] * 4),
        pa.array([1.0, float("nan")] * 4),
    ],
)
def test_a_column_of_another_type_is_refused_by_name(column: Any, tmp_path: Path) -> None:
    path = tmp_path / "codes.parquet"
    for name in ("odd", "z9"):
        table = pa.table({"z0": np.arange(8.0), name: column, "shape": [0, 1] * 4})
        pyarrow.parquet.write_table(table, path)
        with pytest.raises(SpecError, match=name):
            named = ("odd*", "shape") if name == "odd" else ("shape",)
            read_codes(path, Choice(codes=("z*",), factors=named))


@pytest.mark.parametrize(
    "column",
    [
        pa.array(["a", "b"] * 4, pa.large_string()),
        pa.array(["a", "b"] * 4, pa.string_view()),
        pa.array([b"a", b"b"] * 4),
        pa.array(["a", "b"] * 4).dictionary_encode(),
        pa.array([False, True] * 4),
        pa.array([1, 2] * 4, pa.decimal128(9)),
        pa.array([1, 2] * 4, pa.float16()),
    ],
)
def test_labels_of_every_type_are_classes(column: Any, tmp_path: Path) -> None:
    path = tmp_path / "codes.parquet"
    pyarrow.parquet.write_table(pa.table({"z0": np.arange(8.0), "label": column}), path)
    found = read_codes(path, Choice())
    assert found.factor_kinds == ("discrete",)
    assert (found.factors[:, 0] - found.factors[0, 0]).tolist() == [0, 1] * 4


def test_a_parquet_of_few_bytes_cannot_ask_for_many(tmp_path: Path) -> None:
    path = tmp_path / "codes.parquet"
    column = pa.DictionaryArray.from_arrays(pa.array(np.zeros(1 << 20, np.int8)), ["x" * 2000])
    pyarrow.parquet.write_table(pa.table({"z0": column}), path)
    assert path.stat().st_size < 300_000
    with pytest.raises(SpecError, match="expected at most"):
        read_codes(path, Choice())


def save_npz(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def test_arrays_under_other_names_are_taken_and_said(tmp_path: Path) -> None:
    path = tmp_path / "codes.npz"
    for codes, factors in (("z", "y"), ("latents", "labels"), ("mu", "targets"), ("Z", "Y")):
        found = is_read(save_npz(path, **{codes: CODES, factors: FACTORS}), names=None)
        assert found.assumed == (
            f"the array {codes!r} has the codes",
            f"the array {factors!r} has the factors",
        )
    found = is_read(save_npz(path, latents=CODES, factors=FACTORS, images=SHAPE), names=None)
    assert aside(found) == ["images"]
    found = is_read(save_npz(path, codes=CODES, factors=FACTORS, z=CODES + 1), names=None)
    assert aside(found) == ["z"]


def test_arrays_of_which_several_may_be_meant_are_chosen_by_name(tmp_path: Path) -> None:
    path = save_npz(tmp_path / "codes.npz", z=CODES, mu=CODES + 1, a=FACTORS)
    with pytest.raises(SpecError) as refusal:
        read_codes(path, Choice())
    told = {error.path: error for error in refusal.value.errors}
    assert told["codes"].got == "z, mu" and "--codes-array" in told["codes"].expected
    assert "--factors-array" in told["factors"].expected and "z, mu, a" in told["factors"].expected
    assert aside(is_read(path, names=None, codes_array="z", factors_array="a")) == ["mu"]
    asked = ("--codes-array", "z", "--factors-array", "a")
    result = heddle("score", path, "--metrics", "mig", "--quick", *asked, "--json")
    assert result.exit_code == 0, result.output
    with pytest.raises(SpecError, match="did you mean mu"):
        read_codes(path, Choice(codes_array="mux", factors_array="a"))


def test_factors_may_be_in_another_file_of_any_kind(tmp_path: Path) -> None:
    codes = save_npz(tmp_path / "representations.npz", mean=CODES, sampled=CODES + 1)
    tables = {
        "classes.csv": "shape,scale\n" + "".join(f"{a}.0,{b}.0\n" for a, b in FACTORS.tolist()),
        "classes.tsv": "shape\tscale\n" + "".join(f"{a}\t{b}\n" for a, b in FACTORS.tolist()),
    }
    for name, text in tables.items():
        found = is_read(codes, factors_file=written(tmp_path / name, text))
        assert aside(found) == ["sampled"]
        assert f"each row of {name} belongs to the same row" in "; ".join(found.assumed)
    wide = written(tmp_path / "wide.csv", csv_text().replace("scale", "size", 1))
    found = read_codes(wide, Choice(factors=("scale",), factors_file=tmp_path / "classes.csv"))
    assert found.factor_names == ("scale",) and aside(found) == ["shape", "size", "shape"]
    with pytest.raises(SpecError, match="No column is called 'form'"):
        read_codes(wide, Choice(factors=("form",), factors_file=tmp_path / "classes.csv"))
    dropped = Choice(drop=("z2", "shape"), factors_file=tmp_path / "classes.csv")
    assert read_codes(wide, dropped).codes.shape == (ROWS, 2)
    one = save_npz(tmp_path / "y.npz", y=FACTORS)
    is_read(codes, names=None, factors_file=one)
    is_read(written(tmp_path / "c.csv", csv_text()), names=None, factors_file=one)
    short = written(tmp_path / "short.csv", "shape\n1\n2\n1\n")
    with pytest.raises(SpecError, match=r"3 rows.*120 rows, as in codes"):
        read_codes(codes, Choice(factors_file=short))
    with pytest.raises(SpecError, match=r"absent\.csv"):
        read_codes(codes, Choice(factors_file=tmp_path / "absent.csv"))
    result = heddle("score", codes, "--factors-file", one, "--metrics", "mig", "--quick", "--json")
    [mig] = json.loads(result.stdout)["items"]
    assert mig["value"] == score(CODES, FACTORS, "mig", uncertainty=False)[0].value


def test_npy_files_are_a_pair(tmp_path: Path) -> None:
    np.save(tmp_path / "my_codes.npy", CODES)
    with pytest.raises(SpecError, match="--factors-file"):
        read_codes(tmp_path / "my_codes.npy", Choice())
    np.save(tmp_path / "my_factors.npy", FACTORS)
    found = is_read(tmp_path / "my_codes.npy", names=None)
    assert "the factors are those of my_factors.npy" in found.assumed
    shutil.copy(tmp_path / "my_factors.npy", tmp_path / "y.npy")
    is_read(tmp_path / "my_codes.npy", names=None, factors_file=tmp_path / "y.npy")
    np.save(tmp_path / "y.npy", FACTORS.astype(object), allow_pickle=True)
    with pytest.raises(SpecError, match="dtype object"):
        read_codes(tmp_path / "my_codes.npy", Choice(factors_file=tmp_path / "y.npy"))


def test_hdf5_is_read_and_leads_to_no_other_file(tmp_path: Path) -> None:
    path = tmp_path / "codes.h5"
    with h5py.File(path, "w") as file:
        file["eval/z"] = CODES
        file.create_dataset("eval/labels", data=FACTORS, compression="gzip")
        file["factor_names"] = ["shape", "scale"]
    found = is_read(path)
    assert found.assumed[0] == "the array 'eval/z' has the codes"
    is_read(path, codes_array="eval/z", factors_array="eval/labels")
    with h5py.File(tmp_path / "link.h5", "w") as file:
        file["codes"] = CODES
        file["factors"] = h5py.ExternalLink("codes.h5", "eval/labels")
    with pytest.raises(SpecError, match="factors: got null"):
        read_codes(tmp_path / "link.h5", Choice())
    with h5py.File(tmp_path / "huge.h5", "w") as file:
        file["factors"] = FACTORS
        file.create_dataset("codes", (1_000_000, 4000), dtype="f4", chunks=True, compression="gzip")
    with pytest.raises(SpecError, match="at most 1073741824 bytes"):
        read_codes(tmp_path / "huge.h5", Choice())
    with pytest.raises(SpecError, match="no whole HDF5 file"):
        read_codes(written(tmp_path / "no.h5", b"codes"), Choice())


def test_mat_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "codes.mat"
    names = np.array(["shape", "scale"], dtype=object)
    arrays = {"z": CODES, "y": FACTORS.astype(float), "factor_names": names, "note": "hand-made"}
    scipy.io.savemat(path, arrays, do_compression=True)
    assert aside(is_read(path)) == ["note"]
    scipy.io.savemat(path, {"codes": scipy.sparse.csc_matrix(CODES), "factors": FACTORS})
    is_read(path, names=None)
    cells = np.array([1.0, 2.0] * (ROWS // 2), dtype=object)
    scipy.io.savemat(path, {"codes": CODES, "labels": cells})
    with pytest.raises(SpecError, match=r'labels: got "cells of other things.*cell2mat'):
        read_codes(path, Choice())
    # A list of labels becomes a row there.
    scipy.io.savemat(path, {"codes": CODES, "labels": SHAPE})
    np.testing.assert_array_equal(read_codes(path, Choice()).factors[:, 0], SHAPE)
    # Version 7.3 is HDF5 in the order of Fortran, with a header of its own.
    with h5py.File(path, "w", userblock_size=512) as file:
        file["z"], file["y"] = CODES.T, FACTORS.T.astype(float)
        file["z"].attrs["MATLAB_class"] = np.bytes_("double")
    content = bytearray(path.read_bytes())
    content[:128] = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM"
    is_read(written(path, bytes(content)), names=None)
    with pytest.raises(SpecError, match="no whole MATLAB file"):
        read_codes(written(path, b"MATLAB"), Choice())


def test_score_says_what_it_understood(tmp_path: Path) -> None:
    text = csv_text(header="z0, z1, z2, shape, scale").replace("\n", ".0\n").replace("e.0", "e")
    path = written(tmp_path / "codes.csv", text)
    asked = ("--metrics", "mig", "--quick", "--codes", "z0,z1")
    shown = heddle("score", path, *asked).stdout
    assert "codes.csv: 120 rows, 2 codes z0, z1, factors shape (3 classes), scale" in shown
    assert "left aside z2: called as a code is, but not chosen" in shown
    assert "assumed: factor 'scale': its floating numbers are integers of 4 values" in shown
    document = json.loads(heddle("score", path, *asked, "--json").stdout)
    assert set(document) == {"items", "next_cursor", "advice", "understood"}
    understood = document["understood"]
    assert (understood["rows"], understood["codes"]) == (120, ["z0", "z1"])
    scale = {"name": "scale", "kind": "discrete", "values": 4}
    assert understood["factors"][1] == scale
    assert [one["name"] for one in understood["left_aside"]] == ["z2"]
    audited = heddle("audit", path, "--quick", "--codes", "z0,z1").stdout
    assert "left aside z2: called as a code is, but not chosen" in audited


NUMBERS = st.floats(-1e9, 1e9, allow_nan=False).map(lambda x: x + 0.0)
LABELS = st.text(st.sampled_from("abcdxyzäß #;,.'\"-"), min_size=1, max_size=6).map(
    lambda text: "L" + text.strip()
)


@st.composite
def tables(draw: st.DrawFn) -> pd.DataFrame:
    """A few rows of any codes, with factors of text and of integers that vary."""
    rows = draw(st.integers(4, 30))
    codes = draw(st.lists(st.lists(NUMBERS, min_size=2, max_size=2), min_size=rows, max_size=rows))
    labels = draw(st.lists(LABELS, min_size=2, max_size=3, unique=True))
    ids = draw(st.lists(st.integers(-(2**70), 2**70), min_size=2, max_size=3, unique=True))
    return pd.DataFrame(codes, columns=["z0", "z1"]).assign(
        kind=[labels[k % len(labels)] for k in range(rows)],
        id=[str(ids[k % len(ids)]) for k in range(rows)],
    )


KINDS = ["csv", "semicolons", "tabs", "gz", "parquet", "lists", "npz", "h5"]


@pytest.mark.parametrize("kind", KINDS)
def test_any_table_is_read_as_it_was_written(kind: str, tmp_path: Path) -> None:
    @settings(max_examples=40, deadline=None, database=None, derandomize=True)
    @given(tables())
    def examine(table: pd.DataFrame) -> None:
        suffixes = {"gz": "csv.gz", "lists": "parquet", "semicolons": "csv", "tabs": "csv"}
        path = tmp_path / f"codes.{suffixes.get(kind, kind)}"
        codes, factors = table[["z0", "z1"]].to_numpy(), table[["kind", "id"]].to_numpy(str)
        names = ["kind", "id"]
        if kind == "parquet":
            table.to_parquet(path)
        elif kind == "npz":
            save_npz(path, codes=codes, factors=factors, factor_names=np.array(names))
        elif kind == "h5":
            with h5py.File(path, "w") as file:
                file["codes"], file["factor_names"] = codes, names
                file.create_dataset("factors", data=factors.tolist(), dtype=h5py.string_dtype())
        elif kind == "lists":
            lists = pa.array(table[["z0", "z1"]].values.tolist())
            rest = {name: table[name].tolist() for name in names}
            pyarrow.parquet.write_table(pa.table({"z": lists, **rest}), path)
        elif kind == "semicolons":
            path.write_text(table.to_csv(index=False, sep=";", decimal=","))
        else:
            table.to_csv(path, index=False, sep="\t" if kind == "tabs" else ",")
        found = read_codes(path, Choice())
        np.testing.assert_array_equal(found.codes, codes)
        assert found.factor_names == ("kind", "id")
        for column, name in zip(found.factors.T, names, strict=True):
            # The same rows are alike.
            assert len(set(zip(column, table[name], strict=True))) == table[name].nunique()
            assert len(set(column.tolist())) == table[name].nunique()

    examine()


def test_no_bytes_of_a_csv_raise_anything_else(tmp_path: Path) -> None:
    good = csv_text().encode()[:400]

    @settings(max_examples=200, deadline=None, database=None, derandomize=True)
    @given(
        st.lists(st.tuples(st.integers(0, 399), st.binary(max_size=3)), max_size=4),
        st.binary(max_size=3),
    )
    def examine(changes: list[tuple[int, bytes]], start: bytes) -> None:
        data = bytearray(good)
        for place, value in changes:
            data[place : place + len(value)] = value
        path = written(tmp_path / "codes.csv", start + bytes(data))
        try:
            found = read_codes(path, Choice())
        except SpecError as error:
            assert str(error)
        else:
            assert len(found.codes) == len(found.factors)

    examine()


def test_thousands_of_columns_are_read_in_a_time_that_grows_with_them(tmp_path: Path) -> None:
    names = [f"z{k}" for k in range(4000)]
    table = pd.DataFrame(np.arange(80_000.0).reshape(20, 4000) / 7, columns=names)
    buffer = io.StringIO()
    table.assign(shape=np.arange(20) % 3).to_csv(buffer, index=False)
    found = read_codes(written(tmp_path / "codes.csv", buffer.getvalue()), Choice())
    np.testing.assert_array_equal(found.codes, table[names].to_numpy())
