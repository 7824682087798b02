"""Known worlds: codes of which it is known what they hold of the factors.

Each world is a pure function of a seed and a number of rows. Its factors have 3, 4, 5 and 6 values
unless it says otherwise. They form a complete grid, repeated, so that they are balanced and
independent. A perfect code is its factor, with a mean of zero and a deviation of one. Every code
also has a posterior, a Gaussian around it with a tenth of its deviation; that of a constant code is
the prior.

References:
    Sepliarskaia et al., 2019, https://arxiv.org/abs/1910.05587;
    Carbonneau et al., 2022, https://arxiv.org/abs/2012.09276, section 4;
    Träuble et al., 2021, https://arxiv.org/abs/2006.07886 (correlated factors)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int, Shaped

from ml.codes.checked_rows import rows_of
from ml.codes.rows import Rows
from ml.reproducibility.draws import generator

SIZES = (3, 4, 5, 6)
BASE_NOISE = 0.2
"""The noise of the codes that are changed in ways that should not matter. Perfect codes would hide
a change, as many scores cannot rise above theirs."""
PATH = (0.0, 0.05, BASE_NOISE, 0.5, 0.8, 1.0)
"""Shares of a code's variance that are noise, from perfect codes to noise."""
STRENGTHS = (0.5, 0.8)
"""Shares of the rows in which a factor follows another."""
FEW = (100, 300)
MANY = (40, 200)
MORE = (4, 16)
DEAD = 4
POSTERIOR = 0.1
"""Deviation of a posterior, as a share of the deviation of its code."""
RARER = 3.0
"""How many times rarer each class is than the one before it, where factors are unbalanced."""


class World(NamedTuple):
    """A known world."""

    meaning: str
    make: Callable[[int, int], Rows]
    """The rows of a seed and a number of rows. Worlds of few rows have a number of their own."""


