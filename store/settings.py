"""Where Heddle keeps its things, and how patient it is with its workers."""

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

    What is not set lies under `home`. Seconds are by the database's clock.
    """

    model_config = SettingsConfigDict(env_prefix="HEDDLE_")

    #: Folder of everything that has no place of its own; made absolute, as processes differ in
    #: their working folder.
    home: Path = Field(default=Path(".heddle"), validate_default=True)
    #: `sqlite:///path` or `postgresql://…`; `store.database.url.sqlite_url` escapes a path.
    database_url: str = Field(
        default_factory=lambda known: sqlite_url(_home(known) / "heddle.db"),
    )
    #: Where hints are sent; None leaves it to whoever starts a private broker.
    broker_url: str | None = None
    #: Folder of artifacts, by their SHA-256.
    objects: Path = Field(default_factory=lambda known: _home(known) / "objects")
    #: Folder of checkpoints, by run.
    checkpoints: Path = Field(default_factory=lambda known: _home(known) / "checkpoints")
    #: Keep the state that training ends with (weights and what the optimizer keeps), so that others
    #: can go on from there.
    keep_states: bool = True
    #: A job whose worker has been silent for so long is taken back.
    lease_seconds: float = Field(default=30.0, gt=0)
    #: A worker reports this often.
    beat_seconds: float = Field(default=1.5, gt=0)
    #: A job that was lost so often without coming further is marked failed. At least 3, since one
    #: that was lost twice is tried without others (`store.jobs.claim.ALONE_AFTER_LOSSES`).
    max_losses: int = Field(default=3, ge=3)
    #: The reaper looks for expired leases this often.
    sweep_seconds: float = Field(default=5.0, gt=0)
    #: What nothing refers to is looked for this often.
    collect_seconds: float = Field(default=600.0, gt=0)
    #: A file that nothing refers to is left alone for so long, as it may be about to be recorded.
    collect_grace_seconds: float = Field(default=600.0, gt=0)

    #: A training job is preempted at a checkpoint after so long, if somebody's turn has come.
    slice_seconds: float = Field(default=1200.0, gt=0)
    #: A job that is expected to take no longer goes before others, within its owner's share.
    short_seconds: float = Field(default=300.0, ge=0)
    #: A training job is preempted after so long if a short one waits.
    short_slice_seconds: float = Field(default=60.0, gt=0)
    #: Work of a priority that is not served for so long goes with the next higher one.
    patience_seconds: float = Field(default=3600.0, gt=0)
    #: Most runs of one owner that wait, and that are worked on at once; None: no limit.
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

    @field_validator("home", "objects", "checkpoints")
    @classmethod
    def _absolute(cls, path: Path) -> Path:
        return path.expanduser().absolute()


def _home(known: dict[str, Any]) -> Path:
    # Absent when `home` itself was refused; that error is reported, so any path will do here.
    home: Path = known.get("home", Path(".heddle"))
    return home


@cache
def settings() -> Settings:
    """The settings of this process, read from the environment once."""
    return Settings()
