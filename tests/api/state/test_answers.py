from __future__ import annotations

import tracemalloc
from collections.abc import Callable

from api.state.answers import BESIDE_BYTES, Answers


def made(digest: str, content: bytes, times: list[str]) -> Callable[[], tuple[str, bytes]]:
    def make() -> tuple[str, bytes]:
        times.append(digest)
        return digest, content

    return make


def test_an_answer_is_made_again_once_its_digest_has_changed() -> None:
    answers, times = Answers(), list[str]()
    for digest, content in (("1", b"one"), ("1", b"one"), ("2", b"two"), ("2", b"two")):
        assert answers.get(("results",), digest, made(digest, content, times)) == content
    assert times == ["1", "2"]
    assert answers.get(("summary",), "2", made("2", b"other", times)) == b"other"


def test_an_answer_newer_than_was_asked_for_is_kept_as_what_it_is() -> None:
    answers, times = Answers(), list[str]()
    assert answers.get(("results",), "1", made("2", b"two", times)) == b"two"
    assert answers.get(("results",), "2", made("2", b"?", times)) == b"two"


def test_a_small_answer_counts_with_all_that_it_takes() -> None:
    number, room = 2_000, 1_000 * (BESIDE_BYTES + 2)
    tracemalloc.start()
    answers = Answers(room)
    for one in range(number):
        asked = ("leaderboard", f"data set {one}", "mig", None, one)
        answers.get(asked, f"{one:064x}", made(f"{one:064x}", b"{%d" % (one % 10), []))
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert taken < room
