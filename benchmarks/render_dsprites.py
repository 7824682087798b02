"""How long dSprites takes to render: seconds of one core, and images a second."""

from __future__ import annotations

import argparse
import math
import time

from ml.datasets._dsprites_geometry import FACTOR_SIZES, blocks


def seconds_of_one_core() -> float:
    """CPU seconds that this process takes to render and pack all images."""
    start = time.process_time()
    images = sum(len(block) for block in blocks())
    seconds = time.process_time() - start
    if images != math.prod(FACTOR_SIZES):
        raise SystemExit(f"rendered {images} images, expected {math.prod(FACTOR_SIZES)}")
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3, help="times to render (default 3)")
    repeats = parser.parse_args().repeats

    images = math.prod(FACTOR_SIZES)
    print(f"{images:,} images of 64 x 64 pixels, packed, nothing written to disk")
    for _ in range(repeats):
        seconds = seconds_of_one_core()
        print(f"{seconds:6.2f} s of one core, {images / seconds:11,.0f} images/s")


if __name__ == "__main__":
    main()
