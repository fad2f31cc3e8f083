"""All landscapes in one pass: sums of per-example losses over nested prefixes."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from basins.losses import LossFunction, per_example_loss


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

    def to(self, device: torch.device, dtype: torch.dtype) -> "Landscapes":
        """Return the same landscapes on a device, inputs in a precision."""
        inputs = self.inputs.to(device=device)
        if inputs.is_floating_point():
            inputs = inputs.to(dtype)
        return Landscapes(inputs, self.targets.to(device=device), self.sizes, self.loss)


def chunks(num_examples: int, chunk: int) -> Iterator[slice]:
    """Cut the first `num_examples` examples into runs of at most `chunk`."""
    for start in range(0, num_examples, chunk):
        yield slice(start, min(start + chunk, num_examples))


def prefix_means(
    chunk_losses: Callable[[slice], Tensor], sizes: tuple[int, ...], chunk: int
) -> Tensor:
    """Return the mean loss of each landscape from one pass over the largest.

    Parameters
    ----------
    chunk_losses
        Gives the losses of a run of examples, float64, shape (B, examples).
    sizes
        Increasing landscape sizes, M of them.
    chunk
        Most examples of one run.

    Returns
    -------
    Tensor
        Float64, shape (B, M).
    """
    edges = np.array([0, *sizes])
    sums: list[Tensor | float] = [0.0] * len(sizes)
    for part in chunks(sizes[-1], chunk):
        losses = chunk_losses(part)
        for k, (low, high) in enumerate(itertools.pairwise(edges)):
            first, last = max(low, part.start), min(high, part.stop)
            if first < last:
                sums[k] = sums[k] + losses[:, first - part.start : last - part.start].sum(1)
    totals = torch.stack([torch.as_tensor(total) for total in sums], dim=1).cumsum(1)
    return totals / torch.tensor(sizes, dtype=torch.float64, device=totals.device)
