"""Update rules on stacked parameters; SGD, Adam and AdamW are torch.optim's, step for step.

The direction of ProxProp is stepped along as SGD does; L-BFGS only has its memory from here.
"""

import math

import numpy as np
import torch
from numba import njit
from torch import Tensor

from basins.models.mlp_kernels import FAST, Numbers
from basins.study.recipe_keys import Recipe
from basins.threads import share_out
from basins.training import lbfgs

EPSILON = 1e-8  # torch.optim's default, added to the root of the second moment

RATES_ALONE = ("sgd", "proxprop")  # rules that step along what they are given

State = dict[str, Tensor]


def initial_state(recipe: Recipe, theta: Tensor) -> State:
    """Return the optimizer's memory before the first step; `theta` has shape (seeds, n)."""
    if recipe.optimizer == "lbfgs":
        return lbfgs.initial_state(theta)
    if recipe.optimizer in RATES_ALONE:
        return {"momentum": torch.zeros_like(theta)} if recipe.momentum else {}
    return {"first": torch.zeros_like(theta), "second": torch.zeros_like(theta)}


def update(
    recipe: Recipe, theta: Tensor, gradient: Tensor, state: State, step: int, rate: float
) -> Tensor:
    """Return the parameters after one step; `state` is updated in place.

    Parameters
    ----------
    recipe
        Names the rule: SGD with momentum (Sutskever et al. 2013), along the gradient or what
        ProxProp puts in its place; Adam (Kingma and Ba 2015, algorithm 1); or AdamW (Loshchilov and
        Hutter 2019, algorithm 2).
    theta, gradient
        Shape (seeds, n).
    state
        From `initial_state`.
    step
        Number of steps taken before this one.
    rate
        Learning rate of this step.
    """
    if recipe.optimizer not in RATES_ALONE:
        return _adam(recipe, theta, gradient, state, step, rate)
    if recipe.decay:
        gradient = gradient.add(theta, alpha=recipe.decay)
    if recipe.momentum:
        gradient = state["momentum"].mul_(recipe.momentum).add_(gradient)
    return theta.sub(gradient, alpha=rate)


def on_sphere(theta: Tensor, norm: float) -> Tensor:
    """Return parameters, shape (seeds, n), scaled to a norm; exact to their own rounding."""
    found = theta.double()
    scaled: Tensor = found * (norm / found.norm(dim=1, keepdim=True))
    return scaled.to(theta.dtype)


def _adam(
    recipe: Recipe, theta: Tensor, gradient: Tensor, state: State, step: int, rate: float
) -> Tensor:
    """Take a step of Adam or AdamW; arguments as `update`."""
    first, second = state["first"], state["second"]
    is_decoupled = recipe.optimizer == "adamw"
    shrink = 1 - rate * recipe.decay if is_decoupled else 1.0
    decay = 0.0 if is_decoupled else recipe.decay
    first_decay, second_decay = recipe.betas
    stride = rate / (1 - first_decay ** (step + 1))
    root = math.sqrt(1 - second_decay ** (step + 1))
    if theta.device.type == "cpu":
        moved = torch.empty_like(theta)
        constants = [shrink, decay, 1 - first_decay, second_decay, 1 - second_decay]
        numbers = np.array([*constants, stride, 1 / root, EPSILON], theta.numpy().dtype)
        rows = [part.numpy() for part in (theta, gradient, first, second, moved)]

        def work(part: slice) -> None:
            adam_step(numbers, *(row[part] for row in rows))

        # Ten operations or so a parameter, half of them slow.
        share_out(work, len(theta), 20 * theta.numel())
        return moved
    gradient = gradient.add(theta, alpha=decay) if decay else gradient
    first.lerp_(gradient, 1 - first_decay)
    second.mul_(second_decay).addcmul_(gradient, gradient, value=1 - second_decay)
    scale = second.sqrt().div_(root).add_(EPSILON)
    return (theta * shrink).addcdiv(first, scale, value=-stride)


@njit(cache=True, nogil=True, fastmath=FAST)
def adam_step(
    numbers: Numbers,
    theta: Numbers,
    gradient: Numbers,
    first: Numbers,
    second: Numbers,
    moved: Numbers,
) -> None:
    """Put parameters after a step into `moved`, and change both moments; rows are (seeds, n).

    One pass over memory, where the same by torch takes ten.
    """
    shrink, decay, fresh, second_decay, second_fresh, stride, root, epsilon = numbers
    for p in range(theta.shape[0]):
        for i in range(theta.shape[1]):
            slope = gradient[p, i] + decay * theta[p, i]
            mean = first[p, i] + fresh * (slope - first[p, i])
            square = second_decay * second[p, i] + second_fresh * slope * slope
            first[p, i], second[p, i] = mean, square
            moved[p, i] = shrink * theta[p, i] - stride * mean / (np.sqrt(square) * root + epsilon)
