"""The table of a + b modulo 97, as two one-hot inputs (arXiv 2511.04808), whole or parted."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from basins import streams
from basins.datasets.subsets import Data

MODULUS = 97
NUM_HELD_OUT = 2823  # 30 % of the table


def table() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return all 9,409 pairs, shape (9409, 194), and their sums, shape (9409,)."""
    first, second = np.divmod(np.arange(MODULUS**2), MODULUS)
    one_hot = np.eye(MODULUS, dtype=np.float32)
    return np.concatenate([one_hot[first], one_hot[second]], axis=1), (first + second) % MODULUS


def load(root: Path | None = None) -> Data:  # noqa: ARG001 - every loader takes a root
    """Make the table; as published, the test set is the whole of it, training included."""
    inputs, targets = table()
    return _data("modular-addition", (inputs, targets), (inputs, targets))


def load_held_out(root: Path | None = None) -> Data:  # noqa: ARG001 - every loader takes a root
    """Make the table in two parts, of which one is never trained on: what is tested is the rule."""
    inputs, targets = table()
    order = streams.permutation("modular-addition", "held out", size=len(targets))
    test, train = order[:NUM_HELD_OUT], order[NUM_HELD_OUT:]
    return _data(
        "modular-addition-held-out",
        (inputs[train], targets[train]),
        (inputs[test], targets[test]),
    )


def _data(
    name: str,
    train: tuple[NDArray[np.float32], NDArray[np.int64]],
    test: tuple[NDArray[np.float32], NDArray[np.int64]],
) -> Data:
    return Data(
        name=name,
        inputs=train[0],
        targets=train[1],
        test_inputs=test[0],
        test_targets=test[1],
        num_classes=MODULUS,
        input_normalization="none; two one-hot vectors of 97",
    )
