"""The basin of a network's loss, for estimators of any loss function."""

import functools
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from basins.models.functional import Network
from basins.rays.evaluators import evaluator_of
from basins.rays.landscapes import Landscapes
from basins.rays.numba_path import NumbaEvaluator
from basins.rays.products import CompiledProducts, CurvatureProducts, products_of
from basins.threads import share_out
from basins.volume import mlp_curves, mlp_trajectories
from basins.volume.au2001subset import Prior
from basins.volume.basin import Basin
from basins.volume.curves import Moved, Moves
from basins.volume.forces import Forces
from basins.volume.trajectories import Phase

Array = NDArray[np.float64]

POINTS_A_CURVE = 4  # or so, that a slice asks for
Mover = Callable[[Moves], Moved]
Leaper = Callable[[Forces, Phase, float, int], Phase]


def network_basin(
    network: Network,
    theta: Tensor,
    landscapes: Landscapes,
    threshold: float,
    scale: Array,
    r_max: float = np.inf,
) -> Basin:
    """Return the basin around a network's minimum in its largest landscape.

    Parameters
    ----------
    network, theta
        The architecture and the minimum, shape (n,), whose precision and device passes run in.
    landscapes
        The examples; the loss is the mean over all of them.
    threshold
        Loss that bounds the basin.
    scale
        Unit of each parameter, shape (n,): points are parameters in these units, so the volume is
        one of the coordinates that `basins.directions.coordinates.scaling` gave them.
    r_max
        In these units.
    """
    whole = replace(landscapes, sizes=landscapes.sizes[-1:])
    minimum = theta.detach().cpu().double().numpy() / scale
    evaluator = evaluator_of(network, theta, whole)

    def loss(points: Array) -> Array:
        steps = (points - minimum) * scale
        return evaluator.losses(steps, np.ones(len(steps)), 1)[:, 0]

    def gradient(points: Array) -> Array:
        steps = points - minimum
        steps *= scale
        slopes = evaluator.gradients(steps)
        slopes *= scale
        return slopes

    @functools.cache
    def curvature() -> CompiledProducts | CurvatureProducts:
        # Made when first asked for: it holds the examples once more, in float64.
        return products_of(network, theta, whole)

    def hessian_products(directions: Array) -> Array:
        return curvature().hessian(directions * scale) * scale

    def gauss_newton_products(directions: Array) -> Array:
        return curvature().gauss_newton(directions * scale) * scale

    mover = leaper = None
    if isinstance(evaluator, NumbaEvaluator):
        mover = mover_of(evaluator, threshold, scale, r_max)
        leaper = leaper_of(evaluator, scale)
    return Basin(
        loss,
        minimum,
        threshold,
        gradient=gradient,
        r_max=r_max,
        hessian_products=hessian_products,
        gauss_newton_products=gauss_newton_products,
        mover=mover,
        leaper=leaper,
    )


def network_prior(network: Network, landscapes: Landscapes, sigma: float, like: Tensor) -> Prior:
    """Return a network's loss in its largest landscape, its parameters drawn from N(0, sigma^2).

    Parameters
    ----------
    network, landscapes
        As of `network_basin`.
    sigma
        Standard deviation of every parameter.
    like
        Any tensor of the device and precision that passes run in.
    """
    whole = replace(landscapes, sizes=landscapes.sizes[-1:])
    center = like.new_zeros(network.num_parameters)
    evaluator = evaluator_of(network, center, whole)

    def loss(points: Array) -> Array:
        return evaluator.losses(points, np.ones(len(points)), 1)[:, 0]

    mover = None
    if isinstance(evaluator, NumbaEvaluator):
        compiled, units = evaluator, np.ones(network.num_parameters)

        def mover(moves: Moves, level: float) -> Moved:
            return mover_of(compiled, level, units, np.inf)(moves)

    return Prior(loss, network.num_parameters, sigma, mover)


def mover_of(evaluator: NumbaEvaluator, threshold: float, scale: Array, r_max: float) -> Mover:
    """Return what moves chains in a fully connected network's basin, compiled."""
    problem, theta = evaluator.problem, evaluator.theta
    summed_loss = float(threshold) * int(problem.edges[-1])

    def move(moves: Moves) -> Moved:
        rule = mlp_curves.rule_of(moves, scale, r_max, summed_loss)
        start = mlp_curves.Start(
            moves.z, moves.offsets, moves.w, moves.exponentials, moves.uniforms
        )
        count = len(moves.z)
        ends = mlp_curves.Ends(
            np.empty_like(moves.z),
            np.empty_like(moves.offsets),
            np.empty(count),
            np.empty(count, dtype=np.int64),
        )

        def work(rows: slice) -> None:
            part = (rows.start, rows.stop)
            mlp_curves.move_chains(part, rule, theta, evaluator.sums, problem, start, ends)

        share_out(work, count, POINTS_A_CURVE * moves.z.size * int(problem.edges[-1]))
        return Moved(ends.z, ends.x, ends.positions, int(ends.asked.sum()))

    return move


def leaper_of(evaluator: NumbaEvaluator, scale: Array) -> Leaper:
    """Return what follows trajectories in a fully connected network's loss, compiled."""
    problem, theta = evaluator.problem, evaluator.theta
    own = evaluator.losses(np.zeros((1, len(theta))), np.ones(1), 1)[0, 0]

    def follow(forces: Forces, start: Phase, step: float, count: int) -> Phase:
        push = mlp_trajectories.push_of(forces, scale, step, count)
        ends = mlp_trajectories.Ends(
            start.z.copy(),
            np.empty_like(start.offsets),
            np.empty_like(start.gradients),
            start.momentum.copy(),
            np.empty((len(start.z), 1)),
        )

        def work(rows: slice) -> None:
            part = (rows.start, rows.stop)
            mlp_trajectories.leap(part, push, theta, problem, start.offsets, start.gradients, ends)

        operations = 3 * count * start.z.size * int(problem.edges[-1])
        share_out(work, len(start.z), operations)
        rises = ends.losses[:, 0] - own
        rises[np.isnan(rises)] = np.inf
        return Phase(ends.z, ends.x, ends.gradients, ends.momentum, rises)

    return follow
