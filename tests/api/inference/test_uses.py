"""Uses of a trained model over HTTP: what they answer, and how they refuse."""

from __future__ import annotations

import io
import json
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from api.inference import image_answers, images
from ml.evaluation.encode import encode_images
from tests.api.http.test_fuzz import any_json, any_text
from tests.api.service import Service, problem
from tests.api.trained_run import SPEC, files_of, model_of, trained
from tests.npz import bomb, declaring, zipped

AE = {**SPEC, "objective": {"name": "ae"}}
IMAGES = 1797
"""In the data set of digits."""


class Run:
    """A trained run, and how it is asked."""

    def __init__(self, service: Service, id: str) -> None:
        self.service, self.id = service, id

    def ask(
        self, use: str, body: Any, accept: str = "application/json", query: str = ""
    ) -> httpx.Response:
        headers = {"accept": accept}
        return self.service.client.post(
            f"/v1/runs/{self.id}/{use}{query}", json=body, headers=headers
        )

    def send(
        self, use: str, *files: bytes, query: str = "", accept: str = "application/json"
    ) -> httpx.Response:
        parts = [("file", (f"{place}.png", file)) for place, file in enumerate(files)]
        return self.service.client.post(
            f"/v1/runs/{self.id}/{use}{query}", files=parts, headers={"accept": accept}
        )

    def json(self, use: str, body: Any, query: str = "") -> Any:
        return good(self.ask(use, body, query=query)).json()


@pytest.fixture(scope="module")
def run(shared: Service) -> Run:
    return Run(shared, trained(shared))


@pytest.fixture(scope="module")
def ae(shared: Service) -> Run:
    return Run(shared, trained(shared, AE))


@pytest.fixture(scope="module")
def digits() -> np.ndarray:
    """The images of the data set, (images, 64, 64), uint8."""
    return model_of().spec.dataset.open().images(slice(None))


def good(answer: httpx.Response) -> httpx.Response:
    assert answer.status_code == 200, answer.text
    return answer


def picture(answer: httpx.Response) -> np.ndarray:
    good(answer)
    assert answer.headers["content-type"] == "image/png"
    return np.asarray(Image.open(io.BytesIO(answer.content)))


def arrays(answer: httpx.Response) -> dict[str, np.ndarray]:
    good(answer)
    assert answer.headers["content-type"] == "application/x-npz"
    with np.load(io.BytesIO(answer.content), allow_pickle=False) as held:
        return dict(held)


def png(image: np.ndarray, format: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, format, **options)
    return file.getvalue()


def npz(**held: Any) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **held)
    return file.getvalue()


def paths(answer: httpx.Response, status: int = 422) -> list[str]:
    return [error["path"] for error in problem(answer, status)["errors"]]


def decoded(latents: Any) -> np.ndarray:
    return model_of().decode(np.array(latents, dtype=np.float32))[..., 0]


def levels(images: np.ndarray) -> np.ndarray:
    return np.rint(images * 255).astype(np.uint8)


ROW = [0.5, -1.0, 2]


def test_a_latent_is_decoded_to_a_picture_of_itself(run: Run) -> None:
    body = {"latents": [ROW]}
    for accept in ("*/*", "image/png", "image/*, application/json;q=0.5"):
        assert np.array_equal(picture(run.ask("decode", body, accept)), levels(decoded([ROW]))[0])
    large = picture(run.ask("decode", body, "*/*", "?scale=3"))
    assert np.array_equal(large, np.kron(levels(decoded([ROW]))[0], np.ones((3, 3))))


