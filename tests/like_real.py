"""Few examples in the shape of real data sets: studies in small name them `like_real:cifar10`."""

import functools

import numpy as np

from basins import streams
from basins.datasets.subsets import Data
from basins.study.resolve import dataset_entry

NUM_EXAMPLES, NUM_TEST = 160, 40


def _examples(name: str) -> Data:
    """Return noisy copies of one random input a class."""
    entry = dataset_entry(name)
    rng = streams.generator("like real", name)
    shape = entry.input_shape
    targets = rng.permutation(np.arange(NUM_EXAMPLES + NUM_TEST) % entry.num_classes)
    inputs = rng.normal(size=(entry.num_classes, *shape))[targets]
    inputs = (inputs + rng.normal(size=inputs.shape)).astype(np.float32)
    return Data(
        name,
        inputs[:NUM_EXAMPLES],
        targets[:NUM_EXAMPLES],
        inputs[NUM_EXAMPLES:],
        targets[NUM_EXAMPLES:],
        entry.num_classes,
        "none",
    )


mnist = functools.partial(_examples, "mnist")
fashion_mnist = functools.partial(_examples, "fashion-mnist")
cifar10 = functools.partial(_examples, "cifar10")
svhn = functools.partial(_examples, "svhn")
