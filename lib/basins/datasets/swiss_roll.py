"""Two interleaved spirals in the plane, one a class (Huang et al. 2020, arXiv 1906.03291)."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from basins import streams
from basins.datasets.subsets import Data

NUM_TRAIN = 2000
NUM_TEST_PER_CLASS = 2000
TURNS = 1.7
INNER = 1.5
NOISE = 0.3


def spirals(part: str, num_per_class: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return points on r = angle, from 1.5 radians over 1.7 turns, with Gaussian noise 0.3.

    Class 1 is class 0 turned by half a turn.

    Returns
    -------
    tuple
        Points, shape (2 num_per_class, 2), and classes, shape (2 num_per_class,).
    """
    targets = np.repeat([0, 1], num_per_class)
    count = 2 * num_per_class
    # The square root spreads points evenly along the arc, whose length grows as the angle squared.
    share = np.sqrt(streams.uniforms("swiss-roll", part, "angle", count=count))
    angle = INNER + share * 2 * np.pi * TURNS
    noise = streams.normals("swiss-roll", part, "noise", count=2 * count).reshape(count, 2)
    turned = angle + np.pi * targets
    points = np.stack([angle * np.cos(turned), angle * np.sin(turned)], axis=1) + NOISE * noise
    return points, targets


def load(root: Path | None = None) -> Data:  # noqa: ARG001 - every loader takes a root
    """Make the two spirals, divided by the outer radius."""
    outer = INNER + 2 * np.pi * TURNS
    points, targets = spirals("train", NUM_TRAIN // 2)
    test_points, test_targets = spirals("test", NUM_TEST_PER_CLASS)
    return Data(
        name="swiss-roll",
        inputs=(points / outer).astype(np.float32),
        targets=targets,
        test_inputs=(test_points / outer).astype(np.float32),
        test_targets=test_targets,
        num_classes=2,
        input_normalization=f"point / {outer:.6f}, the outer radius",
    )
