"""MNIST, FashionMNIST, CIFAR-10 and SVHN, read by torchvision from a folder in its layout.

CIFAR-10's batches are pickles: torchvision's class opens them only after checking each file's md5.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from basins.datasets.subsets import Data
from basins.datasets.torchvision_import import import_datasets

Moments = tuple[tuple[float, ...], tuple[float, ...]]


@dataclass(frozen=True)
class ImageSet:
    """Where torchvision keeps a data set, and its training pixels' mean and deviation in [0, 1]."""

    reader: str
    files: tuple[str, ...]
    moments: Moments
    parts: tuple[dict[str, Any], dict[str, Any]] = ({"train": True}, {"train": False})


SETS = {
    "mnist": ImageSet("MNIST", ("MNIST",), ((0.1307,), (0.3081,))),
    "fashion-mnist": ImageSet("FashionMNIST", ("FashionMNIST",), ((0.2860,), (0.3530,))),
    "cifar10": ImageSet(
        "CIFAR10",
        ("cifar-10-batches-py",),
        ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    ),
    "svhn": ImageSet(
        "SVHN",
        ("train_32x32.mat", "test_32x32.mat"),
        ((0.4377, 0.4438, 0.4728), (0.1980, 0.2010, 0.1970)),
        ({"split": "train"}, {"split": "test"}),
    ),
}


def data_root(root: Path | None) -> Path:
    """Return the folder of real data sets: `root`, else BASINS_DATA, else ``data``."""
    return root or Path(os.environ.get("BASINS_DATA") or "data")


def load_mnist(root: Path | None = None) -> Data:
    """Load MNIST (LeCun et al. 1998)."""
    return _load("mnist", data_root(root))


def load_fashion_mnist(root: Path | None = None) -> Data:
    """Load FashionMNIST (Xiao et al. 2017, arXiv 1708.07747)."""
    return _load("fashion-mnist", data_root(root))


def load_cifar10(root: Path | None = None) -> Data:
    """Load CIFAR-10 (Krizhevsky 2009)."""
    return _load("cifar10", data_root(root))


def load_svhn(root: Path | None = None) -> Data:
    """Load SVHN's cropped digits (Netzer et al. 2011)."""
    return _load("svhn", data_root(root))


def download(name: str, root: Path | None = None) -> None:
    """Download a data set unless its files are there and whole.

    The only function that needs a network; jobs on compute nodes never call it.

    Raises
    ------
    ValueError
        If the files are not there and cannot be had.
    """
    folder = data_root(root)
    for part in SETS[name].parts:
        try:
            _read(name, folder, part, may_download=False)
        except RuntimeError:
            try:
                _read(name, folder, part, may_download=True)
            except Exception as error:
                raise _missing(name, folder, f"could not be downloaded ({error})") from error


def _load(name: str, folder: Path) -> Data:
    moments = SETS[name].moments
    parts = []
    for part in SETS[name].parts:
        try:
            images = _read(name, folder, part, may_download=False)
        except Exception as error:
            raise _missing(name, folder, f"are damaged or missing ({error})") from error
        labels = images.targets if hasattr(images, "targets") else images.labels
        pixels = _standardize(np.asarray(images.data), moments)
        parts.append((pixels, np.asarray(labels, dtype=np.int64)))
    mean, deviation = moments
    normalization = f"(pixel/255 - {mean}) / {deviation} per channel"
    return Data(name, *parts[0], *parts[1], 10, normalization)


def _read(name: str, folder: Path, part: dict[str, Any], may_download: bool) -> Any:
    reader = getattr(import_datasets(), SETS[name].reader)
    return reader(folder, download=may_download, **part)


def _missing(name: str, folder: Path, why: str) -> ValueError:
    places = ", ".join(str(folder / file) for file in SETS[name].files)
    return ValueError(
        f"data set {name}: its files {' '.join(why.split())}; put them at {places}, or set "
        "data_root or BASINS_DATA to the folder that holds them"
    )


def _standardize(pixels: NDArray[np.uint8], moments: Moments) -> NDArray[np.float32]:
    """Return images as (examples, channels, height, width) float32 with the moments taken out."""
    if pixels.ndim == 3:
        images = pixels[:, None]
    elif pixels.shape[-1] == 3:
        images = np.moveaxis(pixels, -1, 1)
    else:
        images = pixels
    mean, deviation = np.asarray(moments, dtype=np.float32)[:, :, None, None]
    return np.ascontiguousarray((images.astype(np.float32) / 255 - mean) / deviation)
