"""What passes hold: in closed form, and as much at once as the bytes alive are seen to be."""

import weakref

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from basins.models.functional import Network, build
from basins.models.passes import (
    ALIVE,
    PER_PARAMETERS,
    activations,
    chunks,
    examples_together,
    outputs_in_runs,
)
from basins.rays.landscapes import Landscapes
from basins.rays.products import CurvatureProducts
from basins.rays.torch_path import TorchEvaluator
from basins.training.ends import evaluate
from basins.training.gradients import torch_gradients

GRAY = (1, 12, 12)


class Alive(TorchDispatchMode):
    """Counts the bytes of all tensors that operations made and that are not freed yet."""

    def __init__(self):
        super().__init__()
        self.now = self.peak = 0
        self.seen = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        given = {
            leaf.untyped_storage().data_ptr()
            for leaf in tree_leaves((args, kwargs))
            if isinstance(leaf, torch.Tensor)
        }
        outputs = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(outputs):
            if not isinstance(leaf, torch.Tensor):
                continue
            storage = leaf.untyped_storage()
            where = storage.data_ptr()
            if where in given or where in self.seen:
                continue
            self.seen.add(where)
            self.now += storage.nbytes()
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self._free, where, storage.nbytes())
        return outputs

    def _free(self, where, num_bytes):
        self.seen.discard(where)
        self.now -= num_bytes


def peak(work):
    with Alive() as alive:
        work()
    return alive.peak


def convolutional(seed, examples, dtype=torch.float32):
    network = Network(build("cnn-small", GRAY, 3, seed).to(dtype))
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(examples, *GRAY, generator=generator, dtype=dtype)
    return network, inputs, torch.randint(3, (examples,), generator=generator)


@given(st.lists(st.integers(1, 20), min_size=1, max_size=4), st.integers(1, 9))
def test_what_fully_connected_networks_hold_in_closed_form(widths, features):
    layers = []
    for fan_in, fan_out in zip([features, *widths], widths, strict=False):
        layers += [nn.Linear(fan_in, fan_out), nn.Tanh()]
    network = Network(nn.Sequential(*layers))
    found = activations(network, network.theta, torch.zeros(2, features))
    assert found.widest == max(widths)
    # A layer's sums and what the tanh makes of them.
    assert found.peak == 2 * max(widths)
    # Inputs and what each tanh gave: both its own gradient's and the next layer's.
    assert found.kept == features + sum(widths)
    assert found.kept < found.gradient_peak <= features + 4 * sum(widths)
    assert found.alive() == ALIVE * found.widest
    assert found.alive(with_gradient=True) == max(found.alive() + found.kept, found.gradient_peak)


def test_functions_that_are_no_modules_are_counted():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, inputs):
            return torch.tanh(self.layer(torch.tanh(self.layer(inputs))))

    network = Network(Twice())
    found = activations(network, network.theta, torch.zeros(1, 4))
    # The example, and what the first tanh, the layer behind it and the second gave are alive.
    assert (found.widest, found.peak, found.kept) == (4, 4 + 4, 4 + 4 + 4)


class Projected(nn.Module):
    """A network with a few parameters in a random subspace (Li et al. 2018, arXiv 1804.08838)."""

    def __init__(self):
        super().__init__()
        self.place = nn.Parameter(torch.ones(3))
        self.register_buffer("matrix", torch.randn(30 * 20 + 20 * 2, 3))

    def forward(self, inputs):
        weights = self.matrix @ self.place
        hidden = torch.tanh(inputs @ weights[:600].view(30, 20))
        return hidden @ weights[600:].view(20, 2)


def test_what_does_not_grow_with_examples_does_not_count():
    network = Network(Projected())
    found = activations(network, network.theta, torch.zeros(1, 30))
    assert (found.widest, found.peak, found.kept) == (20, 20 + 20, 30 + 20)
    masked = nn.utils.parametrizations.weight_norm(nn.Linear(30, 20))
    network = Network(nn.Sequential(masked, nn.Tanh(), nn.Linear(20, 2)))
    found = activations(network, network.theta, torch.zeros(1, 30))
    assert (found.widest, found.peak, found.kept) == (20, 20 + 20, 30 + 20)


