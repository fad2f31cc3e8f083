"""Bodies of known volume, against which estimators are tested.

Each contains the origin and is star-shaped about it: its gauge g (homogeneous of degree 1, the body
is g < 1) gives the radius 1 / g(u) along a unit direction u.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import betainc, gammaln, kve

from basins.volume import ball

Array = NDArray[np.float64]
Complex = NDArray[np.complex128]

# Of inversions, in units of the saddle point: the integrand's end is where it has fallen to
LEAST_LOG = -40.0  # nats below its peak, or at
MOST_WIDTH = 1000.0
LEAST_WIDTH = 1e-3
NUM_HEIGHTS = 4001


@dataclass(frozen=True)
class Body:
    """A body of known volume.

    Attributes
    ----------
    name, dimension
        What it is, and n.
    log_volume
        Closed form, in nats.
    gauge
        Maps points (k, n) to (k,); the body is where it is below 1.
    """

    name: str
    dimension: int
    log_volume: float
    gauge: Callable[[Array], Array]

    def log_radius(self, directions: Array) -> Array:
        """Return ln r along unit directions (B, n), shape (B,)."""
        return -np.log(self.gauge(directions))


def ellipsoid(eigenvalues: Array, threshold: float) -> Body:
    """Return the basin of the loss sum(eigenvalue x^2) / 2 below `threshold`.

    ln V = (n/2) ln(2 pi c) - ln Gamma(n/2 + 1) - (1/2) ln det H.
    """
    n = len(eigenvalues)
    log_volume = ball.log_volume(n, np.sqrt(2 * threshold)) - np.log(eigenvalues).sum() / 2
    return Body(
        "ellipsoid", n, float(log_volume), lambda x: np.sqrt((x**2 @ eigenvalues) / (2 * threshold))
    )


def box(half_widths: Array) -> Body:
    """Return the box |x_i| < a_i; ln V = sum ln 2 a_i."""
    log_volume = float(np.log(2 * half_widths).sum())
    return Body("box", len(half_widths), log_volume, lambda x: np.abs(x / half_widths).max(axis=1))


def power_ball(n: int, p: float) -> Body:
    """Return the unit ball of the p-norm; ln V = n ln(2 Gamma(1 + 1/p)) - ln Gamma(1 + n/p)."""
    log_volume = n * (np.log(2) + gammaln(1 + 1 / p)) - gammaln(1 + n / p)
    return Body(
        f"{p:g}-ball", n, float(log_volume), lambda x: (np.abs(x) ** p).sum(axis=1) ** (1 / p)
    )


def simplex(n: int) -> Body:
    """Return the regular-coordinates simplex x_i > -1, sum x < 1; ln V = n ln(n + 1) - ln n!."""
    log_volume = n * np.log(n + 1) - gammaln(n + 1)
    return Body(
        "simplex", n, float(log_volume), lambda x: np.maximum((-x).max(axis=1), x.sum(axis=1))
    )


def mapped(body: Body, matrix: Array) -> Body:
    """Return the image of `body` under an invertible matrix; ln V grows by ln |det|."""
    _, log_det = np.linalg.slogdet(matrix)
    inverse = np.linalg.inv(matrix)
    return Body(
        f"mapped {body.name}",
        body.dimension,
        float(body.log_volume + log_det),
        lambda x: body.gauge(x @ inverse.T),
    )


def capped_cylinder(n: int, num_flat: int, threshold: float, r_max: float) -> float:
    """Return ln V of the loss |y|^2 / 2 < c inside the ball of radius r_max, in nats.

    y are all coordinates but `num_flat`, in which the loss does not change at all:
    V = S_m int_0^R s^(m-1) V_f((r_max^2 - s^2)^(1/2)) ds with m = n - num_flat, S_m the surface of
    the unit sphere, V_f the volume of a ball, and R the smaller of (2c)^(1/2) and r_max.
    """
    m = n - num_flat
    share = min(2 * threshold / r_max**2, 1.0)
    # With t = s^2 / r_max^2 the integral is an incomplete beta function.
    part = betainc(m / 2, num_flat / 2 + 1, share)
    return float(ball.log_volume(n, r_max) + np.log(part))


def inverted(log_transform: Callable[[Complex], Complex], threshold: float, start: float) -> float:
    """Return ln V(c) from the Laplace transform of its density of states, in nats.

    V(c) = (1 / 2 pi i) int Z(b) exp(b c) / b db along a vertical line (Mellin), taken through the
    saddle point on the real axis, by the trapezoidal rule.

    Parameters
    ----------
    log_transform
        ln Z, Z(b) = int exp(-b L) dV, for complex b (k,).
    threshold
        c.
    start
        A guess at the saddle's b; it is searched within a factor 1e6 about it.
    """

    def exponent(b: Complex) -> NDArray[Any]:
        return log_transform(b) + b * threshold - np.log(b)

    def real(log_b: float) -> float:
        at = np.array([np.exp(log_b)], dtype=np.complex128)
        return float(exponent(at).real[0])

    middle = np.log(start)
    found = minimize_scalar(real, bounds=(middle - 14, middle + 14), options={"xatol": 1e-10})
    saddle, peak = float(np.exp(found.x)), float(found.fun)
    # The integrand is analytic but for b = 0, so the rule errs by exp(-2 pi saddle / step) only.
    width, end = LEAST_WIDTH, peak
    while end - peak > LEAST_LOG and width < MOST_WIDTH:
        width *= 2
        end = float(exponent(np.array([saddle * (1 + 1j * width)])).real[0])
    heights = saddle * np.linspace(0, width, NUM_HEIGHTS)
    # One after another: transforms of many dimensions would not fit into memory together.
    logs = np.concatenate([exponent(np.array([saddle + 1j * height])) for height in heights])
    return float(peak + np.log(np.trapezoid(np.exp(logs - peak).real, heights) / np.pi))


def quartic(curvatures: Array, bend: float, threshold: float) -> float:
    """Return ln V of the loss sum lambda (x^2 / 2 + bend x^4) below `threshold`.

    Each factor of Z is exp(q) K_1/4(q) / (8 bend)^(1/2), q = b lambda / (32 bend), with K the
    modified Bessel function of the second kind.
    """

    def log_transform(b: Complex) -> Complex:
        q = b[:, None] * curvatures / (32 * bend)
        return np.asarray((np.log(kve(0.25, q)) - 0.5 * np.log(8 * bend)).sum(axis=1))

    return inverted(log_transform, threshold, len(curvatures) / threshold)


def gaussian_ellipsoid(curvatures: Array, shift: Array, threshold: float) -> float:
    """Return ln P(sum lambda x^2 / 2 < c) for x ~ N(shift, 1), flat directions (0) among them."""
    curved, pulls = curvatures, curvatures * shift**2

    def log_transform(b: Complex) -> Complex:
        room = 1 + b[:, None] * curved
        return np.asarray((-0.5 * np.log(room) - 0.5 * pulls * b[:, None] / room).sum(axis=1))

    return inverted(log_transform, threshold, len(curvatures) / threshold)
