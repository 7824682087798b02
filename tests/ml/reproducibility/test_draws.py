import numpy as np

from ml.objectives.protocol import Draw
from ml.reproducibility.draws import BLOCK, Stream, generator


def stream(seed: int = 0, purpose: str = "noise") -> Stream[np.ndarray]:
    return Stream(seed, purpose, lambda draws: draws.standard_normal(3, dtype=np.float32))


def test_a_step_draws_the_same_in_whatever_order_steps_are_asked_for() -> None:
    forward = stream()
    expected = [forward.at(step) for step in range(2 * BLOCK + 5)]
    for step in (2 * BLOCK + 4, 0, BLOCK - 1, BLOCK, BLOCK + 7, BLOCK + 8, 3):
        assert np.array_equal(stream().at(step), expected[step])
    jumping = stream()
    for step in (BLOCK + 7, 3, 3, 2 * BLOCK, BLOCK - 1, BLOCK):
        assert np.array_equal(jumping.at(step), expected[step])


def test_steps_blocks_purposes_and_seeds_draw_independently() -> None:
    one = stream()
    draws = [one.at(0), one.at(1), one.at(BLOCK), stream(1).at(0), stream(purpose="batch").at(0)]
    assert len({draw.tobytes() for draw in draws}) == len(draws)


def test_a_generator_gives_these_numbers_for_ever() -> None:
    # Written down once: a change here changes every model ever trained.
    assert generator(0, "batch 0").integers(0, 737_280, size=4).tolist() == [
        146677,
        85096,
        284210,
        538620,
    ]


def test_permutations_permute_each_column_by_itself() -> None:
    draw = Draw("permutations").sample(generator(0, "x"), batch=50, latents=3)
    assert draw.shape == (50, 3)
    assert all(sorted(column) == list(range(50)) for column in draw.T)
    assert not np.array_equal(draw[:, 0], draw[:, 1])
