"""Images a second that training takes, by precision, batch size, threads and allocator.

Each configuration is a process of its own that trains on dSprites from bits. Configurations take
turns, and the median of the rounds is printed.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import time

from heddle.service.service import KEEP_FREED

PRECISIONS = ("float32", "bfloat16")
BATCHES = (64, 256)


def measure(precision: str, batch: int, threads: int, steps: int) -> float:
    """Images a second in this process, without the first quarter of the steps."""
    import torch

    from ml import train
    from ml.recorder import Progress, Silent, Wish

    torch.set_num_threads(threads)
    marks: dict[int, float] = {}

    class Clock(Silent):
        def progress(self, progress: Progress) -> Wish:
            if progress.stage == "training":
                marks[progress.step] = time.perf_counter()
            return Wish.CONTINUE

    spec = {
        "dataset": "dsprites",
        "model": "burgess",
        "objective": "beta_vae",
        "training": {"steps": steps, "batch_size": batch, "precision": precision},
    }
    train(spec, Clock())
    warm = steps // 4
    return (steps - warm) * batch / (marks[steps] - marks[warm])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=6400, help="images a measurement")
    parser.add_argument("--rounds", type=int, default=3, help="measurements a configuration")
    parser.add_argument("--one", nargs=3, metavar=("PRECISION", "BATCH", "THREADS"))
    arguments = parser.parse_args()
    if arguments.one:
        precision, batch, threads = arguments.one
        steps = arguments.images // int(batch)
        print(json.dumps(measure(precision, int(batch), int(threads), steps)))
        return
    cores = os.cpu_count() or 1
    configurations = list(itertools.product(PRECISIONS, BATCHES, sorted({1, cores}), (False, True)))
    found: dict[tuple[str, int, int, bool], list[float]] = {c: [] for c in configurations}
    for _ in range(arguments.rounds):
        for precision, batch, threads, keep in configurations:
            command = [sys.executable, __file__, "--images", str(arguments.images)]
            command += ["--one", precision, str(batch), str(threads)]
            environment = {**os.environ, **(KEEP_FREED if keep else {})}
            answer = subprocess.run(command, env=environment, check=True, capture_output=True)
            found[precision, batch, threads, keep].append(json.loads(answer.stdout))
    print(
        "| precision | batch | threads | glibc's default, images/s | freed buffers kept | ratio |"
    )
    print("| --- | --- | --- | --- | --- | --- |")
    for precision, batch, threads in itertools.product(PRECISIONS, BATCHES, sorted({1, cores})):
        default, kept = (
            statistics.median(found[precision, batch, threads, keep]) for keep in (False, True)
        )
        print(
            f"| {precision} | {batch} | {threads} | {default:.0f} | {kept:.0f}"
            f" | {kept / default:.2f} |"
        )


if __name__ == "__main__":
    main()
