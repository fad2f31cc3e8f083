"""The training loop: all seeds of a job in one batched step, stage after stage."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from basins.models.functional import Network
from basins.study.recipe_keys import Recipe
from basins.study.recipes import kept_epochs
from basins.training import optimizers
from basins.training.ends import ends_of
from basins.training.gradients import FindGradients, gradients_of
from basins.training.objective import Objective
from basins.training.polish import double_gradients, is_polished, polish_once
from basins.training.stages import Stage, Work, stages_of, train_epoch
from basins.training.unfinished import Keeper, Unfinished, begun

NUM_RECORDED = 200  # points of a training curve

Advance = Callable[[int], None]


@dataclass(frozen=True)
class Minima:
    """Where training ended, one row a seed.

    Attributes
    ----------
    parameters
        Float32, shape (seeds, n).
    train_loss, test_loss, train_accuracy, test_accuracy
        Float64, shape (seeds,); float32 forward passes, sums in float64.
    gradient_norm
        Norm of the gradient of the whole training loss, without weight decay, shape (seeds,).
    weight_norm
        Euclidean norm of the parameters, shape (seeds,).
    epochs
        Epochs trained, int32, shape (seeds,); fewer where `stop_at_loss` was met, and those of a
        warm start among them.
    is_diverged
        The loss was not finite, or ended above where it started, shape (seeds,).
    is_unpolished
        A polish left the gradient longer than asked, shape (seeds,).
    path, path_epochs
        Parameters on the way and after how many epochs, float32, shapes (seeds, points, n) and
        (points,); a seed that stopped stays where it is.
    history_epoch, history_train_loss
        The mean loss of an epoch's batches, each before its update and of augmented examples where
        the recipe augments, shapes (points,) and (seeds, points).
    """

    parameters: NDArray[np.float32]
    train_loss: NDArray[np.float64]
    test_loss: NDArray[np.float64]
    train_accuracy: NDArray[np.float64]
    test_accuracy: NDArray[np.float64]
    gradient_norm: NDArray[np.float64]
    weight_norm: NDArray[np.float64]
    epochs: NDArray[np.int32]
    is_diverged: NDArray[np.bool_]
    is_unpolished: NDArray[np.bool_]
    history_epoch: NDArray[np.int32]
    history_train_loss: NDArray[np.float64]
    path: NDArray[np.float32]
    path_epochs: NDArray[np.int32]


def train(
    network: Network,
    recipe: Recipe,
    theta: Tensor,
    inputs: Tensor,
    targets: Tensor,
    test_inputs: Tensor,
    test_targets: Tensor,
    seeds: tuple[int, ...],
    *,
    before: Recipe | None = None,
    objective: Objective | None = None,
    objective_before: Objective | None = None,
    black: Tensor | None = None,
    saved: Path | None = None,
    fingerprint: str = "",
    save_seconds: float = 60.0,
    advance: Advance = lambda _: None,
    find_gradients: FindGradients = gradients_of,
) -> Minima:
    """Train all seeds of a job together.

    Parameters
    ----------
    network
        The architecture.
    recipe
        How to train.
    theta
        Initial parameters, float32, shape (seeds, n); its device is where training runs.
    inputs, targets
        Each seed's own training subset, shapes (seeds, m, *input_shape) and (seeds, m), whose loss
        stops a training and is recorded at its end.
    test_inputs, test_targets
        Shared by all seeds, shapes (tests, *input_shape) and (tests,).
    seeds
        The seeds, which key the order of mini-batches and what augmentation draws.
    before
        The recipe by which a warm start begins; its epochs come first.
    objective, objective_before
        What either recipe lowers, where it is not the mean loss of the training subset.
    black
        What an augmented image's frame is filled with, one number a channel; zeros if None.
    saved, fingerprint, save_seconds
        Where to keep an unfinished training, what it is a training of, how often to save it.
    advance
        Called with the number of epochs done since the last call.
    find_gradients
        Which of `basins.training.gradients` to train with.
    """
    work = Work(network, seeds, Objective(inputs, targets), black, find_gradients)
    stages = stages_of(work, recipe, before, objective, objective_before)
    num_epochs = max(stage.stop for stage in stages if stage.polish is None)
    recorded, kept = recorded_epochs(num_epochs), kept_epochs(recipe)
    keeper = Keeper(saved, fingerprint, save_seconds)
    run = keeper.resumed(theta.device)
    if run is None:
        first = stages[0].recipe
        held = (
            theta if first.weight_norm is None else optimizers.on_sphere(theta, first.weight_norm)
        )
        run = begun(first, held)
    else:
        advance(run.epoch)
    for stage in stages:
        if stage.polish is None:
            _train_stage(work, stage, run, recorded, kept, keeper, advance)
    run.end_path(len(kept))
    is_unpolished = np.zeros(len(seeds), dtype=np.bool_)
    if stages[-1].polish is not None:
        is_unpolished = _polish_stage(work, stages[-1], run, keeper, advance)

    theta = run.theta
    tests = test_inputs, test_targets
    ends = ends_of(network, recipe.loss, theta, inputs, targets, *tests, find_gradients)
    points = torch.stack(run.path, dim=1) if run.path else theta.cpu()[:, None][:, :0]
    curve = torch.stack(run.history, dim=1).numpy()
    is_higher = ends["train_loss"] > curve[:, 0] * (1 + 1e-6)
    # The curve of a misled training is of another loss.
    ends_higher = is_higher & (objective is None) & (objective_before is None)
    is_finite = run.is_finite.cpu().numpy()
    return Minima(
        parameters=theta.cpu().numpy().astype(np.float32),
        **ends,
        epochs=run.epochs.cpu().numpy(),
        is_diverged=~is_finite | ~np.isfinite(ends["train_loss"]) | ends_higher,
        is_unpolished=is_unpolished,
        history_epoch=np.array(sorted(recorded)[: curve.shape[1]], dtype=np.int32),
        history_train_loss=curve,
        path=points.numpy().astype(np.float32),
        path_epochs=np.array(kept, dtype=np.int32),
    )


def _train_stage(
    work: Work,
    stage: Stage,
    run: Unfinished,
    recorded: set[int],
    kept: list[int],
    keeper: Keeper,
    advance: Advance,
) -> None:
    """Train the epochs of a stage that are left; nothing where a resumed training is past it."""
    if run.epoch >= stage.stop:
        return
    if run.epoch == stage.first > 0:
        run.hand_over(stage.recipe)
    plain = work.gradients(stage.recipe, stage.lowered)
    while run.epoch < stage.stop:
        if run.epoch in kept:
            run.path.append(run.theta.cpu().clone())
        # Asked here and not after the step, so that a resume of a finished training adds nothing.
        if stage.is_own and not run.active.any():
            break
        total = train_epoch(work, stage, plain, run)
        run.epochs += run.active.int()
        if run.epoch in recorded:
            run.history.append(total.cpu() / stage.lowered.targets.shape[1])
        run.epoch += 1
        advance(1)
        keeper.keep(run)


def _polish_stage(
    work: Work, stage: Stage, run: Unfinished, keeper: Keeper, advance: Advance
) -> NDArray[np.bool_]:
    """Polish what is left to be, and return whose gradients stayed too long, shape (seeds,)."""
    assert stage.polish is not None
    device, gradients = run.theta.device, double_gradients(work, stage.recipe)
    if run.epoch <= stage.first:
        run.theta, run.epoch = run.theta.double(), stage.first
        run.hand_over(stage.recipe)
    while run.epoch < stage.stop and run.active.any():
        polish_once(run, stage.polish, gradients)
        run.epoch += 1
        advance(1)
        keeper.keep(run)
    is_above = ~is_polished(run.theta, stage.polish, gradients)
    run.theta = run.theta.float()
    work.network.to(device, torch.float32)
    return np.asarray(is_above.cpu().numpy())


def recorded_epochs(epochs: int) -> set[int]:
    """Return which epochs a training curve keeps: at most 200, evenly spread, both ends."""
    return set(np.unique(np.linspace(0, epochs - 1, min(epochs, NUM_RECORDED)).round().astype(int)))
