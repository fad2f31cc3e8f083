"""Gradients of every seed's own loss: compiled where the network is understood, else by torch."""

import functools
import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor
from torch.func import grad_and_value

from basins.losses import REVERSED, per_example_loss
from basins.models.functional import Network, is_batched, over_rows
from basins.models.mlp import layer_widths
from basins.models.mlp_gradients import gradient_room, sum_gradient
from basins.models.mlp_kernels import KINDS, Numbers, Problem, block_edges, blocked
from basins.models.passes import examples_together
from basins.threads import share_out
from basins.training.objective import Objective

# (parameters (seeds, n), examples of each seed's batch (seeds, batch) or None for all) ->
# gradients (seeds, n) and mean losses (seeds,)
Gradients = Callable[[Tensor, Tensor | None], tuple[Tensor, Tensor]]
# (network, loss, inputs, targets) -> these, see `gradients_of`
FindGradients = Callable[[Network, str, Tensor, Tensor], Gradients]


def gradients_of(network: Network, loss: str, inputs: Tensor, targets: Tensor) -> Gradients:
    """Return what gives the gradients of all seeds' mean losses over a batch of their examples.

    Parameters
    ----------
    network, loss
        The architecture, and the loss of one example.
    inputs, targets
        Each seed's own examples, shapes (seeds, m, *input_shape) and (seeds, m).
    """
    widths = layer_widths(network.module)
    if widths is None or inputs.device.type != "cpu" or not inputs.is_floating_point():
        return torch_gradients(network, loss, inputs, targets)
    return compiled_gradients(widths, loss, inputs, targets)


def torch_gradients(network: Network, loss: str, inputs: Tensor, targets: Tensor) -> Gradients:
    """Return what `gradients_of` does for any network on any device.

    All seeds in one batch if that pays, and as many examples at once as memory has room for.
    """
    of_example = per_example_loss(loss)

    def batch_loss(theta: Tensor, inputs: Tensor, targets: Tensor) -> Tensor:
        return of_example(network.apply(theta, inputs), targets).mean()

    return _of_batches(network, batch_loss, inputs, targets)


