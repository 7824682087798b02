"""How long `/healthz` takes beside crowds: of pictures, of `?wait=`, of event streams.

A service trains a short run and ends. Then its API is started alone, with a low limit of open
files. Beside each crowd one client asks for `/healthz` again and again, over new connections. The
table has how long that took, how the crowd was answered, and by how much the API's log grew.
"""

from __future__ import annotations

import http.client
import multiprocessing
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.record import Figure, Row, Table, parser, publish
from heddle.client.client import connect
from heddle.service.children import Command, end, start
from heddle.service.serving import serving

COMMAND = "python -m benchmarks.crowd"
HOST = "127.0.0.1"
SPEC: dict[str, Any] = {
    "dataset": "digits",
    "objective": "beta_vae",
    "model": {"name": "mlp", "latent_dim": 10, "hidden": [16]},
    "training": {"steps": 20, "batch_size": 16},
    "evaluation": {"metrics": ["mig"], "rows": 200, "test_rows": 100, "uncertainty": False},
}
RETRY_SECONDS = 2.0
PICTURES, WAITS, STREAMS = 60, 200, 1100


@contextmanager
def api(home: Path, files: int) -> Iterator[int]:
    """Start an API alone that may open `files` files, and give its port."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = int(probe.getsockname()[1])
    line = f"ulimit -n {files}; exec {sys.executable} -m api --host {HOST} --port {port}"
    log = home / "logs" / "api.log"
    environment = {"HEDDLE_HOME": str(home), "OMP_NUM_THREADS": "1"}
    process = start(Command("api", ["bash", "-c", line], log, environment))
    try:
        while status(port, "/readyz") != 200:
            time.sleep(0.1)
        yield port
    finally:
        end(process, 15.0)


def status(port: int, path: str, timeout: float = 60.0) -> int:
    """The status of a GET over a connection of its own; 0 without an answer."""
    connection = http.client.HTTPConnection(HOST, port, timeout=timeout)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def ask(port: int, path: str, clients: int, until: float, answers: Any) -> None:
    """Clients that repeat a GET until a moment, each as soon as it is answered."""
    statuses: Counter[int] = Counter()

    def client(number: int) -> None:
        asked = 0
        while time.time() < until:
            asked += 1
            extent = 1 + (number * 10_000 + asked) / 10**9
            found = status(port, path.format(extent=extent))
            statuses[found] += 1
            if found != 200:
                # Retry-After asks for this pause.
                time.sleep(RETRY_SECONDS)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    answers.put(statuses)


def listen(port: int, path: str, clients: int, until: float, answers: Any) -> None:
    """Clients that each open a stream, and hold it open until a moment."""
    statuses: Counter[int] = Counter()
    sockets = []
    for _ in range(clients):
        with suppress(OSError):
            sockets.append(socket.create_connection((HOST, port), timeout=10))
            sockets[-1].sendall(f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
    time.sleep(max(0.0, until - time.time()))
    for one in sockets:
        one.setblocking(False)
        try:
            statuses[int(one.recv(4096).split()[1])] += 1
        except (OSError, IndexError):
            statuses[0] += 1
        one.close()
    answers.put(statuses)


def beside(
    crowd: Callable[..., None], port: int, path: str, clients: int, seconds: float
) -> tuple[np.ndarray, int, Counter[int]]:
    """Seconds of each `/healthz` beside a crowd, how many failed, and the crowd's statuses."""
    answers: Any = multiprocessing.Queue()
    until = time.time() + seconds
    process = multiprocessing.Process(target=crowd, args=(port, path, clients, until, answers))
    process.start()
    took, failed = [], 0
    while time.time() < until:
        began = time.perf_counter()
        failed += status(port, "/healthz", timeout=20) != 200
        took.append(time.perf_counter() - began)
        time.sleep(0.02)
    statuses = answers.get()
    process.join()
    return np.array(took), failed, statuses


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--seconds", type=float, help="beside each crowd; 20 by default")
    options.add_argument("--files", type=int, default=512, help="that the API may open")
    given = options.parse_args()
    seconds = given.seconds or (3.0 if given.quick else 20.0)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        with serving(home) as url, connect(url) as client:
            trained = client.submit(SPEC).wait().runs()[0].id
            waiting = client.submit({**SPEC, "training": {"steps": 10**7}}).runs()[0].id
        log = home / "logs" / "api.log"
        picture = f"/v1/runs/{trained}/plots/traversal.png?span=deviations&extent={{extent}}"
        crowds: list[tuple[str, Callable[..., None], str, int]] = [
            ("nobody", ask, "", 0),
            (f"{PICTURES} clients of pictures", ask, picture, PICTURES),
            (f"{WAITS} of ?wait=", ask, f"/v1/runs/{waiting}?wait=5", WAITS),
            (f"{STREAMS} idle event streams", listen, "/v1/events", STREAMS),
        ]
        with api(home, given.files) as port:
            for name, crowd, path, clients in crowds:
                size = log.stat().st_size
                took, failed, statuses = beside(crowd, port, path, clients, seconds)
                figures: dict[str, Figure | str | None] = {
                    f"/healthz {what}": Figure([1000 * value], "ms", "less")
                    for what, value in (
                        ("p50", np.quantile(took, 0.5)),
                        ("p99", np.quantile(took, 0.99)),
                        ("most", took.max()),
                    )
                }
                figures["failed"] = Figure([failed], "", "less", places=0)
                figures["answers"] = ", ".join(
                    f"{count} x {code}" for code, count in sorted(statuses.items())
                )
                figures["log grew by"] = Figure([(log.stat().st_size - size) / 1000], "kB", "less")
                rows.append(Row([name], figures))
    publish([Table("crowd", COMMAND, ["crowd"], rows)], given)


if __name__ == "__main__":
    main()
