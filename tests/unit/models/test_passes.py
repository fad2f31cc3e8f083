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
    Activations,
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
    # Inputs and what each tanh gave: both its own gradient's and the next layer's.
    assert found == Activations(max(features, *widths), features + sum(widths))
    assert found.alive() == ALIVE * found.widest
    assert found.alive(with_gradient=True) == found.alive() + found.kept


def test_functions_that_are_no_modules_are_counted():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, inputs):
            return torch.tanh(self.layer(torch.tanh(self.layer(inputs))))

    network = Network(Twice())
    found = activations(network, network.theta, torch.zeros(1, 4))
    assert found == Activations(widest=4, kept=4 + 4 + 4)


def test_networks_of_tokens_are_counted():
    network = Network(nn.Sequential(nn.Embedding(7, 3), nn.Flatten(), nn.Linear(6, 2)))
    found = activations(network, network.theta, torch.zeros(1, 2, dtype=torch.int64))
    # The tokens, and the rows that they stand for.
    assert found == Activations(widest=6, kept=2 + 6)


def test_watching_leaves_no_hooks_behind():
    network = Network(nn.Sequential(nn.Linear(2, 5), nn.Tanh()))
    activations(network, network.theta, torch.zeros(1, 2))
    with pytest.raises(RuntimeError):
        activations(network, network.theta, torch.zeros(1, 3))
    assert not any(module._forward_hooks for module in network.module.modules())


@pytest.mark.parametrize("with_gradient", [False, True])
def test_more_examples_go_together_the_more_room_there_is(with_gradient, seed, monkeypatch):
    network, inputs, _ = convolutional(seed, 1)
    alive = activations(network, network.theta, inputs).alive(with_gradient)
    name = "GRADIENT_PASS_BYTES" if with_gradient else "PASS_BYTES"
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


@pytest.mark.parametrize("work", ["outputs", "evaluate", "losses", "gradients", "training"])
def test_passes_hold_no_more_than_their_room(work, seed, monkeypatch):
    network, inputs, targets = convolutional(seed, 2000)
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
