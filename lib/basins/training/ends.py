"""Losses, accuracies and norms of parameters: what is recorded of where a training ends."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from basins import device as devices
from basins.losses import is_correct, per_example_loss
from basins.models.functional import Network, is_batched, over_rows
from basins.models.passes import chunks, examples_together
from basins.training.gradients import FindGradients, gradients_of


def ends_of(
    network: Network,
    loss_kind: str,
    theta: Tensor,
    inputs: Tensor,
    targets: Tensor,
    test_inputs: Tensor,
    test_targets: Tensor,
    find_gradients: FindGradients = gradients_of,
) -> dict[str, NDArray[np.float64]]:
    """Return losses, accuracies and norms of `Minima` at parameters; arguments as of `train`."""
    train_loss, train_accuracy = evaluate(network, loss_kind, theta, inputs, targets)
    shared = (len(theta),) + (-1,) * test_inputs.ndim
    test_loss, test_accuracy = evaluate(
        network, loss_kind, theta, test_inputs.expand(*shared), test_targets.expand(len(theta), -1)
    )
    gradient = _gradient(network, loss_kind, theta, inputs, targets, find_gradients)
    found = {
        "train_loss": train_loss,
        "test_loss": test_loss,
        "train_accuracy": train_accuracy,
        "test_accuracy": test_accuracy,
        "gradient_norm": gradient.norm(dim=1),
        "weight_norm": theta.double().norm(dim=1),
    }
    return {name: values.cpu().numpy() for name, values in found.items()}


def _gradient(
    network: Network,
    loss_kind: str,
    theta: Tensor,
    inputs: Tensor,
    targets: Tensor,
    find_gradients: FindGradients,
) -> Tensor:
    """Return the gradients of all seeds' training losses, float64, shape (seeds, n).

    Compiled code holds its examples once more, so it gets as many as there is room for.
    """
    count = targets.shape[1]
    total = torch.zeros_like(theta, dtype=torch.float64)
    room = devices.pass_room(theta.device, with_gradient=True)
    for run in chunks(count, max(1, room // (2 * inputs[:, 0].nbytes))):
        find = find_gradients(network, loss_kind, inputs[:, run], targets[:, run])
        total.add_(find(theta, None)[0], alpha=(run.stop - run.start) / count)
    return total


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
    together = examples_together(network, theta, inputs[0])
    with torch.no_grad():
        for run in chunks(targets.shape[1], together):
            totals += torch.stack(sums(theta, inputs[:, run], targets[:, run]))
    mean = totals / targets.shape[1]
    return mean[0], mean[1]
