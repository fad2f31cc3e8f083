"""What changes while a recipe runs: its learning rate, its batch, and the recipe at work.

Decaying the rate and growing the batch at the same milestones keep the same scale of noise, rate
times examples over batch (Smith et al. 2017, arXiv 1711.00489).
"""

import bisect
import itertools
import math

from basins.study.recipe_keys import Recipe
from basins.study.recipes import milestone_epochs


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
    if recipe.schedule == "steps":
        return recipe.learning_rate * _factor(recipe, step * recipe.own_epochs // num_steps)
    return recipe.learning_rate


def batch_size(recipe: Recipe, epoch: int, num_examples: int) -> int:
    """Return how many examples a step of an epoch takes, at most all of them.

    Examples
    --------
    >>> grows = dict(schedule="growing_batch", milestones=[0.5], decay_factor=0.2)
    >>> recipe = Recipe(optimizer="sgd", learning_rate=1.0, epochs=4, batch_size=16, **grows)
    >>> [batch_size(recipe, epoch, 1000) for epoch in range(4)]
    [16, 16, 80, 80]
    """
    if recipe.batch_size == "full":
        return num_examples
    if recipe.schedule != "growing_batch":
        return min(recipe.batch_size, num_examples)
    return min(round(recipe.batch_size / _factor(recipe, epoch)), num_examples)


def steps_before(recipe: Recipe, epoch: int, num_examples: int) -> int:
    """Return the number of steps taken before an epoch begins; of all epochs, at its end."""
    edges = sorted({0, *(min(edge, epoch) for edge in milestone_epochs(recipe)), epoch})
    return sum(
        (stop - start) * math.ceil(num_examples / batch_size(recipe, start, num_examples))
        for start, stop in itertools.pairwise(edges)
    )


def phases(recipe: Recipe, before: Recipe | None) -> list[tuple[Recipe, int]]:
    """Return the recipes that a training goes through, and the epochs of each.

    `before` is the recipe that the warm start names, if there is one. A polish comes last, as what
    it is: L-BFGS on a plain loss, an iteration an epoch.
    """
    parts = [(recipe, recipe.own_epochs)]
    if recipe.warm_start is not None and before is not None:
        parts.insert(0, (before, recipe.warm_start.epochs))
    if recipe.polish is not None:
        count = recipe.polish.iterations
        polish = Recipe(optimizer="lbfgs", learning_rate=1.0, epochs=count, loss=recipe.loss)
        parts.append((polish, count))
    return parts


def _factor(recipe: Recipe, epoch: int) -> float:
    """Return `decay_factor` to the power of the milestones that lie before an epoch."""
    passed = bisect.bisect_right(milestone_epochs(recipe), epoch)
    return (recipe.decay_factor or 1.0) ** passed
