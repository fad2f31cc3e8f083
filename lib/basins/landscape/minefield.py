"""Points of a space of many dimensions as points of a plane, two ways that err differently.

Principal components keep distances as far as two axes can, t-SNE keeps neighbours and nothing else
(van der Maaten and Hinton 2008, *Visualizing data using t-SNE*, JMLR 9, 2579): what only one of the
two shows may be its own doing. Huang et al. 2020, arXiv 1906.03291, draw minima by t-SNE.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from basins import streams
from basins.study.measure_keys import FEWEST_PLACED

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Minefield:
    """Points as points of a plane, K of them.

    Attributes
    ----------
    neighbors
        By t-SNE, shape (K, 2).
    components
        Along the two principal components, shape (K, 2).
    explained
        Share of the points' variance along each of these, shape (2,).
    """

    neighbors: Array
    components: Array
    explained: Array


def rotated(points: Array) -> Array:
    """Return points along their principal axes, the longest first, shape (K, min(K, n)).

    Centred; all distances between them stay. Exploits: K points lie in K - 1 dimensions, whatever
    n is.

    Parameters
    ----------
    points
        Shape (K, n).

    Examples
    --------
    >>> abs(rotated(np.array([[0.0, 0.0], [3.0, 4.0]]))[:, 0])
    array([2.5, 2.5])
    """
    centered = points - points.mean(0)
    left, lengths, _ = np.linalg.svd(centered, full_matrices=False)
    return np.asarray(left * lengths)


def minefield(points: Array, perplexity: float, *names: streams.Name) -> Minefield:
    """Return points as points of a plane.

    Parameters
    ----------
    points
        Shape (K, n), K at least 5.
    perplexity
        Neighbours a point minds, at most a third of the others.
    names
        Key of the random numbers.

    Raises
    ------
    ValueError
        If there are too few points, or one is not finite.
    """
    if len(points) < FEWEST_PLACED or not np.isfinite(points).all():
        raise ValueError(
            f"points: must be {FEWEST_PLACED} or more, all finite, to have neighbours; of "
            f"{len(points)} given {int(np.isfinite(points).all(1).sum())} are"
        )
    # Heavy, and nothing else needs it.
    from sklearn.manifold import TSNE

    along = rotated(points)
    spread = np.square(along).sum(0)
    total = float(spread.sum()) or 1.0
    embedding = TSNE(
        perplexity=min(perplexity, (len(points) - 1) / 3),
        init="pca",
        random_state=streams.key(*names, "t-sne") % 2**32,
    )
    # Its steps have a length of their own: in units of the largest distance they fit any network.
    scale = float(abs(along).max()) or 1.0
    return Minefield(
        neighbors=np.asarray(embedding.fit_transform(along / scale), dtype=np.float64),
        components=along[:, :2],
        explained=spread[:2] / total,
    )
