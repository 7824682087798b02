"""Keeping the log lines of a job: what is logged while a worker holds it."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import IntegrityError

from ml.components.plain_text import plain_text
from store.database.connection import Database
from store.database.outages import DATABASE_OUTAGE
from store.jobs.claim import Claim
from store.jobs.log import Line, add_lines
from worker.process.stores import worker_name

MOST_LINES = 1000
"""The most lines kept of one attempt. Later lines are in the worker's own log alone, except for
some errors."""
MOST_ERRORS = 20
"""So many errors are kept beyond that: a flood of warnings must not hide how the attempt ended."""
MOST_CHARACTERS = 4000
LOGGERS = ("worker", "ml", "store", "py.warnings")


class Log(logging.LoggerAdapter[logging.Logger]):
    """Logs lines that are kept for one job alone."""

    def __init__(self, job_id: str) -> None:
        super().__init__(logging.getLogger(__name__), {"job_id": job_id})
        self.job_id = job_id


class _Held:
    """The lines of one job that have not been written to the database yet."""

    def __init__(self, claim: Claim) -> None:
        self.claim = claim
        self.lines: list[Line] = []
        self.count = self.errors = 0

    def add(self, line: Line) -> None:
        self.count += 1
        if self.count > MOST_LINES and line.level in ("ERROR", "CRITICAL"):
            self.errors += 1
            if self.errors <= MOST_ERRORS:
                self.lines.append(line)
        elif self.count < MOST_LINES:
            self.lines.append(line)
        elif self.count == MOST_LINES:
            said = "more lines than are kept; the rest is in the worker's own log"
            self.lines.append(Line(line.at, "WARNING", line.worker, said))


class JobLog(logging.Handler):
    """Gives each record to the job that it names (`extra={"job_id": …}`), else to all held jobs."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._guard = threading.Lock()
        #: By job and fence, as a process may claim a job again that it has just lost.
        self._held: dict[tuple[str, int], _Held] = {}

    def emit(self, record: logging.LogRecord) -> None:
        # `plain_text` removes what PostgreSQL cannot store and what a terminal would obey.
        message = plain_text(self.format(record).replace("\r\n", "\n"))
        if len(message) > MOST_CHARACTERS:
            # Both ends are kept: the end of a traceback says most.
            half = MOST_CHARACTERS // 2
            message = f"{message[:half]}\n…\n{message[-half:]}"
        line = Line(record.created, record.levelname, worker_name(), message)
        job_id = getattr(record, "job_id", None)
        with self._guard:
            for held in self._held.values():
                if job_id in (None, held.claim.job_id):
                    held.add(line)

    @contextmanager
    def of(self, database: Database, claim: Claim) -> Iterator[None]:
        """Keep what is logged inside for this job."""
        with self._guard:
            if not self._held:
                # Python shows a warning once for each place in the code. Leaving `catch_warnings`
                # resets that, so that each job gets its own warnings.
                with warnings.catch_warnings():
                    pass
            self._held[claim.job_id, claim.fence] = _Held(claim)
        try:
            yield
        finally:
            self.keep(database, claim)
            with self._guard:
                del self._held[claim.job_id, claim.fence]

    def keep(self, database: Database, claim: Claim) -> None:
        """Write the new lines to the database; if it is away, they are tried again later."""
        with self._guard:
            held = self._held.get((claim.job_id, claim.fence))
            if held is None or not held.lines:
                return
            lines, held.lines = held.lines, []
        try:
            add_lines(database, claim, lines)
        except DATABASE_OUTAGE:
            with self._guard:
                held.lines = [*lines, *held.lines]
        except IntegrityError:
            return  # The run was deleted meanwhile.


job_log = JobLog()


def begin() -> None:
    """Keep what this process logs for its jobs, too."""
    logging.captureWarnings(capture=True)
    for name in LOGGERS:
        logger = logging.getLogger(name)
        if job_log not in logger.handlers:
            logger.addHandler(job_log)
            logger.setLevel(min(logger.getEffectiveLevel(), logging.INFO))
