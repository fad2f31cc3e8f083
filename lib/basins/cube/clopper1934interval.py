"""The exact interval of a probability, given how often something happened.

Clopper, Pearson 1934, Biometrika 26, 404: the probabilities under which neither so many successes
nor so few are rarer than the interval allows. It holds the truth at least as often as it says,
however few the trials.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv

from basins.volume.intervals import PROBABILITY

Array = NDArray[np.float64]


def interval(successes: ArrayLike, trials: ArrayLike) -> tuple[Array, Array]:
    """Return the ends of 90 % intervals of a probability.

    The lower end p has P(successes or more | p) = 5 %, the upper one P(successes or fewer | p) =
    5 %: quantiles of beta laws, by which binomial tails are known.

    Parameters
    ----------
    successes, trials
        Whole numbers, 0 <= successes <= trials, of any one shape.

    Raises
    ------
    ValueError
        If there are more successes than trials, or fewer than none.

    Examples
    --------
    >>> low, high = interval([0, 5], [10, 10])
    >>> low.round(2).tolist(), high.round(2).tolist()
    ([0.0, 0.22], [0.26, 0.78])
    """
    k, n = np.broadcast_arrays(np.asarray(successes, float), np.asarray(trials, float))
    if ((k < 0) | (k > n)).any():
        raise ValueError(f"successes: {successes!r} must lie between 0 and trials, {trials!r}")
    tail = (1 - PROBABILITY) / 2
    # The laws have no such parameter where there are no successes, or nothing else.
    low = np.where(k == 0, 0.0, betaincinv(np.maximum(k, 1), n - k + 1, tail))
    high = np.where(k == n, 1.0, betaincinv(k + 1, np.maximum(n - k, 1), 1 - tail))
    return low, high
