"""Thin concentric rings, classes by turns, with a margin between neighbours."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from basins import streams
from basins.datasets.subsets import Data

NUM_TRAIN = 2000
NUM_TEST = 4000
NUM_RINGS = 4
MARGIN = 0.1


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
    angle = 2 * np.pi * uniform[1]
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return points, ring % 2


def load(root: Path | None = None) -> Data:  # noqa: ARG001 - every loader takes a root
    """Make the rings; they lie in the unit disc as they are."""
    points, targets = rings("train", NUM_TRAIN)
    test_points, test_targets = rings("test", NUM_TEST)
    return Data(
        name="circles",
        inputs=points.astype(np.float32),
        targets=targets,
        test_inputs=test_points.astype(np.float32),
        test_targets=test_targets,
        num_classes=2,
        input_normalization="none; points lie in the unit disc",
    )