def grid(seed: int, rows: int, sizes: Sequence[int] = SIZES) -> Int[np.ndarray, "rows factors"]:
    """Complete grids of the factors' values in random order, the last one cut to what is left."""
    lattice = np.indices(sizes).reshape(len(sizes), -1).T
    draws = generator(seed, f"grid {sizes}")
    repeats = -(-rows // len(lattice))
    several = np.concatenate([draws.permutation(lattice) for _ in range(repeats)])[:rows]
    found: np.ndarray = draws.permutation(several)
    return found


def perfect_codes(
    factors: Shaped[np.ndarray, "rows factors"], sizes: Sequence[int]
) -> Float[np.ndarray, "rows factors"]:
    """The factors, with the mean and the deviation of a uniform factor taken to zero and one."""
    many = np.asarray(sizes, dtype=np.float64)
    found: np.ndarray = (factors - (many - 1) / 2) / np.sqrt((many**2 - 1) / 12)
    return found


def noise(seed: int, rows: int, codes: int) -> Float[np.ndarray, "rows codes"]:
    """Codes of standard normal noise."""
    return generator(seed, "noise").standard_normal((rows, codes))


def as_rows(
    seed: int,
    codes: Float[np.ndarray, "rows codes"],
    factors: Shaped[np.ndarray, "rows factors"],
    sizes: Sequence[int] | None = SIZES,
    kind: Literal["discrete", "continuous"] = "discrete",
) -> Rows:
    """Rows of these codes and factors, with posteriors around the codes."""
    deviations = codes.std(0)
    deviations = np.where(deviations > 0, POSTERIOR * deviations, 1.0)
    drawn = generator(seed, "posterior").standard_normal(codes.shape)
    return rows_of(
        codes,
        factors,
        seed=seed,
        posterior_logvar=np.broadcast_to(2 * np.log(deviations), codes.shape).copy(),
        posterior_sample=codes + deviations * drawn,
        factor_sizes=sizes,
        factor_kinds=[kind] * factors.shape[1],
    )


def partly_noise(share: float, seed: int, rows: int) -> Rows:
    """Perfect codes with noise, which makes this share of their variance."""
    return as_rows(seed, _partly_noise(share, seed, rows), grid(seed, rows))


def _partly_noise(share: float, seed: int, rows: int) -> np.ndarray:
    perfect = perfect_codes(grid(seed, rows), SIZES)
    mixed: np.ndarray = np.sqrt(1 - share) * perfect
    if share:
        mixed = mixed + np.sqrt(share) * noise(seed, rows, len(SIZES))
    return mixed


Change = Callable[[np.ndarray, int], np.ndarray]
"""Codes (rows, codes) and a seed to other codes of the same rows."""


def _changed(change: Change, share: float, seed: int, rows: int) -> Rows:
    return as_rows(seed, change(_partly_noise(share, seed, rows), seed), grid(seed, rows))


def _pair_rotated(codes: np.ndarray, seed: int) -> np.ndarray:  # noqa: ARG001
    turned = codes[:, :2] @ np.array([[1.0, 1.0], [-1.0, 1.0]]) / np.sqrt(2)
    return np.column_stack([turned, codes[:, 2:]])


def _all_rotated(codes: np.ndarray, seed: int) -> np.ndarray:
    size = codes.shape[1]
    rotation, _ = np.linalg.qr(generator(seed, "rotation").standard_normal((size, size)))
    rotated: np.ndarray = codes @ rotation
    return rotated


def _duplicated(codes: np.ndarray, seed: int) -> np.ndarray:  # noqa: ARG001
    return np.column_stack([codes, codes])


def _dropped(codes: np.ndarray, seed: int) -> np.ndarray:  # noqa: ARG001
    return codes[:, 1:]


def _split(codes: np.ndarray, seed: int) -> np.ndarray:  # noqa: ARG001
    """Two codes a factor: in which pair of neighbouring values it is, and in which half of it."""
    values = [np.unique(code, return_inverse=True)[1] for code in codes.T]
    halves = [part for value in values for part in (value // 2, value % 2)]
    return np.stack(halves, axis=1).astype(np.float64)


def _merged(codes: np.ndarray, seed: int) -> np.ndarray:  # noqa: ARG001
    first, second = (np.unique(code, return_inverse=True)[1] for code in codes.T[:2])
    both = first * SIZES[1] + second
    return np.column_stack([perfect_codes(both[:, None], [SIZES[0] * SIZES[1]]), codes[:, 2:]])


def _warped(codes: np.ndarray, seed: int) -> np.ndarray:  # noqa: ARG001
    warped: np.ndarray = np.exp(codes)
    return warped


def _circular(codes: np.ndarray, seed: int) -> np.ndarray:  # noqa: ARG001
    angles = np.unique(codes[:, -1], return_inverse=True)[1] * (2 * np.pi / SIZES[-1])
    circle = np.sqrt(2) * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return np.column_stack([codes[:, :-1], circle])


def _with_dead(codes: np.ndarray, seed: int) -> np.ndarray:  # noqa: ARG001
    return np.column_stack([codes, np.zeros((len(codes), DEAD))])


def _rescaled(codes: np.ndarray, seed: int) -> np.ndarray:  # noqa: ARG001
    moved: np.ndarray = codes * [1.0, -0.01, 100.0, 10.0] + [0.0, 5.0, -50.0, 1.0]
    return moved


def _permuted(codes: np.ndarray, seed: int) -> np.ndarray:  # noqa: ARG001
    return codes[:, [2, 0, 3, 1]]


def _beside_noise(number: int, codes: np.ndarray, seed: int) -> np.ndarray:
    more = generator(seed, "more").standard_normal((len(codes), number))
    return np.column_stack([codes, more])


def classes_reordered(seed: int, rows: int) -> Rows:
    """The classes of every factor numbered in another order, which its code does not follow."""
    draws, factors = generator(seed, "orders"), grid(seed, rows)
    orders = [draws.permutation(size) for size in SIZES]
    names = np.stack([order[factors[:, k]] for k, order in enumerate(orders)], axis=1)
    return as_rows(seed, _partly_noise(BASE_NOISE, seed, rows), names)


def correlated(strength: float, seed: int, rows: int) -> Rows:
    """Perfect codes of two pairs of factors; in each the second follows the first so often."""
    draws = generator(seed, "correlated")
    factors = draws.integers(0, SIZES, (rows, len(SIZES)))
    for one in (0, 2):
        followed = np.rint(factors[:, one] / (SIZES[one] - 1) * (SIZES[one + 1] - 1))
        follows = draws.random(rows) < strength
        factors[:, one + 1] = np.where(follows, followed, factors[:, one + 1])
    return as_rows(seed, perfect_codes(factors, SIZES), factors)


def unbalanced(seed: int, rows: int, *, known: bool = True) -> Rows:
    """Factors each of whose classes is three times rarer than the one before it."""
    draws = generator(seed, "unbalanced")
    columns = []
    for size in SIZES:
        frequencies = RARER ** -np.arange(size)
        columns.append(draws.choice(size, rows, p=frequencies / frequencies.sum()))
    factors = np.stack(columns, axis=1)
    codes = perfect_codes(factors, SIZES) if known else noise(seed, rows, len(SIZES))
    return as_rows(seed, codes, factors)


def many_values(values: int, seed: int, rows: int) -> Rows:
    """Perfect codes of factors the last of which has so many values."""
    sizes = (*SIZES[:3], values)
    factors = grid(seed, rows, sizes)
    return as_rows(seed, perfect_codes(factors, sizes), factors, sizes)


def continuous(seed: int, rows: int) -> Rows:
    """Perfect codes of factors that are uniform and continuous."""
    factors = generator(seed, "continuous").random((rows, len(SIZES)))
    return as_rows(seed, (factors - 0.5) * np.sqrt(12), factors, None, "continuous")


def few_rows(share: float, number: int, seed: int, rows: int) -> Rows:  # noqa: ARG001
    """Perfect codes, or noise, on so few rows."""
    return partly_noise(share, seed, number)


_NAMES = {0.0: "perfect", 1.0: "noise"}


def noisy(share: float) -> str:
    """The name of the world of this share of noise."""
    return _NAMES.get(share, f"noise {share:.0%}")


def _of(change: Change, share: float = 0.0) -> Callable[[int, int], Rows]:
    return partial(_changed, change, share)


PERFECT, NOISE, BASE = noisy(0.0), noisy(1.0), noisy(BASE_NOISE)

WORLDS: dict[str, World] = {
    PERFECT: World("a code for each factor, which is the factor", partial(partly_noise, 0.0)),
    **{
        noisy(share): World(
            f"perfect codes with noise, which makes {share:.0%} of their variance",
            partial(partly_noise, share),
        )
        for share in PATH[1:-1]
    },
    NOISE: World("codes that know nothing", partial(partly_noise, 1.0)),
    "pair rotated": World("two perfect codes, rotated by 45 degrees", _of(_pair_rotated)),
    "all rotated": World("all perfect codes, rotated at random", _of(_all_rotated)),
    "merged": World("one code holds the first two factors, each value apart", _of(_merged)),
    "duplicated": World("every perfect code twice", _of(_duplicated)),
    "split": World("two codes for each factor, neither of which is enough", _of(_split)),
    "circular": World("the last factor as an angle's cosine and sine", _of(_circular)),
    "dropped": World("no code for the first factor", _of(_dropped)),
    "warped": World("the exponential of perfect codes", _of(_warped)),
    **{
        f"correlated {strength:.0%}": World(
            f"perfect codes; a factor follows another in {strength:.0%} of the rows",
            partial(correlated, strength),
        )
        for strength in STRENGTHS
    },
    "unbalanced": World("perfect codes; each class three times rarer than the last", unbalanced),
    "unbalanced noise": World("noise, for the same factors", partial(unbalanced, known=False)),
    **{
        f"{values} values": World(
            f"perfect codes; the last factor has {values} values", partial(many_values, values)
        )
        for values in MANY
    },
    "continuous": World("perfect codes of uniform continuous factors", continuous),
    **{
        f"{number} rows{of}": World(meaning, partial(few_rows, share, number))
        for number in FEW
        for of, share, meaning in (
            ("", 0.0, f"perfect codes on {number} rows"),
            (" of noise", 1.0, f"noise on {number} rows"),
        )
    },
    **{
        f"{number} more": World(
            f"perfect codes beside {number} of noise", _of(partial(_beside_noise, number))
        )
        for number in MORE
    },
    "dead": World(f"'{BASE}' with {DEAD} constant codes", _of(_with_dead, BASE_NOISE)),
    "rescaled": World(
        f"'{BASE}' with codes scaled by 0.01 to 100 and moved", _of(_rescaled, BASE_NOISE)
    ),
    "permuted": World(f"'{BASE}' with codes in another order", _of(_permuted, BASE_NOISE)),
    "reordered": World(f"'{BASE}' with classes numbered in another order", classes_reordered),
}
"""Every world by its name."""
