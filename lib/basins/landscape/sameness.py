"""Which minima are one: how much they differ, and the classes that small differences join."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

Array = NDArray[np.float64]


def disagreements(predictions: NDArray[np.int64]) -> Array:
    """Return the share of examples that two minima put into different classes, (K, K).

    Parameters
    ----------
    predictions
        Predicted class of every example, shape (K, examples).

    Examples
    --------
    >>> disagreements(np.array([[0, 1, 1, 0], [0, 1, 0, 0]]))
    array([[0.  , 0.25],
           [0.25, 0.  ]])
    """
    return np.stack([(predictions != one).mean(axis=1) for one in predictions])


def joined_classes(differences: Array, largest: float) -> NDArray[np.int64]:
    """Return the class of every minimum, numbered from 1 in order of first appearance.

    Two are in one class if a chain of minima joins them, each of which differs from the next by at
    most `largest` (single linkage): the only rule by which the order of minima does not matter and
    no two classes hold a pair as near as that. Ends of a long chain may differ by more.

    Parameters
    ----------
    differences
        Symmetric, shape (K, K).
    largest
        That still joins; infinite and missing differences never do.

    Examples
    --------
    >>> joined_classes(np.array([[0.0, 9.0, 1.0], [9.0, 0.0, 9.0], [1.0, 9.0, 0.0]]), 1.0)
    array([1, 2, 1])
    """
    _, labels = connected_components(differences <= largest, directed=False)
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return np.asarray(np.argsort(np.argsort(first))[inverse] + 1, dtype=np.int64)
