"""MNIST, FashionMNIST, CIFAR-10 and SVHN, read by torchvision from a folder in its layout.

CIFAR-10's batches are pickles: torchvision's class opens them only after checking each file's md5.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from basins.datasets.subsets import Data
from basins.datasets.torchvision_import import import_datasets

# Mean and deviation of the training pixels in [0, 1], per channel.
MNIST = ((0.1307,), (0.3081,))
FASHION_MNIST = ((0.2860,), (0.3530,))
CIFAR10 = ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))
SVHN = ((0.4377, 0.4438, 0.4728), (0.1980, 0.2010, 0.1970))


def data_root(root: Path | None) -> Path:
    """Return the folder of real data sets: `root`, else BASINS_DATA, else ``data``."""
    return root or Path(os.environ.get("BASINS_DATA") or "data")


def load_mnist(root: Path | None = None) -> Data:
    """Load MNIST (LeCun et al. 1998)."""
    datasets = import_datasets()
    return _load("mnist", datasets.MNIST, root, "MNIST/raw", MNIST, _by_train)


def load_fashion_mnist(root: Path | None = None) -> Data:
    """Load FashionMNIST (Xiao et al. 2017, arXiv 1708.07747)."""
    datasets = import_datasets()
    place = "FashionMNIST/raw"
    return _load("fashion-mnist", datasets.FashionMNIST, root, place, FASHION_MNIST, _by_train)


def load_cifar10(root: Path | None = None) -> Data:
    """Load CIFAR-10 (Krizhevsky 2009)."""
    datasets = import_datasets()
    return _load("cifar10", datasets.CIFAR10, root, "cifar-10-batches-py", CIFAR10, _by_train)


def load_svhn(root: Path | None = None) -> Data:
    """Load SVHN's cropped digits (Netzer et al. 2011)."""
    datasets = import_datasets()
    return _load("svhn", datasets.SVHN, root, "{train,test}_32x32.mat", SVHN, _by_split)


def _by_train(is_train: bool) -> dict[str, Any]:
    return {"train": is_train}


def _by_split(is_train: bool) -> dict[str, Any]:
    return {"split": "train" if is_train else "test"}


def _load(
    name: str,
    reader: Callable[..., Any],
    root: Path | None,
    place: str,
    moments: tuple[tuple[float, ...], tuple[float, ...]],
    part: Callable[[bool], dict[str, Any]],
) -> Data:
    folder = data_root(root)
    parts = []
    for is_train in (True, False):
        try:
            images = _read(reader, folder, part(is_train))
        except Exception as error:
            raise ValueError(
                f"data set {name}: its files are not at {folder / place} and could not be "
                f"downloaded ({error}); put them there, or set data_root or BASINS_DATA to "
                "the folder that holds them"
            ) from error
        labels = images.targets if hasattr(images, "targets") else images.labels
        pixels = _standardize(np.asarray(images.data), moments)
        parts.append((pixels, np.asarray(labels, dtype=np.int64)))
    mean, deviation = moments
    normalization = f"(pixel/255 - {mean}) / {deviation} per channel"
    return Data(name, *parts[0], *parts[1], 10, normalization)


def _read(reader: Callable[..., Any], folder: Path, part: dict[str, Any]) -> Any:
    try:
        return reader(folder, download=False, **part)
    except RuntimeError:
        # torchvision's answer when files are missing or damaged: fetch them.
        return reader(folder, download=True, **part)


def _standardize(
    pixels: NDArray[np.uint8], moments: tuple[tuple[float, ...], tuple[float, ...]]
) -> NDArray[np.float32]:
    """Return images as (examples, channels, height, width) float32 with the moments taken out."""
    if pixels.ndim == 3:
        images = pixels[:, None]
    elif pixels.shape[-1] == 3:
        images = np.moveaxis(pixels, -1, 1)
    else:
        images = pixels
    mean, deviation = np.asarray(moments, dtype=np.float32)[:, :, None, None]
    return np.ascontiguousarray((images.astype(np.float32) / 255 - mean) / deviation)