def _of_batches(
    network: Network, batch_loss: Callable[..., Tensor], *examples: Tensor
) -> Gradients:
    """Return the gradients of a batch's mean loss, of one seed's parameters and examples.

    Parameters
    ----------
    network
        The architecture.
    batch_loss
        (parameters (n,), examples) -> their mean loss.
    examples
        Each seed's own, inputs first, shapes (seeds, m, ...).
    """
    device = examples[0].device
    of_all = over_rows(
        grad_and_value(batch_loss), (0,) * (1 + len(examples)), is_batched(network.module, device)
    )
    rows = torch.arange(len(examples[0]), device=device).unsqueeze(1)

    @functools.cache
    def most(dtype: torch.dtype, num_seeds: int) -> int:
        like = torch.zeros(num_seeds, network.num_parameters, dtype=dtype, device=device)
        return examples_together(network, like, examples[0][0], with_gradient=True)

    def gradients(theta: Tensor, chosen: Tensor | None) -> tuple[Tensor, Tensor]:
        def of_run(run: slice) -> tuple[Tensor, Tensor]:
            if chosen is None:
                found, losses = of_all(theta, *(one[:, run] for one in examples))
            else:
                found, losses = of_all(theta, *(one[rows, chosen[:, run]] for one in examples))
            return found, losses

        count = examples[0].shape[1] if chosen is None else chosen.shape[1]
        num_runs = math.ceil(count / most(theta.dtype, len(theta)))
        if num_runs == 1:
            return of_run(slice(count))
        total = torch.zeros_like(theta, dtype=torch.float64)
        losses = total.new_zeros(len(theta))
        # Of one length, or nearly: a short one at the end would be for nothing.
        edges = [count * index // num_runs for index in range(num_runs + 1)]
        for start, stop in itertools.pairwise(edges):
            slopes, means = of_run(slice(start, stop))
            share = (stop - start) / count
            total.add_(slopes, alpha=share)
            losses.add_(means, alpha=share)
        return total.to(theta.dtype), losses

    return gradients


def weighted_gradients(network: Network, loss: str, objective: Objective) -> Gradients:
    """Return the gradients of every seed's weighted objective, by torch, and its values."""
    of_example = per_example_loss(loss)
    shape, device = objective.targets.shape, objective.targets.device
    weights, is_reversed = objective.weights, objective.is_reversed
    if weights is None:
        weights = torch.ones(shape, device=device)
    if is_reversed is None:
        is_reversed = torch.zeros(shape, dtype=torch.bool, device=device)

    def batch_loss(
        theta: Tensor, inputs: Tensor, targets: Tensor, weights: Tensor, is_reversed: Tensor
    ) -> Tensor:
        outputs = network.apply(theta, inputs)
        losses = of_example(outputs, targets)
        if objective.is_reversed is not None:
            losses = torch.where(is_reversed, REVERSED[loss](outputs, targets), losses)
        return (weights * losses).mean()

    examples = objective.inputs, objective.targets, weights, is_reversed
    return _of_batches(network, batch_loss, *examples)


def compiled_gradients(widths: list[int], loss: str, inputs: Tensor, targets: Tensor) -> Gradients:
    """Return what `gradients_of` does for fully connected networks on a CPU.

    A seed is one thread's, and its numbers are the same with any other seeds beside it. Products
    and sums over 128 examples are in the inputs' precision, sums of these in float64.
    """
    features = np.ascontiguousarray(inputs.flatten(2).numpy())
    labels = targets.numpy().astype(np.int32)
    num_seeds, num_examples = labels.shape
    whole = block_edges(num_examples)

    @functools.cache
    def all_inputs() -> NDArray[Any]:
        result = np.empty((num_seeds, num_examples * widths[0]), features.dtype)
        for to, one in zip(result, features, strict=True):
            to[:] = blocked(one, whole)
        return result

    def gradients(theta: Tensor, chosen: Tensor | None) -> tuple[Tensor, Tensor]:
        if chosen is None:
            edges, packed, drawn = whole, all_inputs(), labels
        else:
            edges = block_edges(chosen.shape[1])
            packed = np.empty((num_seeds, chosen.shape[1] * widths[0]), features.dtype)
            drawn = np.empty((num_seeds, chosen.shape[1]), labels.dtype)
        problem = Problem(np.array(widths), packed[0], drawn[0], edges, edges[-1:], KINDS[loss])
        points = np.ascontiguousarray(theta.numpy())
        result, losses = np.empty_like(points), np.empty(num_seeds)

        def work(rows: slice) -> None:
            theirs = packed[rows], drawn[rows]
            if chosen is not None:
                draw(features[rows], labels[rows], chosen[rows].numpy(), edges, *theirs)
            put_gradients(points[rows], problem, *theirs, result[rows], losses[rows])

        share_out(work, num_seeds, 3 * points.size * int(edges[-1]))
        return torch.from_numpy(result), torch.from_numpy(losses)

    return gradients


@njit(cache=True, nogil=True)
def draw(
    features: Numbers,
    labels: Numbers,
    chosen: Numbers,
    edges: Numbers,
    packed: Numbers,
    drawn: Numbers,
) -> None:
    """Put the chosen examples of every seed into `packed` and `drawn`, as a `Problem` holds them.

    Parameters
    ----------
    features, labels
        All examples of every seed, shapes (seeds, m, features) and (seeds, m).
    chosen
        Which of them, shape (seeds, batch).
    edges
        Of the batch's blocks.
    packed, drawn
        Shapes (seeds, batch * features) and (seeds, batch).
    """
    num_features = features.shape[2]
    for seed in range(len(chosen)):
        for block in range(len(edges) - 1):
            begin, end = edges[block], edges[block + 1]
            to = packed[seed, num_features * begin : num_features * end]
            for e in range(end - begin):
                example = chosen[seed, begin + e]
                drawn[seed, begin + e] = labels[seed, example]
                for feature in range(num_features):
                    to[feature * (end - begin) + e] = features[seed, example, feature]


@njit(cache=True, nogil=True)
def put_gradients(
    points: Numbers,
    problem: Problem,
    packed: Numbers,
    drawn: Numbers,
    gradients: Numbers,
    losses: Numbers,
) -> None:
    """Put the gradient of each seed's mean loss into `gradients`, and the loss into `losses`.

    Parameters
    ----------
    points
        Shape (seeds, n).
    problem
        Of one seed; the others have its architecture and its blocks.
    packed, drawn
        Every seed's inputs and targets, see `draw`.
    gradients, losses
        Shapes (seeds, n) and (seeds,).
    """
    room = gradient_room(problem, points[0])
    total = np.empty(points.shape[1])
    count = problem.edges[-1]
    for seed in range(len(points)):
        own = Problem(
            problem.widths, packed[seed], drawn[seed], problem.edges, problem.sizes, problem.kind
        )
        total[:] = 0
        losses[seed] = sum_gradient(points[seed], own, total, room, True) / count
        for i in range(len(total)):
            gradients[seed, i] = total[i] / count
