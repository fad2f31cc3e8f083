"""Polishing: full-batch L-BFGS on the plain mean loss, until its gradient is as short as asked.

In double precision, because a line search compares losses: rounded to single precision they stop
differing where the gradient is still about ``sqrt(2 * 6e-8 * curvature * loss)``. What is left is
the rounding of the parameters, which are kept in single precision.
"""

import torch
from torch import Tensor

from basins.study.recipe_keys import Polish, Recipe
from basins.training import lbfgs
from basins.training.gradients import Gradients
from basins.training.objective import Objective
from basins.training.stages import Work
from basins.training.unfinished import Unfinished


def double_gradients(work: Work, recipe: Recipe) -> Gradients:
    """Return the gradients of the mean loss of each seed's own subset, in double precision."""
    inputs, targets = work.whole.inputs, work.whole.targets
    work.network.to(inputs.device, torch.float64)
    # Numbers of tokens stay what they are.
    inputs = inputs.double() if inputs.is_floating_point() else inputs
    return work.gradients(recipe, Objective(inputs, targets))


def polish_once(run: Unfinished, polish: Polish, gradients: Gradients) -> None:
    """Do one iteration of all seeds that are not there yet; `run` is changed in place.

    Parameters
    ----------
    run
        The training, with parameters in double precision and a memory of L-BFGS.
    polish
        What it is to reach.
    gradients
        From `double_gradients`.
    """
    here = gradients(run.theta, None)
    run.is_finite = run.is_finite & (~run.active | torch.isfinite(here[1]))
    is_near = here[0].norm(dim=1) < polish.gradient_norm
    if bool((run.active & is_near).any()):
        is_near = is_near & is_polished(run.theta, polish, gradients)
    run.active = run.active & run.is_finite & ~is_near
    run.move(lbfgs.iterate(run.theta, here, run.state, 1.0, 0.0, gradients, run.active))
    # Where no step lowers the loss none ever will.
    run.active = run.active & ~run.state["is_stuck"]


def is_polished(theta: Tensor, polish: Polish, gradients: Gradients) -> Tensor:
    """Tell whose gradients are as short as asked at the parameters as they are kept, (seeds,)."""
    slopes, _ = gradients(theta.float().double(), None)
    is_short: Tensor = slopes.norm(dim=1) < polish.gradient_norm
    return is_short
