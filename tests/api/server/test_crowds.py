"""Many at once: who waits holds no thread, what is too much is refused, and health is told."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from anyio import to_thread

from api.pictures import drawing
from api.state import event_hub, lanes
from api.state.lanes import Lane, TooBusy
from api.state.readiness import LastLook
from api.state.settings import ApiSettings
from store.settings import Settings
from tests.api.served import served
from tests.api.service import Service, problem
from tests.api.trained_run import trained

PATIENCE = 20.0


def until(condition: Any) -> None:
    give_up = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < give_up, "did not come true in time"
        time.sleep(0.01)


def context(service: Service) -> Any:
    return service.client.app.state.context  # type: ignore[attr-defined]


@contextmanager
def no_thread_free(service: Service) -> Iterator[None]:
    """The threads that all requests share are one, and that is busy."""
    portal = service.client.portal
    assert portal is not None
    let_go, busy = threading.Event(), threading.Event()

    async def occupy() -> None:
        to_thread.current_default_thread_limiter().total_tokens = 1
        await to_thread.run_sync(lambda: (busy.set(), let_go.wait()))

    occupied = portal.start_task_soon(occupy)
    assert busy.wait(PATIENCE)
    try:
        yield
    finally:
        let_go.set()
        occupied.result(PATIENCE)


def test_health_and_refusals_need_no_shared_thread(service: Service) -> None:
    with ThreadPoolExecutor(1) as pool, no_thread_free(service):
        for path, status in {
            "/healthz": 200,
            "/readyz": 200,
            "/docs": 200,
            "/v1/nothing": 404,
            "/v1/runs?unknown=1": 422,
        }.items():
            answer = pool.submit(service.get, path)
            assert answer.result(PATIENCE).status_code == status, path


def test_who_waits_for_the_end_of_work_holds_no_thread_and_is_woken(service: Service) -> None:
    experiment = service.post()
    paths = [f"/v1/runs/{service.run_of(experiment)}", f"/v1/experiments/{experiment['id']}"]
    hub = context(service).hub
    with ThreadPoolExecutor(50) as pool, ExitStack() as stack:
        stack.enter_context(no_thread_free(service))
        waiting = [pool.submit(service.get, f"{paths[n % 2]}?wait=60") for n in range(50)]
        until(lambda: len(hub._watching) == 50)
        service.finish()
        # All are woken before there is a thread to answer them.
        until(lambda: not hub._watching)
        assert not any(one.done() for one in waiting)
        stack.close()
        assert {one.result(PATIENCE).json()["state"] for one in waiting} == {"succeeded"}


def test_all_who_wait_are_looked_for_together(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = service.run_of(service.post())
    asked: list[int] = []
    under_way = event_hub.under_way

    def counted(database: Any, what: Any) -> Any:
        asked.append(len(what))
        return under_way(database, what)

    monkeypatch.setattr("api.state.event_hub.under_way", counted)
    with ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(lambda _: service.get(f"/v1/runs/{id}?wait=1.5"), range(40)))
    assert {one.json()["state"] for one in answers} == {"queued"}
    # Of one run, however many wait for it; at each look, and once for those who have just come.
    assert set(asked) == {1} and len(asked) < 40


def test_as_many_are_held_as_may_be(tmp_path: Path, service: Service) -> None:
    id = service.run_of(service.post())
    limits = ApiSettings(most_streams=2)
    with served(Settings(home=tmp_path), limits) as url, ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(httpx.stream("GET", f"{url}/v1/events", timeout=PATIENCE))
        for path in ("/v1/events", f"/v1/runs/{id}?wait=5"):
            answer = httpx.get(f"{url}{path}", timeout=PATIENCE)
            assert "2 event streams and waits" in problem(answer, 503)["detail"]
            assert int(answer.headers["retry-after"]) > 0
            assert answer.headers["connection"] == "close"
        assert httpx.get(f"{url}/v1/runs/{id}", timeout=PATIENCE).is_success
        stack.close()
        until(lambda: httpx.get(f"{url}/v1/runs/{id}?wait=0.1").is_success)


def test_a_lane_takes_some_lets_some_wait_and_refuses_the_rest() -> None:
    async def crowd() -> list[str]:
        lane, go = Lane("draws", 2, longest_line=3), asyncio.Event()
        order: list[str] = []

        async def work(name: str) -> None:
            async with lane.place():
                order.append(name)
                await go.wait()

        tasks = [asyncio.create_task(work(str(number))) for number in range(5)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert order == ["0", "1"]
        with pytest.raises(TooBusy, match="draws for 2 others"):
            await work("6")
        # One who gives up leaves the line.
        tasks[4].cancel()
        with suppress(asyncio.CancelledError):
            await tasks[4]
        tasks[4] = asyncio.create_task(work("7"))
        go.set()
        await asyncio.gather(*tasks)
        return order

    assert asyncio.run(crowd()) == ["0", "1", "2", "3", "7"]


def test_nobody_waits_in_a_line_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "PATIENCE_SECONDS", 0.01)

    async def second() -> None:
        lane = Lane("draws", 1)
        async with lane.place():
            with pytest.raises(TooBusy):
                async with lane.place():
                    raise AssertionError
        # And the place is free again.
        async with lane.place():
            pass

    asyncio.run(second())


def test_pictures_are_drawn_a_few_at_a_time_and_too_many_are_refused(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = trained(service)
    app = service.client.app
    here = context(service)
    lane = Lane("draws and decodes", 1, longest_line=1)
    app.state.context = replace(here, lanes=replace(here.lanes, drawing=lane))  # type: ignore[attr-defined]
    drawn_before = f"/v1/runs/{id}/plots/curves.svg"
    assert service.get(drawn_before).status_code == 200
    drawing_now, go_on = threading.Event(), threading.Event()

    def draw(*_: object) -> bytes:
        drawing_now.set()
        assert go_on.wait(PATIENCE)
        return b"a picture"

    monkeypatch.setattr(drawing, "to_file", draw)
    path = f"/v1/runs/{id}/plots/traversal.svg"
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(service.get, path)
        assert drawing_now.wait(PATIENCE)
        second = pool.submit(
            service.client.post, f"/v1/runs/{id}/decode", json={"latents": [[0] * 3]}
        )
        until(lambda: lane._line == 1)
        for refused in (
            service.get(f"{path}?frames=5"),
            service.client.post(f"/v1/runs/{id}/generate", json={"count": 1}),
        ):
            assert "draws and decodes for 1 others" in problem(refused, 503)["detail"]
            assert int(refused.headers["retry-after"]) > 0
        # What needs no place takes none.
        assert service.get(drawn_before).status_code == 200
        assert service.get("/healthz").status_code == 200
        go_on.set()
        assert first.result(PATIENCE).content == b"a picture"
        assert second.result(PATIENCE).status_code == 200


def test_a_slow_sender_takes_no_place(service: Service) -> None:
    id = trained(service)
    asked: list[Future[httpx.Response]] = []
    begun, go_on = threading.Event(), threading.Event()

    def slowly() -> Iterator[bytes]:
        yield b'{"latents": '
        begun.set()
        assert go_on.wait(PATIENCE)
        yield b"[[0, 0, 0]]}"

    with served(Settings(home=service.objects.root.parent)) as url, ThreadPoolExecutor(8) as pool:
        try:
            headers = {"content-type": "application/json"}
            path = f"{url}/v1/runs/{id}/decode"
            for _ in range(3):
                begun.clear()
                asked.append(
                    pool.submit(httpx.post, path, content=slowly(), headers=headers, timeout=60)
                )
                assert begun.wait(PATIENCE)
            answer = httpx.post(path, json={"latents": [[0, 0, 1]]}, timeout=PATIENCE)
            assert answer.status_code == 200
        finally:
            go_on.set()
        assert {one.result(PATIENCE).status_code for one in asked} == {200}


def test_those_who_ask_at_the_same_time_share_a_look() -> None:
    looks: list[int] = []
    keep = [60.0]

    def look() -> int:
        time.sleep(0.05)
        looks.append(len(looks))
        return looks[-1]

    async def crowd() -> None:
        ready = LastLook(look, lambda _: keep[0])
        assert set(await asyncio.gather(*(ready() for _ in range(20)))) == {0}
        assert await ready() == 0
        keep[0] = 0.0
        ready = LastLook(look, lambda _: keep[0])
        # One who leaves takes nothing away from the others.
        gone, stays = asyncio.create_task(ready()), asyncio.create_task(ready())
        await asyncio.sleep(0)
        gone.cancel()
        assert await stays == 1
        assert await ready() == 2

    asyncio.run(crowd())


def test_whether_it_can_work_is_told_again_for_a_moment(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.state.readiness.TROUBLE_SECONDS", 60.0)
    written: list[int] = []
    random = os.urandom

    def counted(size: int) -> bytes:
        written.append(size)
        return bytes(random(size))

    monkeypatch.setattr("store.files.folders.os.urandom", counted)
    assert service.json("/readyz") == service.json("/readyz")
    # Without a broker there is trouble; the folder takes files.
    assert service.json("/readyz")["storage"] == "ok"
    assert [size for size in written if size >= 1024] == [4096]
