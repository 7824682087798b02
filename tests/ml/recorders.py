"""Recorders that keep what a run reports, and stop it where a test wants."""

from __future__ import annotations

from collections.abc import Mapping

from ml.networks import tensor_file
from ml.recorder import Checkpoint, Progress, Wish


class Kept:
    """Keeps everything; checkpoints go through the bytes of a file, as in a real run.

    `pause_at` wishes a pause at that step. Restores from `start` if one is given.
    """

    def __init__(self, *, start: bytes | None = None, pause_at: int | None = None) -> None:
        self.start, self.pause_at = start, pause_at
        self.files: list[bytes] = []
        self.points: dict[int, dict[str, float]] = {}
        self.stages: list[Progress] = []
        self.snapshots: dict[int, bytes] = {}

    def restore(self) -> Checkpoint | None:
        if self.start is None:
            return None
        tensors, document = tensor_file.from_bytes(self.start)
        return Checkpoint(document["step"], tensors, document)

    def checkpoint(self, checkpoint: Checkpoint) -> None:
        self.files.append(tensor_file.to_bytes(checkpoint.tensors, checkpoint.document))

    def snapshot(self, step: int, weights: bytes) -> None:
        self.snapshots[step] = weights

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        self.points[step] = dict(values)

    def progress(self, progress: Progress) -> Wish:
        self.stages.append(progress)
        here = progress.stage == "training" and progress.step == self.pause_at
        return Wish.PAUSE if here else Wish.CONTINUE
