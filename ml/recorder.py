"""The port through which `ml` reports what it does and hears what is wanted of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

from torch import Tensor


class Wish(Enum):
    """What the outside wants of work that is under way."""

    CONTINUE = "continue"  #: Go on.
    PAUSE = "pause"  #: Save a checkpoint and stop; the work will be taken up again.
    CANCEL = "cancel"  #: Save a checkpoint and stop for good.


class Stopped(Exception):
    """Work stopped because the recorder wished so; `wish` says how."""

    def __init__(self, wish: Wish) -> None:
        self.wish = wish
        super().__init__(f"stopped: {wish.value}")


class NotKept(Exception):
    """A checkpoint could not be kept; the one before it counts, and another is wanted soon."""


@dataclass(frozen=True)
class Progress:
    """Where work stands."""

    stage: str
    """preparing, training, encoding, scoring or drawing."""
    step: int
    steps: int
    images_per_second: float | None = None
    eta_seconds: float | None = None
    loss: float | None = None


@dataclass(frozen=True)
class Checkpoint:
    """Everything needed to go on exactly."""

    step: int
    """Steps done."""
    tensors: Mapping[str, Tensor]
    document: Mapping[str, Any]
    """JSON values: identity, step, environments."""


class Recorder(Protocol):
    """Where a run's progress, curves and checkpoints go."""

    def restore(self) -> Checkpoint | None:
        """The newest whole checkpoint of this run, if there is one."""

    def checkpoint(self, checkpoint: Checkpoint) -> None:
        """Keep a checkpoint; when this returns it is safe.

        Its tensors are the run's own, which the next step changes: keep their bytes.

        Raises:
            NotKept: it is not; training goes on.
        """

    def snapshot(self, step: int, weights: bytes) -> None:
        """Keep the weights as they are now, for pictures: a file that `Model.from_bytes` reads.

        What cannot be kept is passed over; a picture is no reason to stop. After an interruption
        the same snapshot may come again, with the same weights.
        """

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Points of the training curves."""

    def progress(self, progress: Progress) -> Wish:
        """Cheap enough for every step. Returns what is wanted."""


class Silent:
    """A recorder that keeps nothing and wishes nothing."""

    def restore(self) -> Checkpoint | None:
        return None

    def checkpoint(self, checkpoint: Checkpoint) -> None:
        pass

    def snapshot(self, step: int, weights: bytes) -> None:
        pass

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        pass

    def progress(self, progress: Progress) -> Wish:  # noqa: ARG002
        return Wish.CONTINUE


def continue_or_stop(wish: Wish) -> None:
    """Raise `Stopped` unless the wish is to go on: for work that has nothing to save first."""
    if wish is not Wish.CONTINUE:
        raise Stopped(wish)
