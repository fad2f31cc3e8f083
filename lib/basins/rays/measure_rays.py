"""All rays of minima: directions made, radii solved, in pieces that fit in memory."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic

import numpy as np
from numpy.typing import NDArray

from basins import streams
from basins.directions.on_gpu import Steps, scaled_directions
from basins.rays.evaluators import Evaluator, Measuring, along_all
from basins.rays.solve import Array, Evaluate, Radii, pilot_starts, solve_radii


@dataclass(frozen=True)
class Examined(Generic[Measuring]):
    """A minimum whose rays are measured.

    Attributes
    ----------
    evaluator
        Losses along rays from it.
    names
        What keys its random directions.
    scale
        Unit of each parameter, shape (n,).
    r_max
        Radius at which its rays are censored.
    """

    evaluator: Measuring
    names: tuple[streams.Name, ...]
    scale: Array
    r_max: float


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


def measure_rays(
    minima: Sequence[Examined[Evaluator]],
    indices: Sequence[int],
    thresholds: Sequence[float],
    threshold_kind: str,
    scan_points: int,
    advance: Callable[[int], None] = lambda _: None,
) -> list[RaySet]:
    """Measure the rays of minima of one network along their directions `indices`.

    Rays of different minima are solved together where one has too few to fill a batch.

    Parameters
    ----------
    minima
        Which, S of them, all in equally many landscapes.
    indices
        Which directions of each.
    thresholds, threshold_kind
        Losses that bound the basin (``loss``), or their rise above the minimum's own (``excess``).
    scan_points
        As in `basins.rays.solve.solve_radii`.
    advance
        Called with the number of directions done since the last call.

    Returns
    -------
    list of RaySet
        One of each minimum.
    """
    num_landscapes = minima[0].evaluator.num_landscapes
    r_max = np.array([one.r_max for one in minima])
    owners = np.arange(len(minima))
    first, _ = along(minima, owners, np.zeros(len(minima), dtype=np.int64))
    never = np.full((len(minima), num_landscapes), np.inf)
    anchor = first(owners, np.zeros(len(minima)), num_landscapes, never)
    bounds = np.empty((len(minima), num_landscapes, len(thresholds)))
    bounds[:] = thresholds
    if threshold_kind == "excess":
        bounds += anchor[:, :, None]
    on_gpu = minima[0].evaluator.device.type == "cuda"
    at_once = scan_points if on_gpu else 1
    starts = pilot_starts(first, anchor, bounds, r_max, scan_points, at_once)
    pieces: list[Radii] = []
    log_norms: list[Array] = []
    batch = min(one.evaluator.rays_together for one in minima)
    for begin in range(0, len(minima) * len(indices), batch):
        flat = np.arange(begin, min(begin + batch, len(minima) * len(indices)))
        owners, chosen = flat // len(indices), np.asarray(indices)[flat % len(indices)]
        evaluate, norms = along(minima, owners, chosen)
        pieces.append(
            solve_radii(
                evaluate,
                anchor[owners],
                bounds[owners],
                len(flat),
                len(minima[0].scale),
                r_max[owners],
                scan_points,
                starts[owners],
            )
        )
        log_norms.append(norms)
        advance(len(flat))

    def of_each(name: str) -> NDArray[np.float64]:
        """Return an attribute of all rays, shape (S, directions, ...)."""
        joined = np.concatenate([getattr(piece, name) for piece in pieces])
        return joined.reshape(len(minima), len(indices), *joined.shape[1:])

    radii, crossings, widths = (
        np.moveaxis(of_each(name), 1, -1)
        for name in ("log_radius", "num_crossings", "log_radius_tolerance")
    )
    evaluations = of_each("num_evaluations").sum(axis=1)
    norms = np.concatenate(log_norms).reshape(len(minima), len(indices))
    return [
        RaySet(
            log_radius=radii[row],
            num_crossings=crossings[row],
            log_radius_tolerance=widths[row],
            log_direction_norm=norms[row],
            landscape_loss=anchor[row],
            num_evaluations=evaluations[row],
            r_max=one.r_max,
        )
        for row, one in enumerate(minima)
    ]


def along(
    minima: Sequence[Examined[Evaluator]], owners: NDArray[np.int64], indices: NDArray[np.int64]
) -> tuple[Evaluate, Array]:
    """Return losses along rays and their log norms: of each ray its minimum and its direction.

    Rays of one minimum stand together, and minima in their order.
    """
    steps: list[Steps] = []
    log_norms: list[Array] = []
    present = [minima[row] for row in np.unique(owners)]
    for row, one in zip(np.unique(owners), present, strict=True):
        own, device = indices[owners == row].tolist(), one.evaluator.device
        made, norms = scaled_directions(one.names, own, one.scale, device)
        steps.append(made)
        log_norms.append(norms)
    return along_all([one.evaluator for one in present], steps), np.concatenate(log_norms)
