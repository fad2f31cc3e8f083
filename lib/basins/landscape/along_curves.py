"""What curves between minima pass through: losses, errors, barriers, volumes around points."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from basins import streams
from basins.directions.coordinates import default_r_max, scaling
from basins.landscape.garipov2018curves import points
from basins.models.functional import Network, ParameterBlock
from basins.rays.evaluators import along_all
from basins.rays.measure_rays import Examined, measure_rays
from basins.rays.numba_path import NumbaEvaluator
from basins.rays.torch_path import TorchEvaluator
from basins.study.curves import BEZIER, LINE
from basins.training.ends import evaluate
from basins.volume.from_rays import Volumes, volumes

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Basins:
    """How the basins around points of a curve are measured; see `basins.study.measure_keys`.

    Attributes
    ----------
    directions
        Rays of each point.
    thresholds, threshold_kind
        Losses that bound a basin (``loss``), or their rise above the point's own (``excess``).
    coordinates, bias_scale
        Unit of each parameter, at each point its own.
    r_max
        Where rays end; ten norms of each point if None.
    scan_points
        Of the coarse scan along a ray.
    """

    directions: int
    thresholds: tuple[float, ...]
    threshold_kind: str = "loss"
    coordinates: str = "filter"
    bias_scale: str = "one"
    r_max: float | None = None
    scan_points: int = 12


def losses_along(
    evaluator: NumbaEvaluator | TorchEvaluator,
    kind: str,
    ends: Array,
    bend: Array,
    positions: Array,
) -> Array:
    """Return losses along a curve in all landscapes.

    Exploits: the halves of a polygon and of a line are rays from either end, so a first layer's
    products are made twice and not once a point. Both ends are exact.

    Parameters
    ----------
    evaluator
        Of the network and its examples, M landscapes.
    kind, ends, bend, positions
        As of `basins.landscape.garipov2018curves.points`.

    Returns
    -------
    NDArray
        Float64, shape (len(positions), M); not finite where the network's outputs are not.
    """
    count = evaluator.num_landscapes
    if kind == BEZIER:
        at = evaluator.at(ends[0])
        steps = points(kind, ends, bend, positions) - ends[0]
        found = [
            at.losses(steps[first : first + 1], np.ones(1), count) for first in range(len(steps))
        ]
        return np.concatenate(found)
    corner = ends.mean(0) if kind == LINE else bend
    losses = along_all([evaluator.at(end) for end in ends], [(corner - end)[None] for end in ends])
    rows = (positions > 0.5).astype(np.int64)
    radii = 1 - np.abs(1 - 2 * positions)
    return losses(rows, radii, count, np.full((len(rows), count), np.inf))


def errors_along(
    network: Network, loss_kind: str, at: Array, inputs: Tensor, targets: Tensor
) -> Array:
    """Return the share of examples that a network misclassifies at points of a curve.

    Parameters
    ----------
    network, loss_kind
        The architecture, and the loss whose outputs it has.
    at
        Points, shape (T, n).
    inputs, targets
        The examples, in float32; passes run on their device.

    Returns
    -------
    NDArray
        Float64, shape (T,).
    """
    network.to(inputs.device, torch.float32)
    found = []
    for point in at:
        theta = torch.from_numpy(point).to(inputs.device, torch.float32)[None]
        _, accuracy = evaluate(network, loss_kind, theta, inputs[None], targets[None])
        found.append(1 - float(accuracy))
    return np.array(found)


def length(at: Array) -> float:
    """Return the length of the chain of straight lines from point to point, shape (T, n).

    Examples
    --------
    >>> length(np.array([[0.0, 0.0], [3.0, 4.0], [3.0, 5.0]]))
    6.0
    """
    return float(np.linalg.norm(np.diff(at, axis=0), axis=1).sum())


def barrier(losses: Array, positions: Array) -> Array:
    """Return how far losses rise above the straight line between those of the ends.

    max_t [ L(phi(t)) - (1 - t) L(phi(0)) - t L(phi(1)) ]: of the straight line of parameters the
    barrier of Entezari et al. 2022 (arXiv 2110.06296); Frankle et al. 2020 (arXiv 1912.05671,
    section 2) measure the rise from the mean of the ends. 0 of a convex loss, as the ends are among
    the positions.

    Parameters
    ----------
    losses
        At the positions, shape (positions, ...).
    positions
        t, from 0 to 1.

    Examples
    --------
    >>> barrier(np.array([1.0, 5.0, 2.0]), np.array([0.0, 0.5, 1.0]))
    array(3.5)
    """
    t = positions.reshape(-1, *[1] * (losses.ndim - 1))
    rises = losses - (1 - t) * losses[0] - t * losses[-1]
    # Written so that a loss that is no number is an infinite rise.
    return np.asarray(np.where(np.isfinite(rises), rises, np.inf).max(axis=0))


def volumes_along(
    evaluator: NumbaEvaluator | TorchEvaluator,
    layout: tuple[ParameterBlock, ...],
    at: Array,
    how: Basins,
    *names: streams.Name,
    advance: Callable[[int], None] = lambda _: None,
) -> tuple[list[Volumes], Array]:
    """Return volumes of the basins around points, by the estimator `rays`.

    All points have the same directions, so what differs along a curve is not the directions'
    doing.

    Parameters
    ----------
    evaluator
        Of the network and its examples.
    layout
        Where each tensor of the network lies in the flat vector.
    at
        Points, shape (K, n).
    how
        Directions, thresholds, coordinates.
    names
        Key of the directions.
    advance
        Called with the number of points done since the last call.

    Returns
    -------
    tuple
        Volumes of each point, NaN and flagged where the point itself is not below the threshold;
        and the log-determinants of its coordinates, shape (K,).
    """
    found, log_dets = [], []
    for point in at:
        scale, log_det = scaling(layout, point, how.coordinates, how.bias_scale)
        r_max = how.r_max or default_r_max(point, scale)
        # One after another: each holds a first layer's outputs of all examples.
        (rays,) = measure_rays(
            [Examined(evaluator.at(point), names, scale, r_max)],
            range(how.directions),
            how.thresholds,
            how.threshold_kind,
            how.scan_points,
        )
        given = rays.log_radius, rays.num_crossings, rays.log_direction_norm
        found.append(volumes(*given, len(point), has_published_directions=False))
        log_dets.append(log_det)
        advance(1)
    return found, np.array(log_dets)