def test_several_latents_are_decoded_to_a_mosaic(run: Run) -> None:
    rows = np.random.default_rng(0).normal(size=(5, 3)).tolist()
    sheet = picture(run.ask("decode", {"latents": rows}, "*/*"))
    # Three columns, two rows, two white pixels between.
    assert sheet.shape == (2 * 64 + 2, 3 * 64 + 4)
    for place, image in enumerate(levels(decoded(rows))):
        top, left = 66 * (place // 3), 66 * (place % 3)
        # By one level, as a batch of another size rounds otherwise.
        assert np.abs(sheet[top : top + 64, left : left + 64].astype(int) - image).max() <= 1
    assert (sheet[66:, 2 * 66 :] == 255).all() and (sheet[64:66] == 255).all()


def test_pixels_are_had_as_numbers(run: Run) -> None:
    document = run.json("decode", {"latents": [ROW, ROW]})
    assert document["shape"] == [2, 64, 64]
    assert np.allclose(document["images"], decoded([ROW, ROW]), atol=5.1e-5)
    held = arrays(run.ask("decode", {"latents": [ROW]}, "application/x-npz"))
    assert held["images"].dtype == np.float32
    assert np.allclose(held["images"], decoded([ROW]), atol=1e-6)


def test_what_nobody_offers_is_not_acceptable(run: Run) -> None:
    assert "image/png" in problem(run.ask("decode", {"latents": [ROW]}, "text/html"), 406)["detail"]
    problem(run.ask("anomaly", {"index": [0]}, "image/png"), 406)
    problem(run.ask("swap", {"a": 0, "b": 1, "latents": [0]}, "image/gif"), 406)


@pytest.mark.parametrize(
    ("latents", "path"),
    [
        ([], "latents"),
        ([ROW] * 257, "latents"),
        ([ROW, ROW, [1, 2]], "latents[2]"),
        ([ROW, ROW, [*ROW, 0]], "latents[2]"),
        ([ROW, []], "latents[1]"),
        ([ROW, ROW, ["a", 0, 0]], "latents[2][0]"),
        ([ROW, ROW, [0, True, 0]], "latents[2][1]"),
        ([[0, None, 0]], "latents[0][1]"),
        ([[0, 0, 1e7]], "latents[0][2]"),
        ([[0, 0, -(10**400)]], "latents[0][2]"),
        ([[0, 0, 10**30]], "latents[0][2]"),
        (ROW, "latents[0]"),
        ({"a": 1}, "latents"),
        ("0,0,0", "latents"),
        (None, "latents"),
    ],
)
def test_latents_that_are_none_are_named(run: Run, latents: Any, path: str) -> None:
    assert path in paths(run.ask("decode", {"latents": latents}))


def test_numbers_that_are_not_finite_are_named(run: Run) -> None:
    for number in ("NaN", "Infinity", "-Infinity", "1e999"):
        answer = run.service.client.post(
            f"/v1/runs/{run.id}/decode", content=f'{{"latents": [[0, 0, {number}]]}}'
        )
        assert paths(answer) == ["latents[0][2]"]


def test_a_picture_of_too_many_pixels_is_refused_and_numbers_are_not(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_answers, "MOST_PIXELS", 64 * 64 * 8)
    body = {"latents": [ROW, ROW]}
    good(run.ask("decode", body, "image/png", "?scale=2"))
    assert paths(run.ask("decode", body, "image/png", "?scale=3")) == ["scale"]
    good(run.ask("decode", body, "application/json", "?scale=3"))
    for scale in ("0", "17", "a", "1.5"):
        assert paths(run.ask("decode", body, "image/png", f"?scale={scale}")) == ["scale"]


def test_images_of_the_data_set_are_encoded_by_index(run: Run, digits: np.ndarray) -> None:
    items = run.json("encode", {"index": [0, 5]})["items"]
    wanted = encode_images(model_of(), digits[[0, 5], ..., None] / np.float32(255))
    for name in ("mean", "log_variance", "kl"):
        found = [item[name] for item in items]
        assert np.allclose(found, getattr(wanted, name), atol=1e-5)
    held = arrays(run.ask("encode", {"index": [0, 5]}, "application/x-npz"))
    assert set(held) == {"mean", "log_variance", "kl"} and held["mean"].shape == (2, 3)


def test_the_same_image_is_encoded_alike_in_whatever_file_it_comes(
    run: Run, digits: np.ndarray
) -> None:
    wanted = run.json("encode", {"index": [3, 4]})["items"]
    three, four = digits[3], digits[4]
    pair, unit = digits[[3, 4]], digits[[3, 4]] / 255
    for files in (
        [png(three), png(four)],
        [npz(images=pair)],
        [npz(images=pair[..., None])],
        [npz(images=unit)],
        [npz(images=unit.astype(np.float32))],
        [npz(images=np.asfortranarray(unit).astype(">f8"))],
        [png(three), npz(images=pair[1:])],
        [png(np.repeat(three[..., None], 3, axis=2)), png(four)],
        # Sixteen bits a pixel: 257 = 65535 / 255.
        [png(three.astype(np.uint16) * 257), png(four)],
        [png(three), png(np.dstack([four] * 3 + [np.full_like(four, 255)]))],
    ):
        found = good(run.send("encode", *files)).json()["items"]
        for one, other in zip(found, wanted, strict=True):
            assert np.allclose(one["mean"], other["mean"], atol=1e-4)


def test_what_is_transparent_is_black(run: Run, digits: np.ndarray) -> None:
    half = digits[3].copy()
    hidden = np.dstack([half] * 3 + [np.full_like(half, 255)])
    hidden[:32, :, 3] = 0
    half[:32] = 0
    one, other = good(run.send("encode", png(hidden), png(half))).json()["items"]
    assert np.allclose(one["mean"], other["mean"], atol=1e-4)


def test_a_jpeg_is_taken(run: Run, digits: np.ndarray) -> None:
    near, exact = good(
        run.send("encode", png(digits[3], "JPEG", quality=95), png(digits[3]))
    ).json()["items"]
    assert np.allclose(near["mean"], exact["mean"], atol=0.05)


def test_another_size_is_refused_unless_it_is_to_be_changed(run: Run, digits: np.ndarray) -> None:
    large = digits[[3]].repeat(2, axis=1).repeat(2, axis=2)
    wanted = run.json("encode", {"index": [3]})["items"][0]["mean"]
    for file, path in ((png(large[0]), "file"), (npz(images=large), "file.images")):
        [error] = problem(run.send("encode", file), 422)["errors"]
        assert error["path"] == path and error["got"] == "128 x 128"
        assert "64 x 64" in error["expected"] and "resize" in error["expected"]
        [item] = good(run.send("encode", file, query="?resize=true")).json()["items"]
        assert np.allclose(item["mean"], wanted, atol=0.1)
    assert paths(run.send("encode", png(digits[3]), png(large[0]))) == ["file[1]"]


def declared_png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        whole = kind + data
        return struct.pack(">I", len(data)) + whole + struct.pack(">I", zlib.crc32(whole))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(bytes(100)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + data + chunk(b"IEND", b"")


def declared_npz(dtype: str, shape: tuple[int, ...]) -> bytes:
    """A file whose array is told but is not there."""
    header = f"{{'descr': {dtype}, 'fortran_order': False, 'shape': {shape}}}"
    return zipped(("images.npy", declaring(header)))


DIGIT = np.zeros((64, 64), dtype=np.uint8)


@pytest.mark.parametrize("query", ["", "?resize=true"])
@pytest.mark.parametrize("use", ["encode", "anomaly"])
@pytest.mark.parametrize(
    "file",
    [
        b"",
        b"this is a text",
        b"P",
        png(DIGIT)[:60],
        png(np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8))[:-200],
        b"\x89PNG\r\n\x1a\n",
        declared_png(20_000, 20_000),
        declared_png(5_000, 4_000),
        declared_png(64, 64),
        declared_png(0, 64),
        png(DIGIT, "GIF"),
        png(DIGIT, "TIFF"),
        png(DIGIT, "BMP"),
        b"PK",
        b"PK\x03\x04" + bytes(50),
        npz(),
        npz(image=DIGIT[None]),
        npz(images=DIGIT[None], labels=np.zeros(1)),
        npz(images=np.array([{"a": 1}], dtype=object)),
        npz(images=np.array([[["a"]]])),
        npz(images=DIGIT[None].astype(np.int64)),
        npz(images=DIGIT[None].astype(np.complex64)),
        npz(images=DIGIT),
        npz(images=DIGIT[None, None, None]),
        npz(images=np.zeros((0, 64, 64))),
        npz(images=np.zeros((1025, 64, 64), dtype=bool)),
        npz(images=np.zeros((1, 64, 64, 2))),
        npz(images=DIGIT[None] + np.nan),
        npz(images=DIGIT[None] + np.inf),
        npz(images=DIGIT[None] + 1.5),
        npz(images=DIGIT[None] - 0.5),
        npz(images=np.zeros((1, 5000, 1), dtype=bool)),
        declared_npz("'<f8'", (10, 2048, 1024)),
        declared_npz("'|u1'", (1, 9, 9)),
        declared_npz("'|O'", (1, 9, 9)),
        declared_npz("[('a', '|u1')]", (1, 9, 9)),
        declared_npz("'|b1'", (1024, 4096, 4096)),
        bomb(10**9),
        zipped(("images.npy", b"not an array")),
        npz(images=DIGIT[None])[:-30],
    ],
    ids=lambda file: f"{len(file)}-bytes",
)
def test_a_file_that_is_no_image_is_named(run: Run, file: bytes, use: str, query: str) -> None:
    answer = run.send(use, file, query=query)
    found = paths(answer)
    assert found and all(path.startswith("file") for path in found)


def test_a_zero_and_one_mistaken_for_bytes_is_told() -> None:
    from ml.codes.found_arrays import UnusableArrays
    from ml.inference.image_arrays import as_unit_range

    ones = np.ones((1, 4, 4, 1), dtype=np.uint8)
    with pytest.raises(UnusableArrays, match="multiply by 255"):
        as_unit_range(ones, 1)
    assert as_unit_range(ones, 255).max() == np.float32(1 / 255)
    assert as_unit_range(ones * 255, 1).min() == 1
    assert as_unit_range(ones.astype(bool), 1).min() == 1


def test_parts_and_bodies_that_are_not_read_are_refused(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    post, path = run.service.client.post, f"/v1/runs/{run.id}/encode"
    assert paths(post(path, files={"flie": b"x"})) == ["flie"]
    assert paths(post(path, files={"file": (None, b"x")})) == ["file"]
    problem(post(path, files={"file": (None, b"x" * 2000)}), 400)
    problem(post(path, content=b"x", headers={"content-type": "image/png"}), 415)
    problem(post(path, content=b"x", headers={"content-type": "multipart/form-data"}), 400)
    problem(post(path, content=b""), 400)
    problem(post(path, content=b"{"), 400)
    assert paths(run.send("encode", *[png(DIGIT)] * 2, npz(images=[DIGIT] * 1023))) == ["file"]
    problem(run.send("encode", *[b"x"] * 1025), 400)
    monkeypatch.setattr(images, "MOST_BYTES", 1000)
    problem(run.send("encode", bytes(1000)), 413)
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'

    def unannounced() -> Iterator[bytes]:
        yield head
        yield bytes(2000)

    kind = {"content-type": "multipart/form-data; boundary=b"}
    problem(post(path, content=unannounced(), headers=kind), 413)


@pytest.mark.parametrize("use", ["encode", "anomaly"])
def test_an_index_that_is_none_is_named(run: Run, use: str) -> None:
    for index, path in (
        ([0, -1], "index[1]"),
        ([0, IMAGES], "index[1]"),
        ([2**63], "index[0]"),
        ([10**400], "index[0]"),
        ([1.5], "index[0]"),
        ([True], "index[0]"),
        (["0"], "index[0]"),
        ([], "index"),
        ([0] * 1025, "index"),
        (5, "index"),
    ):
        assert paths(run.ask(use, {"index": index})) == [path]
    good(run.ask(use, {"index": [IMAGES - 1]}))


def test_a_run_that_is_not_trained_or_not_there_is_told(service: Service) -> None:
    id = service.run_of(service.post(SPEC))
    uses = {
        "decode": {"latents": [ROW]},
        "encode": {"index": [0]},
        "generate": {},
        "anomaly": {"index": [0]},
        "neighbours": {"index": 0},
        "distances": {"index": [0]},
        "swap": {"a": 0, "b": 1, "latents": [0]},
        "interpolate": {"a": 0, "b": 1},
    }
    for use, body in uses.items():
        assert id in problem(Run(service, id).ask(use, body), 409)["detail"]
        problem(Run(service, "run_none").ask(use, body), 404)


def test_images_are_made_up_from_the_prior(run: Run) -> None:
    four, two = (run.json("generate", {"count": count, "seed": 3}) for count in (4, 2))
    assert four["source"] == "prior" and four["shape"] == [4, 64, 64]
    assert four["latents"][:2] == two["latents"]
    assert np.allclose(four["images"], decoded(four["latents"]), atol=6e-5)
    other = run.json("generate", {"count": 2, "seed": 4})
    assert other["latents"] != two["latents"]
    assert picture(run.ask("generate", {}, "*/*")).shape == (4 * 66 - 2, 4 * 66 - 2)
    assert arrays(run.ask("generate", {}, "application/x-npz"))["latents"].shape == (16, 3)
    many = np.array(run.json("generate", {"count": 256})["latents"])
    assert np.abs(many.mean(axis=0)).max() < 0.25 and np.abs(many.std(axis=0) - 1).max() < 0.2


def test_a_model_without_a_prior_is_sampled_like_its_codes(ae: Run) -> None:
    document = ae.json("generate", {"count": 256})
    assert document["source"] == "codes"
    with np.load(io.BytesIO(files_of(AE)["codes.npz"])) as held:
        mean, deviation = held["mean"].mean(axis=0), held["mean"].std(axis=0)
    found = np.array(document["latents"])
    assert (np.abs(found.mean(axis=0) - mean) < 0.25 * deviation).all()
    assert (np.abs(found.std(axis=0) / deviation - 1) < 0.2).all()


@pytest.mark.parametrize(
    "body", [{"count": 0}, {"count": 257}, {"count": 2.5}, {"count": "4"}, {"count": None}]
)
def test_a_count_that_is_none_is_named(run: Run, body: Any) -> None:
    assert paths(run.ask("generate", body)) == ["count"]


def test_an_odd_image_has_a_low_percentile(run: Run, digits: np.ndarray) -> None:
    noise = np.random.default_rng(0).integers(0, 2, (64, 64)).astype(np.uint8) * 255
    document = good(run.send("anomaly", png(digits[3]), png(noise))).json()
    usual, odd = document["items"]
    assert document["reference"]["rows"] == 300 and "training" in document["reference"]["source"]
    for one in document["items"]:
        assert one["elbo"] == pytest.approx(-(one["reconstruction"] + one["kl"]))
        assert 0 <= one["percentile"] <= 100
    assert odd["percentile"] == 0 < usual["percentile"]


def test_percentiles_of_training_data_are_spread_evenly(run: Run) -> None:
    items = run.json("anomaly", {"index": list(range(1000))})["items"]
    found = np.array([one["percentile"] for one in items])
    # Of a uniform distribution they are 10, 50 and 90.
    assert np.abs(np.quantile(found, [0.1, 0.5, 0.9]) - [10, 50, 90]).max() < 8


def test_the_same_image_has_the_same_elbo_wherever_it_comes(run: Run, digits: np.ndarray) -> None:
    together = good(run.send("anomaly", npz(images=digits[:5] / np.float32(255)))).json()["items"]
    again = run.json("anomaly", {"index": [0, 1, 2, 3, 4]})["items"]
    assert [one["elbo"] for one in together] == [one["elbo"] for one in again]
    [alone] = good(run.send("anomaly", png(digits[3]))).json()["items"]
    assert alone["elbo"] == pytest.approx(together[3]["elbo"], rel=1e-5)


def test_binary_images_as_bytes_are_judged_under_the_part_name_file(run: Run) -> None:
    images = np.random.default_rng(0).integers(0, 2, (500, 64, 64)).astype(np.uint8)
    file = npz(images=images * np.uint8(255))
    answer = run.service.client.post(
        f"/v1/runs/{run.id}/anomaly", files={"file": ("images.npz", file)}
    )
    assert len(good(answer).json()["items"]) == 500


def test_an_elbo_is_averaged_over_samples(run: Run) -> None:
    one, many = (
        run.json("anomaly", {"index": [3]}, f"?samples={samples}")["items"][0]
        for samples in (1, 64)
    )
    assert one["elbo"] != many["elbo"] and one["kl"] == many["kl"]
    assert paths(run.ask("anomaly", {"index": [3]}, query="?samples=65")) == ["samples"]
    body = {"index": list(range(200))}
    [error] = problem(run.ask("anomaly", body, query="?samples=41"), 422)["errors"]
    assert (error["path"], error["expected"]) == ("samples", "at most 40 for 200 images")


def test_a_model_without_noise_is_judged_by_its_reconstruction(ae: Run) -> None:
    [item] = ae.json("anomaly", {"index": [3]})["items"]
    assert item["elbo"] is None and item["kl"] is None
    assert item["reconstruction"] > 0 and 0 <= item["percentile"] <= 100
    [coded] = ae.json("encode", {"index": [3]})["items"]
    assert coded["log_variance"] is None and coded["kl"] is None and len(coded["mean"]) == 3


@pytest.fixture(scope="module")
def rows() -> tuple[np.ndarray, np.ndarray]:
    """Indices and codes of the evaluation's rows."""
    with np.load(io.BytesIO(files_of()["codes.npz"])) as held:
        return held["index"], held["mean"]


def test_the_nearest_to_a_row_is_itself(run: Run, rows: tuple[np.ndarray, np.ndarray]) -> None:
    index, codes = rows
    wanted = int(index[7])
    items = run.json("neighbours", {"index": wanted, "count": 4})["items"]
    assert items[0]["index"] == wanted and items[0]["distance"] == 0
    assert set(items[0]["factors"]) == {"digit"}
    far = {
        int(i): float(np.linalg.norm(code - codes[7])) for i, code in zip(index, codes, strict=True)
    }
    nearest = sorted(far.values())[:4]
    assert [one["distance"] for one in items] == pytest.approx(nearest, abs=1e-5)
    assert [far[one["index"]] for one in items] == pytest.approx(nearest, abs=1e-5)


def test_each_latent_counts_in_units_of_its_deviation(
    run: Run, rows: tuple[np.ndarray, np.ndarray]
) -> None:
    _, codes = rows
    # Rows are drawn with replacement, and each image counts once.
    codes = codes[np.unique(rows[0], return_index=True)[1]]
    body = {"latents": ROW, "count": 256, "distance": "standardised"}
    items = run.json("neighbours", body)["items"]
    scaled = (codes - np.float32(ROW)) / codes.std(axis=0)
    wanted = sorted(np.linalg.norm(scaled, axis=1))[: len(items)]
    assert np.allclose([one["distance"] for one in items], wanted, rtol=1e-4)
    assert len({one["index"] for one in items}) == len(items)


def test_neighbours_are_seen(run: Run, digits: np.ndarray) -> None:
    body = {"index": 0, "count": 3}
    sheet = picture(run.ask("neighbours", body, "image/png"))
    assert sheet.shape == (64, 4 * 66 - 2)
    found = [0, *(one["index"] for one in run.json("neighbours", body)["items"])]
    for place, index in enumerate(found):
        assert np.array_equal(sheet[:, 66 * place : 66 * place + 64], digits[index])
    good(run.ask("neighbours", {"latents": ROW}, "image/png"))


def test_the_nearest_to_a_file_are_those_to_its_image(run: Run, digits: np.ndarray) -> None:
    path, accept = f"/v1/runs/{run.id}/neighbours", {"accept": "application/json"}
    wanted = run.json("neighbours", {"index": 3, "count": 4, "distance": "standardised"})

    def asked(spec: Any, file: bytes, query: str = "") -> httpx.Response:
        parts = {"file": ("3.png", file), "spec": (None, json.dumps(spec))}
        return run.service.client.post(path + query, files=parts, headers=accept)

    spec = {"count": 4, "distance": "standardised"}
    found = good(asked(spec, png(digits[3]))).json()
    assert [one["index"] for one in found["items"]] == [one["index"] for one in wanted["items"]]
    assert found["distance"] == "standardised"
    assert len(good(run.send("neighbours", png(digits[3]))).json()["items"]) == 10
    sheet = picture(run.send("neighbours", png(digits[3]), accept="image/png"))
    assert np.array_equal(sheet[:, :64], digits[3])
    large = digits[3].repeat(2, axis=0).repeat(2, axis=1)
    assert paths(asked(spec, png(large))) == ["file"]
    good(asked(spec, png(large), "?resize=true"))

    assert paths(asked({"count": 0}, png(DIGIT))) == ["spec.count"]
    assert paths(asked({"index": 3}, png(DIGIT))) == ["spec.index"]
    assert paths(asked([], png(DIGIT))) == ["spec"]
    assert paths(asked({}, npz(images=digits[:2]))) == ["file"]
    assert paths(asked({}, b"text")) == ["file"]
    assert paths(run.send("neighbours", png(DIGIT), png(DIGIT))) == ["file"]
    only = {"spec": (None, "{}")}
    assert paths(run.service.client.post(path, files=only)) == ["file"]
    broken = {"file": png(DIGIT), "spec": (None, "{")}
    problem(run.service.client.post(path, files=broken), 400)
    encode = f"/v1/runs/{run.id}/encode"
    assert paths(run.service.client.post(encode, files=only | {"file": png(DIGIT)})) == ["spec"]


def test_images_are_bounded_together(
    run: Run, digits: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "MOST_NUMBERS", 2 * 64 * 64)
    good(run.send("encode", png(digits[3]), png(digits[4])))
    good(run.send("encode", png(digits[3]), npz(images=digits[4:5])))
    assert paths(run.send("encode", *[png(digits[3])] * 3)) == ["file"]
    assert paths(run.send("encode", png(digits[3]), npz(images=digits[4:6]))) == ["file"]
    # Those that are to become smaller count as they are.
    wide = np.zeros((1, 64, 129), dtype=np.uint8)
    path = f"/v1/runs/{run.id}/encode?resize=true"
    assert paths(run.service.client.post(path, files={"file": npz(images=wide)})) == ["file"]


def test_what_does_not_fit_is_refused_before_it_is_inflated(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(np.lib.format, "read_array", None)
    small = np.zeros((1, 32, 32), dtype=np.uint8)
    assert paths(run.send("encode", npz(images=small))) == ["file.images"]
    monkeypatch.setattr(images, "MOST_NUMBERS", 64 * 64 - 1)
    right = np.zeros((1, 64, 64), dtype=np.uint8)
    assert paths(run.send("encode", npz(images=right))) == ["file"]


def test_distances_are_a_matrix(run: Run) -> None:
    codes = [one["mean"] for one in run.json("encode", {"index": [3, 9, 11]})["items"]]
    document = run.json("distances", {"index": [3, 9, 11]})
    wanted = [[np.linalg.norm(np.subtract(a, b)) for b in codes] for a in codes]
    assert np.allclose(document["distances"], wanted, atol=1e-4)
    held = arrays(run.ask("distances", {"index": [3, 9]}, "application/x-npz"))
    assert held["index"].tolist() == [3, 9] and held["distances"].shape == (2, 2)


@pytest.mark.parametrize(
    ("use", "body", "path"),
    [
        ("neighbours", {}, "index"),
        ("neighbours", {"index": 0, "latents": ROW}, "index"),
        ("neighbours", {"index": -1}, "index"),
        ("neighbours", {"index": IMAGES}, "index"),
        ("neighbours", {"latents": [0, 0]}, "latents"),
        ("neighbours", {"latents": [0, 0, "a"]}, "latents[2]"),
        ("neighbours", {"index": 0, "count": 0}, "count"),
        ("neighbours", {"index": 0, "distance": "euclidian"}, "distance"),
        ("neighbours", {"idnex": 0}, "idnex"),
        ("distances", {"index": [0, IMAGES]}, "index[1]"),
        ("distances", {"index": [0] * 257}, "index"),
        ("swap", {"a": 0, "b": 1}, "factor"),
        ("swap", {"a": 0, "b": 1, "factor": "digit", "latents": [0]}, "factor"),
        ("swap", {"a": IMAGES, "b": 1, "factor": "digit"}, "a"),
        ("swap", {"a": 0, "b": -1, "factor": "digit"}, "b"),
        ("swap", {"a": 0, "b": 1, "latents": [0, 3]}, "latents[1]"),
        ("swap", {"a": 0, "b": 1, "latents": [-1]}, "latents[0]"),
        ("swap", {"a": 0, "b": 1, "latents": []}, "latents"),
        ("swap", {"a": 0, "b": 1, "factor": "digti"}, "factor"),
        ("swap", {"b": 1, "factor": "digit"}, "a"),
        ("interpolate", {"a": 0}, "b"),
        ("interpolate", {"a": 0, "b": IMAGES}, "b"),
        ("interpolate", {"a": 0, "b": 1, "frames": 1}, "frames"),
        ("interpolate", {"a": 0, "b": 1, "frames": 101}, "frames"),
        ("interpolate", {"a": 0, "b": 1, "path": "round"}, "path"),
        ("generate", {"seed": -1}, "seed"),
        ("generate", [], ""),
    ],
)
def test_what_is_wrong_is_named(run: Run, use: str, body: Any, path: str) -> None:
    assert paths(run.ask(use, body)) == [path]


def test_misspelt_names_get_a_hint(run: Run) -> None:
    for use, body, hint in (
        ("swap", {"a": 0, "b": 1, "factor": "digti"}, "digit"),
        ("neighbours", {"index": 0, "distance": "euclidian"}, "euclidean"),
        ("neighbours", {"idnex": 0}, "index"),
    ):
        [error] = problem(run.ask(use, body), 422)["errors"]
        assert error["nearest"] == hint
    assert paths(run.ask("decode", {"latents": [ROW]}, query="?scael=2")) == ["scael"]


def test_two_images_exchange_a_latent(run: Run) -> None:
    document = run.json("swap", {"a": 3, "b": 9, "latents": [1]})
    a, b = (one["mean"] for one in run.json("encode", {"index": [3, 9]})["items"])
    wanted = [a, b, [a[0], b[1], a[2]], [b[0], a[1], b[2]]]
    assert np.allclose(document["codes"], wanted, atol=1e-4)
    assert np.allclose(document["images"], decoded(wanted), atol=1e-3)
    assert document["shape"] == [4, 64, 64] and document["latents"] == [1]
    assert picture(run.ask("swap", {"a": 3, "b": 9, "latents": [1]}, "*/*")).shape == (64, 262)


def test_a_factor_is_exchanged_through_the_latent_that_tells_most(run: Run) -> None:
    document = run.json("swap", {"a": 3, "b": 9, "factor": "digit"})
    [latent] = document["latents"]
    assert 0 < document["share"] < 1 and document["factor"] == "digit"
    same = run.json("swap", {"a": 3, "b": 9, "latents": [latent]})
    assert same["images"] == document["images"]


@pytest.mark.parametrize("path", ["linear", "spherical"])
def test_a_way_ends_at_both_reconstructions(run: Run, path: str) -> None:
    body = {"a": 3, "b": 9, "frames": 5, "path": path}
    document = run.json("interpolate", body)
    ends = [one["mean"] for one in run.json("encode", {"index": [3, 9]})["items"]]
    assert np.allclose(np.array(document["latents"])[[0, -1]], ends, atol=1e-4)
    assert np.allclose(np.array(document["images"])[[0, -1]], decoded(ends), atol=1e-3)
    assert document["shape"] == [5, 64, 64] and document["path"] == path
    assert picture(run.ask("interpolate", body, "*/*")).shape == (64, 5 * 66 - 2)


def test_a_way_is_seen_as_a_film(run: Run) -> None:
    body = {"a": 3, "b": 9, "frames": 5}
    answer = good(run.ask("interpolate", body, "image/gif", "?scale=2"))
    assert answer.headers["content-type"] == "image/gif"
    with Image.open(io.BytesIO(answer.content)) as film:
        assert film.size == (128, 128) and film.info["loop"] == 0
        total = 0
        for place in range(film.n_frames):
            film.seek(place)
            total += film.info["duration"]
    # There and back; frames that do not differ may be one, shown for as long.
    assert total == 8 * 80


def test_no_body_makes_a_use_fail(run: Run) -> None:
    keys = st.sampled_from(
        ["latents", "index", "a", "b", "factor", "frames", "path", "count", "seed", "distance"]
    )
    small = st.integers(-2, 2000)
    values = any_json | small | st.lists(small, max_size=3) | st.lists(st.lists(st.floats()))
    uses = ["decode", "encode", "generate", "anomaly", "neighbours", "distances"]
    uses += ["swap", "interpolate"]

    @settings(max_examples=150, deadline=None, database=None, derandomize=True)
    @given(st.sampled_from(uses), any_json | st.dictionaries(keys | any_text, values, max_size=4))
    def examine(use: str, body: Any) -> None:
        answer = run.service.client.post(
            f"/v1/runs/{run.id}/{use}", content=json.dumps(body).encode()
        )
        assert answer.status_code in (200, 400, 422), answer.text

    examine()


def test_no_file_makes_a_use_fail(run: Run, digits: np.ndarray) -> None:
    whole = [png(digits[3]), png(digits[3], "JPEG"), npz(images=digits[:2])]

    @settings(max_examples=150, deadline=None, database=None, derandomize=True)
    @given(st.sampled_from(whole), st.integers(0, 10**6), st.binary(max_size=4))
    def examine(file: bytes, place: int, other: bytes) -> None:
        at = place % len(file)
        damaged = file[:at] + other + file[at + len(other) :]
        assert run.send("encode", damaged).status_code in (200, 422)

    examine()
