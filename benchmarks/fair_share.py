"""Shares and waits of owners on a simulated server: the real store on SQLite, a simulated clock.

Four owners keep two workers busy with long runs and sweeps. A fifth posts a run of two minutes
every ten minutes. A step takes a second, and nothing else takes time.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table

from store.database.connection import migrate
from tests.store.simulation import server

HOURS = 8
WORK = {
    "ada": (8 * 3600, 4),
    "ben": (1800, 40),
    "cleo": (3 * 3600, 10),
    "dora": (3000, 20),
}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        schema = Path(folder, "schema.db")
        migrate(f"sqlite:///{schema}")
        simulated = server(Path(folder), schema, 2)
        began = simulated.now
        for owner, (seconds, runs) in WORK.items():
            simulated.post(owner, seconds, runs)
        shorts: list[str] = []
        while simulated.now < began + HOURS * 3600:
            shorts += simulated.post("eve", 120)
            simulated.pass_time(simulated.now + 600)
        equal = (2 * HOURS * 3600 - simulated.spent["eve"]) / len(WORK)
        waits = [simulated.wait(run) for run in shorts]
    table = Table(box=MARKDOWN)
    for name in ("owner", "posted", "hours of workers", "of an equal share"):
        table.add_column(name)
    for owner, (seconds, runs) in WORK.items():
        spent = simulated.spent[owner]
        posted = f"{runs} runs of {seconds / 3600:.1f} h"
        table.add_row(owner, posted, f"{spent / 3600:.2f}", f"{spent / equal:.1%}")
    table.add_row(
        "eve", f"{len(shorts)} runs of 2 min", f"{simulated.spent['eve'] / 3600:.2f}", "(less work)"
    )
    console = Console(width=100)
    console.print(table)
    console.print(
        f"The short runs waited {statistics.median(waits):.0f} s (median), {max(waits):.0f} s at"
        f" most; training was preempted {simulated.preemptions} times."
    )


if __name__ == "__main__":
    main()
