"""The store's settings: where data is kept, how leases run, and the rules of the queue."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from store.database.url import sqlite_url
from store.scheduling.fair_share import Rules


class Settings(BaseSettings):
    """The store's settings, each read from the environment variable `HEDDLE_<NAME>`.

    Paths that are not set lie under `home`. Seconds are by the database's clock.
    """

    model_config = SettingsConfigDict(env_prefix="HEDDLE_")

    #: Folder of everything that has no path of its own. It is made absolute, as processes differ in
    #: their working directory.
    home: Path = Field(default=Path(".heddle"), validate_default=True)
    #: `sqlite:///path` or `postgresql://…`; `store.database.url.sqlite_url` escapes a path.
    database_url: str = Field(
        default_factory=lambda known: sqlite_url(_home(known) / "heddle.db"),
    )
    #: The broker that hints are sent to. None leaves it to whoever starts a private broker.
    broker_url: str | None = None
    #: Folder of artifacts, by their SHA-256.
    objects: Path = Field(default_factory=lambda known: _home(known) / "objects")
    #: Folder of checkpoints, by run.
    checkpoints: Path = Field(default_factory=lambda known: _home(known) / "checkpoints")
    #: Folder of data: the operator's files, what is prepared of them, and uploaded data sets. The
    #: service and all workers need the same one.
    data: Path = Field(default_factory=lambda known: _home(known) / "data")
    #: Whether to keep the state that training ends with (weights and the optimizer's state). Other
    #: runs can go on from there.
    keep_states: bool = True
    #: A job is taken back when its worker has been silent for so long.
    lease_seconds: float = Field(default=30.0, gt=0)
    #: The time between two heartbeats of a worker.
    beat_seconds: float = Field(default=1.5, gt=0)
    #: A job fails when it was lost so often without coming further. This is at least 3, since a job
    #: that was lost twice is tried alone first (`store.jobs.claim.ALONE_AFTER_LOSSES`).
    max_losses: int = Field(default=3, ge=3)
    #: The time between two passes of the reaper.
    sweep_seconds: float = Field(default=5.0, gt=0)
    #: The time between two collections of runs and files that nothing refers to.
    collect_seconds: float = Field(default=600.0, gt=0)
    #: A file that nothing refers to is kept for so long, as it may be about to be recorded.
    collect_grace_seconds: float = Field(default=600.0, gt=0)
    #: The codes of every image of a data set, which scores of a population need, are kept for so
    #: many days (60 MB a run of dSprites). None keeps them for as long as their run.
    keep_grid_codes_days: float | None = Field(default=7.0, ge=0)

    #: A training job may be preempted at a checkpoint after so long, if it is somebody else's turn.
    slice_seconds: float = Field(default=1200.0, gt=0)
    #: A job that is expected to take no longer than this is short. It goes first, within its
    #: owner's share.
    short_seconds: float = Field(default=300.0, ge=0)
    #: A training job may be preempted after so long if a short job waits.
    short_slice_seconds: float = Field(default=60.0, gt=0)
    #: Jobs of a group of which none was taken for so long go with the next higher priority.
    patience_seconds: float = Field(default=3600.0, gt=0)
    #: The most runs of one owner that may wait, and that may run at once; None means no limit.
    most_queued: int | None = Field(default=None, ge=1)
    most_running: int | None = Field(default=None, ge=1)

    @property
    def rules(self) -> Rules:
        """What the fair share depends on."""
        return Rules(
            slice_seconds=self.slice_seconds,
            short_seconds=self.short_seconds,
            short_slice_seconds=self.short_slice_seconds,
            patience_seconds=self.patience_seconds,
            most_running=self.most_running,
        )

    @field_validator("home", "objects", "checkpoints", "data")
    @classmethod
    def _absolute(cls, path: Path) -> Path:
        return path.expanduser().absolute()


def _home(known: dict[str, Any]) -> Path:
    # `home` is absent if it was refused itself. That error is reported, so any path will do here.
    home: Path = known.get("home", Path(".heddle"))
    return home


@cache
def settings() -> Settings:
    """The settings of this process, read from the environment once."""
    return Settings()
