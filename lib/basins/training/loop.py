"""The training loop: all seeds of a job in one batched step, top to bottom."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import grad

from basins import streams
from basins.losses import LossFunction, is_correct, per_example_loss
from basins.models.functional import Network, is_batched, over_rows
from basins.study.recipe_keys import Recipe
from basins.study.recipes import kept_epochs
from basins.training import checkpoint, lbfgs, optimizers, schedules
from basins.training.augmentation import augmented
from basins.training.foret2021sam import ascended
from basins.training.frerix2018proxprop import direction
from basins.training.gradients import Gradients, gradients_of, weighted_gradients
from basins.training.objective import Objective

NUM_RECORDED = 200  # points of a training curve
CHUNK = 8192  # examples of one forward pass while evaluating


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
    advance: Callable[[int], None] = lambda _: None,
    find_gradients: Callable[[Network, str, Tensor, Tensor], Gradients] = gradients_of,
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
    whole_subset = Objective(inputs, targets)
    num_seeds = len(targets)
    parts = schedules.phases(recipe, before)
    warm_epochs, num_epochs = parts[0][1] if len(parts) > 1 else 0, sum(n for _, n in parts)
    recorded, kept = recorded_epochs(num_epochs), kept_epochs(recipe)
    rows = torch.arange(num_seeds, device=theta.device).unsqueeze(1)

    state = optimizers.initial_state(parts[0][0], theta)
    active = torch.ones(num_seeds, dtype=torch.bool, device=theta.device)
    is_finite = active.clone()
    epochs = torch.zeros(num_seeds, dtype=torch.int32, device=theta.device)
    history: list[Tensor] = []
    path: list[Tensor] = []
    first_epoch = 0
    resumed = checkpoint.load(saved, fingerprint) if saved else None
    if resumed is not None:
        theta, active, is_finite, epochs = (
            resumed[name].to(theta.device) for name in ("theta", "active", "is_finite", "epochs")
        )
        state = {name: tensor.to(theta.device) for name, tensor in resumed["state"].items()}
        history, path = list(resumed["history"]), list(resumed["path"])
        first_epoch = resumed["epoch"]
        advance(first_epoch)

    lowered, plain, last_save = whole_subset, None, time.monotonic()
    for epoch in range(first_epoch, num_epochs):
        if epoch == warm_epochs > 0:
            # Seeds that the first recipe stopped go on, with a fresh optimizer.
            active, state = is_finite.clone(), optimizers.initial_state(recipe, theta)
        if epoch in kept:
            path.append(theta.cpu().clone())
        # Asked here and not after the step, so that a resume of a finished training adds nothing.
        if epoch >= warm_epochs and not active.any():
            break
        part, own_epoch = parts[0][0], epoch
        if epoch >= warm_epochs:
            part, own_epoch = recipe, epoch - warm_epochs
        if plain is None or epoch == warm_epochs:
            lowered = (objective if part is recipe else objective_before) or whole_subset
            plain = _gradients(find_gradients, network, part, lowered)
        num_examples = lowered.targets.shape[1]
        batch_size = schedules.batch_size(part, own_epoch, num_examples)
        starts = range(0, num_examples, batch_size)
        first_step = schedules.steps_before(part, own_epoch, num_examples)
        num_steps = schedules.steps_before(part, part.epochs, num_examples)
        # Whether a step's loss is the whole training loss.
        is_plain = len(starts) == 1 and part.augmentation is None and lowered is whole_subset
        # Set first, so that the last epoch's augmented examples are let go of.
        gradients, seen = plain, lowered
        if part.augmentation is not None:
            changed = augmented(part.augmentation, lowered.inputs, seeds, epoch, black)
            seen = replace(lowered, inputs=changed)
            gradients = _gradients(find_gradients, network, part, seen)
            del changed
        order = (
            batch_order(seeds, epoch, num_examples).to(theta.device) if len(starts) > 1 else None
        )
        total = torch.zeros(num_seeds, dtype=torch.float64, device=theta.device)
        if part.stop_at_loss is not None and not is_plain:
            whole = evaluate(network, part.loss, theta, inputs, targets)[0]
            active = active & (whole >= part.stop_at_loss)
        for index, start in enumerate(starts):
            chosen = None if order is None else order[:, start : start + batch_size]
            gradient, value = gradients(theta, chosen)
            is_finite = is_finite & (~active | torch.isfinite(value))
            active = active & is_finite
            if part.stop_at_loss is not None and is_plain:
                active = active & (value >= part.stop_at_loss)
            step = first_step + index
            rate = schedules.learning_rate(part, step, num_steps)
            if part.optimizer == "lbfgs":
                here = gradient, value
                moved = lbfgs.iterate(theta, here, state, rate, part.decay, gradients, active)
            else:
                if part.sam is not None:
                    gradient, _ = gradients(ascended(theta, gradient, part.sam), chosen)
                if part.proximity is not None:
                    batch = seen.inputs if chosen is None else seen.inputs[rows, chosen]
                    gradient = direction(network, theta, gradient, batch, part.proximity)
                moved = optimizers.update(part, theta, gradient, state, step, rate)
            # A GPU would have to be waited for to know.
            is_whole = theta.device.type == "cpu" and bool(active.all())
            theta = moved if is_whole else torch.where(active.unsqueeze(1), moved, theta)
            total += value.double() * min(batch_size, num_examples - start)
        epochs += active.int()
        if epoch in recorded:
            history.append(total.cpu() / num_examples)
        advance(1)
        if saved and time.monotonic() - last_save >= save_seconds:
            progress: dict[str, Any] = {
                "theta": theta.cpu(),
                "active": active.cpu(),
                "is_finite": is_finite.cpu(),
                "epochs": epochs.cpu(),
                "state": {name: tensor.cpu() for name, tensor in state.items()},
                "history": history,
                "path": path,
                "epoch": epoch + 1,
            }
            checkpoint.save(saved, fingerprint, progress)
            last_save = time.monotonic()

    ends = ends_of(network, recipe.loss, theta, inputs, targets, test_inputs, test_targets)
    path += [theta.cpu()] * (len(kept) - len(path))
    points = torch.stack(path, dim=1) if path else theta.cpu()[:, None][:, :0]
    curve = torch.stack(history, dim=1).numpy()
    is_higher = ends["train_loss"] > curve[:, 0] * (1 + 1e-6)
    # The curve of a misled training is of another loss.
    ends_higher = is_higher & (objective is None) & (objective_before is None)
    return Minima(
        parameters=theta.cpu().numpy().astype(np.float32),
        **ends,
        epochs=epochs.cpu().numpy(),
        is_diverged=~is_finite.cpu().numpy() | ~np.isfinite(ends["train_loss"]) | ends_higher,
        history_epoch=np.array(sorted(recorded)[: curve.shape[1]], dtype=np.int32),
        history_train_loss=curve,
        path=points.numpy().astype(np.float32),
        path_epochs=np.array(kept, dtype=np.int32),
    )


def _gradients(
    find_gradients: Callable[[Network, str, Tensor, Tensor], Gradients],
    network: Network,
    recipe: Recipe,
    objective: Objective,
) -> Gradients:
    """Return the gradients of an objective, compiled where it is a mean of ordinary losses."""
    if objective.is_weighted:
        return weighted_gradients(network, recipe.loss, objective)
    return find_gradients(network, recipe.loss, objective.inputs, objective.targets)


def ends_of(
    network: Network,
    loss_kind: str,
    theta: Tensor,
    inputs: Tensor,
    targets: Tensor,
    test_inputs: Tensor,
    test_targets: Tensor,
) -> dict[str, NDArray[np.float64]]:
    """Return losses, accuracies and norms of `Minima` at parameters; arguments as of `train`."""
    train_loss, train_accuracy = evaluate(network, loss_kind, theta, inputs, targets)
    shared = (len(theta),) + (-1,) * test_inputs.ndim
    test_loss, test_accuracy = evaluate(
        network, loss_kind, theta, test_inputs.expand(*shared), test_targets.expand(len(theta), -1)
    )
    gradient_norm = _gradient_norm(network, per_example_loss(loss_kind), theta, inputs, targets)
    found = {
        "train_loss": train_loss,
        "test_loss": test_loss,
        "train_accuracy": train_accuracy,
        "test_accuracy": test_accuracy,
        "gradient_norm": gradient_norm,
        "weight_norm": theta.double().norm(dim=1),
    }
    return {name: values.cpu().numpy() for name, values in found.items()}


def batch_order(seeds: tuple[int, ...], epoch: int, num_examples: int) -> Tensor:
    """Return each seed's order of examples in one epoch, int64, shape (seeds, examples)."""
    orders = [streams.permutation("batches", seed, epoch, size=num_examples) for seed in seeds]
    return torch.from_numpy(np.stack(orders))


