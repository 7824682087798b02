"""What a run's own log has."""

from __future__ import annotations

import logging
import warnings

import pytest

from store.jobs.finish import release
from store.jobs.log import log_of_run
from store.states import JobKind
from tests.worker.workplace import STEPS, Workplace, on_sqlite, spec
from worker.evaluation import evaluate_next
from worker.lease import job_log
from worker.process.storage import claim_if_able
from worker.training import train_next

# This process's log goes to its jobs.
pytestmark = pytest.mark.usefixtures("logged")


def lines(workplace: Workplace, run_id: str) -> str:
    found = log_of_run(workplace.stores.database, run_id)
    return "\n".join(f"{line.level} {line.message}" for line in found)


def test_a_run_logs_how_it_went(workplace: Workplace) -> None:
    run_id = workplace.post()
    assert train_next() and evaluate_next()
    found = lines(workplace, run_id)
    for said in (
        "attempt 1, begins",
        "training begins",
        "checkpoint at step",
        "is trained, after",
        f"evaluation of {run_id}",
        "scoring begins",
    ):
        assert said in found
    assert [line.message for line in log_of_run(workplace.stores.database, run_id, tail=1)] == [
        found.splitlines()[-1].partition(" ")[2]
    ]


@on_sqlite
def test_an_error_is_logged_with_its_trace(workplace: Workplace) -> None:
    training = {"optimizer": {"name": "sgd", "learning_rate": 100.0}}
    run_id = workplace.post(spec(**training))
    assert train_next()
    found = lines(workplace, run_id)
    assert "ERROR job" in found and "Traceback" in found and "NonFiniteLoss" in found


@on_sqlite
def test_a_log_is_bounded_and_others_lines_stay_theirs(workplace: Workplace) -> None:
    run_id = workplace.post()
    [claim] = claim_if_able(workplace.stores, JobKind.TRAIN)
    logger = logging.getLogger("worker.test")
    with job_log.job_log.of(workplace.stores.database, claim):
        logger.info("of another", extra={"job_id": "job_x"})
        for number in range(2 * job_log.MOST_LINES):
            logger.info("line %d %s", number, "x" * 10_000)
    found = log_of_run(workplace.stores.database, run_id)
    assert len(found) == job_log.MOST_LINES
    assert "worker's own log" in found[-1].message
    assert max(len(line.message) for line in found) <= job_log.MOST_CHARACTERS + 3


@on_sqlite
def test_an_error_is_kept_after_a_flood_of_warnings(workplace: Workplace) -> None:
    run_id = workplace.post()
    [claim] = claim_if_able(workplace.stores, JobKind.TRAIN)
    logger = logging.getLogger("worker.test")
    with job_log.job_log.of(workplace.stores.database, claim):
        for _ in range(2 * job_log.MOST_LINES):
            logger.warning("not converged")
        for number in range(2 * job_log.MOST_ERRORS):
            logger.error("failed %d", number)
    found = log_of_run(workplace.stores.database, run_id)
    assert len(found) == job_log.MOST_LINES + job_log.MOST_ERRORS
    assert found[job_log.MOST_LINES].message == "failed 0"


def test_a_line_may_hold_what_no_database_keeps(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What pytest hears of as well must be text that it can send from process to process.
    monkeypatch.setattr(logging.getLogger("ml"), "propagate", False)
    run_id = workplace.post()
    [claim] = claim_if_able(workplace.stores, JobKind.TRAIN)
    with job_log.job_log.of(workplace.stores.database, claim):
        logging.getLogger("ml.test").info("a\x00b \x1b[31m \udcff\tc\r\nd é")
    assert lines(workplace, run_id) == "INFO a\ufffdb \ufffd[31m \ufffd\tc\nd é"


@on_sqlite
def test_each_job_hears_of_its_own_warnings(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    # pytest has taken warnings for itself since.
    logging.captureWarnings(capture=False)
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    monkeypatch.setattr(warnings, "filters", [("default", None, Warning, None, 0)])
    logging.captureWarnings(capture=True)
    for seed in range(2):
        run_id = workplace.post({**spec(), "seed": seed})
        [claim] = claim_if_able(workplace.stores, JobKind.TRAIN)
        with job_log.job_log.of(workplace.stores.database, claim):
            for _ in range(2):
                warnings.warn("the fit did not converge", stacklevel=1)
        assert lines(workplace, run_id).count("UserWarning: the fit") == 1


@on_sqlite
def test_a_long_training_leaves_few_lines(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.lease.progress_log.LOG_SECONDS", 0.0)
    monkeypatch.setattr("worker.lease.progress_log.LOG_SHARE", 0.5)
    run_id = workplace.post()
    assert train_next()
    told = [line for line in lines(workplace, run_id).splitlines() if "INFO training" in line]
    assert 1 < len(told) < STEPS / 2


@on_sqlite
def test_a_job_that_is_taken_anew_goes_on_being_logged(workplace: Workplace) -> None:
    run_id = workplace.post()
    logger = logging.getLogger("worker.test")
    database = workplace.stores.database
    [lost] = claim_if_able(workplace.stores, JobKind.TRAIN)
    with job_log.job_log.of(database, lost):
        release(database, lost, lost=True)
        [taken] = claim_if_able(workplace.stores, JobKind.TRAIN)
        anew = job_log.job_log.of(database, taken)
        anew.__enter__()
    logger.info("the second time")
    anew.__exit__(None, None, None)
    assert lines(workplace, run_id) == "INFO the second time"
