"""Accuracy under adversarial perturbations of the inputs, by FGSM and PGD.

Yao et al. 2018 (arXiv 1802.08241) relate it to the Hessian's spectrum. An epsilon bounds the change
of every number of an input, in the units that the network is given: of standardized inputs, in
standard deviations. No number is certain robustness: a stronger attack can only find less accuracy.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from basins import streams
from basins.losses import is_correct, per_example_loss
from basins.models.functional import Network
from basins.models.passes import chunks, examples_together

Array = NDArray[np.float64]
Bound = float | Tensor

STEPS = 20
REACH = 2.5  # epsilons that all steps of PGD are long: across the ball, with some to spare
ROUNDING = 1e-5  # by which inputs may be beyond bounds that were standardized with them


@dataclass(frozen=True)
class Examples:
    """What is attacked.

    Attributes
    ----------
    inputs, targets
        Floating-point, shape (examples, *input_shape), and class indices, shape (examples,).
    loss
        Name of the loss that attacks increase, one of `basins.losses`.
    low, high
        Bounds on perturbed inputs, in their units: numbers, or tensors that broadcast to one input,
        since black and white of standardized images differ from channel to channel.

    Raises
    ------
    ValueError
        If a loss is not known, shapes do not fit, or inputs are beyond a bound.
    """

    inputs: Tensor
    targets: Tensor
    loss: str
    low: Bound = -math.inf
    high: Bound = math.inf

    def __post_init__(self) -> None:
        per_example_loss(self.loss)
        if not self.inputs.is_floating_point():
            raise ValueError(f"inputs: they must be floating-point, not {self.inputs.dtype}")
        if not len(self.inputs) or self.targets.shape != self.inputs.shape[:1]:
            raise ValueError(
                f"targets: their shape must be (examples,) and that of inputs (examples, ...), "
                f"with one example at least, not {tuple(self.targets.shape)} and "
                f"{tuple(self.inputs.shape)}"
            )
        for name, bound, sign in (("low", self.low, -1), ("high", self.high, 1)):
            limit = torch.as_tensor(bound).to(self.inputs)
            try:
                limit.expand(self.inputs.shape[1:])
            except RuntimeError:
                raise ValueError(
                    f"{name}: it must be a number or broadcast to an input of shape "
                    f"{tuple(self.inputs.shape[1:])}, not have shape {tuple(limit.shape)}"
                ) from None
            beyond = float((sign * (self.inputs - limit)).max())
            if not beyond <= ROUNDING:
                raise ValueError(f"{name}: no input may be beyond it, but one is by {beyond:.3g}")


def fgsm_accuracy(
    network: Network,
    minima: Tensor,
    examples: Examples,
    epsilons: Sequence[float],
    chunk: int | None = None,
) -> Array:
    """Return the accuracy at inputs moved one step up the loss's gradient.

    x + epsilon sign(grad_x loss), the fast gradient sign method of Goodfellow, Shlens, Szegedy 2015
    (arXiv 1412.6572, section 4). The step can make a wrong example right, so the accuracy need not
    fall with epsilon; at 0 it is the accuracy on the examples themselves.

    Parameters
    ----------
    network
        The architecture; its buffers are moved to where `minima` are.
    minima
        Parameters of one network, shape (n,), or of k, shape (k, n); their device and precision are
        where and how passes run, one minimum after another. Where the loss of a confident example
        underflows, it has no gradient and is not attacked: in float32 from margins of about 100.
    examples
        What is attacked, and which loss and bounds it has.
    epsilons
        Largest change of any number of an input, at least 0.
    chunk
        Most examples of one pass; by default as many as `basins.device.pass_room` holds.

    Returns
    -------
    NDArray
        Float64, shape (epsilons,) or (k, epsilons).

    Raises
    ------
    ValueError
        If shapes do not fit, an epsilon is negative or not finite, or `chunk` is below 1.

    Examples
    --------
    >>> network = Network(torch.nn.Linear(1, 1))
    >>> inputs, targets = torch.tensor([[0.5], [2.0]]), torch.tensor([1, 1])
    >>> examples = Examples(inputs, targets, "binary_cross_entropy")
    >>> fgsm_accuracy(network, torch.tensor([1.0, 0.0]), examples, [0.0, 1.0, 3.0])
    array([1. , 0.5, 0. ])
    """
    _check_epsilons(epsilons)

    def attack(part: "_Part") -> list[Tensor]:
        _, gradient = part.climb(part.inputs, part.targets)
        found = []
        for epsilon in epsilons:
            low, high = part.ball(epsilon)
            moved = (part.inputs + epsilon * gradient.sign()).clamp(low, high)
            found.append(part.is_correct(moved, part.targets))
        return found

    return _accuracies(network, minima, examples, len(epsilons), chunk, attack)


def pgd_accuracy(
    network: Network,
    minima: Tensor,
    examples: Examples,
    epsilons: Sequence[float],
    *names: streams.Name,
    steps: int = STEPS,
    restarts: int = 1,
    chunk: int | None = None,
) -> Array:
    """Return the accuracy under projected gradient ascent in the inputs.

    Madry et al. 2018 (arXiv 1706.06083, section 2.1): from a random point of the ball of radius
    epsilon, x <- projection of x + (2.5 epsilon / steps) sign(grad_x loss) onto the ball, `steps`
    times. An example counts as correct only if it is so unperturbed and at every point that any
    restart visits, so that the accuracy is at most the unperturbed one, and does not rise with
    restarts.

    Parameters
    ----------
    network, minima, examples, epsilons, chunk
        As in `fgsm_accuracy`.
    *names
        What keys the random starts. An example starts in the same place of the ball for every
        minimum and epsilon, and whatever the chunk.
    steps, restarts
        How many, at least 1 each.

    Returns
    -------
    NDArray
        Float64, shape (epsilons,) or (k, epsilons).

    Raises
    ------
    ValueError
        As `fgsm_accuracy`, or if `steps` or `restarts` is below 1.

    Examples
    --------
    >>> network = Network(torch.nn.Linear(1, 1))
    >>> inputs, targets = torch.tensor([[0.5], [2.0]]), torch.tensor([1, 1])
    >>> examples = Examples(inputs, targets, "binary_cross_entropy", low=-1.5)
    >>> pgd_accuracy(network, torch.tensor([1.0, 1.0]), examples, [1.0, 2.0, 9.0], "test", steps=5)
    array([1. , 0.5, 0. ])
    """
    _check_epsilons(epsilons)
    for name, count in (("steps", steps), ("restarts", restarts)):
        if count < 1:
            raise ValueError(f"{name}: it must be at least 1, not {count}")

    def attack(part: "_Part") -> list[Tensor]:
        held = [part.is_correct(part.inputs, part.targets)] * len(epsilons)
        for restart in range(restarts):
            start = part.uniforms("pgd", *names, restart)
            for k, epsilon in enumerate(epsilons):
                held[k] = ascend(part, epsilon, start, held[k])
        return held

    def ascend(part: "_Part", epsilon: float, start: Tensor, held: Tensor) -> Tensor:
        """Tell which of those that held still do; what was lost before is not attacked again."""
        if not held.any():
            return held
        low, high = (bound[held] for bound in part.ball(epsilon))
        targets = part.targets[held]
        points = (part.inputs + epsilon * (2 * start - 1))[held].clamp(low, high)
        found = torch.ones_like(targets, dtype=torch.bool)
        for _ in range(steps):
            is_still_correct, gradient = part.climb(points, targets)
            found &= is_still_correct
            points = (points + REACH * epsilon / steps * gradient.sign()).clamp(low, high)
        still = held.clone()
        still[held] = found & part.is_correct(points, targets)
        return still

    return _accuracies(network, minima, examples, len(epsilons), chunk, attack)


@dataclass(frozen=True)
class _Part:
    """A run of examples and a network, where and in the precision of its parameters."""

    network: Network
    theta: Tensor
    loss: str
    inputs: Tensor
    targets: Tensor
    low: Tensor
    high: Tensor
    first: int

    def ball(self, epsilon: float) -> tuple[Tensor, Tensor]:
        """Return the lowest and highest inputs allowed; the examples themselves always are."""
        lowest, highest = self.inputs.minimum(self.low), self.inputs.maximum(self.high)
        return lowest.maximum(self.inputs - epsilon), highest.minimum(self.inputs + epsilon)

    def uniforms(self, *names: streams.Name) -> Tensor:
        """Return uniform deviates of the examples, the same whatever the run they are in."""
        each = self.inputs[0].numel()
        drawn = streams.uniforms(*names, count=self.inputs.numel(), start=self.first * each)
        return torch.from_numpy(drawn).view(self.inputs.shape).to(self.inputs)

    def is_correct(self, points: Tensor, targets: Tensor) -> Tensor:
        """Tell for each of some points whether it is classified as its target."""
        with torch.no_grad():
            return is_correct(self.loss, self.network.apply(self.theta, points), targets)

    def climb(self, points: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return where outputs are correct, and the gradients of the losses in the inputs."""
        with torch.enable_grad():
            inputs = points.detach().requires_grad_()
            outputs = self.network.apply(self.theta, inputs)
            # Examples do not touch one another, so that the sum has each one's own gradient.
            loss = per_example_loss(self.loss)(outputs, targets).sum()
            (gradient,) = torch.autograd.grad(loss, inputs)
        return is_correct(self.loss, outputs.detach(), targets), gradient


