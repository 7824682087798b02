"""How long dSprites takes to render, packed, nothing written: seconds of one core, and images."""

from __future__ import annotations

import math
import time

from benchmarks.record import Figure, Row, Table, parser, publish, rounds
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
    made = parser(__doc__)
    made.add_argument("--rounds", type=int, help="times to render (default 5)")
    arguments = made.parse_args()
    number = arguments.rounds or (3 if arguments.quick else 5)
    images = math.prod(FACTOR_SIZES)
    [seconds] = rounds(number, {"all": seconds_of_one_core}).values()
    row = Row(
        [f"{images:,}"],
        {
            "one core": Figure(seconds, "s", "less", places=2),
            "a CPU second": Figure([images / s for s in seconds], "images/s", "more", places=0),
        },
    )
    command = f"python -m benchmarks.render_dsprites --rounds {number}"
    publish([Table("render_dsprites", command, ["images of 64 x 64"], [row])], arguments)


if __name__ == "__main__":
    main()
