from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from api.__main__ import main
from api.main import create_app
from api.server import processes
from api.state.lanes import TooBusy, lanes
from store.database.connection import migrate
from store.settings import Settings

Opened = Callable[[list[socket.socket]], list[socket.socket]]

pytestmark = pytest.mark.skipif(not processes.SEVERAL, reason="there is one process alone")


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[int]:
    """A process that keeps two children, each of which writes a file named after it."""

    def serve() -> None:
        (tmp_path / str(os.getpid())).touch()
        signal.pause()

    keeper = forked(lambda: processes.keep(2, serve))
    yield keeper
    try:
        os.kill(keeper, signal.SIGKILL)
        os.waitpid(keeper, 0)
    except (ProcessLookupError, ChildProcessError):
        pass


def forked(work: Callable[[], int]) -> int:
    child = os.fork()
    if not child:
        os._exit(work())
    return child


def exit_status(process: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def written(folder: Path, number: int) -> set[int]:
    """The processes that have written their files, once there are so many."""
    while len(list(folder.iterdir())) < number:
        time.sleep(0.01)
    return {int(path.name) for path in folder.iterdir()}


def until_gone(pids: set[int]) -> None:
    while any(Path(f"/proc/{pid}/stat").exists() for pid in pids):
        time.sleep(0.01)


def test_a_process_that_dies_is_started_again(kept: int, tmp_path: Path) -> None:
    first = written(tmp_path, 2)
    killed = min(first)
    os.kill(killed, signal.SIGKILL)
    all_three = written(tmp_path, 3)
    os.kill(kept, signal.SIGTERM)
    assert exit_status(kept) == 0
    assert first < all_three
    until_gone(all_three)


def test_the_processes_end_with_the_one_that_keeps_them(kept: int, tmp_path: Path) -> None:
    pids = written(tmp_path, 2)
    os.kill(kept, signal.SIGKILL)
    assert exit_status(kept) == -signal.SIGKILL
    until_gone(pids)


def test_processes_that_die_again_and_again_are_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(processes, "AGAIN_SECONDS", 0.0)

    def serve() -> None:
        raise RuntimeError("no database")

    assert exit_status(forked(lambda: processes.keep(2, serve))) == 1


@pytest.mark.parametrize("several", ["two", "0"])
def test_a_number_of_processes_that_is_none_is_named(
    several: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(processes.PROCESSES, several)
    monkeypatch.setattr("sys.argv", ["api"])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert "--processes" in capsys.readouterr().err
    monkeypatch.setenv(processes.PROCESSES, "")
    assert processes.of_several() == 1


@pytest.fixture
def opened() -> Iterator[Opened]:
    """Says which sockets to close after the test."""
    with ExitStack() as stack:
        yield lambda several: [stack.enter_context(one) for one in several]


def test_connections_go_to_sockets_of_one_port(opened: Opened) -> None:
    [reserved] = opened(processes.reserve("127.0.0.1", 0))
    port = reserved.getsockname()[1]
    both = [one for _ in range(2) for one in opened(processes.sharing("127.0.0.1", port))]
    for one in both:
        one.listen(64)
        one.setblocking(False)
    clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(64)]
    taken = [accepted(one) for one in both]
    for client in clients:
        client.close()
    # The one that reserves the port takes none. By chance alone, a share is next to never so small.
    assert sum(taken) == 64
    assert min(taken) > 4


def test_a_host_is_served_at_each_of_its_addresses_that_this_machine_has(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    def addresses(_: str, port: int, **__: object) -> list[tuple[object, ...]]:
        names = ("192.0.2.1", "127.0.0.1", "127.0.0.2", "127.0.0.1")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (name, port)) for name in names]

    with monkeypatch.context() as patched:
        patched.setattr(socket, "getaddrinfo", addresses)
        reserved = opened(processes.reserve("several", 0))
        [first, second] = [one.getsockname() for one in reserved]
        own = opened(processes.sharing("several", first[1]))
        assert [one.getsockname() for one in own] == [first, second]
        with pytest.raises(OSError, match="in use"):
            processes.reserve("several", first[1])
        patched.setattr(socket, "getaddrinfo", lambda *a, **k: addresses(*a, **k)[:1])
        with pytest.raises(OSError, match="no address of 'elsewhere'"):
            processes.reserve("elsewhere", 0)
    assert (first[0], second[0]) == ("127.0.0.1", "127.0.0.2")
    assert first[1] == second[1]


