"""A progress bar for scores that are computed in this process."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ml.recorder import Progress as Step
from ml.recorder import Silent, Wish


class Bar(Silent):
    """A progress bar with the metric or file that has its turn; invisible without a terminal."""

    def __init__(self, console: Console, turns: Sequence[str]) -> None:
        self._turns = turns
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=len(turns))

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def progress(self, progress: Step) -> Wish:
        """Show which one has its turn, and ask for nothing else."""
        name = self._turns[min(progress.step, len(self._turns) - 1)]
        self._bar.update(self._task, completed=progress.step, description=name)
        return Wish.CONTINUE
