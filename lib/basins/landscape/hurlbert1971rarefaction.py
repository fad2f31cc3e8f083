"""How many classes a part of the draws would have seen.

Hurlbert 1971 (*The nonconcept of species diversity*, Ecology 52, 577, equation 13): of n draws with
n_c of class c, k drawn without replacement see on average

    sum_c 1 - C(n - n_c, k) / C(n, k).
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln


def rarefied(sizes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the mean number of classes among k of the n draws, k from 1 to n, shape (n,).

    Parameters
    ----------
    sizes
        How often each class was seen, 1 or more, shape (classes,).

    Examples
    --------
    >>> rarefied(np.array([2, 1])).round(3)
    array([1.   , 1.667, 2.   ])
    """
    total = int(sizes.sum())
    count = np.arange(1, total + 1)
    left = total - sizes[:, None]
    # Where fewer are left than are drawn, the class is among them.
    can_miss = left >= count
    rest = np.where(can_miss, left - count, 0)
    log_missed = gammaln(left + 1) - gammaln(rest + 1)
    log_missed += gammaln(total - count + 1) - gammaln(total + 1)
    missed = np.where(can_miss, np.exp(np.where(can_miss, log_missed, 0.0)), 0.0)
    return np.asarray((1 - missed).sum(axis=0))