def accepted(listening: socket.socket) -> int:
    number = 0
    while True:
        try:
            listening.accept()[0].close()
        except BlockingIOError:
            return number
        number += 1


@pytest.mark.parametrize("shared", [False, True])
def test_a_port_that_another_service_has_is_refused(shared: bool) -> None:
    with socket.socket() as other:
        if shared:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(OSError, match="in use"):
            processes.reserve("127.0.0.1", other.getsockname()[1])


def test_a_port_is_refused_that_another_service_has_reserved_and_does_not_listen_on_yet(
    opened: Opened,
) -> None:
    [reserved] = opened(processes.reserve("127.0.0.1", 0))
    port = reserved.getsockname()[1]
    with pytest.raises(OSError, match="in use"):
        processes.reserve("127.0.0.1", port)
    # As a service of one process does.
    with socket.socket() as single, pytest.raises(OSError, match="in use"):
        single.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        single.bind(("127.0.0.1", port))
    [own] = opened(processes.sharing("127.0.0.1", port))
    own.listen()


@pytest.mark.parametrize(("of", "part"), [(1, 5), (2, 3), (5, 1), (9, 1)])
def test_a_limit_is_shared(of: int, part: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(processes.PROCESSES, str(of))
    assert processes.share(5) == part


@pytest.fixture
def locks(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Path]]:
    monkeypatch.setattr(processes, "_locks", [])
    processes.make_locks()
    yield processes.locks()
    for lock in processes.locks():
        os.close(int(lock.name))


def test_the_only_place_of_a_lane_is_that_of_all_processes(
    locks: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two applications in one process stand for two processes."""
    one, other = (lanes(2, locks).checking for _ in range(2))

    async def both() -> list[str]:
        done: list[str] = []

        async def second() -> None:
            async with other.place():
                done.append("second")

        async with one.place():
            waiting = asyncio.create_task(second())
            await asyncio.sleep(0.25)
            done.append("first")
        await waiting
        async with one.place():
            monkeypatch.setattr("api.state.lanes.PATIENCE_SECONDS", 0.2)
            with pytest.raises(TooBusy):
                await second()
        await second()
        return done

    assert asyncio.run(both()) == ["first", "second", "second"]


def test_the_only_place_of_a_lane_is_free_again_when_its_process_is_killed(
    locks: list[Path],
) -> None:
    told, tell = os.pipe()

    async def hold() -> int:
        async with lanes(2, locks).importing.place():
            os.write(tell, b".")
            signal.pause()
        return 0

    holder = forked(lambda: asyncio.run(hold()))
    os.read(told, 1)
    os.close(told)
    os.close(tell)

    async def wait() -> None:
        own = lanes(2, locks)

        async def take() -> None:
            async with own.importing.place():
                pass

        async with own.checking.place():
            waiting = asyncio.create_task(take())
            await asyncio.sleep(0.25)
            assert not waiting.done()
        os.kill(holder, signal.SIGKILL)
        await waiting

    asyncio.run(wait())
    assert exit_status(holder) == -signal.SIGKILL


def test_several_processes_serve_while_the_data_folder_cannot_be_made(
    locks: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(processes.PROCESSES, "2")
    (tmp_path / "file").touch()
    known = Settings(home=tmp_path, data=tmp_path / "file" / "data")
    migrate(known.database_url)
    with TestClient(create_app(known), base_url="http://127.0.0.1") as client:
        assert client.get("/v1/runs").status_code == 200
