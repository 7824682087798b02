"""The tables. All times are seconds since 1970 by the database's clock, as floats."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Computed,
    Double,
    Enum,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Text,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from store.database.score_parts import NUMBERS, SETTING, Parts
from store.states import AttemptEnd, EvaluationState, JobKind, JobState, RunState

_JSON = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
# SQLite numbers rows by itself only in a column of exactly the type INTEGER.
_NUMBER = BigInteger().with_variant(Integer(), "sqlite")


def _enum(kind: type[StrEnum]) -> Enum:
    # The column is text in the database, so a new state needs no change of type there.
    return Enum(
        kind,
        native_enum=False,
        create_constraint=False,
        length=16,
        values_callable=lambda members: [member.value for member in members],
    )


class Base(DeclarativeBase):
    """The base of all tables. Its metadata is what the migrations must result in."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {
        str: Text(),
        float: Double(),
        dict[str, Any]: _JSON,
        list[str]: _JSON,
        RunState: _enum(RunState),
        EvaluationState: _enum(EvaluationState),
        JobState: _enum(JobState),
        JobKind: _enum(JobKind),
        AttemptEnd: _enum(AttemptEnd),
    }


class Experiment(Base):
    """A spec that somebody posted."""

    __tablename__ = "experiments"
    __table_args__ = (UniqueConstraint("owner", "idempotency_key"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str | None]
    tags: Mapped[list[str]]
    notes: Mapped[str | None]
    spec: Mapped[dict[str, Any]]
    owner: Mapped[str | None]
    priority: Mapped[int]
    created_at: Mapped[float]
    #: How many events there are. A new event takes its number here, under the row's lock.
    events: Mapped[int]
    #: The key that its sender gave the request, and the hash of what it asked for. The same request
    #: is answered with this experiment when it is sent again.
    idempotency_key: Mapped[str | None]
    request_sha256: Mapped[str | None]
    #: Whether nobody may delete it.
    pinned: Mapped[bool] = mapped_column(server_default=false())


class Run(Base):
    """One model, trained under one resolved spec and one seed."""

    __tablename__ = "runs"
    __table_args__ = (
        # At most one run of an identity is current: the one that new experiments join.
        Index(
            "uq_runs_train_id_current",
            "train_id",
            unique=True,
            sqlite_where=text("current = 1"),
            postgresql_where=text("current"),
        ),
        Index(None, "state", "id"),
        Index(None, "dataset", "id"),
        Index(None, "objective", "id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    train_id: Mapped[str]
    current: Mapped[bool]
    state: Mapped[RunState]
    spec: Mapped[dict[str, Any]]
    dataset: Mapped[str]
    objective: Mapped[str]
    # This is a signed number of 64 bits on both databases.
    seed: Mapped[int] = mapped_column(BigInteger)
    steps: Mapped[int] = mapped_column(BigInteger)
    error: Mapped[dict[str, Any] | None]
    #: The record that training makes of itself: device, versions, width, seconds.
    record: Mapped[dict[str, Any] | None]
    created_at: Mapped[float]
    started_at: Mapped[float | None]
    finished_at: Mapped[float | None]
    #: Whether it stays when the experiments that hold it are deleted.
    pinned: Mapped[bool] = mapped_column(server_default=false())
    #: Runs with the same id are one course: they are equal but for their number of steps.
    course_id: Mapped[str | None] = mapped_column(index=True)
    #: `{run, step}` from which it has gone on. That run may have been deleted.
    origin: Mapped[dict[str, Any] | None]
    #: The names that people gave its latents, by number.
    latent_names: Mapped[dict[str, Any] | None]


class Evaluation(Base):
    """Scores of one run or of one file of codes, as one evaluation spec asks for them."""

    __tablename__ = "evaluations"
    __table_args__ = (
        UniqueConstraint("run_id", "evaluation_key"),
        UniqueConstraint("file_sha256", "evaluation_key"),
        CheckConstraint("(run_id IS NULL) <> (file_sha256 IS NULL)", name="run_or_file"),
        Index(None, "run_id", "id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    #: It judges either a run or a file in the object folder.
    run_id: Mapped[str | None] = mapped_column(ForeignKey("runs.id"))
    file_sha256: Mapped[str | None]
    file_bytes: Mapped[int | None] = mapped_column(BigInteger)
    file_name: Mapped[str | None]
    #: How the file was understood when it was sent: rows, codes, factors, and what was assumed.
    understood: Mapped[dict[str, Any] | None]
    #: Whether somebody asked for it by itself, and not only through an experiment.
    wanted: Mapped[bool] = mapped_column(server_default=false())
    #: Hash of everything that determines the scores of a given run or file.
    evaluation_key: Mapped[str]
    spec: Mapped[dict[str, Any]]
    state: Mapped[EvaluationState]
    error: Mapped[dict[str, Any] | None]
    created_at: Mapped[float]
    finished_at: Mapped[float | None]


class ExperimentRun(Base):
    """The place of a run in an experiment's sweep; several experiments may share a run."""

    __tablename__ = "experiment_runs"

    experiment_id: Mapped[str] = mapped_column(ForeignKey("experiments.id"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id"), index=True)
    evaluation_id: Mapped[str] = mapped_column(ForeignKey("evaluations.id"), index=True)
    #: The swept paths of the spec, each with its value at this place.
    swept: Mapped[dict[str, Any]]
    #: Whether the run existed before.
    reused: Mapped[bool]
    #: False if this experiment was cancelled before the run had ended.
    wanted: Mapped[bool]


class Job(Base):
    """A unit of work. A run has one job for its training, and an evaluation has one job."""

    __tablename__ = "jobs"
    __table_args__ = (
        Index(
            "uq_jobs_run_id_train",
            "run_id",
            unique=True,
            sqlite_where=text("kind = 'train'"),
            postgresql_where=text("kind = 'train'"),
        ),
        Index(None, "evaluation_id", unique=True),
        Index(None, "run_id", "state"),
        # The measured jobs of a kind are few beside those that wait.
        Index(None, "pace_key", "state"),
        # There is no index of what a beat changes: PostgreSQL would write into all indexes then.
        # Room in each page lets it write the row's next version there.
        {"postgresql_with": {"fillfactor": 80}},
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[JobKind]
    #: None for the evaluation of a file.
    run_id: Mapped[str | None] = mapped_column(ForeignKey("runs.id"))
    evaluation_id: Mapped[str | None] = mapped_column(ForeignKey("evaluations.id"))
    state: Mapped[JobState]
    priority: Mapped[int]
    #: It is always set. The column allows null because SQLite would have to rebuild the table.
    owner: Mapped[str] = mapped_column(nullable=True)
    created_at: Mapped[float]
    #: It rises with every claim. Every write of a worker must name the newest fence.
    fence: Mapped[int]
    lease_until: Mapped[float | None]
    worker: Mapped[str | None]
    #: How often it was claimed.
    attempts: Mapped[int]
    #: How often it was lost since it was last asked for or came further.
    losses: Mapped[int]
    progress: Mapped[dict[str, Any] | None]
    cancel_requested: Mapped[bool]
    #: Training jobs of one key can be done side by side; a job without one goes alone.
    cohort_key: Mapped[str | None]
    #: The width of the cohort that made its newest checkpoint, and the model of its device.
    cohort_width: Mapped[int | None]
    cohort_device: Mapped[str | None]
    #: Jobs of one key take about the same time: each step of a training job, or a whole evaluation.
    pace_key: Mapped[str | None]
    #: Whether it is short enough to go first (`store.scheduling.fair_share`).
    short: Mapped[bool] = mapped_column(server_default=false())
    #: When it was last claimed.
    claimed_at: Mapped[float | None]
    #: How many jobs its worker does side by side, this one included.
    together: Mapped[int] = mapped_column(server_default=text("1"))
    #: Whether it is preempted: its worker is to stop at a checkpoint for somebody else's turn.
    give_way: Mapped[bool] = mapped_column(server_default=false())


# Claims look first at the waiting groups, and then at the oldest job of a group, in this order.
Index(
    "ix_jobs_in_turn",
    Job.state,
    Job.kind,
    Job.priority,
    Job.owner,
    Job.short,
    Job.created_at,
    Job.id,
)


# A claim beside a held job looks for the groups of the waiting jobs of one cohort.
Index(
    "ix_jobs_beside",
    Job.cohort_key,
    Job.priority,
    Job.owner,
    Job.short,
    Job.created_at,
    Job.id,
    sqlite_where=text("state = 'queued'"),
    postgresql_where=text("state = 'queued'"),
)


class Attempt(Base):
    """One claim of a job, and how it ended."""

    __tablename__ = "attempts"
    __table_args__ = (Index(None, "run_id", "began_at"),)

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    fence: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[JobKind]
    run_id: Mapped[str | None] = mapped_column(ForeignKey("runs.id"))
    evaluation_id: Mapped[str | None] = mapped_column(ForeignKey("evaluations.id"), index=True)
    owner: Mapped[str | None]
    worker: Mapped[str]
    device_model: Mapped[str | None]
    began_at: Mapped[float]
    ended_at: Mapped[float | None]
    #: How it ended; None while it goes on.
    end: Mapped[AttemptEnd | None]
    #: The cause of the end if there is one, such as the error of a failure.
    cause: Mapped[dict[str, Any] | None]
    #: How many jobs its worker did side by side at the end.
    together: Mapped[int | None]
    #: What the worker measured: the first and last step, the seconds between, and energy.
    measured: Mapped[dict[str, Any] | None]


class Served(Base):
    """The service that an owner's jobs of one kind, priority and length had from workers.

    `store.scheduling.fair_share` orders owners by it.
    """

    __tablename__ = "served"

    owner: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[JobKind] = mapped_column(primary_key=True)
    priority: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    short: Mapped[bool] = mapped_column(primary_key=True)
    #: Seconds of workers, as they counted at the moment `at`. A second is worth half for every
    #: half-life that has passed.
    seconds: Mapped[float]
    at: Mapped[float]
    #: When a worker last took such a job.
    claimed_at: Mapped[float]


class Score(Base):
    """One score of one evaluation, with the document that `ml` gave."""

    __tablename__ = "scores"
    __table_args__ = (UniqueConstraint("evaluation_id", "position"),)

    id: Mapped[int] = mapped_column(_NUMBER, primary_key=True)
    run_id: Mapped[str | None] = mapped_column(ForeignKey("runs.id"), index=True)
    evaluation_id: Mapped[str] = mapped_column(ForeignKey("evaluations.id"))
    position: Mapped[int]
    #: Parts of the document as JSON arrays (`store.database.score_parts`). The database makes them.
    numbers: Mapped[str] = mapped_column(
        Computed(Parts(*NUMBERS), persisted=True), nullable=True, deferred=True
    )
    setting: Mapped[str] = mapped_column(
        Computed(Parts(*SETTING), persisted=True), nullable=True, deferred=True
    )
    document: Mapped[dict[str, Any]]


class Scalars(Base):
    """A chunk of training curves: `points` is {tag: [[step, value], …]}."""

    __tablename__ = "scalars"
    __table_args__ = (Index(None, "run_id", "fence", "id"),)

    id: Mapped[int] = mapped_column(_NUMBER, primary_key=True)
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id"))
    fence: Mapped[int]
    first_step: Mapped[int] = mapped_column(BigInteger)
    last_step: Mapped[int] = mapped_column(BigInteger)
    points: Mapped[dict[str, Any]]


class Artifact(Base):
    """A file of a run. If several have one name, the newest row counts."""

    __tablename__ = "artifacts"
    __table_args__ = (Index(None, "run_id", "name", "id"),)

    id: Mapped[int] = mapped_column(_NUMBER, primary_key=True)
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id"))
    evaluation_id: Mapped[str | None] = mapped_column(ForeignKey("evaluations.id"), index=True)
    name: Mapped[str]
    sha256: Mapped[str] = mapped_column(index=True)
    media_type: Mapped[str]
    bytes: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[float]


class Checkpoint(Base):
    """A recorded file from which training can go on with the same bits."""

    __tablename__ = "checkpoints"

    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id"), primary_key=True)
    fence: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    step: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    #: Relative to the checkpoint folder. Runs that go on from one state share its file.
    path: Mapped[str] = mapped_column(index=True)
    sha256: Mapped[str]
    bytes: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[float]


class Event(Base):
    """Something that happened to an experiment. Numbers run from 1 without gaps."""

    __tablename__ = "events"
    __table_args__ = (Index(None, "experiment_id", "position"),)

    experiment_id: Mapped[str] = mapped_column(ForeignKey("experiments.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    #: Its position among the events of all experiments, in the order of the commits.
    position: Mapped[int] = mapped_column(BigInteger, unique=True)
    type: Mapped[str]
    data: Mapped[dict[str, Any]]
    created_at: Mapped[float]


class Counter(Base):
    """A number that rises under its row's lock, so that it numbers things in commit order."""

    __tablename__ = "counters"

    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[int] = mapped_column(BigInteger)


class LogLine(Base):
    """A line that a worker logged of a run, or of an evaluation of a file."""

    __tablename__ = "log_lines"
    __table_args__ = (Index(None, "run_id", "id"), Index(None, "evaluation_id", "id"))

    id: Mapped[int] = mapped_column(_NUMBER, primary_key=True)
    run_id: Mapped[str | None] = mapped_column(ForeignKey("runs.id"))
    evaluation_id: Mapped[str | None] = mapped_column(ForeignKey("evaluations.id"))
    #: By the worker's clock.
    at: Mapped[float]
    level: Mapped[str]
    worker: Mapped[str]
    message: Mapped[str]


class Worker(Base):
    """A process that takes jobs. It reports its presence again and again while it lives."""

    __tablename__ = "workers"

    name: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[JobKind]
    host: Mapped[str]
    pid: Mapped[int]
    device: Mapped[str]
    device_model: Mapped[str]
    #: Of the device, in bytes; None if it is not known.
    memory_bytes: Mapped[int | None] = mapped_column(BigInteger)
    memory_free_bytes: Mapped[int | None] = mapped_column(BigInteger)
    #: Of a worker that trains: the rates of its device in each precision, once it measured them.
    precisions: Mapped[dict[str, Any] | None]
    started_at: Mapped[float]
    seen_at: Mapped[float]


class Dataset(Base):
    """A data set that somebody uploaded. Its images lie in the data folder, under its digest."""

    __tablename__ = "datasets"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    #: Of what is stored: images, factors and how they were understood. Two may have the same.
    digest: Mapped[str] = mapped_column(index=True)
    description: Mapped[str]
    licence: Mapped[str]
    #: Whether lists leave it out, unless they are asked for private ones.
    private: Mapped[bool]
    #: The name of the file that was sent.
    source: Mapped[str]
    #: What was found in the file: images, shape, factors.
    about: Mapped[dict[str, Any]]
    bytes: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[float]


class DatasetName(Base):
    """A name that an uploaded data set has or had. Specs may still use a former name."""

    __tablename__ = "dataset_names"

    name: Mapped[str] = mapped_column(primary_key=True)
    dataset_id: Mapped[str] = mapped_column(ForeignKey("datasets.id"), index=True)


class Folder(Base):
    """A folder that belongs to this database. A mark in it distinguishes it from others."""

    __tablename__ = "folders"

    kind: Mapped[str] = mapped_column(primary_key=True)
    mark: Mapped[str]


class Trouble(Base):
    """Why a worker takes no jobs of a kind at the moment."""

    __tablename__ = "troubles"

    worker: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[JobKind]
    message: Mapped[str]
    #: When the worker last reported it. A worker that has not done so for a while is gone.
    seen_at: Mapped[float]
