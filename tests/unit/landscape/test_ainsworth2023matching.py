"""Weight matching against planted orders, all orders there are, and the function itself."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from basins import streams
from basins.flatness.transforms import unit_permutation
from basins.landscape.ainsworth2023matching import gain, matched, reordered, units_of
from basins.models.functional import Network, build


def mixed():
    """Kernels of several widths, a pool, smooth activations, a layer without biases."""
    start = (nn.Conv2d(2, 5, 3, bias=False), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(5, 4, 2))
    middle = (nn.ReLU(), nn.Flatten(), nn.Linear(16, 6, bias=False), nn.GELU())
    return nn.Sequential(nn.Sequential(*start), *middle, nn.Linear(6, 3))


CASES = {
    "mlp-6": ((3,), lambda: build("mlp-6", (3,), 4, "test")),
    "mlp-8-6": ((3,), lambda: build("mlp-8-6", (3,), 3, "test")),
    "mlp-5x4": ((2, 2), lambda: build("mlp-5x4", (2, 2), 3, "test")),
    "cnn-small": ((1, 8, 8), lambda: build("cnn-small", (1, 8, 8), 3, "test")),
    "mixed": ((2, 8, 8), mixed),
    "linear": ((3,), lambda: build("linear", (3,), 2, "test")),
}


def problem(name, seed):
    shape, make = CASES[name]
    network = Network(make().double())
    random = np.random.default_rng([seed, len(name)])
    layers = units_of(network, shape)
    orders = [random.permutation(len(layer.weights)) for layer in layers[:-1]]
    return network, shape, layers, orders, random


def outputs(network, theta, inputs):
    return network.apply(torch.from_numpy(theta), torch.from_numpy(inputs)).numpy()


@pytest.mark.parametrize("name", CASES)
def test_a_planted_order_is_found_again(name, seed):
    network, _, layers, orders, random = problem(name, seed)
    theta = random.normal(size=network.num_parameters)
    noise = 1e-3 * random.normal(size=network.num_parameters)
    hidden = reordered(layers, theta + noise, orders)
    found = matched(layers, theta, hidden, "test", seed)
    for order, planted in zip(found.orders, orders, strict=True):
        np.testing.assert_array_equal(planted[order], np.arange(len(order)))
    np.testing.assert_array_equal(found.theta, theta + noise)


@pytest.mark.parametrize("name", CASES)
def test_a_matched_network_is_the_function_it_was(name, seed):
    network, shape, layers, _, random = problem(name, seed)
    first, last = random.normal(size=(2, network.num_parameters))
    inputs = random.normal(size=(7, *shape))
    found = matched(layers, first, last, "test", seed)
    expected = outputs(network, last, inputs)
    np.testing.assert_allclose(
        outputs(network, found.theta, inputs), expected, rtol=1e-9, atol=1e-9 * abs(expected).max()
    )
    assert found.gains[-1] == pytest.approx(gain(layers, first, last, found.orders), rel=1e-12)
    # Nearer by exactly what the sum gained.
    nearer = np.square(first - last).sum() - np.square(first - found.theta).sum()
    assert nearer == pytest.approx(2 * (found.gains[-1] - first @ last), rel=1e-9, abs=1e-9)
    assert found.gains[-1] >= first @ last - 1e-9


@pytest.mark.parametrize("name", [name for name in CASES if name != "linear"])
def test_an_order_of_one_layer_is_the_transform_of_that_name(name, seed):
    network, shape, layers, orders, random = problem(name, seed)
    theta = random.normal(size=network.num_parameters)
    expected = theta
    for index, order in enumerate(orders):
        expected = unit_permutation(network, shape, index, order).apply(expected)
    np.testing.assert_array_equal(reordered(layers, theta, orders), expected)


@pytest.mark.parametrize("hidden", [1, 2, 4, 6])
def test_with_one_hidden_layer_it_is_the_best_of_all_orders(hidden, seed):
    random = np.random.default_rng([seed, hidden])
    network = Network(build(f"mlp-{hidden}", (2,), 3, "test"))
    layers = units_of(network, (2,))
    first, last = random.normal(size=(2, network.num_parameters))
    found = matched(layers, first, last, "test", seed)
    # Slow and plain: the weights of the first layer lie first, then its biases, then the second's.
    parts = np.split(np.arange(network.num_parameters), np.cumsum([2 * hidden, hidden, 3 * hidden]))
    best = -np.inf
    for order in map(list, itertools.permutations(range(hidden))):
        moved = [
            last[parts[0]].reshape(hidden, 2)[order].ravel(),
            last[parts[1]][order],
            last[parts[2]].reshape(3, hidden)[:, order].ravel(),
            last[parts[3]],
        ]
        best = max(best, float(first @ np.concatenate(moved)))
    assert found.gains[-1] == pytest.approx(best, rel=1e-12)


@settings(max_examples=60)
@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=4),
    st.integers(0, 2**31),
    st.sampled_from([0.0, 1e-8, 1.0, 1e6]),
    st.booleans(),
)
def test_the_sum_never_falls_and_no_layer_alone_improves_it(widths, number, scale, is_whole):
    network = Network(build("mlp-" + "-".join(map(str, widths)), (2,), 2, "test"))
    layers = units_of(network, (2,))
    draws = streams.normals("matching test", number, count=2 * network.num_parameters)
    # Whole numbers have ties, which must not make it go round for ever.
    first, last = scale * (draws.round() if is_whole else draws).reshape(2, -1)
    found = matched(layers, first, last, "test", number)
    rounding = 1e-12 * np.linalg.norm(first) * np.linalg.norm(last)
    assert (np.diff(found.gains) >= -rounding).all()
    for index, width in enumerate(widths):
        for order in itertools.islice(itertools.permutations(range(width)), 24):
            tried = list(found.orders)
            tried[index] = np.array(order)
            assert gain(layers, first, last, tried) <= found.gains[-1] + 10 * rounding


def test_a_network_matched_to_itself_stays(seed):
    network, _, layers, _, random = problem("mlp-8-6", seed)
    theta = random.normal(size=network.num_parameters)
    found = matched(layers, theta, theta, "test")
    np.testing.assert_array_equal(found.theta, theta)
    assert found.gains[-1] == pytest.approx(theta @ theta, rel=1e-12)


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(4, 4)

    def forward(self, inputs):
        return inputs + self.inner(inputs)


REFUSED = {
    "GroupNorm": ((1, 8, 8), lambda: build("resnet-8", (1, 8, 8), 3, "test")),
    "Residual": ((4,), lambda: nn.Sequential(nn.Linear(4, 4), Residual(), nn.Linear(4, 2))),
    "Softmax": ((4,), lambda: nn.Sequential(nn.Linear(4, 4), nn.Softmax(-1), nn.Linear(4, 2))),
    "has groups": (
        (4, 6),
        lambda: nn.Sequential(
            nn.Conv1d(4, 4, 3, groups=2), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2)
        ),
    ),
    "nn.Sequential with two weight layers": ((4,), Residual),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_cannot_be_matched_is_one_sentence(reason):
    shape, make = REFUSED[reason]
    with pytest.raises(ValueError, match="networks cannot be matched, model: ") as said:
        units_of(Network(make()), shape)
    assert reason in str(said.value)
