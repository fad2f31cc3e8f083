"""Margins of a classifier: by how much outputs favor the target, raw and over a norm of weights."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from basins.models.functional import Network
from basins.models.passes import chunks, examples_together

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class MarginSummary:
    """The distribution of margins, in the unit of the margins.

    Attributes
    ----------
    quantiles
        At `QUANTILES`, linear between examples.
    mean, smallest
        Over examples.
    """

    quantiles: tuple[float, ...]
    mean: float
    smallest: float


def margins(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the target's output minus the largest other one, shape (examples,).

    Positive where the classification is correct. The one output of a logistic network is the logit
    of class 1, that of class 0 being zero: its margin is the logit, negated for class 0. The margin
    of Bartlett, Foster, Telgarsky 2017 (arXiv 1706.08498, section 1).

    Parameters
    ----------
    outputs
        Shape (examples, classes), or (examples, 1) for a logistic network.
    targets
        Class indices, shape (examples,).

    Raises
    ------
    ValueError
        If the shapes do not fit, or a target is no class.

    Examples
    --------
    >>> margins(torch.tensor([[1.0, 4.0, 2.0], [1.0, 4.0, 2.0]]), torch.tensor([1, 2]))
    tensor([ 2., -2.])
    >>> margins(torch.tensor([[3.0], [3.0]]), torch.tensor([1, 0]))
    tensor([ 3., -3.])
    """
    if outputs.ndim != 2 or 0 in outputs.shape:
        raise ValueError(
            f"outputs: their shape must be (examples, classes), not {tuple(outputs.shape)}"
        )
    if targets.shape != outputs.shape[:1]:
        raise ValueError(
            f"targets: their shape must be ({len(outputs)},), not {tuple(targets.shape)}"
        )
    num_classes = max(2, outputs.shape[1])
    if targets.is_floating_point() or int(targets.min()) < 0 or int(targets.max()) >= num_classes:
        raise ValueError(f"targets: they must be whole numbers from 0 to {num_classes - 1}")
    if outputs.shape[1] == 1:
        return torch.where(targets == 1, outputs[:, 0], -outputs[:, 0])
    rows = targets.long().unsqueeze(1)
    others = outputs.scatter(1, rows, -torch.inf)
    return outputs.gather(1, rows)[:, 0] - others.amax(1)


def network_margins(
    network: Network,
    theta: Tensor,
    inputs: Tensor,
    targets: Tensor,
    chunk: int | None = None,
) -> Tensor:
    """Return the margins of examples, float64, shape (examples,), on the device of `theta`.

    Parameters
    ----------
    network
        The architecture; its buffers are moved to where `theta` is.
    theta
        Shape (n,); its device and precision are where and how passes run.
    inputs, targets
        Examples, shapes (examples, *input_shape) and (examples,).
    chunk
        Most examples of one pass; by default as many as `basins.device.pass_room` holds.

    Raises
    ------
    ValueError
        If shapes do not fit, a target is no class, or `chunk` is below 1.

    Examples
    --------
    >>> network = Network(torch.nn.Linear(1, 2, bias=False))
    >>> inputs, targets = torch.tensor([[1.0], [2.0]]), torch.tensor([0, 1])
    >>> network_margins(network, torch.tensor([3.0, 1.0]), inputs, targets)
    tensor([ 2., -4.], dtype=torch.float64)
    """
    if theta.shape != (network.num_parameters,):
        raise ValueError(
            f"theta: its shape must be ({network.num_parameters},), not {tuple(theta.shape)}"
        )
    if not len(inputs) or len(inputs) != len(targets):
        raise ValueError(
            f"inputs: there must be as many as targets, one at least, "
            f"not {len(inputs)} for {len(targets)}"
        )
    if chunk is not None and chunk < 1:
        raise ValueError(f"chunk: it must be at least 1, not {chunk}")
    network.to(theta.device, theta.dtype)

    def sent(run: slice) -> Tensor:
        given = inputs[run].to(theta.device)
        return given.to(theta.dtype) if given.is_floating_point() else given

    found = []
    chunk = chunk or examples_together(network, theta[None], sent(slice(1)))
    with torch.no_grad():
        for part in chunks(len(inputs), chunk):
            outputs = network.apply(theta, sent(part)).double()
            found.append(margins(outputs, targets[part].to(theta.device)))
    return torch.cat(found)


def normalized_margins(values: Tensor, log_complexity: float) -> Tensor:
    """Return margins over a norm of the weights, shape (examples,).

    Bartlett, Foster, Telgarsky 2017 (arXiv 1706.08498, section 1) divide by the spectral
    complexity, see `basins.flatness.norms.log_spectral_complexity`, and by |X|_2 / n of the n
    inputs X, which is one number for all minima on the same examples, and is left to the caller.
    The product of Frobenius norms, `basins.flatness.norms.log_frobenius_product`, is another
    choice. Either makes margins of a network without biases independent of the scale of its layers.

    Parameters
    ----------
    values
        Margins, shape (examples,).
    log_complexity
        Natural logarithm of what to divide by.

    Raises
    ------
    ValueError
        If `log_complexity` is not finite.

    Examples
    --------
    >>> normalized_margins(torch.tensor([2.0, -4.0]), np.log(2.0))
    tensor([ 1., -2.])
    """
    if not np.isfinite(log_complexity):
        raise ValueError(f"log_complexity: it must be finite, not {log_complexity}")
    # In logarithms, as the product of many norms may be no number.
    return values.sign() * (values.abs().log() - log_complexity).exp()


def summarize(values: Tensor) -> MarginSummary:
    """Return the distribution of margins.

    Parameters
    ----------
    values
        Margins, shape (examples,).

    Raises
    ------
    ValueError
        If there are none, or they have another shape.

    Examples
    --------
    >>> summarize(torch.tensor([-1.0, 0.0, 1.0, 2.0, 3.0])).quantiles
    (-0.8, 0.0, 1.0, 2.0, 2.8)
    """
    if values.ndim != 1 or not len(values):
        raise ValueError(f"values: their shape must be (examples,), not {tuple(values.shape)}")
    given = values.detach().double().cpu().numpy()
    quantiles = tuple(float(quantile) for quantile in np.quantile(given, QUANTILES))
    return MarginSummary(quantiles, float(given.mean()), float(given.min()))
