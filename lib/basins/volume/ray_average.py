"""Estimator `rays`: the average of r^n over isotropic directions, the published baseline."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from basins.volume import ball, diagnostics, intervals, kernels

Array = NDArray[np.float64]


@dataclass(frozen=True)
class RayAverage:
    """Volumes from isotropic rays; every field has the leading axes of the radii.

    Attributes
    ----------
    log_volume, stderr, low, high
        In nats, in units of the coordinates; ends of the 90 % interval of sampling.
    ess, pareto_k
        Of the weights r^n.
    is_lower_bound
        The mean is decided by few rays, or rays re-enter: mass is missed.
    """

    log_volume: Array
    stderr: Array
    low: Array
    high: Array
    ess: Array
    pareto_k: Array
    is_lower_bound: NDArray[np.bool_]


def ray_average(
    log_radius: Array,
    num_crossings: NDArray[np.int16],
    num_parameters: int,
    log_mass: Array | None = None,
) -> RayAverage:
    """Return ln V = ln V_ball(n) + ln E_u[r(u)^n] and how far to trust it.

    The volume of the star-shaped part of the basin in polar coordinates. In high dimension the
    mean follows the trace of the Hessian, not its determinant: for an ellipsoid it misses
    (n/2) ln(AM/GM) nats of the eigenvalues, and more directions hardly help.

    Parameters
    ----------
    log_radius
        ln r, float64, shape (..., directions); censored rays enter at ln r_max, so the volume is
        that inside the ball of radius r_max. NaN where the minimum is not in the basin.
    num_crossings
        Crossings along each ray, same shape.
    num_parameters
        Dimension n.
    log_mass
        ln of the integral of r^(n-1) mu(r u) dr along each ray, where the measure mu is not
        Lebesgue's, for which it is r^n / n; same shape.

    Examples
    --------
    >>> radii = np.zeros((20,))  # the unit ball
    >>> result = ray_average(radii, np.ones(20, dtype=np.int16), 2)
    >>> round(float(np.exp(result.log_volume)), 12), bool(result.is_lower_bound)
    (3.14159265359, False)
    """
    shape, count = log_radius.shape[:-1], log_radius.shape[-1]
    is_measured = ~np.isnan(log_radius).any(axis=-1)
    terms = num_parameters * log_radius[is_measured]
    if log_mass is not None:
        terms = np.log(num_parameters) + log_mass[is_measured]
    rows = np.ascontiguousarray(terms.reshape(-1, count))
    stderr, low, high = intervals.bootstrap(rows)
    tail = diagnostics.pareto_k(rows)
    has_few = diagnostics.is_decided_by_few(rows, rows.std(axis=1), tail, num_parameters)
    re_enters = (num_crossings[is_measured].reshape(-1, count) > 1).any(axis=1)
    constant = ball.log_volume(num_parameters)

    def placed(values: NDArray[Any], missing: float = np.nan) -> Array:
        result = np.full(shape, missing)
        result[is_measured] = values
        return result

    return RayAverage(
        log_volume=placed(constant + kernels.log_mean_exp(rows)),
        stderr=placed(stderr),
        low=placed(constant + low),
        high=placed(constant + high),
        ess=placed(diagnostics.effective_sample_size(rows)),
        pareto_k=placed(tail),
        is_lower_bound=placed(has_few | re_enters, missing=0).astype(bool),
    )
