"""How long the API takes to read what many runs left, and what stands behind many that wait.

The script writes runs that have ended, with six scores each, and as many that wait, straight into
a database (`benchmarks.filled`). The API is a process as `heddle up` starts it, and one client asks
it over HTTP, one request after the other. "First" is the first answer after a change: of the
experiment's name, or of the moment for the queue, which is kept for two seconds. "Again" is the
same request without a change between. Where nothing is kept, both are the same work. Beside them
stands what only fetching and decoding the scores' documents takes, by the driver's own statement.
"""

from __future__ import annotations

import argparse
import base64
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psutil

from benchmarks.filled import Filled, fill
from benchmarks.posting import database, serving
from benchmarks.record import Figure, Row, Table, parser, publish
from store.database.connection import Database, migrate

DATABASES = ("sqlite", "postgresql")
KEPT_SECONDS = 2.1
"""After so long the API reads the queue anew."""
DRY_RUN = {"dataset": "dsprites", "objective": {"name": "factor_vae", "gamma": 10}}


@dataclass(frozen=True)
class Ask:
    """A request, and what makes its answer a new one."""

    name: str
    send: Callable[[httpx.Client], httpx.Response]
    renew: Callable[[httpx.Client], object]


def asked(filled: Filled) -> Iterator[Ask]:
    """All requests, in the order of the table."""
    experiment = f"/v1/experiments/{filled.ended}"
    names = iter(range(10**6))
    most = [20]

    def rename(client: httpx.Client) -> None:
        body = {"name": f"a sweep that ended {next(names)}"}
        client.patch(experiment, json=body).raise_for_status()

    def nothing(_: httpx.Client) -> None:
        """Nothing is kept, or it changes with scores alone."""

    def get(path: str, client: httpx.Client) -> httpx.Response:
        return client.get(path)

    def wait(_: httpx.Client) -> None:
        time.sleep(KEPT_SECONDS)

    yield Ask("results, JSON", partial(get, f"{experiment}/results"), rename)
    yield Ask("results, CSV", partial(get, f"{experiment}/results?format=csv"), rename)
    yield Ask("summary", partial(get, f"{experiment}/summary"), rename)
    limits = iter(range(20, 500))

    def board(client: httpx.Client) -> httpx.Response:
        return client.get(f"/v1/leaderboard?dataset=dsprites&limit={most[-1]}")

    yield Ask("leaderboard", board, lambda _: most.append(next(limits)))
    deep_run = _cursor(filled.runs[len(filled.runs) // 2])
    deep_experiment = _cursor(filled.experiments[len(filled.experiments) // 2])
    for query in (
        "",
        "limit=500",
        f"cursor={deep_run}",
        "state=failed",
        "state=succeeded",
        "dataset=dsprites&objective=beta_vae",
        "tag=small",
        "name=ended",
        "owner=ada",
        "owner=nobody",
        "swept=objective.beta=4,seed=1",
        f"experiment={filled.ended}",
    ):
        shown = query.replace(deep_run, "…").replace(filled.ended, "…")
        yield Ask(f"`runs?{shown}`", partial(get, f"/v1/runs?{query}"), nothing)
    for query in (
        "",
        f"cursor={deep_experiment}",
        "state=queued",
        "state=failed",
        "objective=vae",
        "tag=ended",
        "name=waits",
        "swept=objective.beta=4,seed=1",
    ):
        shown = query.replace(deep_experiment, "…")
        path = f"/v1/experiments?{query}"
        yield Ask(f"`experiments?{shown}`", partial(get, path), nothing)
    yield Ask("queue, with its forecast", partial(get, "/v1/queue"), wait)
    deep_place = len(filled.runs) - 50
    yield Ask("queue, last page", partial(get, f"/v1/queue?cursor={deep_place}"), wait)
    yield Ask(
        "dry run",
        lambda client: client.post("/v1/experiments?dry_run=true", json=DRY_RUN),
        nothing,
    )


def _cursor(id: str) -> str:
    return base64.urlsafe_b64encode(id.encode()).decode()


def milliseconds(ask: Ask, client: httpx.Client) -> float:
    """The time of one request, which must succeed."""
    began = time.perf_counter()
    answer = ask.send(client)
    took = time.perf_counter() - began
    answer.raise_for_status()
    return took * 1000


def measure(url: str, filled: Filled, firsts: int, agains: int) -> dict[str, list[Figure]]:
    """First, the API's own time for it, p50 and p99 of each request."""
    found = {}
    api = apis()
    with httpx.Client(base_url=url, timeout=600, trust_env=False) as client:
        for ask in asked(filled):
            first, own = [], []
            for _ in range(firsts):
                ask.renew(client)
                before = cpu_seconds(api)
                first.append(milliseconds(ask, client))
                own.append((cpu_seconds(api) - before) * 1000)
            again = [milliseconds(ask, client) for _ in range(agains)]
            cuts = statistics.quantiles(again, n=100, method="inclusive")
            found[ask.name] = [
                Figure(first, "ms", "less", 0),
                Figure(own, "ms", "less", 0),
                Figure([cuts[49]], "ms", "less", 1),
                Figure([cuts[98]], "ms", "less", 1),
            ]
    return found


def documents(stored: Database) -> float:
    """The time in ms to fetch and decode the documents of all scores."""
    with stored.read() as session:
        driver: Any = session.connection().connection.driver_connection
        cursor = driver.cursor()
        began = time.perf_counter()
        # As text, whatever the database.
        cursor.execute("SELECT CAST(document AS TEXT) FROM scores")
        for (document,) in cursor.fetchall():
            json.loads(document)
        return (time.perf_counter() - began) * 1000


def apis() -> list[psutil.Process]:
    """The processes of the API."""
    return [
        process
        for process in psutil.Process().children(recursive=True)
        if "-m api" in " ".join(process.cmdline())
    ]


def cpu_seconds(processes: Sequence[psutil.Process]) -> float:
    """The time that processes have had of the cores, to a hundredth of a second."""
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def peak_mib() -> float:
    """The peak of the memory of the API's processes together."""
    total = 0.0
    for process in apis():
        status = Path(f"/proc/{process.pid}/status").read_text().splitlines()
        [peak] = [line.split()[1] for line in status if line.startswith("VmHWM")]
        total += int(peak) / 1024
    return total


def on(
    name: str, arguments: argparse.Namespace
) -> tuple[dict[str, list[Figure]], dict[str, Figure]]:
    """The figures of one database, and the API's memory."""
    firsts, agains = (1, 10) if arguments.quick else (3, 50)
    with tempfile.TemporaryDirectory(prefix="heddle-reading-") as folder:
        home = Path(folder)
        with database(name, home) as (database_url, _):
            migrate(database_url)
            stored = Database(database_url)
            filled = fill(stored, arguments.runs, arguments.owners)
            decoded = [documents(stored) for _ in range(firsts)]
            stored.dispose()
            with serving(home, database_url, 1) as (url, _):
                began = peak_mib()
                found = measure(url, filled, firsts, agains)
                peak = peak_mib()
    found["documents of all scores, fetched and decoded"] = [Figure(decoded, "ms", "less", 0)]
    memory = {
        "before": Figure([began], "MiB", "less", 0),
        "peak": Figure([peak], "MiB", "less", 0),
    }
    return found, memory


def requests(
    arguments: argparse.Namespace, found: Mapping[str, Mapping[str, Sequence[Figure]]]
) -> Table:
    """The table of all requests, with columns for each database."""
    columns = ("first", "API's CPU", "again, p50", "p99")
    names = list(dict.fromkeys(name for one in found.values() for name in one))
    rows = [
        Row(
            [name],
            {
                f"{kind} {column}": figure
                for kind, one in found.items()
                for column, figure in zip(columns, one[name], strict=False)
            },
        )
        for name in names
    ]
    return Table("reading", command(arguments), ["request"], rows)


def command(arguments: argparse.Namespace) -> str:
    size = "" if arguments.runs == 10_000 else f" --runs {arguments.runs}"
    owners = "" if arguments.owners == 1 else f" --owners {arguments.owners}"
    return f"python -m benchmarks.reading{size}{owners}"


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--runs", type=int, help="so many that ended, and so many that wait")
    made.add_argument("--owners", type=int, default=1, help="of the runs that wait")
    made.add_argument("--databases", nargs="+", default=DATABASES, choices=DATABASES)
    arguments = made.parse_args()
    if arguments.runs is None:
        arguments.runs = 2_000 if arguments.quick else 10_000
    measured = {name: on(name, arguments) for name in arguments.databases}
    memory = [Row([name], dict(one[1])) for name, one in measured.items()]
    publish(
        [
            requests(arguments, {name: one[0] for name, one in measured.items()}),
            Table("reading, memory of the API", command(arguments), ["database"], memory),
        ],
        arguments,
    )


if __name__ == "__main__":
    main()
