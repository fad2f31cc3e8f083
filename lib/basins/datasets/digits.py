"""Scikit-learn's handwritten digits: 1,797 real 8x8 images, bundled, nothing to download."""

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from basins.datasets.subsets import Data, split

NUM_TRAIN = 1437
PAIR = (3, 8)  # of all pairs those that are most alike


def load(root: Path | None = None) -> Data:  # noqa: ARG001 - every loader takes a root
    """Load the digits, standardised by the training images' mean and deviation over all pixels."""
    images, labels = load_digits(return_X_y=True)
    pixels = (images / 16).reshape(-1, 1, 8, 8)
    inputs, targets, test_inputs, test_targets = split(
        "digits", pixels, labels.astype(np.int64), NUM_TRAIN
    )
    mean, deviation = inputs.mean(), inputs.std()
    return Data(
        name="digits",
        inputs=((inputs - mean) / deviation).astype(np.float32),
        targets=targets,
        test_inputs=((test_inputs - mean) / deviation).astype(np.float32),
        test_targets=test_targets,
        num_classes=10,
        input_normalization=f"(pixel/16 - {mean:.6f}) / {deviation:.6f}",
    )


def load_pair(root: Path | None = None) -> Data:
    """Load the threes and eights among the digits, as classes 0 and 1, standardised as all are."""
    whole = load(root)
    parts = {}
    for part in ("", "test_"):
        targets = getattr(whole, f"{part}targets")
        chosen = np.isin(targets, PAIR)
        parts[f"{part}inputs"] = getattr(whole, f"{part}inputs")[chosen]
        parts[f"{part}targets"] = (targets[chosen] == PAIR[1]).astype(np.int64)
    return Data(
        name="digits-3-8",
        num_classes=2,
        input_normalization=whole.input_normalization,
        **parts,
    )
