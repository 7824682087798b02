from __future__ import annotations

from api.state.lru import LruCache


def test_a_cache_takes_no_more_room_than_it_has() -> None:
    kept: LruCache[str, bytes] = LruCache(10, len)
    kept.keep("a", b"1234")
    kept.keep("b", b"5678")
    assert kept.get("a") == b"1234"
    kept.keep("c", b"9012")  # b was asked for least lately.
    assert [kept.get(key) for key in "abc"] == [b"1234", None, b"9012"]
    kept.keep("d", b"x" * 11)
    assert kept.get("d") is None and kept.get("a") == b"1234"
    kept.keep("a", b"12")
    kept.keep("e", b"3456")
    assert [kept.get(key) for key in "ace"] == [b"12", b"9012", b"3456"]


def test_a_cache_counts_values_that_have_no_size() -> None:
    kept: LruCache[str, str] = LruCache(2)
    for key in "ab":
        kept.keep(key, key)
    kept.keep("a", "A")
    kept.keep("c", "c")  # b was kept before a was once more.
    assert [kept.get(key) for key in "abc"] == ["A", None, "c"]
