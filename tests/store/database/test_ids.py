from __future__ import annotations

import time

from store.database.ids import is_id, new_id


def test_ids_of_one_process_rise_strictly() -> None:
    made = [new_id("run") for _ in range(10_000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_an_id_begins_with_the_milliseconds_at_which_it_was_made() -> None:
    digits = new_id("exp").removeprefix("exp_")
    number = 0
    for digit in digits:
        number = number * 32 + "0123456789abcdefghjkmnpqrstvwxyz".index(digit)
    assert abs((number >> 80) / 1000 - time.time()) < 5


def test_only_the_form_that_is_given_out_is_an_id() -> None:
    assert is_id(new_id("job"), "job")
    assert not is_id(new_id("job"), "run")
    for text in ("", "run_", "run_../../etc/passwd", new_id("run") + "\n", new_id("run").upper()):
        assert not is_id(text, "run")