def _accuracies(
    network: Network,
    minima: Tensor,
    examples: Examples,
    num_epsilons: int,
    chunk: int | None,
    attack: Callable[[_Part], list[Tensor]],
) -> Array:
    """Return the accuracies of all minima from an attack on a run of examples."""
    if minima.ndim not in (1, 2) or minima.shape[-1] != network.num_parameters:
        raise ValueError(
            f"minima: their shape must be ({network.num_parameters},) or "
            f"(k, {network.num_parameters}), not {tuple(minima.shape)}"
        )
    if chunk is not None and chunk < 1:
        raise ValueError(f"chunk: it must be at least 1, not {chunk}")
    network.to(minima.device, minima.dtype)
    low, high = (torch.as_tensor(bound).to(minima) for bound in (examples.low, examples.high))
    rows = minima.detach().view(-1, network.num_parameters)
    if chunk is None:
        one = examples.inputs[:1].to(minima)
        chunk = examples_together(network, rows[:1], one, with_gradient=True)
    correct = np.zeros((len(rows), num_epsilons))
    for run in chunks(len(examples.inputs), chunk):
        inputs = examples.inputs[run].to(minima)
        targets = examples.targets[run].to(minima.device)
        for row, theta in enumerate(rows):
            part = _Part(network, theta, examples.loss, inputs, targets, low, high, run.start)
            correct[row] += [int(held.sum()) for held in attack(part)]
    return (correct / len(examples.inputs)).reshape(*minima.shape[:-1], num_epsilons)


def _check_epsilons(epsilons: Sequence[float]) -> None:
    if not len(epsilons) or not all(0 <= epsilon < math.inf for epsilon in epsilons):
        raise ValueError(
            f"epsilons: there must be one at least, all finite and not negative, "
            f"not {list(epsilons)}"
        )
