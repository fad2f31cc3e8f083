"""The whole table of a + b modulo 97, as two one-hot inputs (arXiv 2511.04808)."""

from pathlib import Path

import numpy as np

from basins.datasets.subsets import Data

MODULUS = 97


def load(root: Path | None = None) -> Data:  # noqa: ARG001 - every loader takes a root
    """Make all 9,409 pairs; as published, the test set is the whole table, training included."""
    first, second = np.divmod(np.arange(MODULUS**2), MODULUS)
    one_hot = np.eye(MODULUS, dtype=np.float32)
    inputs = np.concatenate([one_hot[first], one_hot[second]], axis=1)
    targets = (first + second) % MODULUS
    return Data(
        name="modular-addition",
        inputs=inputs,
        targets=targets,
        test_inputs=inputs,
        test_targets=targets,
        num_classes=MODULUS,
        input_normalization="none; two one-hot vectors of 97",
    )
