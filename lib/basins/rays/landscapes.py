"""All landscapes in one pass: sums of per-example losses over nested prefixes."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from basins.losses import LossFunction, per_example_loss
from basins.models.passes import chunks

SHORTEST = 16  # examples of a run, if there are as many; fewer take longer each


@dataclass(frozen=True)
class Landscapes:
    """The examples that define every landscape of a minimum.

    Attributes
    ----------
    inputs, targets
        The examples of the largest landscape, shapes (N, *input_shape) and (N,).
    sizes
        Increasing; landscape k is the mean loss of the first ``sizes[k]`` examples.
    loss
        Loss of one example: a name of `basins.losses`, or a function of outputs and targets.
    """

    inputs: Tensor
    targets: Tensor
    sizes: tuple[int, ...]
    loss: str | LossFunction

    @property
    def loss_function(self) -> LossFunction:
        """The loss of one example as a function."""
        return per_example_loss(self.loss) if isinstance(self.loss, str) else self.loss

    @property
    def is_of_classes(self) -> bool:
        """Whether targets are classes and the loss a named one, for examples in any number."""
        return isinstance(self.loss, str) and self.targets.ndim == 1

    def to(self, device: torch.device, dtype: torch.dtype) -> "Landscapes":
        """Return the same landscapes on a device, inputs in a precision."""
        inputs = self.inputs.to(device=device)
        if inputs.is_floating_point():
            inputs = inputs.to(dtype)
        return Landscapes(inputs, self.targets.to(device=device), self.sizes, self.loss)


def growing_chunks(num_examples: int, chunk: int) -> Iterator[slice]:
    """Cut as `chunks` does, but into short runs at first, after which many points are settled."""
    start, size = 0, max(min(chunk, SHORTEST), chunk // 16)
    while start < num_examples:
        yield slice(start, min(start + size, num_examples))
        start, size = start + size, min(4 * size, chunk)


def prefix_means(
    chunk_losses: Callable[[slice, Tensor | None], Tensor],
    sizes: tuple[int, ...],
    chunk: int,
    most: Tensor | None = None,
) -> Tensor:
    """Return the mean loss of each landscape from one pass over the largest.

    Parameters
    ----------
    chunk_losses
        Gives the losses of a run of examples, float64, shape (B, examples), or only those of some
        points by index.
    sizes
        Increasing landscape sizes, M of them.
    chunk
        Most examples of one run.
    most
        Summed losses, shape (B,), above which a point is given up: its later examples are not
        asked for. Losses are not negative, so no larger landscape's sum can be below what it has.

    Returns
    -------
    Tensor
        Float64, shape (B, M). Of a point that was given up, too low in the landscapes that were
        not finished, but above `most` as a sum.
    """
    edges = np.array([0, *sizes])
    sums: Tensor | None = None
    kept: Tensor | None = None
    for part in growing_chunks(sizes[-1], chunk) if most is not None else chunks(sizes[-1], chunk):
        losses = chunk_losses(part, kept)
        if sums is None:
            sums = losses.new_zeros(len(losses), len(sizes))
        for k, (low, high) in enumerate(itertools.pairwise(edges)):
            first, last = max(low, part.start), min(high, part.stop)
            if first < last:
                added = losses[:, first - part.start : last - part.start].sum(1)
                if kept is None:
                    sums[:, k] += added
                else:
                    sums[kept, k] += added
        if most is not None and part.stop < sizes[-1]:
            # Written so that a sum that is no number goes on, as it would without a limit.
            wanted = (~(sums.sum(1) > most)).nonzero()[:, 0]
            if not len(wanted):
                break
            kept = wanted if len(wanted) < len(sums) else None
    assert sums is not None
    # Sent without waiting for what runs on a GPU.
    counts = torch.tensor(sizes, dtype=torch.float64).to(sums.device, non_blocking=True)
    return sums.cumsum(1) / counts
