from __future__ import annotations

import threading
from typing import Any

import pytest
from sqlalchemy import func, select

from store.database import tables
from store.errors import KeyOfAnother
from store.experiments.idempotency import IdempotentRequest
from tests.store.lab import TRAIN, Lab

FIRST = IdempotentRequest("the key", "sha256 of what is asked")


def count(lab: Lab, table: type[tables.Base]) -> int:
    with lab.database.read() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def test_a_request_sent_once_more_gives_the_experiment_that_it_made(lab: Lab) -> None:
    id = lab.post("a", request=FIRST)
    lab.train()
    heard = lab.events(id)
    assert lab.post("a", request=FIRST) == id
    assert count(lab, tables.Experiment) == 1
    assert lab.events(id) == heard


def test_a_forced_request_sent_once_more_trains_nothing(lab: Lab) -> None:
    id = lab.post("a", request=FIRST, force=True)
    assert lab.post("a", request=FIRST, force=True) == id
    assert len(lab.take_all(TRAIN)) == 1


def test_another_request_under_the_key_is_refused_and_writes_nothing(lab: Lab) -> None:
    id = lab.post("a", request=FIRST)
    with pytest.raises(KeyOfAnother, match=f"'the key' belongs to another .* {id}"):
        lab.post("b", request=IdempotentRequest("the key", "sha256 of other things"))
    assert count(lab, tables.Experiment) == count(lab, tables.Run) == 1


def test_owners_have_keys_of_their_own(lab: Lab) -> None:
    assert lab.post("a", request=FIRST, owner="ada") != lab.post("a", request=FIRST, owner="bob")


def test_a_key_needs_an_owner(lab: Lab) -> None:
    with pytest.raises(ValueError, match="no owner"):
        lab.post("a", request=FIRST, owner=None)


def test_requests_without_keys_are_all_new(lab: Lab) -> None:
    assert lab.post("a") != lab.post("a")


def test_a_submission_that_fails_leaves_its_key_free(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("killed in between")

    with monkeypatch.context() as patch:
        patch.setattr("store.experiments.submit._add_links", fail)
        with pytest.raises(RuntimeError, match="in between"):
            lab.post("a", request=FIRST)
    assert count(lab, tables.Experiment) == 0
    assert lab.links(lab.post("b", request=IdempotentRequest(FIRST.key, "another")))


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("known", [False, True])
def test_simultaneous_requests_with_one_key_make_one_experiment(
    lab: Lab, known: bool, force: bool
) -> None:
    if known:
        lab.post("a", "b")
    before = count(lab, tables.Experiment), count(lab, tables.Run)
    ids: list[str] = []
    errors: list[BaseException] = []
    barrier = threading.Barrier(6)

    def work() -> None:
        barrier.wait()
        try:
            ids.append(lab.post("a", "b", request=FIRST, force=force))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(ids) == 6 and len(set(ids)) == 1
    new_runs = 2 if force or not known else 0
    assert (count(lab, tables.Experiment), count(lab, tables.Run)) == (
        before[0] + 1,
        before[1] + new_runs,
    )
