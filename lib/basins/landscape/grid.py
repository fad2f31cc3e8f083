"""Losses on a grid in a plane: every line of it is a ray, solved like any other."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from basins.rays.evaluators import along_all
from basins.rays.numba_path import NumbaEvaluator
from basins.rays.torch_path import TorchEvaluator

Array = NDArray[np.float64]


def losses_on_grid(
    evaluator: NumbaEvaluator | TorchEvaluator,
    origin: Array,
    directions: Array,
    x: Sequence[float],
    y: Sequence[float],
    advance: Callable[[int], None] = lambda _: None,
) -> Array:
    """Return losses at ``origin + x d_1 + y d_2`` in all landscapes.

    Exploits: along a line of equal y the first layer's outputs are linear in x, so its products are
    made twice a line and not once a point.

    Parameters
    ----------
    evaluator
        Of the network and its examples, M landscapes; where its own minimum lies does not matter.
    origin
        Parameters at (0, 0), shape (n,).
    directions
        d_1 and d_2, shape (2, n).
    x, y
        Places on the grid.
    advance
        Called with the number of lines done since the last call.

    Returns
    -------
    NDArray
        Float64, shape (M, len(y), len(x)); not finite where the network's outputs are not.
    """
    count = evaluator.num_landscapes
    result = np.empty((count, len(y), len(x)))
    # A line holds the products of its own anchor and of its ray, where a ray holds one.
    together = max(1, evaluator.rays_together // 2)
    for begin in range(0, len(y), together):
        some = np.asarray(y[begin : begin + together], dtype=np.float64)
        anchors = [evaluator.at(origin + place * directions[1]) for place in some]
        losses = along_all(anchors, [directions[:1]] * len(some))
        rows, radii = np.repeat(np.arange(len(some)), len(x)), np.tile(x, len(some))
        never = np.full((len(rows), count), np.inf)
        found = losses(rows, np.asarray(radii, dtype=np.float64), count, never)
        result[:, begin : begin + len(some)] = found.T.reshape(count, len(some), len(x))
        advance(len(some))
    return result
