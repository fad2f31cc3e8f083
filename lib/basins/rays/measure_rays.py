"""All rays of one minimum: directions made, radii solved, in pieces that fit in memory."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from basins import streams
from basins.directions.isotropic import directions
from basins.rays.solve import Array, Evaluate, Radii, pilot_start, solve_radii

MAX_BYTES = 2**28  # of the rays alive at once
MOST_TOGETHER = 64  # rays that are solved at once


class Evaluator(Protocol):
    """What an evaluator can do; see `basins.rays.torch_path.TorchEvaluator`."""

    @property
    def ray_bytes(self) -> int:
        """Memory that a ray takes while its radii are solved."""

    def along(self, steps: Array) -> Evaluate:
        """Return losses (B, num_landscapes) of rays by index (B,), at radii (B,), along steps."""


@dataclass(frozen=True)
class RaySet:
    """The rays of one minimum; arrays are float64 unless stated.

    Attributes
    ----------
    log_radius, num_crossings, log_radius_tolerance
        As in `basins.rays.solve.Radii`, but shape (landscapes, thresholds, directions).
    log_direction_norm
        ln |g| of the Gaussian vector each direction came from, shape (directions,).
    landscape_loss
        The minimum's own loss in each landscape, shape (landscapes,).
    num_evaluations
        Passes over each landscape's examples, all directions together, shape (landscapes,).
    r_max
        Radius at which rays are censored.
    """

    log_radius: Array
    num_crossings: NDArray[np.int16]
    log_radius_tolerance: Array
    log_direction_norm: Array
    landscape_loss: Array
    num_evaluations: NDArray[np.int64]
    r_max: float


def rays_together(ray_bytes: int) -> int:
    """Return how many rays are solved at once, each of which takes so much memory."""
    return max(1, min(MOST_TOGETHER, MAX_BYTES // ray_bytes))


def measure_rays(
    evaluator: Evaluator,
    names: tuple[streams.Name, ...],
    indices: Sequence[int],
    scale: Array,
    num_landscapes: int,
    thresholds: Sequence[float],
    threshold_kind: str,
    r_max: float,
    scan_points: int,
    advance: Callable[[int], None] = lambda _: None,
) -> RaySet:
    """Measure the rays of one minimum along its directions `indices`.

    Parameters
    ----------
    evaluator
        Losses along rays from the minimum.
    names
        What keys the minimum's random directions.
    indices
        Which directions.
    scale
        Unit of each parameter, shape (n,).
    num_landscapes
        How many landscapes the evaluator has.
    thresholds, threshold_kind
        Losses that bound the basin (``loss``), or their rise above the minimum's own (``excess``).
    r_max, scan_points
        As in `basins.rays.solve.solve_radii`.
    advance
        Called with the number of directions done since the last call.
    """
    n = len(scale)
    first, _ = directions(names, [0], n)
    along_first = evaluator.along(first * scale)
    nowhere = np.zeros(1, dtype=np.int64), np.zeros(1)
    anchor = along_first(*nowhere, num_landscapes, np.full((1, num_landscapes), np.inf))[0]
    bounds = np.tile(np.asarray(thresholds, dtype=np.float64), (num_landscapes, 1))
    if threshold_kind == "excess":
        bounds = bounds + anchor[:, None]
    start = pilot_start(along_first, anchor, bounds, r_max, scan_points)
    pieces: list[Radii] = []
    log_norms: list[Array] = []
    batch = rays_together(evaluator.ray_bytes)
    for position in range(0, len(indices), batch):
        chosen = indices[position : position + batch]
        unit, log_norm = directions(names, chosen, n)
        unit *= scale
        pieces.append(
            solve_radii(
                evaluator.along(unit), anchor, bounds, len(unit), n, r_max, scan_points, start
            )
        )
        log_norms.append(log_norm)
        advance(len(chosen))
    return RaySet(
        log_radius=np.moveaxis(np.concatenate([p.log_radius for p in pieces]), 0, -1),
        num_crossings=np.moveaxis(np.concatenate([p.num_crossings for p in pieces]), 0, -1),
        log_radius_tolerance=np.moveaxis(
            np.concatenate([p.log_radius_tolerance for p in pieces]), 0, -1
        ),
        log_direction_norm=np.concatenate(log_norms),
        landscape_loss=anchor,
        num_evaluations=np.sum([p.num_evaluations.sum(axis=0) for p in pieces], axis=0),
        r_max=r_max,
    )
