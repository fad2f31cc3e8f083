"""Volumes of one minimum's basins, in every landscape at every threshold, from its network.

Estimators here ask the network about points of their own choice; `from_rays` takes radii as they
are.
"""

import logging
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from basins import streams
from basins.models.functional import Network
from basins.rays.landscapes import Landscapes
from basins.volume import shapes
from basins.volume.basin import Basin, Volume
from basins.volume.estimators import estimate
from basins.volume.from_rays import (
    CALIBRATED,
    LOWER_BOUND,
    MINIMUM_ABOVE_THRESHOLD,
    NOT_CONVERGED,
    NOT_MEASURED,
)
from basins.volume.laplace import MAX_PARAMETERS
from basins.volume.of_network import network_basin

logger = logging.getLogger("basins")

Array = NDArray[np.float64]
Arrays = dict[str, NDArray[np.generic]]

ESTIMATORS = ("annealed", "importance", "laplace")
BY_ESTIMATOR = (
    "log_volume",
    "log_volume_stderr",
    "log_volume_low",
    "log_volume_high",
    "ess",
    "pareto_k",
    "num_evaluations",
)
# By basin, the cube's name: which estimator's diagnostic it is.
BY_BASIN = {
    "star_fraction": ("annealed", "star_fraction"),
    "threshold_exponent": ("annealed", "exponent"),
    "threshold_exponent_stderr": ("annealed", "exponent_stderr"),
    "radius_exponent": ("annealed", "radius_exponent"),
    "log_volume_rays_predicted": ("laplace", "rays_prediction"),
}


@dataclass(frozen=True)
class Request:
    """What is asked of the estimators.

    Attributes
    ----------
    estimators
        Some of `ESTIMATORS`.
    thresholds, threshold_kind
        Losses that bound the basin (``loss``), or their rise above the minimum's own (``excess``).
    r_max
        Distance at which basins end, in the units of the coordinates.
    directions
        Of `importance`.
    stderr, max_evaluations
        Of `annealed`; see `basins.volume.estimate`.
    sigma
        Of the Gaussian measure around 0; None for Lebesgue's.
    """

    estimators: Sequence[str]
    thresholds: Sequence[float]
    threshold_kind: str
    r_max: float
    directions: int
    stderr: float
    max_evaluations: float
    sigma: float | None = None


def nothing_yet(num_landscapes: int, request: Request) -> Arrays:
    """Return the arrays that `estimate_minimum` fills, nothing measured in them.

    Of shape (landscapes, thresholds, estimators) by estimator and (landscapes, thresholds) by
    basin; float64 but for `is_lower_bound` and the flag `volume_status`.
    """
    basins = (num_landscapes, len(request.thresholds))
    shape = (*basins, len(request.estimators))
    arrays: Arrays = {name: np.full(shape, np.nan) for name in BY_ESTIMATOR}
    arrays["is_lower_bound"] = np.zeros(shape, dtype=np.bool_)
    arrays["volume_status"] = np.full(shape, NOT_MEASURED, dtype=np.int8)
    return arrays | {name: np.full(basins, np.nan) for name in BY_BASIN}


def check_size(estimators: Sequence[str], num_parameters: int) -> None:
    """Raise ValueError where an estimator cannot take so many parameters."""
    if "laplace" in estimators and num_parameters > MAX_PARAMETERS:
        raise ValueError(
            f"estimators: 'laplace' takes a whole Hessian, so at most {MAX_PARAMETERS} parameters, "
            f"and the model has {num_parameters}"
        )


def estimate_minimum(
    network: Network,
    theta: Tensor,
    landscapes: Landscapes,
    scale: Array,
    request: Request,
    names: tuple[streams.Name, ...],
    arrays: Arrays,
    after_each: Callable[[], None] = lambda: None,
) -> None:
    """Fill in what is not yet measured of one minimum's volumes.

    Parameters
    ----------
    network, theta, landscapes, scale
        As of `basins.volume.of_network.network_basin`.
    request
        What is asked.
    names
        Key of the minimum's random numbers.
    arrays
        From `nothing_yet`, or what an earlier, unfinished call left in them; changed in place.
    after_each
        Called after each volume, those that there are not among them.
    """
    check_size(request.estimators, network.num_parameters)
    for row, size in enumerate(landscapes.sizes):
        status = arrays["volume_status"][row]
        if (status != NOT_MEASURED).all():
            continue
        here = replace(landscapes, sizes=landscapes.sizes[: row + 1])
        # A bound above any loss, until the minimum's own is known.
        basin = network_basin(network, theta, here, np.finfo(float).max, scale, request.r_max)
        own = basin.loss_at_minimum
        curvature = None
        for column, threshold in enumerate(request.thresholds):
            bound = threshold + (own if request.threshold_kind == "excess" else 0.0)
            if not own < bound:
                for missing in np.flatnonzero(status[column] == NOT_MEASURED):
                    status[column, missing] = MINIMUM_ABOVE_THRESHOLD
                    after_each()
                continue
            if curvature is None and network.num_parameters <= shapes.MAX_FULL:
                curvature = shapes.hessian(basin)
            bounded = network_basin(network, theta, here, bound, scale, request.r_max)
            bounded = replace(bounded, curvature=curvature)
            for index, estimator in enumerate(request.estimators):
                if status[column, index] != NOT_MEASURED:
                    continue
                words = (*names, size, f"{threshold!r}")
                volume = _estimate(bounded, estimator, request, words)
                _put(arrays, (row, column), index, volume)
                after_each()


def _estimate(
    basin: Basin, estimator: str, request: Request, names: tuple[streams.Name, ...]
) -> Volume:
    """Return one volume; what it warns of goes to the log with its name."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        volume = estimate(
            basin,
            estimator,
            "lebesgue" if request.sigma is None else "gaussian",
            sigma=request.sigma,
            seed=streams.key("estimate", *names),
            directions=request.directions,
            stderr=request.stderr,
            max_evaluations=request.max_evaluations,
        )
    where = " ".join(map(str, names))
    for warning in caught:
        logger.warning("%s, %s: %s", where, estimator, warning.message)
    return volume


def _put(arrays: Arrays, basin: tuple[int, int], index: int, volume: Volume) -> None:
    """Put a volume where it belongs."""
    told = volume.diagnostics
    values = {
        "log_volume": volume.log_volume,
        "log_volume_stderr": volume.stderr,
        "log_volume_low": volume.low,
        "log_volume_high": volume.high,
        "ess": told.get("ess", told.get("inside_ess", np.nan)),
        "pareto_k": told.get("pareto_k", np.nan),
        "num_evaluations": float(volume.num_evaluations),
        "is_lower_bound": volume.is_lower_bound,
        "volume_status": status_of(volume),
    }
    for name, value in values.items():
        arrays[name][(*basin, index)] = value
    for name, (estimator, diagnostic) in BY_BASIN.items():
        if estimator == volume.estimator:
            arrays[name][basin] = told.get(diagnostic, np.nan)


def status_of(volume: Volume) -> int:
    """Return the flag `volume_status`; a volume without an error bar is not calibrated."""
    if volume.is_lower_bound:
        return LOWER_BOUND
    if volume.is_converged and np.isfinite(volume.stderr):
        return CALIBRATED
    return NOT_CONVERGED