def recorded_epochs(epochs: int) -> set[int]:
    """Return which epochs a training curve keeps: at most 200, evenly spread, both ends."""
    return set(np.unique(np.linspace(0, epochs - 1, min(epochs, NUM_RECORDED)).round().astype(int)))


def evaluate(
    network: Network, loss_kind: str, theta: Tensor, inputs: Tensor, targets: Tensor
) -> tuple[Tensor, Tensor]:
    """Return mean loss and accuracy of each seed, float64, shape (seeds,) each.

    Parameters
    ----------
    network, loss_kind
        The architecture, and the loss of one example.
    theta
        Shape (seeds, n).
    inputs, targets
        Shapes (seeds, examples, *input_shape) and (seeds, examples).
    """
    loss = per_example_loss(loss_kind)

    def chunk_sums(theta: Tensor, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        outputs = network.apply(theta, inputs)
        correct = is_correct(loss_kind, outputs, targets)
        return loss(outputs, targets).double().sum(), correct.double().sum()

    sums = over_rows(chunk_sums, (0, 0, 0), is_batched(network.module, theta.device))
    totals = torch.zeros(2, len(theta), dtype=torch.float64, device=theta.device)
    with torch.no_grad():
        for start in range(0, targets.shape[1], CHUNK):
            part = slice(start, start + CHUNK)
            totals += torch.stack(sums(theta, inputs[:, part], targets[:, part]))
    mean = totals / targets.shape[1]
    return mean[0], mean[1]


def _gradient_norm(
    network: Network, loss: LossFunction, theta: Tensor, inputs: Tensor, targets: Tensor
) -> Tensor:
    def chunk_loss(theta: Tensor, inputs: Tensor, targets: Tensor) -> Tensor:
        return loss(network.apply(theta, inputs), targets).sum()

    gradients = over_rows(grad(chunk_loss), (0, 0, 0), is_batched(network.module, theta.device))
    total = torch.zeros_like(theta, dtype=torch.float64)
    for start in range(0, targets.shape[1], CHUNK):
        part = slice(start, start + CHUNK)
        total += gradients(theta, inputs[:, part], targets[:, part])
    norm: Tensor = (total / targets.shape[1]).norm(dim=1)
    return norm
