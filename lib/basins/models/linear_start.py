"""A network taken apart behind its first layer, whose outputs are linear in its parameters.

Along a ray (W + r D) x = W x + r D x: two products give the layer's outputs at every radius.
"""

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from basins.models.functional import Network, ParameterBlock

LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
# Of one output of a convolution, below which making it is as quick as reading two kept ones:
# kernels of 3 x 3 x 3 are, patches of 8 x 8 x 3 are not.
LEAST_MULTIPLY_ADDS = 150


class _Reached(Exception):  # noqa: N818 - no error: it ends a pass that has shown what was asked
    """A pass has come to the layer that was taken out; holds the layer's inputs."""

    def __init__(self, inputs: Tensor) -> None:
        self.inputs = inputs


class _Given(nn.Module):
    """Stands where the layer was, and gives the outputs it is told to."""

    outputs: Tensor | None = None

    def forward(self, inputs: Tensor) -> Tensor:
        """Return what it was told, whatever the inputs."""
        if self.outputs is None:
            raise _Reached(inputs)
        return self.outputs


@dataclass(frozen=True)
class LinearStart:
    """A network taken apart behind its first layer.

    Attributes
    ----------
    layer
        The first layer.
    blocks
        Its parameters in the flat vector, by their names in the layer.
    rest
        The network with `given` in its place.
    given
        See `outputs_from`.
    rest_blocks
        The parameters of the rest in a vector of theirs alone, by their names there.
    ranges
        Where in the flat vector these are, one after another.
    """

    layer: nn.Module
    blocks: dict[str, ParameterBlock]
    rest: nn.Module
    given: _Given
    rest_blocks: dict[str, ParameterBlock]
    ranges: tuple[tuple[int, int], ...]

    @property
    def is_worth_keeping(self) -> bool:
        """Whether the layer's outputs along a ray are had quicker from two kept ones than anew."""
        return type(self.layer) is nn.Linear or self.num_multiply_adds >= LEAST_MULTIPLY_ADDS

    @property
    def num_multiply_adds(self) -> int:
        """Multiply-adds of one output of the layer."""
        weight = self.layer.weight
        assert isinstance(weight, Tensor)
        return int(weight[0].numel())

    def layer_outputs(self, theta: Tensor, inputs: Tensor) -> Tensor:
        """Return W x + b, shape (examples, ...), with W and b from `theta` (n,)."""
        try:
            self.rest(inputs)
        except _Reached as reached:
            parameters = {k: theta[b.start : b.stop].view(b.shape) for k, b in self.blocks.items()}
            outputs: Tensor = functional_call(self.layer, parameters, (reached.inputs,))
            return outputs
        raise AssertionError("the first layer was not reached")

    def parameters_of_rest(self, theta: Tensor) -> Tensor:
        """Return those of `theta` (..., n) that the rest has, shape (..., rest)."""
        return torch.cat([theta[..., begin:end] for begin, end in self.ranges], -1)

    def outputs_from(self, rest: Tensor, layer_outputs: Tensor, inputs: Tensor) -> Tensor:
        """Return the network's outputs from its first layer's.

        Parameters
        ----------
        rest
            See `parameters_of_rest`, shape (rest,).
        layer_outputs
            Shape (examples, ...).
        inputs
            Of the right shape (examples, *input_shape); their numbers do not matter.
        """
        parameters = {k: rest[b.start : b.stop].view(b.shape) for k, b in self.rest_blocks.items()}
        self.given.outputs = layer_outputs
        try:
            outputs: Tensor = functional_call(self.rest, parameters, (inputs,))
        finally:
            self.given.outputs = None
        return outputs


def linear_start(network: Network, theta: Tensor, inputs: Tensor) -> LinearStart | None:
    """Take a network apart behind its first layer, None where that cannot be done.

    It can if the first innermost module with parameters is a plain layer of torch's, a fully
    connected or a convolutional one, called once, whose inputs depend on no parameter, and if
    nothing behind it looks at the network's inputs. All that is tried out, on a few examples.

    Parameters
    ----------
    network, theta
        The architecture and parameters to try it at, shape (n,).
    inputs
        A few examples, shape (examples, *input_shape).
    """
    found = _first_layer(network, theta, inputs)
    if found is None or not inputs.is_floating_point():
        return None
    module = copy.deepcopy(network.module)
    parent, _, last = found.rpartition(".")
    given = _Given()
    if not found:
        module = given
    else:
        setattr(module.get_submodule(parent), last, given)
    layer = network.module.get_submodule(found)
    of = {id(p): b for p, b in zip(network.module.parameters(), network.layout, strict=True)}
    named = dict(network.module.named_parameters(remove_duplicate=False))
    shared = {name: of[id(named[name])] for name, _ in module.named_parameters()}
    ranges, rest_blocks, stop = [], {}, 0
    for name, block in shared.items():
        ranges.append((block.start, block.stop))
        size = block.stop - block.start
        rest_blocks[name] = ParameterBlock(name, block.shape, stop, stop + size)
        stop += size
    blocks = {name: of[id(parameter)] for name, parameter in layer.named_parameters()}
    if not ranges:
        return None
    start = LinearStart(layer, blocks, module, given, rest_blocks, tuple(ranges))
    return start if _is_faithful(start, network, theta, inputs) else None


def _first_layer(network: Network, theta: Tensor, inputs: Tensor) -> str | None:
    """Return the name of the first innermost module with parameters, None if it is no such layer.

    None, too, if it is called more than once, or its inputs change with the parameters.
    """
    called: list[str] = []
    seen: list[Tensor] = []

    def record(name: str) -> Any:
        def hook(_module: nn.Module, arguments: tuple[Any, ...]) -> None:
            if not called or called[0] == name:
                seen.append(arguments[0])
            called.append(name)

        return hook

    owners = {
        name: module
        for name, module in network.module.named_modules()
        if list(module.parameters()) and not list(module.children())
    }
    hooked = {name for name, m in owners.items() if m._forward_hooks or m._forward_pre_hooks}
    hooks = [module.register_forward_pre_hook(record(name)) for name, module in owners.items()]
    try:
        with torch.no_grad():
            network.apply(theta, inputs)
            network.apply(1.5 * theta + 0.1, inputs)
    finally:
        for hook in hooks:
            hook.remove()
    if not called or type(owners[called[0]]) not in LAYERS or called[0] in hooked:
        return None
    if len(seen) != 2 or not torch.equal(seen[0], seen[1]):
        return None
    return called[0]


def _is_faithful(start: LinearStart, network: Network, theta: Tensor, inputs: Tensor) -> bool:
    """Tell whether the two parts give what the whole does, whatever inputs the second is shown."""
    blind = torch.full_like(inputs, torch.nan)
    with torch.no_grad():
        expected = network.apply(theta, inputs)
        try:
            first = start.layer_outputs(theta, inputs)
            outputs = start.outputs_from(start.parameters_of_rest(theta), first, blind)
        except Exception:  # a user's module may miss its layer in any way
            return False
    return outputs.shape == expected.shape and torch.allclose(outputs, expected)
