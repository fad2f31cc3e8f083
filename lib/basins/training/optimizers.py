"""Update rules and schedules on stacked parameters, equal to torch.optim's step for step."""

import math

import torch
from torch import Tensor

from basins.study.schema import Recipe

EPSILON = 1e-8  # torch.optim's default, added to the root of the second moment

State = dict[str, Tensor]


def initial_state(recipe: Recipe, theta: Tensor) -> State:
    """Return the optimizer's memory before the first step; `theta` has shape (seeds, n)."""
    if recipe.optimizer == "sgd":
        return {"momentum": torch.zeros_like(theta)} if recipe.momentum else {}
    return {"first": torch.zeros_like(theta), "second": torch.zeros_like(theta)}


def learning_rate(recipe: Recipe, step: int, num_steps: int) -> float:
    """Return the learning rate of step ``0 <= step < num_steps``.

    Examples
    --------
    >>> recipe = Recipe(optimizer="sgd", learning_rate=1.0, epochs=4, schedule="linear")
    >>> [learning_rate(recipe, step, 4) for step in range(4)]
    [1.0, 0.75, 0.5, 0.25]
    """
    done = step / num_steps
    if recipe.schedule == "cosine":
        return recipe.learning_rate * (1 + math.cos(math.pi * done)) / 2
    if recipe.schedule == "linear":
        return recipe.learning_rate * (1 - done)
    return recipe.learning_rate


def update(
    recipe: Recipe, theta: Tensor, gradient: Tensor, state: State, step: int, rate: float
) -> Tensor:
    """Return the parameters after one step; `state` is updated in place.

    Parameters
    ----------
    recipe
        Names the rule: SGD with momentum (Sutskever et al. 2013), Adam (Kingma and Ba 2015,
        algorithm 1) or AdamW (Loshchilov and Hutter 2019, algorithm 2).
    theta, gradient
        Shape (seeds, n).
    state
        From `initial_state`.
    step
        Number of steps taken before this one.
    rate
        Learning rate of this step.
    """
    if recipe.optimizer == "adamw":
        theta = theta * (1 - rate * recipe.decay)
    elif recipe.decay:
        gradient = gradient.add(theta, alpha=recipe.decay)
    if recipe.optimizer == "sgd":
        if recipe.momentum:
            gradient = state["momentum"].mul_(recipe.momentum).add_(gradient)
        return theta.sub(gradient, alpha=rate)
    first_decay, second_decay = recipe.betas
    state["first"].lerp_(gradient, 1 - first_decay)
    state["second"].mul_(second_decay).addcmul_(gradient, gradient, value=1 - second_decay)
    first_bias = 1 - first_decay ** (step + 1)
    second_bias = 1 - second_decay ** (step + 1)
    scale = state["second"].sqrt().div_(math.sqrt(second_bias)).add_(EPSILON)
    return theta.addcdiv(state["first"], scale, value=-rate / first_bias)
