"""The obvious way to measure rays, with no trick: the reference of tests and of `--slow-path`.

One ray, one landscape, one threshold, one radius at a time; a scan, then bisection.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from basins import device as devices
from basins.directions.isotropic import directions
from basins.directions.on_gpu import Steps
from basins.models.functional import Network
from basins.rays.landscapes import Landscapes
from basins.rays.measure_rays import Examined, RaySet
from basins.rays.solve import TOLERANCE_NATS

LEAST_LOG_RADIUS = -700.0  # below which a radius is 0 in float64


class SlowEvaluator:
    """Mean losses at points along rays, without batching and without sharing between landscapes."""

    def __init__(self, network: Network, theta: Tensor, landscapes: Landscapes) -> None:
        self.network = network.to(theta.device, theta.dtype)
        self.theta = theta
        self.landscapes = landscapes.to(theta.device, theta.dtype)

    @property
    def device(self) -> torch.device:
        """Where passes run."""
        return self.theta.device

    @property
    def num_landscapes(self) -> int:
        """How many landscapes there are."""
        return len(self.landscapes.sizes)

    @property
    def rays_together(self) -> int:
        """How many rays are solved at once."""
        return devices.rays_together(2 * 8 * self.theta.numel())

    def along(
        self, steps: Steps
    ) -> Callable[[NDArray[np.int64], NDArray[np.float64], int, object], NDArray[np.float64]]:
        """Return losses along rays, as `TorchEvaluator.along` does."""
        given = np.asarray(torch.as_tensor(steps).cpu())
        return lambda rows, radii, count, _limits: self.losses(given[rows], radii, count)

    def losses(
        self, steps: NDArray[np.float64], radii: NDArray[np.float64], num_landscapes: int
    ) -> NDArray[np.float64]:
        """Return what `TorchEvaluator.losses` does, by the plainest loop."""
        result = np.empty((len(radii), num_landscapes))
        for i, (step, radius) in enumerate(zip(steps, radii, strict=True)):
            for k in range(num_landscapes):
                result[i, k] = self.loss(step, radius, k)
        return result

    def loss(self, step: NDArray[np.float64], radius: float, landscape: int) -> float:
        """Return the mean loss of one landscape at one point."""
        examples = self.landscapes
        size = examples.sizes[landscape]
        with torch.no_grad():
            theta = self.theta + torch.from_numpy(radius * step).to(self.theta)
            outputs = self.network.apply(theta, examples.inputs[:size])
            losses = examples.loss_function(outputs, examples.targets[:size])
        return float(losses.double().mean())

    def is_below(
        self, step: NDArray[np.float64], landscape: int, bound: float, log_radius: float
    ) -> bool:
        """Tell whether the mean loss at a distance ln r along a ray is below `bound`."""
        return self.loss(step, float(np.exp(log_radius)), landscape) < bound


class Found(NamedTuple):
    """What a ray's scan and bisection found of one basin; see `solve.Radii`."""

    log_radius: float
    num_crossings: int
    log_radius_tolerance: float
    num_evaluations: int


def first_crossing(
    is_inside: Callable[[float], bool], log_r_max: float, scan_points: int, tolerance: float
) -> Found:
    """Return where a ray first leaves a basin that holds its start, by a scan and bisection.

    Parameters
    ----------
    is_inside
        Of a distance ln r.
    log_r_max, scan_points
        See `solve.solve_radii`; points are a factor 2 apart.
    tolerance
        Width of the last bracket in ln r.
    """
    grid = log_r_max - np.log(2) * np.arange(scan_points - 1, -1, -1)
    asked = crossings = 0
    bracket: list[float] = []
    was_inside, last = True, -np.inf
    for x in grid:
        inside = is_inside(x)
        asked += 1
        if inside != was_inside:
            crossings += 1
            bracket = bracket or [last, x]
        elif not inside:
            break
        was_inside, last = inside, x
    if not bracket:
        return Found(log_r_max, 0, 0.0, asked)
    low, high = bracket
    if low == -np.inf:
        # Outside at the first point already: look for a point inside, and narrow down from there.
        low = high - np.log(2)
        while not is_inside(low):
            asked += 1
            low, high = low - np.log(2), low
            if not low > LEAST_LOG_RADIUS:
                return Found(np.nan, 0, 0.0, asked)
        asked += 1
    while high - low > tolerance:
        middle = (low + high) / 2
        asked += 1
        low, high = (middle, high) if is_inside(middle) else (low, middle)
    return Found((low + high) / 2, crossings, high - low, asked)


def slow_rays(
    minima: Sequence[Examined[SlowEvaluator]],
    indices: Sequence[int],
    thresholds: Sequence[float],
    threshold_kind: str,
    scan_points: int,
    advance: Callable[[int], None] = lambda _: None,
) -> list[RaySet]:
    """Return what `measure_rays.measure_rays` does, whose arguments these are."""
    return [
        _rays_of(one, indices, thresholds, threshold_kind, scan_points, advance) for one in minima
    ]


def _rays_of(
    minimum: Examined[SlowEvaluator],
    indices: Sequence[int],
    thresholds: Sequence[float],
    threshold_kind: str,
    scan_points: int,
    advance: Callable[[int], None],
) -> RaySet:
    """Return the rays of one minimum."""
    evaluator, n, r_max = minimum.evaluator, len(minimum.scale), minimum.r_max
    num_landscapes = evaluator.num_landscapes
    steps, log_norms = directions(minimum.names, indices, n)
    steps *= minimum.scale
    anchor = np.array([evaluator.loss(steps[0], 0.0, k) for k in range(num_landscapes)])
    shape = num_landscapes, len(thresholds), len(indices)
    log_radius, tolerance = np.full(shape, np.nan), np.zeros(shape)
    num_crossings = np.zeros(shape, dtype=np.int16)
    num_evaluations = np.zeros(num_landscapes, dtype=np.int64)
    for row, step in enumerate(steps):
        for k in range(num_landscapes):
            for t, threshold in enumerate(thresholds):
                bound = threshold + (anchor[k] if threshold_kind == "excess" else 0.0)
                # Written so that a loss that is no number is outside.
                if not anchor[k] < bound:
                    continue
                found = first_crossing(
                    partial(evaluator.is_below, step, k, bound),
                    np.log(r_max),
                    scan_points,
                    TOLERANCE_NATS / n,
                )
                log_radius[k, t, row], num_crossings[k, t, row] = found[:2]
                tolerance[k, t, row] = found.log_radius_tolerance
                num_evaluations[k] += found.num_evaluations
        advance(1)
    return RaySet(log_radius, num_crossings, tolerance, log_norms, anchor, num_evaluations, r_max)
