"""What one pass of a network takes, and how large a data set is: what costs are counted from."""

import functools
import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from basins import device as devices
from basins.datasets import load as datasets
from basins.flatness.transforms import in_coordinates
from basins.losses import num_outputs
from basins.models.functional import Network, build
from basins.models.linear_start import linear_start
from basins.models.mlp import layer_widths
from basins.models.passes import Activations, activations
from basins.rays.torch_path import is_kept
from basins.study import jobs
from basins.study.resolve import dataset_entry
from basins.study.schema import Study


@dataclass(frozen=True)
class FirstLayer:
    """What a first layer takes for one example.

    Attributes
    ----------
    outputs, parameters
        How many it has.
    linear, convolution
        Multiply-adds.
    """

    outputs: int
    parameters: int
    linear: int
    convolution: int


NO_LAYER = FirstLayer(0, 0, 0, 0)


@dataclass(frozen=True)
class NetworkCost:
    """What one forward pass of one example takes.

    Attributes
    ----------
    num_parameters
        Parameters.
    num_layers
        Modules without children: the calls of a pass.
    linear, convolution
        Multiply-adds in fully connected and convolutional layers.
    numbers
        Activations of all layers together.
    held
        Activations that a pass holds for one example.
    first
        A first layer whose products are made once a ray; None where there is no such layer.
    is_compiled
        Whether it is a network that compiled code runs on a CPU.
    hidden_inputs
        Inputs of every hidden layer, biases included, where it is; none where it is not.
    """

    num_parameters: int
    num_layers: int
    linear: int
    convolution: int
    numbers: int
    held: Activations
    first: FirstLayer | None = None
    is_compiled: bool = False
    hidden_inputs: tuple[int, ...] = ()

    def kept(self, size: int) -> FirstLayer:
        """Return the first layer whose outputs are kept with a largest landscape of `size`."""
        if self.first is not None and (self.is_compiled or is_kept(size * 4 * self.first.outputs)):
            return self.first
        return NO_LAYER

    def rays_together(self, size: int) -> int:
        """Return how many rays are solved at once with a largest landscape of `size`."""
        return devices.rays_together(16 * self.num_parameters + 4 * self.kept(size).outputs * size)


@dataclass(frozen=True)
class DataFacts:
    """Sizes of a data set."""

    num_train: int
    num_test: int
    num_classes: int
    input_shape: tuple[int, ...]

    @property
    def num_bytes(self) -> int:
        """Bytes of its float32 inputs."""
        return 4 * (self.num_train + self.num_test) * math.prod(self.input_shape)


@functools.cache
def data_facts(name: str, root: str | None = None) -> DataFacts:
    """Return the sizes of a data set; a user's own is loaded for that, a known one is not."""
    entry = dataset_entry(name)
    if entry is not None:
        return DataFacts(entry.num_train, entry.num_test, entry.num_classes, entry.input_shape)
    data = datasets.load(name, Path(root) if root else None)
    return DataFacts(len(data.targets), len(data.test_targets), data.num_classes, data.input_shape)


@functools.cache
def network_cost(
    model: str, input_shape: tuple[int, ...], outputs: int, transform: str = ""
) -> NetworkCost:
    """Return what a forward pass of a model takes, by running one and watching its layers."""
    network = Network(build(model, input_shape, outputs, 0))
    return module_cost(in_coordinates(network, transform, network.theta).module, input_shape)


def module_cost(module: nn.Module, input_shape: tuple[int, ...]) -> NetworkCost:
    """Return what a forward pass of `module` takes.

    Examples
    --------
    >>> cost = module_cost(nn.Linear(3, 2), (3,))
    >>> cost.num_parameters, cost.linear, cost.convolution
    (8, 6, 0)
    """
    counts = {"linear": 0, "convolution": 0, "numbers": 0, "layers": 0}

    def watch(layer: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        counts["layers"] += 1
        counts["numbers"] += output.numel()
        if isinstance(layer, nn.Linear):
            counts["linear"] += output.numel() * layer.in_features
        elif isinstance(layer, nn.modules.conv._ConvNd):
            weight = layer.weight
            counts["convolution"] += output.numel() * weight[0].numel()

    leaves = [layer for layer in module.modules() if not list(layer.children())]
    hooks = [layer.register_forward_hook(watch) for layer in leaves]
    try:
        with torch.no_grad():
            module.eval()(torch.zeros(1, *input_shape))
    finally:
        for hook in hooks:
            hook.remove()
    network = Network(module)
    example = torch.zeros(1, *input_shape)
    start = linear_start(network, network.theta, example)
    first = None
    if start is not None and start.is_worth_keeping:
        with torch.no_grad():
            outputs = start.layer_outputs(network.theta, example).numel()
        products = outputs * start.num_multiply_adds
        is_linear = isinstance(start.layer, nn.Linear)
        first = FirstLayer(
            outputs,
            sum(parameter.numel() for parameter in start.layer.parameters()),
            products if is_linear else 0,
            0 if is_linear else products,
        )
    widths = layer_widths(module)
    return NetworkCost(
        num_parameters=sum(parameter.numel() for parameter in module.parameters()),
        num_layers=counts["layers"],
        linear=counts["linear"],
        convolution=counts["convolution"],
        numbers=counts["numbers"],
        held=activations(network, network.theta, example),
        first=first,
        is_compiled=widths is not None,
        hidden_inputs=tuple(fan_in + 1 for fan_in in (widths or [])[:-2]),
    )


def job_network(study: Study, job: jobs.Job | jobs.Cell) -> tuple[NetworkCost, DataFacts]:
    """Return the network and the data set of a job or cell."""
    facts = data_facts(job.dataset, study.data_root)
    # One output or one a class: all recipes of a study have the same.
    outputs = num_outputs(next(iter(study.recipes.values())).loss, facts.num_classes)
    transform = job.transform if isinstance(job, jobs.Job) else ""
    return network_cost(job.model, facts.input_shape, outputs, transform), facts
