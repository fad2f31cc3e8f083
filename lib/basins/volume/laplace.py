"""Estimator `laplace`: the volume as if the loss were quadratic, and what rays would make of it."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import erfcx

from basins.volume import ball
from basins.volume.basin import Basin, Volume
from basins.volume.measures import Gaussian, Measure

Array = NDArray[np.float64]

MAX_PARAMETERS = 10_000  # whose Hessian is 0.8 GB, and minutes to diagonalize
NEAR_MEAN = 1e-4  # of |w|, where 1/w - 1/u cancels
RELATIVE_DAMPING = 1e-10  # of the largest curvature, where no r_max sets a damping


def laplace(basin: Basin, measure: Measure, hessian: Array) -> Volume:
    """Return the volume of the ellipsoid that a Hessian describes.

    Lebesgue: ln V = (n/2) ln(2 pi h) - ln Gamma(n/2 + 1) - (1/2) sum ln max(lambda, delta), with h
    the threshold above the minimum's loss. delta is the damping: 2 h / r_max^2, which ends flat
    directions at r_max, or 1e-10 of the largest curvature. Gaussian: the probability of the
    ellipsoid, delta being 0, by the saddle-point formula of Lugannani and Rice (1980, Advances in
    Applied Probability 12, 475, equation 3.10).

    The error of assuming a quadratic loss is unknown: `stderr`, `low` and `high` are NaN.

    Parameters
    ----------
    basin, measure
        What is measured.
    hessian
        Shape (n, n), or its diagonal (n,).

    Notes
    -----
    Diagnostics: `damping`; `damped_fraction` of the directions; `smallest_curvature` and
    `largest_curvature`; `rays_prediction`, what the mean of r^n over isotropic directions tends to
    as long as no direction decides it alone, ln V_ball(n) + (n/2) ln(2 h n / trace H), Lebesgue
    only.
    """
    n, height = basin.num_parameters, basin.height
    if hessian.ndim == 1:
        curvatures, vectors = hessian, None
    else:
        curvatures, vectors = np.linalg.eigh(hessian)
    largest = float(curvatures.max())
    damping = RELATIVE_DAMPING * max(largest, 0.0)
    if isinstance(measure, Gaussian):
        damping = 0.0
    elif np.isfinite(basin.r_max):
        damping = 2 * height / basin.r_max**2
    if largest <= 0 and damping == 0:
        raise ValueError("curvature: no direction curves upwards; give r_max")
    damped = np.maximum(curvatures, damping)
    told = {
        "damping": damping,
        "damped_fraction": float((curvatures < damping).mean()),
        "smallest_curvature": float(curvatures.min()),
        "largest_curvature": largest,
    }
    if isinstance(measure, Gaussian):
        shift = measure.shift if vectors is None else measure.shift @ vectors
        value = log_probability(damped, shift, measure.sigma, height)
    else:
        value = ball.log_volume(n, np.sqrt(2 * height)) - 0.5 * float(np.log(damped).sum())
        mean = float(damped.mean())
        told["rays_prediction"] = ball.log_volume(n, np.sqrt(2 * height / mean))
    return Volume(
        estimator="laplace",
        measure=measure.name,
        log_volume=value,
        stderr=np.nan,
        low=np.nan,
        high=np.nan,
        is_lower_bound=False,
        is_converged=told["damped_fraction"] == 0,
        num_evaluations=0,
        diagnostics=told,
    )


def log_probability(curvatures: Array, shift: Array, sigma: float, height: float) -> float:
    """Return ln P(sum lambda x^2 / 2 < height) for x ~ N(-shift, sigma^2), by the saddle point.

    With K the cumulant generating function of the sum and K'(t) = height, w = sign(t) sqrt(2 (t
    height - K)) and u = t sqrt(K''): P = Phi(w) + phi(w) (1/w - 1/u).

    Parameters
    ----------
    curvatures, shift
        Shape (n,), along the same axes.
    sigma, height
        Of the Gaussian; of the threshold above the minimum's loss.
    """
    scales = curvatures * sigma**2
    pulls = curvatures * shift**2

    def cumulants(t: float) -> tuple[float, float, float]:
        room = 1 - scales * t
        first = 0.5 * scales / room + 0.5 * pulls / room**2
        second = 0.5 * scales**2 / room**2 + pulls * scales / room**3
        value = -0.5 * np.log(room) + 0.5 * pulls * t / room
        return float(value.sum()), float(first.sum()), float(second.sum())

    edge = 1 / float(scales.max())
    high = edge * (1 - 1e-12)
    low = -edge
    while cumulants(low)[1] > height:
        low *= 2
    t = float(brentq(lambda at: cumulants(at)[1] - height, low, high, xtol=1e-300, rtol=1e-14))
    value, _, second = cumulants(t)
    w = float(np.sign(t) * np.sqrt(max(2 * (t * height - value), 0.0)))
    u = t * np.sqrt(second)
    if abs(w) < NEAR_MEAN:
        third = float((scales**3 + 3 * pulls * scales**2).sum())
        # The limit of 1/w - 1/u.
        skewed = third / (6 * np.sqrt(2 * np.pi) * second**1.5)
        return float(np.log(0.5 + skewed))
    log_phi = -(w**2) / 2 - 0.5 * np.log(2 * np.pi)
    if w > 0:
        upper = np.sqrt(np.pi / 2) * erfcx(w / np.sqrt(2)) - 1 / w + 1 / u
        return float(np.log1p(-np.exp(log_phi) * upper))
    lower = np.sqrt(np.pi / 2) * erfcx(-w / np.sqrt(2)) + 1 / w - 1 / u
    return float(log_phi + np.log(lower))
