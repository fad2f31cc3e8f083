"""The arrays of a data set, and the nested subsets that define landscapes."""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from basins import streams


@dataclass(frozen=True)
class Data:
    """A data set ready for training.

    Attributes
    ----------
    name
        Name of the data set.
    inputs, test_inputs
        Normalised inputs, float32, shape (examples, *input_shape).
    targets, test_targets
        Class indices, int64, shape (examples,).
    num_classes
        Number of classes.
    input_normalization
        What was done to the raw inputs, in words.
    """

    name: str
    inputs: NDArray[np.float32]
    targets: NDArray[np.int64]
    test_inputs: NDArray[np.float32]
    test_targets: NDArray[np.int64]
    num_classes: int
    input_normalization: str

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input."""
        return self.inputs.shape[1:]

    def sha256(self) -> str:
        """Return the SHA-256 of the arrays, in hexadecimal."""
        digest = hashlib.sha256()
        for array in (self.inputs, self.targets, self.test_inputs, self.test_targets):
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()


def order(
    name: str, targets: NDArray[np.int64], seed: int, class_balanced: bool = False
) -> NDArray[np.int64]:
    """Return the order of a seed's examples: the subset of size m is its first m entries.

    Parameters
    ----------
    name
        Name of the data set, which keys the order.
    targets
        Class indices, shape (examples,).
    seed
        Seed of the order.
    class_balanced
        Deal the classes out in turn, so that each prefix holds them as evenly as they allow.

    Returns
    -------
    NDArray
        A permutation, int64, shape (examples,).

    Examples
    --------
    >>> targets = np.array([0, 0, 0, 1, 1, 1])
    >>> sorted(targets[order("toy", targets, 0, class_balanced=True)[:4]].tolist())
    [0, 0, 1, 1]
    """
    shuffled = streams.permutation("subset", name, seed, size=len(targets))
    if not class_balanced:
        return shuffled
    classes = targets[shuffled]
    # The k-th example of each class comes before the (k+1)-th of any.
    by_class = np.argsort(classes, kind="stable")
    starts = np.searchsorted(classes[by_class], classes[by_class], side="left")
    rank = np.empty(len(targets), dtype=np.int64)
    rank[by_class] = np.arange(len(targets)) - starts
    return shuffled[np.argsort(rank, kind="stable")]


def split(
    name: str, inputs: NDArray[np.float32], targets: NDArray[np.int64], num_train: int
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]:
    """Split a data set without an official test set, the same way in every study."""
    shuffled = streams.permutation("split", name, size=len(targets))
    train, test = shuffled[:num_train], shuffled[num_train:]
    return inputs[train], targets[train], inputs[test], targets[test]
