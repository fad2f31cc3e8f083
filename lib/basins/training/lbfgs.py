"""Full-batch L-BFGS with a line search, all seeds at once.

Liu and Nocedal 1989, Mathematical Programming 45, 503, algorithm 2.1. The line search bisects until
the loss falls enough and its slope has risen enough (weak Wolfe conditions; Lewis and Overton 2013,
Mathematical Programming 141, 135, algorithm 4.6), which kinks of rectified units do not upset.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from basins.training.gradients import Gradients

HISTORY = 10  # pairs of steps and changes of the gradient
DECREASE, CURVATURE = 1e-4, 0.9  # of the two conditions
MAX_TRIALS = 20

State = dict[str, Tensor]
Evaluate = Callable[[Tensor], tuple[Tensor, Tensor]]


def initial_state(theta: Tensor) -> State:
    """Return the memory before the first iteration; `theta` has shape (seeds, n)."""
    seeds, n = theta.shape
    return {
        # Newest last; pairs not there yet are zeros, which change no direction.
        "steps": theta.new_zeros(seeds, HISTORY, n),
        "changes": theta.new_zeros(seeds, HISTORY, n),
        "is_stuck": torch.zeros(seeds, dtype=torch.bool, device=theta.device),
    }


def iterate(
    theta: Tensor,
    here: tuple[Tensor, Tensor],
    state: State,
    rate: float,
    decay: float,
    gradients: Gradients,
    active: Tensor,
) -> Tensor:
    """Return the parameters after one iteration; `state` is updated in place.

    Parameters
    ----------
    theta
        Shape (seeds, n).
    here
        Gradients and losses at them, shapes (seeds, n) and (seeds,).
    state
        From `initial_state`.
    rate
        Length of the first trial step, in those of the direction.
    decay
        Half of it times the squared norm of the parameters is added to the losses.
    gradients
        Gradients and losses at parameters, of all examples.
    active
        Which seeds still move, shape (seeds,).
    """

    def decayed(points: Tensor, found: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        return found[0] + decay * points, found[1] + decay / 2 * points.square().sum(1)

    def evaluate(points: Tensor) -> tuple[Tensor, Tensor]:
        return decayed(points, gradients(points, None))

    gradient, losses = decayed(theta, here)
    direction = -_descent(gradient, state["steps"], state["changes"])
    slope = _dot(direction, gradient)
    # A direction that does not go down, from a curvature that was none: begin anew.
    is_up = ~(slope < 0)
    direction = torch.where(is_up[:, None], -gradient, direction)
    slope = torch.where(is_up, -_dot(gradient, gradient), slope)
    is_steepest = ~state["steps"].flatten(1).any(dim=1) | is_up
    first = rate / gradient.abs().sum(dim=1).clamp_min(1.0)
    trial = torch.where(is_steepest, first, torch.full_like(first, rate))
    is_still = ~active | state["is_stuck"]
    length, ends = _search(theta, direction, slope, losses, trial, is_still, evaluate)
    is_moved = length > 0
    # The steepest direction tried in vain is the end; any other, the end of what it was made of.
    state["is_stuck"] = state["is_stuck"] | (active & ~is_moved & is_steepest)
    steps = length[:, None] * direction
    changes = torch.where(is_moved[:, None], ends - gradient, 0)
    is_kept = (is_moved & ~is_up)[:, None, None]
    for name, newest in (("steps", steps), ("changes", changes)):
        state[name] = torch.cat([is_kept * state[name][:, 1:], newest[:, None]], dim=1)
    return theta + steps


def _descent(gradient: Tensor, steps: Tensor, changes: Tensor) -> Tensor:
    """Return the inverse Hessian that the pairs know of times the gradient (two-loop recursion)."""
    products = (steps * changes).sum(-1)
    squares = changes.square().sum(-1)
    # Along a pair of no or negative curvature nothing is known.
    is_known = products > 1e-10 * squares
    inverse = torch.where(is_known, 1 / products.where(is_known, torch.ones_like(products)), 0)
    result, weights = gradient, []
    for k in reversed(range(HISTORY)):
        weight = inverse[:, k] * _dot(steps[:, k], result)
        result = result - weight[:, None] * changes[:, k]
        weights.append(weight)
    scale = torch.ones_like(products[:, 0])
    for k in range(HISTORY):
        known = products[:, k] / squares[:, k].clamp_min(1e-30)
        scale = torch.where(is_known[:, k], known, scale)
    result = scale[:, None] * result
    for k, weight in enumerate(reversed(weights)):
        back = inverse[:, k] * _dot(changes[:, k], result)
        result = result + (weight - back)[:, None] * steps[:, k]
    return result


def _search(
    theta: Tensor,
    direction: Tensor,
    slope: Tensor,
    losses: Tensor,
    trial: Tensor,
    is_still: Tensor,
    evaluate: Evaluate,
) -> tuple[Tensor, Tensor]:
    """Return lengths of steps, 0 where none lowers the loss, and the gradients at their ends.

    Seeds that are still are not searched for.
    """
    low, high = torch.zeros_like(trial), torch.full_like(trial, torch.inf)
    best, ends = torch.zeros_like(trial), torch.zeros_like(theta)
    is_done = is_still
    for _ in range(MAX_TRIALS):
        if bool(is_done.all()):
            break
        gradient, found = evaluate(theta + trial[:, None] * direction)
        # No number is no decrease.
        falls = found <= losses + DECREASE * trial * slope
        rises = _dot(gradient, direction) >= CURVATURE * slope
        takes = falls & ~is_done
        best = torch.where(takes, trial, best)
        ends = torch.where(takes[:, None], gradient, ends)
        is_done = is_done | (falls & rises)
        low, high = torch.where(falls, trial, low), torch.where(falls, high, trial)
        middle = torch.where(high.isinf(), 2 * low, (low + high) / 2)
        trial = torch.where(is_done, trial, middle)
    return best, ends


def _dot(first: Tensor, second: Tensor) -> Tensor:
    return (first * second).sum(-1)
