"""Shares and waits of owners on a simulated server: the real store on SQLite, a simulated clock.

Four owners keep two workers busy with long runs and sweeps. A fifth posts a run of two minutes
every ten minutes. A step takes a second, and nothing else takes time.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

from benchmarks.record import Figure, Row, Table, parser, publish
from store.database.connection import migrate
from tests.store.simulation import server

COMMAND = "python -m benchmarks.fair_share"
HOURS = 8
WORK = {
    "ada": (8 * 3600, 4),
    "ben": (1800, 40),
    "cleo": (3 * 3600, 10),
    "dora": (3000, 20),
}


def main() -> None:
    arguments = parser(__doc__).parse_args()
    hours = 2 if arguments.quick else HOURS
    with tempfile.TemporaryDirectory() as folder:
        schema = Path(folder, "schema.db")
        migrate(f"sqlite:///{schema}")
        simulated = server(Path(folder), schema, 2)
        began = simulated.now
        for owner, (seconds, runs) in WORK.items():
            simulated.post(owner, seconds, runs)
        shorts: list[str] = []
        while simulated.now < began + hours * 3600:
            shorts += simulated.post("eve", 120)
            simulated.pass_time(simulated.now + 600)
        equal = (2 * hours * 3600 - simulated.spent["eve"]) / len(WORK)
        waits = [simulated.wait(run) for run in shorts]
    rows = []
    for owner, (seconds, runs) in WORK.items():
        spent = simulated.spent[owner]
        figures = {
            "hours of workers": Figure([spent / 3600], "", places=2),
            "of an equal share": Figure([100 * spent / equal], "%"),
        }
        rows.append(Row([owner, f"{runs} runs of {seconds / 3600:.1f} h"], figures))
    spent = simulated.spent["eve"]
    rows.append(
        Row(
            ["eve", f"{len(shorts)} runs of 2 min"],
            {
                "hours of workers": Figure([spent / 3600], "", places=2),
                "of an equal share": "(less work)",
            },
        )
    )
    short = Row(
        ["eve's short runs"],
        {
            "waited, median": Figure([statistics.median(waits)], "s", "less", places=0),
            "waited at most": Figure([max(waits)], "s", "less", places=0),
            "preemptions": Figure([simulated.preemptions], "", places=0),
        },
    )
    publish(
        [
            Table("fair_share", COMMAND, ["owner", "posted"], rows),
            Table("fair_share: short runs", COMMAND, [""], [short]),
        ],
        arguments,
    )


if __name__ == "__main__":
    main()
