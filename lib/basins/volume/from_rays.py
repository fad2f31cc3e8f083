"""Every number of a basin from the radii of its rays."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from basins.volume.fan2025compat import compat_log_volume
from basins.volume.kernels import log_mean_exp
from basins.volume.polar import log_gaussian_mass_within
from basins.volume.ray_average import ray_average

Array = NDArray[np.float64]

# Values of the flag volume_status.
NOT_MEASURED, CALIBRATED, LOWER_BOUND, NOT_CONVERGED, MINIMUM_ABOVE_THRESHOLD = range(5)

LOW = 0.1  # share of rays shorter than the low radius, and longer than the high one


@dataclass(frozen=True)
class Volumes:
    """Volumes of one minimum, by the cube's names.

    Attributes
    ----------
    by_estimator
        log_volume, log_volume_stderr, log_volume_low, log_volume_high, ess, pareto_k (float64),
        is_lower_bound (bool), volume_status (int8), each of shape (landscapes, thresholds,
        estimators).
    by_basin
        mean_log_radius, log_mean_radius, log_radius_low, log_radius_median, log_radius_high,
        censored_fraction, reentry_fraction, log_volume_compat, float64, shape (landscapes,
        thresholds).
    """

    by_estimator: dict[str, NDArray[np.generic]]
    by_basin: dict[str, Array]


@dataclass(frozen=True)
class GaussianRays:
    """What the Gaussian measure around 0 needs of a minimum and its rays.

    Attributes
    ----------
    sigma
        Standard deviation of every parameter.
    weight_norm
        Norm of the minimum.
    along
        The minimum along each direction, shape (directions,).
    """

    sigma: float
    weight_norm: float
    along: Array

    def log_mass(self, log_radius: Array, num_parameters: int) -> Array:
        """Return ln of the mass along rays, shape of `log_radius` (..., directions)."""
        flat = log_radius.reshape(-1, log_radius.shape[-1])
        squares = self.weight_norm**2
        rows = [
            log_gaussian_mass_within(num_parameters, self.sigma, squares, self.along, row)
            for row in flat
        ]
        return np.stack(rows).reshape(log_radius.shape)


def volumes(
    log_radius: Array,
    num_crossings: NDArray[np.int16],
    log_direction_norm: Array,
    num_parameters: int,
    has_published_directions: bool,
    gaussian: GaussianRays | None = None,
) -> Volumes:
    """Turn the radii of one minimum into volumes by the estimator `rays`.

    Parameters
    ----------
    log_radius, num_crossings
        Shape (landscapes, thresholds, directions).
    log_direction_norm
        Shape (directions,).
    num_parameters
        Dimension n.
    has_published_directions
        Filter coordinates with biases in units of 1, as the compat value needs; NaN otherwise.
    gaussian
        Where the measure is not Lebesgue's.
    """
    log_mass = gaussian.log_mass(log_radius, num_parameters) if gaussian else None
    rays = ray_average(log_radius, num_crossings, num_parameters, log_mass)
    is_measured = ~np.isnan(rays.log_volume)
    status = np.where(rays.is_lower_bound, LOWER_BOUND, CALIBRATED)
    status = np.where(is_measured, status, MINIMUM_ABOVE_THRESHOLD)
    by_estimator: dict[str, NDArray[np.generic]] = {
        "log_volume": rays.log_volume,
        "log_volume_stderr": rays.stderr,
        "log_volume_low": rays.low,
        "log_volume_high": rays.high,
        "ess": rays.ess,
        "pareto_k": rays.pareto_k,
        "is_lower_bound": rays.is_lower_bound,
        "volume_status": status.astype(np.int8),
    }
    compat = np.full(is_measured.shape, np.nan)
    if has_published_directions:
        compat = compat_log_volume(log_radius, num_crossings, log_direction_norm, num_parameters)
    censored = (num_crossings == 0).mean(axis=-1)
    reentering = (num_crossings > 1).mean(axis=-1)
    flat = log_radius.reshape(-1, log_radius.shape[-1])
    low, median, high = np.quantile(log_radius, (LOW, 0.5, 1 - LOW), axis=-1)
    return Volumes(
        by_estimator={name: values[..., None] for name, values in by_estimator.items()},
        by_basin={
            "mean_log_radius": log_radius.mean(axis=-1),
            "log_mean_radius": log_mean_exp(np.ascontiguousarray(flat)).reshape(status.shape),
            "log_radius_low": low,
            "log_radius_median": median,
            "log_radius_high": high,
            "censored_fraction": np.where(is_measured, censored, np.nan),
            "reentry_fraction": np.where(is_measured, reentering, np.nan),
            "log_volume_compat": np.where(is_measured, compat, np.nan),
        },
    )
