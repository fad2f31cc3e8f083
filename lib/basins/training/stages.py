"""Stages of a training, each by one recipe: a warm start's, its own, and a polish."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from basins import streams
from basins.models.functional import Network
from basins.study.recipe_keys import Polish, Recipe
from basins.training import lbfgs, optimizers, schedules
from basins.training.augmentation import augmented
from basins.training.ends import evaluate
from basins.training.foret2021sam import ascended
from basins.training.frerix2018proxprop import direction
from basins.training.gradients import FindGradients, Gradients, weighted_gradients
from basins.training.objective import Objective
from basins.training.unfinished import Unfinished


@dataclass(frozen=True)
class Work:
    """What all stages of a training share; attributes as the arguments of `train`.

    Attributes
    ----------
    network, seeds, black, find_gradients
        As given.
    whole
        Each seed's own training subset.
    """

    network: Network
    seeds: tuple[int, ...]
    whole: Objective
    black: Tensor | None
    find_gradients: FindGradients

    def gradients(self, recipe: Recipe, lowered: Objective) -> Gradients:
        """Return the gradients of an objective, compiled where it is a mean of ordinary losses."""
        if lowered.is_weighted:
            return weighted_gradients(self.network, recipe.loss, lowered)
        return self.find_gradients(self.network, recipe.loss, lowered.inputs, lowered.targets)


@dataclass(frozen=True)
class Stage:
    """Some epochs of a training by one recipe.

    Attributes
    ----------
    recipe
        The recipe.
    first, stop
        The first epoch, in those of the whole training, and the one after the last.
    lowered
        What it lowers.
    is_own
        Whether the recipe is the training's own, and no other's that it starts warm from.
    polish
        What it is to reach, if it is a polish.
    """

    recipe: Recipe
    first: int
    stop: int
    lowered: Objective
    is_own: bool = True
    polish: Polish | None = None


def stages_of(
    work: Work,
    recipe: Recipe,
    before: Recipe | None,
    objective: Objective | None,
    objective_before: Objective | None,
) -> list[Stage]:
    """Return the stages of a training, in order; arguments as of `train`."""
    stages: list[Stage] = []
    for part, epochs in schedules.phases(recipe, before):
        first = stages[-1].stop if stages else 0
        if stages and stages[-1].recipe is recipe:
            polish = Stage(part, first, first + epochs, work.whole, polish=recipe.polish)
            return [*stages, polish]
        is_own = part is recipe
        lowered = (objective if is_own else objective_before) or work.whole
        stages.append(Stage(part, first, first + epochs, lowered, is_own))
    return stages


def train_epoch(work: Work, stage: Stage, plain: Gradients, run: Unfinished) -> Tensor:
    """Train all seeds one epoch more; return the sum of its batches' losses, shape (seeds,).

    Parameters
    ----------
    work, stage
        What is trained, and how.
    plain
        Gradients of what the stage lowers.
    run
        The training; changed in place, but for the count of its epochs.
    """
    part, own = stage.recipe, run.epoch - stage.first
    num_examples = stage.lowered.targets.shape[1]
    batch_size = schedules.batch_size(part, own, num_examples)
    starts = range(0, num_examples, batch_size)
    first_step = schedules.steps_before(part, own, num_examples)
    num_steps = schedules.steps_before(part, part.own_epochs, num_examples)
    # Whether a step's loss is the whole training loss.
    is_plain = len(starts) == 1 and part.augmentation is None and stage.lowered is work.whole
    gradients, seen = plain, stage.lowered
    if part.augmentation is not None:
        changed = augmented(part.augmentation, seen.inputs, work.seeds, run.epoch, work.black)
        seen = replace(seen, inputs=changed)
        gradients = work.gradients(part, seen)
    order = None
    if len(starts) > 1:
        order = batch_order(work.seeds, run.epoch, num_examples).to(run.theta.device)
    if part.stop_at_loss is not None and not is_plain:
        examples = work.whole.inputs, work.whole.targets
        whole = evaluate(work.network, part.loss, run.theta, *examples)[0]
        run.active = run.active & (whole >= part.stop_at_loss)
    total = torch.zeros(len(run.theta), dtype=torch.float64, device=run.theta.device)
    for index, start in enumerate(starts):
        chosen = None if order is None else order[:, start : start + batch_size]
        here = gradients(run.theta, chosen)
        value = here[1]
        run.is_finite = run.is_finite & (~run.active | torch.isfinite(value))
        run.active = run.active & run.is_finite
        if part.stop_at_loss is not None and is_plain:
            run.active = run.active & (value >= part.stop_at_loss)
        step = first_step + index
        rate = schedules.learning_rate(part, step, num_steps)
        run.move(_moved(work, part, run, here, gradients, seen, chosen, step, rate))
        total += value.double() * min(batch_size, num_examples - start)
    return total


def _moved(
    work: Work,
    part: Recipe,
    run: Unfinished,
    here: tuple[Tensor, Tensor],
    gradients: Gradients,
    seen: Objective,
    chosen: Tensor | None,
    step: int,
    rate: float,
) -> Tensor:
    """Return the parameters after one step by a recipe, shape (seeds, n).

    Parameters
    ----------
    work, part, run
        What is trained, by which recipe, and where it is; the optimizer's memory changes.
    here
        Gradients and losses of the batch.
    gradients, seen, chosen
        What gives them, all examples of the epoch, and which of these are the batch, None for all.
    step, rate
        Number of the step, and its learning rate.
    """
    if part.optimizer == "lbfgs":
        return lbfgs.iterate(run.theta, here, run.state, rate, part.decay, gradients, run.active)
    gradient = here[0]
    if part.sam is not None:
        gradient, _ = gradients(ascended(run.theta, gradient, part.sam), chosen)
    if part.proximity is not None:
        rows = torch.arange(len(run.theta), device=run.theta.device).unsqueeze(1)
        batch = seen.inputs if chosen is None else seen.inputs[rows, chosen]
        gradient = direction(work.network, run.theta, gradient, batch, part.proximity)
    moved = optimizers.update(part, run.theta, gradient, run.state, step, rate)
    return moved if part.weight_norm is None else optimizers.on_sphere(moved, part.weight_norm)


def batch_order(seeds: tuple[int, ...], epoch: int, num_examples: int) -> Tensor:
    """Return each seed's order of examples in one epoch, int64, shape (seeds, examples)."""
    orders = [streams.permutation("batches", seed, epoch, size=num_examples) for seed in seeds]
    return torch.from_numpy(np.stack(orders))
