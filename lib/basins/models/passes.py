"""What a pass of a network holds in memory, and over how many examples it is so that this fits."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from basins import device as devices
from basins.models.functional import Network, is_batched

ALIVE = 3  # an activation, its nonlinearity and the next layer's input are alive together
CURVED = 5  # copies of what a gradient is made from, in a gradient of a gradient: measured


@dataclass(frozen=True)
class Activations:
    """Numbers that a pass holds for one example.

    Attributes
    ----------
    widest
        The most of any module's output, or of the input.
    kept
        Those that a gradient is made from.
    """

    widest: int
    kept: int

    def alive(self, with_gradient: bool = False) -> int:
        """Return how many are alive at once, with gradients those that wait for them included."""
        return ALIVE * self.widest + (self.kept if with_gradient else 0)

    @property
    def of_product(self) -> int:
        """How many a product of the Hessian with one direction takes: gradients of a gradient."""
        return CURVED * (self.widest + self.kept)


def activations(network: Network, theta: Tensor, inputs: Tensor) -> Activations:
    """Return what a pass of a network holds, by running one and watching.

    Parameters
    ----------
    network
        The architecture.
    theta
        Shape (n,).
    inputs
        At least one example, shape (examples, *input_shape); one is run.

    Examples
    --------
    >>> network = Network(torch.nn.Sequential(torch.nn.Linear(2, 5), torch.nn.Tanh()))
    >>> activations(network, network.theta, torch.zeros(1, 2))
    Activations(widest=5, kept=7)
    """
    widest = [inputs[0].numel()]
    kept: dict[int, Tensor] = {}
    # A leaf, so that what is kept of the parameters themselves can be told from the rest.
    point = theta.detach().clone().requires_grad_()
    own = point.untyped_storage().data_ptr()

    def watch(_module: object, _inputs: object, outputs: object) -> None:
        if isinstance(outputs, Tensor):
            widest.append(outputs.numel())

    def pack(tensor: Tensor) -> Tensor:
        where = tensor.untyped_storage().data_ptr()
        if where != own:
            kept[where] = tensor
        return tensor

    hooks = [module.register_forward_hook(watch) for module in network.module.modules()]
    try:
        with (
            torch.enable_grad(),
            torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor),
        ):
            outputs = network.apply(point, inputs[:1])
    finally:
        for hook in hooks:
            hook.remove()
    del outputs
    return Activations(max(widest), sum(tensor.numel() for tensor in kept.values()))


def examples_together(
    network: Network, thetas: Tensor, inputs: Tensor, with_gradient: bool = False
) -> int:
    """Return over how many examples a pass of some points is, one at least.

    Parameters
    ----------
    network
        The architecture.
    thetas
        All points of the pass, shape (points, n).
    inputs
        At least one example, shape (examples, *input_shape).
    with_gradient
        Whether its gradient is taken.
    """
    held = activations(network, thetas[0], inputs).alive(with_gradient)
    points = len(thetas) if is_batched(network.module, thetas.device) else 1
    taken = points * held * thetas.element_size()
    return max(1, devices.pass_room(thetas.device, with_gradient) // taken)


def outputs_in_runs(network: Network, theta: Tensor, inputs: Tensor) -> Tensor:
    """Return a network's outputs, without gradients, over as many examples at once as fit.

    Parameters
    ----------
    network, theta, inputs
        The architecture, shape (n,), and shape (examples, *input_shape).
    """
    together = examples_together(network, theta[None], inputs)
    with torch.no_grad():
        return torch.cat(
            [network.apply(theta, inputs[run]) for run in chunks(len(inputs), together)]
        )


def chunks(num_examples: int, chunk: int, first: int = 0) -> Iterator[slice]:
    """Cut the first `num_examples` examples, from `first` on, into runs of at most `chunk`."""
    for start in range(first, num_examples, chunk):
        yield slice(start, min(start + chunk, num_examples))
