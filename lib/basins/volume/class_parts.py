"""Parts of a class of solutions: the share of the prior that has a property, from draws."""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from basins.volume.au2001subset import SHARE, combined
from basins.volume.intervals import PROBABILITY

Array = NDArray[np.float64]


def part_of_class(log_shares: Array, has_it: NDArray[np.bool_]) -> tuple[Array, ...]:
    """Return ln of the prior's share below a threshold that has a property, and its error.

    Where every population has some, from the spread of populations, as for the whole class. Where
    none or only some have, the interval is that of Clopper and Pearson (1934) for as many draws as
    had ancestors of their own one level up, added to the whole class's; the value is NaN where no
    draw has it, for nothing but a bound is known.

    Parameters
    ----------
    log_shares
        ln P(L < c) of each population, shape (populations,).
    has_it
        Which draws have the property, shape (populations, chains).

    Returns
    -------
    tuple
        Value, error and ends of the 90 % interval, in nats, of shape ().
    """
    whole, whole_error, whole_low, whole_high = combined(log_shares)
    fractions = has_it.mean(axis=1)
    if (fractions > 0).all():
        return combined(log_shares + np.log(fractions))
    alive = np.isfinite(log_shares)
    if not alive.any():
        return whole, whole_error, whole_low, whole_high
    # Populations count for as much as their share of the class.
    weights = np.exp(log_shares - log_shares[alive].max())
    fraction = float((weights * fractions).sum() / weights.sum())
    count = int(has_it.size * SHARE * weights.sum() ** 2 / (weights**2).sum() / len(weights))
    tries = max(count, 1)
    share = binomtest(round(fraction * tries), tries).proportion_ci(PROBABILITY, "exact")
    with np.errstate(divide="ignore"):
        low, high, value = np.log([share.low, share.high, fraction])
    if fraction == 0:
        return np.array(np.nan), np.array(np.inf), np.array(-np.inf), whole_high + high
    error = np.hypot(whole_error, np.sqrt((1 - fraction) / (tries * fraction)))
    return whole + value, error, whole_low + low, np.minimum(whole_high + high, 0.0)
