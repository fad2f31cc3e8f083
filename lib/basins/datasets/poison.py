"""Labels that mislead training: wrong ones, noise, and classes that are rarer than they were.

Only training sees them; landscapes and test sets keep the data's own labels.
"""

import numpy as np
from numpy.typing import NDArray

from basins import streams

Labels = NDArray[np.int64]


def wrong_labels(targets: Labels, *names: streams.Name, num_classes: int) -> Labels:
    """Return for each target another class, each of them as likely.

    Parameters
    ----------
    targets
        Class indices, shape (examples,).
    names
        Key of the random numbers.
    num_classes
        Number of classes, at least 2.

    Examples
    --------
    >>> wrong_labels(np.array([0, 1, 1]), "example", num_classes=2)
    array([1, 0, 0])
    """
    uniforms = streams.uniforms(*names, "wrong", count=len(targets))
    shifts = 1 + (uniforms * (num_classes - 1)).astype(np.int64)
    return np.asarray((targets + shifts) % num_classes)


def random_labels(targets: Labels, *names: streams.Name, num_classes: int) -> Labels:
    """Return as many labels as there are targets that have nothing to do with their examples."""
    uniforms = streams.uniforms(*names, "random", count=len(targets))
    return np.asarray((uniforms * num_classes).astype(np.int64))


def noisy_labels(targets: Labels, *names: streams.Name, share: float, num_classes: int) -> Labels:
    """Return targets of which a share, rounded to whole examples, is wrong.

    Which ones does not depend on how many: a larger share mislabels the same examples and more.

    Examples
    --------
    >>> found = noisy_labels(np.zeros(10, dtype=int), "example", share=0.3, num_classes=5)
    >>> int((found > 0).sum())
    3
    """
    order = streams.permutation(*names, "noise", size=len(targets))
    chosen = order[: round(share * len(targets))]
    found = targets.copy()
    found[chosen] = wrong_labels(targets, *names, "noise", num_classes=num_classes)[chosen]
    return found


def imbalanced(targets: Labels, rarest: float, num_classes: int) -> NDArray[np.bool_]:
    """Tell which examples stay where classes get rarer, from the first to the last.

    Of class k of K a share of ``rarest ** (k / (K - 1))`` stays, the first of them, and at least
    one (Cui et al. 2019, arXiv 1901.05555, section 5.1).

    Parameters
    ----------
    targets
        Class indices in the order of the subset, shape (examples,).
    rarest
        Share of the last class that stays, above 0 and at most 1.
    num_classes
        Number of classes K, at least 2.

    Examples
    --------
    >>> imbalanced(np.array([0, 1, 1, 0, 1, 1]), 0.5, 2)
    array([ True,  True,  True,  True, False, False])
    """
    stays = np.zeros(len(targets), dtype=bool)
    for index in range(num_classes):
        members = np.flatnonzero(targets == index)
        share = rarest ** (index / (num_classes - 1))
        stays[members[: max(1, round(share * len(members)))]] = True
    return stays
