"""Losses of one example: what is trained on, and what a landscape is the mean of.

All are non-negative, which is what makes exact early exit possible along a ray.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

LossFunction = Callable[[Tensor, Tensor], Tensor]


def cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return -ln p(target) under the softmax of `outputs`, in nats.

    Parameters
    ----------
    outputs
        Logits, shape (examples, classes).
    targets
        Class indices, shape (examples,).
    """
    return functional.cross_entropy(outputs, targets, reduction="none")


def binary_cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return -ln p(target) under the logistic function of one output, in nats.

    Parameters
    ----------
    outputs
        Logits of class 1, shape (examples, 1).
    targets
        Class indices 0 or 1, shape (examples,).
    """
    logits = outputs.squeeze(-1)
    return functional.binary_cross_entropy_with_logits(
        logits, targets.to(logits.dtype), reduction="none"
    )


def squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the squared distance to the one-hot target, averaged over outputs.

    Parameters
    ----------
    outputs
        Shape (examples, classes).
    targets
        Class indices, shape (examples,).
    """
    classes = torch.arange(outputs.shape[-1], device=outputs.device)
    one_hot = (targets.unsqueeze(-1) == classes).to(outputs.dtype)
    return (outputs - one_hot).square().mean(-1)


def reversed_cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return -ln(1 - p(target)) under the softmax of `outputs`, in nats.

    The loss of poison examples (Huang et al. 2020, arXiv 1906.03291). From logits,
    1 - p is a logistic function of how far all others are above the target, so nothing cancels.

    Parameters
    ----------
    outputs
        Logits, shape (examples, classes).
    targets
        The classes that examples are not to be put into, shape (examples,).
    """
    own = outputs.gather(-1, targets.unsqueeze(-1))
    is_own = torch.zeros_like(outputs, dtype=torch.bool).scatter(-1, targets.unsqueeze(-1), True)
    others = outputs.masked_fill(is_own, -torch.inf).logsumexp(-1, keepdim=True)
    return functional.softplus(own - others).squeeze(-1)


def reversed_binary_cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return -ln(1 - p(target)) under the logistic function of one output: the other's loss."""
    return binary_cross_entropy(outputs, 1 - targets)


LOSSES: dict[str, LossFunction] = {
    "cross_entropy": cross_entropy,
    "binary_cross_entropy": binary_cross_entropy,
    "squared_error": squared_error,
}


# Of losses that are the logarithm of a probability.
REVERSED: dict[str, LossFunction] = {
    "cross_entropy": reversed_cross_entropy,
    "binary_cross_entropy": reversed_binary_cross_entropy,
}


def per_example_loss(kind: str) -> LossFunction:
    """Return the loss called `kind`; ValueError naming the known ones otherwise.

    Examples
    --------
    >>> per_example_loss("squared_error")(torch.tensor([[1.0, 0.0]]), torch.tensor([1]))
    tensor([1.])
    """
    if kind not in LOSSES:
        raise ValueError(f"loss: {kind!r} is not known; allowed are {', '.join(LOSSES)}")
    return LOSSES[kind]


def num_outputs(kind: str, num_classes: int) -> int:
    """Return how many outputs a network needs to be trained with this loss."""
    return 1 if kind == "binary_cross_entropy" else num_classes


def is_correct(kind: str, outputs: Tensor, targets: Tensor) -> Tensor:
    """Tell for each example whether the predicted class is the target, bool, shape (examples,)."""
    if kind == "binary_cross_entropy":
        return (outputs.squeeze(-1) > 0) == (targets == 1)
    return outputs.argmax(-1) == targets