class Slopes(nn.Module):
    """Gives a gradient of its own in the inputs."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, inputs):
        return torch.func.vmap(torch.func.grad(lambda x: torch.tanh(self.layer(x)).sum()))(inputs)


class Own(torch.autograd.Function):
    """An operation that torch.func knows no gradient of."""

    @staticmethod
    def forward(ctx, inputs):
        ctx.save_for_backward(inputs)
        return inputs.square()

    @staticmethod
    def backward(ctx, gradients):
        return 2 * ctx.saved_tensors[0] * gradients


class Squared(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, inputs):
        return Own.apply(self.layer(inputs))


class Growing(nn.Module):
    """Takes other operations for another number of examples."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 5)

    def forward(self, inputs):
        return torch.cat([self.layer(one[None]) for one in inputs])


@pytest.mark.parametrize("module", [Slopes, Squared, Growing])
def test_passes_of_unusual_networks_are_watched(module):
    network = Network(module())
    found = activations(network, network.theta, torch.zeros(1, 4))
    assert found.gradient_peak >= found.kept >= 4
    assert found.peak >= found.widest >= 3


class Constant(nn.Module):
    def __init__(self):
        super().__init__()
        self.value = nn.Parameter(torch.ones(2))

    def forward(self, inputs):
        return self.value.expand(len(inputs), 2)


def test_networks_that_make_nothing_for_an_example_are_passed():
    network, inputs = Network(Constant()), torch.zeros(9, 0)
    found = activations(network, network.theta, inputs)
    assert found.alive() == 1
    assert found.of_product >= 1
    assert examples_together(network, network.theta[None], inputs) > 1
    assert outputs_in_runs(network, network.theta, inputs).shape == (9, 2)


def test_a_network_is_watched_once_for_inputs_of_a_kind():
    module = nn.Sequential(nn.Linear(4, 3), nn.Tanh())
    calls = []
    module.register_forward_hook(lambda *_: calls.append(1))
    network = Network(module)
    first = activations(network, network.theta, torch.zeros(1, 4))
    count = len(calls)
    assert activations(network, network.theta + 1, torch.ones(9, 4)) is first
    assert len(calls) == count
    activations(network, network.theta, torch.zeros(1, 4, dtype=torch.float32)[:, None])
    assert len(calls) > count


def test_networks_of_tokens_are_counted():
    network = Network(nn.Sequential(nn.Embedding(7, 3), nn.Flatten(), nn.Linear(6, 2)))
    found = activations(network, network.theta, torch.zeros(1, 2, dtype=torch.int64))
    # The tokens, of twice the size, and the rows that they stand for.
    assert (found.widest, found.peak, found.kept) == (6, 6 + 2, 4 + 6)


@pytest.mark.parametrize("with_gradient", [False, True])
def test_more_examples_go_together_the_more_room_there_is(with_gradient, seed, monkeypatch):
    network, inputs, _ = convolutional(seed, 1)
    alive = activations(network, network.theta, inputs).alive(with_gradient)
    name = "GRADIENT_PASS_BYTES" if with_gradient else "PASS_BYTES"
    monkeypatch.setattr("basins.models.passes.PER_PARAMETERS", 0)
    for count, room in ((1, 1), (1, 8 * alive - 1), (7, 4 * 7 * alive)):
        monkeypatch.setattr(f"basins.device.{name}", room)
        # Points of a convolutional network go one after another on a CPU.
        found = examples_together(network, network.theta.expand(3, -1), inputs, with_gradient)
        assert found == count
    batched = Network(build("mlp-5", (3,), 2))
    monkeypatch.setattr(f"basins.device.{name}", 4 * 6 * 100)
    one, six = (
        examples_together(batched, batched.theta.expand(k, -1), torch.zeros(1, 3), with_gradient)
        for k in (1, 6)
    )
    assert one // 6 == six > 1


def test_a_run_is_not_small_beside_its_parameters(monkeypatch):
    network = Network(build("mlp-5", (3,), 2))
    monkeypatch.setattr("basins.device.GRADIENT_PASS_BYTES", 1)
    thetas, one = network.theta.expand(6, -1), torch.zeros(1, 3)
    held = activations(network, network.theta, one).alive(with_gradient=True)
    expected = PER_PARAMETERS * network.num_parameters // held
    assert examples_together(network, thetas, one, with_gradient=True) == expected > 1
    monkeypatch.setattr("basins.device.PASS_BYTES", 1)
    assert examples_together(network, thetas, one) == 1


