"""The explorer's minima: which of a cube's are on the page, their numbers and their volumes."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from basins.cube.queries import generalization_gap
from basins.cube.schema import TRAINING_STATUS
from basins.cube.variable import MINIMUM
from basins.figures.explorer_room import MOST_MINIMA, MOST_VOLUME_BYTES, ON_PAGE

SCALARS = (
    "train_loss",
    "test_loss",
    "train_accuracy",
    "test_accuracy",
    "weight_norm",
    "gradient_norm",
    "epochs",
    "noise_scale",
)
OF_VOLUMES = ("log_volume", "log_volume_low", "log_volume_high", "log_volume_stderr")
OF_BASINS = ("mean_log_radius", "censored_fraction")

Array = NDArray[Any]


@dataclass(frozen=True)
class Minima:
    """The minima on the page, in the order of the cube.

    Attributes
    ----------
    places
        Their indices along the dims of a minimum, (minima, 5).
    num_found
        Minima in the cube, those that are not on the page among them.
    columns
        What a minimum is and its numbers by name, each (minima,).
    volumes
        Numbers of its basins by name, each (minima, landscapes, thresholds, estimators).
    """

    places: NDArray[np.int64]
    num_found: int
    columns: dict[str, Array]
    volumes: dict[str, Array]


def minima_of(cube: xr.Dataset) -> Minima:
    """Return the minima of a cube that fit on a page; there are fewer only where there are many."""
    found = np.argwhere(cube.training_status.transpose(*MINIMUM).values > 0)
    cells = math.prod(cube.sizes[dim] for dim in ("landscape_size", "threshold", "estimator"))
    numbers = len(OF_VOLUMES) + len(OF_BASINS)
    each = ON_PAGE * cells * (8 * numbers + 1)
    most = min(MOST_MINIMA, int(MOST_VOLUME_BYTES / each))
    places = found[np.sort(kept_first(found)[: max(most, 1)])]
    return Minima(places, len(found), _columns(cube, places), _volumes(cube, places))


def kept_first(places: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the order in which minima are kept where there is no room for all of them.

    First the first seed of every setting, then the second; of one seed evenly spread settings, for
    whose order steps of the golden ratio do (the sequence of Weyl).

    Parameters
    ----------
    places
        Indices along the dims of a minimum, seeds last, (minima, 5).

    Examples
    --------
    >>> places = np.array([[0, 0, 0, size, seed] for size in range(4) for seed in range(2)])
    >>> kept_first(places)[:4]
    array([0, 4, 2, 6])
    """
    order = np.argsort(places[:, -1], kind="stable")
    _, starts, counts = np.unique(places[order, -1], return_index=True, return_counts=True)
    golden = (math.sqrt(5) - 1) / 2
    parts = [
        order[start : start + count][np.argsort(np.arange(count) * golden % 1)]
        for start, count in zip(starts, counts, strict=True)
    ]
    return np.concatenate(parts) if parts else order


def at_places(variable: xr.DataArray, places: NDArray[np.int64]) -> Array:
    """Return the numbers of minima, (minima, ...), over what else the variable is over."""
    others = [dim for dim in variable.dims if dim not in MINIMUM]
    values: Array = variable.transpose(*MINIMUM, *others).values[tuple(places.T)]
    return values


def own_index(cube: xr.Dataset) -> NDArray[np.int64]:
    """Return for each train size which landscape it is, -1 if none."""
    landscapes = list(cube.landscape_size.values)
    return np.array(
        [landscapes.index(n) if n in landscapes else -1 for n in cube.train_size.values]
    )


def _columns(cube: xr.Dataset, places: NDArray[np.int64]) -> dict[str, Array]:
    named = {
        dim: cube[dim].values[places[:, index]].astype(str if index < 3 else np.int64)
        for index, dim in enumerate(MINIMUM)
    }
    status = np.array(in_words(TRAINING_STATUS))[at_places(cube.training_status, places)]
    numbers = {name: at_places(cube[name], places) for name in SCALARS if name in cube}
    gap = {"generalization_gap": at_places(generalization_gap(cube), places)}
    own = {"own_landscape": own_index(cube)[places[:, MINIMUM.index("train_size")]]}
    return named | {"training_status": status} | numbers | gap | own


def _volumes(cube: xr.Dataset, places: NDArray[np.int64]) -> dict[str, Array]:
    found = {name: at_places(cube[name], places) for name in OF_VOLUMES}
    shape = found["log_volume"].shape
    for name in OF_BASINS:
        if name in cube:
            # The same for all estimators.
            found[name] = np.broadcast_to(at_places(cube[name], places)[..., None], shape)
    status = at_places(cube.volume_status, places).astype(np.uint8)
    return found | {"volume_status": status}


def in_words(flags: tuple[str, ...]) -> list[str]:
    """Return the meanings of a flag as they stand on the page."""
    return [name.replace("_", " ") for name in flags]
