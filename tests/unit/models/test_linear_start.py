"""Networks taken apart behind their first layer: which, and that nothing is changed by it."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune

from basins.models.functional import Network, build
from basins.models.linear_start import linear_start


class Skip(nn.Module):
    """A network that adds its inputs again behind the first layer."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, inputs):
        return self.last(torch.tanh(self.first(inputs)) + inputs)


class Twice(nn.Module):
    """A network that uses its first layer twice."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, inputs):
        return self.last(self.first(torch.tanh(self.first(inputs))))


class Scaled(nn.Module):
    """A network with a parameter of its own before the first layer."""

    def __init__(self):
        super().__init__()
        self.scale, self.first = nn.Parameter(torch.ones(4)), nn.Linear(4, 4)
        self.last = nn.Linear(4, 2)

    def forward(self, inputs):
        return self.last(torch.tanh(self.first(self.scale * inputs)))


class Transposed(nn.Module):
    """A network that looks at the first layer's weights itself."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(4, 3), nn.Linear(4, 2)

    def forward(self, inputs):
        return self.last(torch.tanh(self.first(inputs)) @ self.first.weight)


class Tied(nn.Module):
    """A network with two layers of one matrix, and a parameter of its own behind both."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(4, 4), nn.Linear(4, 4)
        self.last.weight, self.scale = self.first.weight, nn.Parameter(torch.ones(4))

    def forward(self, inputs):
        return self.scale * self.last(torch.tanh(self.first(inputs)))


def hooked():
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    model[0].register_forward_hook(lambda _module, _inputs, outputs: outputs**2)
    return model


def pruned():
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    prune.l1_unstructured(model[0], "weight", 0.5)
    return model


def normalised():
    return nn.Sequential(parametrizations.spectral_norm(nn.Linear(4, 3)), nn.Linear(3, 2))


def shared():
    layer = nn.Linear(4, 4)
    return nn.Sequential(layer, nn.Tanh(), layer, nn.Linear(4, 2))


TAKEN = {
    "mlp": lambda: build("mlp-5-3", (4,), 2, 0),
    "cnn": lambda: build("cnn-small", (2, 8, 8), 3, 0),
    "resnet": lambda: build("resnet-8", (3, 8, 8), 3, 0),
    "no bias": lambda: nn.Sequential(nn.Linear(4, 3, bias=False), nn.GELU(), nn.Linear(3, 2)),
    "tied": Tied,
    "in place": lambda: nn.Sequential(nn.Linear(4, 3), nn.ReLU(inplace=True), nn.Linear(3, 2)),
    "dropout": lambda: nn.Sequential(nn.Dropout(), nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)),
    "strided": lambda: nn.Sequential(
        nn.Conv2d(2, 4, 3, stride=2, groups=2, padding=1, padding_mode="circular"),
        nn.BatchNorm2d(4),
        nn.Flatten(),
        nn.Linear(64, 2),
    ),
}
LEFT = {
    "skip": Skip,
    "twice": Twice,
    "scaled": Scaled,
    "transposed": Transposed,
    "hooked": hooked,
    "pruned": pruned,
    "normalised": normalised,
    "shared": shared,
    "nothing behind": lambda: nn.Linear(4, 2),
    "a norm first": lambda: nn.Sequential(nn.LayerNorm(4), nn.Linear(4, 3), nn.Linear(3, 2)),
}
SHAPES = {"cnn": (2, 8, 8), "resnet": (3, 8, 8), "strided": (2, 8, 8)}


def problem(make, shape, seed):
    torch.manual_seed(seed)
    network = Network(make().double())
    return network, torch.randn(5, *shape, dtype=torch.float64)


@pytest.mark.parametrize("name", TAKEN)
def test_the_parts_give_what_the_whole_does(name, seed):
    network, inputs = problem(TAKEN[name], SHAPES.get(name, (4,)), seed)
    before = [parameter.clone() for parameter in network.module.parameters()]
    start = linear_start(network, network.theta, inputs)
    theta = network.theta + 0.1 * torch.randn(network.num_parameters, dtype=torch.float64)
    outputs = start.layer_outputs(theta, inputs)
    rest, blind = start.parameters_of_rest(theta), torch.zeros_like(inputs)
    made = start.outputs_from(rest, outputs.clone(), blind)
    np.testing.assert_allclose(made, network.apply(theta, inputs), rtol=1e-12)
    step = torch.randn(network.num_parameters, dtype=torch.float64)
    # Linear in the parameters, which is what it is for.
    np.testing.assert_allclose(
        outputs + 0.7 * start.layer_outputs(step, inputs),
        start.layer_outputs(theta + 0.7 * step, inputs),
        rtol=1e-9,
        atol=1e-12,
    )
    for parameter, old in zip(network.module.parameters(), before, strict=True):
        assert torch.equal(parameter, old)


@pytest.mark.parametrize("name", LEFT)
def test_other_networks_are_left_whole(name, seed):
    network, inputs = problem(LEFT[name], (4,), seed)
    assert linear_start(network, network.theta, inputs) is None


def test_whole_numbers_are_no_inputs_of_a_linear_layer(seed):
    torch.manual_seed(seed)
    network = Network(nn.Sequential(nn.Embedding(7, 3), nn.Flatten(), nn.Linear(6, 2)))
    assert linear_start(network, network.theta, torch.tensor([[1, 2], [3, 4]])) is None