@given(st.integers(0, 60), st.integers(1, 70), st.integers(0, 60))
def test_chunks_are_all_examples_in_order(count, chunk, first):
    runs = list(chunks(count, chunk, first))
    assert [i for run in runs for i in range(run.start, run.stop)] == list(range(first, count))
    assert all(run.stop - run.start <= chunk for run in runs)


def test_outputs_in_runs_are_those_of_all_at_once(seed, monkeypatch):
    network, inputs, _ = convolutional(seed, 23, torch.float64)
    each = 8 * activations(network, network.theta, inputs).alive()
    monkeypatch.setattr("basins.device.PASS_BYTES", 5 * each)
    assert examples_together(network, network.theta[None], inputs) == 5
    found = outputs_in_runs(network, network.theta, inputs)
    expected = network.apply(network.theta, inputs).detach()
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    assert not found.requires_grad


class Attention(nn.Module):
    """Scores of every two of 24 tokens in 4 heads, by functions that are no modules."""

    def __init__(self):
        super().__init__()
        self.given = nn.Linear(6, 3 * 16)
        self.out = nn.Linear(16, 3)

    def forward(self, inputs):
        tokens = inputs.reshape(len(inputs), 24, 6)
        query, key, value = self.given(tokens).view(-1, 24, 3, 4, 4).permute(2, 0, 3, 1, 4)
        scores = torch.softmax(query @ key.transpose(-1, -2) / 2, -1)
        return self.out((scores @ value).transpose(1, 2).reshape(-1, 24, 16).mean(1))


def network_of(name, seed):
    torch.manual_seed(seed)
    return Network(Attention() if name == "attention" else build(name, GRAY, 3, seed))


@pytest.mark.parametrize("name", ["cnn-small", "resnet-8", "attention"])
@pytest.mark.parametrize("work", ["outputs", "evaluate", "losses", "gradients", "training"])
def test_passes_hold_no_more_than_their_room(name, work, seed, monkeypatch):
    network = network_of(name, seed)
    _, inputs, targets = convolutional(seed, 1000)
    theta = network.theta.detach()
    examples = Landscapes(inputs, targets, (len(inputs),), "cross_entropy")
    steps = torch.randn(2, len(theta), generator=torch.Generator().manual_seed(seed))
    steps = 0.01 * steps.double().numpy()
    given = network, "cross_entropy"
    works = {
        "outputs": lambda: outputs_in_runs(network, theta, inputs),
        "evaluate": lambda: evaluate(*given, theta[None], inputs[None], targets[None]),
        "losses": lambda: TorchEvaluator(network, theta, examples).losses(steps, np.ones(2), 1),
        "gradients": lambda: TorchEvaluator(network, theta, examples).gradients(steps),
        "training": lambda: torch_gradients(*given, inputs[None], targets[None])(theta[None], None),
    }
    activations(network, theta, inputs)
    with_gradient = work in {"gradients", "training"}
    room = 2**22 if with_gradient else 2**20
    monkeypatch.setattr("basins.device.GRADIENT_PASS_BYTES", 2**22)
    monkeypatch.setattr("basins.device.PASS_BYTES", 2**20)
    monkeypatch.setattr("basins.rays.torch_path.CHUNK", len(inputs))
    # Points, steps and gradients come beside what is cut.
    beside = 12 * 8 * len(theta)
    assert room / 8 < peak(works[work]) <= room + beside
    monkeypatch.setattr("basins.device.GRADIENT_PASS_BYTES", 2**40)
    monkeypatch.setattr("basins.device.PASS_BYTES", 2**40)
    assert peak(works[work]) > 2 * (room + beside)


@pytest.mark.parametrize("kind", ["hessian", "gauss_newton"])
def test_products_hold_no_more_than_their_room(kind, seed):
    network, inputs, targets = convolutional(seed, 60)
    examples = Landscapes(inputs, targets, (len(inputs),), "cross_entropy")
    steps = torch.randn(5, network.num_parameters, generator=torch.Generator().manual_seed(seed))

    def work(max_bytes):
        products = CurvatureProducts(network, network.theta.detach(), examples, max_bytes)
        return getattr(products, kind)(steps.double().numpy())

    room = 2**24
    # What copies a product makes is a measure of networks like these, and no law.
    assert room / 8 < peak(lambda: work(room)) <= 1.1 * room
    assert peak(lambda: work(2**40)) > 2 * room
