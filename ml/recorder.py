"""The port through which `ml` reports its work and learns whether to go on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from torch import Tensor


class Wish(Enum):
    """What the recorder's owner wants of work in progress."""

    CONTINUE = "continue"  #: Go on.
    PAUSE = "pause"  #: Save a checkpoint and stop. The work will be resumed.
    CANCEL = "cancel"  #: Save a checkpoint and stop for good.


class Stopped(Exception):
    """Work stopped at the recorder's wish, which is `wish`."""

    def __init__(self, wish: Wish) -> None:
        self.wish = wish
        super().__init__(f"stopped: {wish.value}")


class NotKept(Exception):
    """A checkpoint could not be kept. The last one stays valid, and another should come soon."""


@dataclass(frozen=True)
class Progress:
    """How far work has come."""

    stage: str
    """One of preparing, training, encoding, scoring and drawing."""
    step: int
    steps: int
    images_per_second: float | None = None
    eta_seconds: float | None = None
    loss: float | None = None


@dataclass(frozen=True)
class Checkpoint:
    """Everything needed to go on with the same bits."""

    step: int
    """Steps done."""
    tensors: Mapping[str, Tensor]
    document: Mapping[str, Any]
    """JSON values: the identity, the step and the environments."""


class Recorder(Protocol):
    """Receives a run's progress, curves and checkpoints."""

    def restore(self) -> Checkpoint | None:
        """The newest whole checkpoint of this run, if there is one."""

    def checkpoint(self, checkpoint: Checkpoint) -> None:
        """Keep a checkpoint. It is safe when this returns.

        Its tensors are the run's own and change at the next step, so keep a copy of their bytes.

        Raises:
            NotKept: the checkpoint could not be kept. Training goes on.
        """

    def snapshot(self, step: int, weights: bytes) -> None:
        """Keep the present weights for pictures, as a file that `Model.from_bytes` reads.

        A snapshot that cannot be kept is skipped, as a picture is no reason to stop. After an
        interruption the same snapshot may come again, with the same weights.
        """

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Points of the training curves."""

    def progress(self, progress: Progress) -> Wish:
        """Report progress and return what is wanted. This is cheap enough for every step."""


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
    """Raise `Stopped` unless the wish is to go on. Call it where nothing need be saved first."""
    if wish is not Wish.CONTINUE:
        raise Stopped(wish)
