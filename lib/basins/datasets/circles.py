"""Concentric rings, classes by turns: wide ones that fill the disc, or thin ones about gaps.

`circles` is an easy task with a margin of 0.1. `circles-<margin>` is the sharp task (Huang et al.
2020, arXiv 1906.03291): the classes of the plane stay what they are while their boundaries, circles
of radius 1/4, 1/2 and 3/4, lose the room that the data leave them. All data are thin rings at the
two edges of each boundary's gap, so that a solution must put a boundary into every gap; wide rings
would be many easy points and a few that matter. Rings are as thick as an eighth of the margin:
about a boundary two margins differ in nothing but their scale, so what a solution's volume loses
from one to the other is known.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from basins import streams
from basins.datasets.subsets import Data
from basins.study.resolve import margin_of

NUM_TRAIN = 2000
NUM_TEST = 4000
NUM_RINGS = 4
MARGIN = 0.1
GAPS = (0.25, 0.5, 0.75)  # radii of the boundaries of thin rings
THICKNESS = 1 / 8  # of a thin ring, in margins


def rings(part: str, count: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return points in rings that fill the unit disc but for a margin of 0.1 between neighbours.

    Returns
    -------
    tuple
        Points, shape (count, 2), and classes (the ring's number modulo 2), shape (count,).
    """
    uniform = streams.uniforms("circles", part, count=2 * count).reshape(2, count)
    ring = (np.arange(count) % NUM_RINGS).astype(np.int64)
    width = (1 - MARGIN * (NUM_RINGS - 1)) / NUM_RINGS
    radius = ring * (width + MARGIN) + width * uniform[0]
    return _on_circles(radius, uniform[1]), ring % 2


def thin_rings(
    part: str, count: int, margin: float
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return points in thin rings at both edges of each gap, which is as wide as the margin.

    The k-th point has the same angle and the same place across its ring at every margin.

    Parameters
    ----------
    part
        ``train`` or ``test``, which keys the random numbers.
    count
        Number of points; rings take turns.
    margin
        Width of the gaps, at most 0.2, where rings of one class touch.

    Returns
    -------
    tuple
        Points, shape (count, 2), and classes (the number of gaps inside, modulo 2), shape (count,).

    Examples
    --------
    >>> points, classes = thin_rings("train", 6, margin=0.02)
    >>> np.hypot(*points.T).round(2).tolist(), classes.tolist()
    ([0.24, 0.26, 0.49, 0.51, 0.74, 0.76], [0, 1, 1, 0, 0, 1])
    """
    uniform = streams.uniforms("thin-circles", part, count=2 * count).reshape(2, count)
    ring = (np.arange(count) % (2 * len(GAPS))).astype(np.int64)
    side = 2 * (ring % 2) - 1
    distance = margin * (1 / 2 + THICKNESS * uniform[0])
    radius = np.array(GAPS)[ring // 2] + side * distance
    return _on_circles(radius, uniform[1]), (ring + 1) // 2 % 2


def load(root: Path | None = None) -> Data:  # noqa: ARG001 - every loader takes a root
    """Make the rings; they lie in the unit disc as they are."""
    return _data("circles", rings("train", NUM_TRAIN), rings("test", NUM_TEST))


def load_thin(name: str, root: Path | None = None) -> Data:  # noqa: ARG001 - every loader takes a root
    """Make the thin rings of ``circles-<margin>``; StudyError if the margin is not allowed."""
    margin = margin_of(name)
    parts = (thin_rings("train", NUM_TRAIN, margin), thin_rings("test", NUM_TEST, margin))
    return _data(name, *parts)


def _on_circles(radius: NDArray[np.float64], turn: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return points at a share `turn` of a turn on circles, shape (count, 2)."""
    angle = 2 * np.pi * turn
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def _data(
    name: str,
    train: tuple[NDArray[np.float64], NDArray[np.int64]],
    test: tuple[NDArray[np.float64], NDArray[np.int64]],
) -> Data:
    return Data(
        name=name,
        inputs=train[0].astype(np.float32),
        targets=train[1],
        test_inputs=test[0].astype(np.float32),
        test_targets=test[1],
        num_classes=2,
        input_normalization="none; points lie in the unit disc",
    )
