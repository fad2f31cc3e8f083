"""Models: published parameter counts, purity, stacking, and what a bad builder is told."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.func import functional_call, vmap

from basins.models.cnn import MaxPool
from basins.models.functional import Network, build, initial_parameters

PUBLISHED = [
    ("mlp-256-128", (1, 28, 28), 10, 235_146),
    ("mlp-512-256", (3, 32, 32), 10, 1_707_274),
    ("cnn-small", (1, 28, 28), 10, 421_642),
    ("cnn-large", (3, 32, 32), 10, 1_276_234),
    ("mlp-32x5", (2,), 1, 4_353),
]
ALL = [
    ("linear", (5,), 3),
    ("mlp-7-6", (1, 4, 4), 3),
    ("cnn-small", (1, 8, 8), 3),
    ("cnn-large", (3, 8, 8), 3),
    ("resnet-8", (3, 8, 8), 3),
    ("resnet-8-noskip", (1, 8, 8), 3),
    ("sharp-rings", (2,), 1),
    ("sharp-rings", (2,), 2),
]


@pytest.mark.parametrize(("name", "shape", "outputs", "count"), PUBLISHED)
def test_parameter_counts_are_the_published_ones(name, shape, outputs, count):
    assert Network(build(name, shape, outputs)).num_parameters == count


@pytest.mark.parametrize(("name", "shape", "outputs"), ALL)
def test_stacked_networks_equal_the_module_one_by_one(name, shape, outputs, seed):
    networks = [build(name, shape, outputs, seed, index) for index in range(3)]
    theta = torch.stack([Network(module).theta for module in networks]).double()
    inputs = torch.randn(4, *shape, generator=torch.Generator().manual_seed(seed)).double()
    pure = Network(networks[0]).to("cpu", torch.float64)
    stacked = vmap(pure.apply, in_dims=(0, None))(theta, inputs)
    for row, module in zip(stacked, networks, strict=True):
        torch.testing.assert_close(row, module.double()(inputs), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("name", "shape", "outputs"), ALL)
def test_batchnorm_free_so_that_examples_do_not_meet(name, shape, outputs, seed):
    module = build(name, shape, outputs, seed)
    assert not [m for m in module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    assert not list(module.buffers())


def test_skips_matter():
    with_skip, without = (build(name, (3, 8, 8), 3, 0) for name in ("resnet-8", "resnet-8-noskip"))
    theta = dict(without.named_parameters())
    inputs = torch.ones(1, 3, 8, 8)
    outputs = functional_call(with_skip, theta, (inputs,))
    assert not torch.allclose(outputs, without(inputs))


def test_initialisation_depends_on_its_name_alone():
    torch.manual_seed(1)
    first = initial_parameters("mlp-4", (3,), 2, "digits", 0)
    before = torch.random.get_rng_state()
    second = initial_parameters("mlp-4", (3,), 2, "digits", 0)
    assert torch.equal(first, second)
    assert torch.equal(before, torch.random.get_rng_state())
    assert not torch.equal(first, initial_parameters("mlp-4", (3,), 2, "digits", 1))


@pytest.mark.parametrize(
    ("name", "shape", "words"),
    [
        ("cnn-small", (5,), "model cnn-small needs images"),
        ("cnn-large", (3, 4, 4), "at least 8 pixels a side"),
        ("resnet-9", (3, 8, 8), "the depth must be 6k \\+ 2"),
        ("resnet-8", (5,), "model resnet-8 needs images"),
        ("builtins:list", (5,), "cannot|takes|expected"),
    ],
)
def test_impossible_model_is_one_sentence(name, shape, words):
    with pytest.raises((ValueError, TypeError), match=words):
        build(name, shape, 3)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("return 3", "it built a int, not a torch Module"),
        ("return torch.nn.Linear(shape[0], 7)", r"it maps two inputs to shape \(2, 7\)"),
    ],
)
def test_bad_own_model_is_one_sentence(tmp_path, monkeypatch, body, words):
    name = f"own_model_{abs(hash(body))}"
    text = f"import torch\ndef build(shape, outputs):\n    {body}\n"
    (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ValueError, match=words):
        build(f"{name}:build", (5,), 3)


def test_model_without_parameters_is_refused():
    with pytest.raises(ValueError, match="model: it has no parameters"):
        Network(nn.Flatten())


def test_models_whose_examples_change_each_other_are_refused():
    layers = nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2, track_running_stats=False)
    with pytest.raises(ValueError, match=r"model: its BatchNorm2d '1' keeps no running statistics"):
        Network(nn.Sequential(*layers))
    Network(nn.Sequential(layers[0], nn.BatchNorm2d(2)))


@given(
    st.integers(1, 4),
    st.integers(0, 6),
    st.integers(0, 6),
    st.sampled_from([torch.float32, torch.float64]),
    st.integers(0, 2**63 - 1),
)
def test_pools_are_torchs_to_the_bit(side, more_rows, more_columns, dtype, seed):
    generator = torch.Generator().manual_seed(seed)
    shape = (3, 2, side + more_rows, side + more_columns)
    # Ties, negative zeros and what is no number among them.
    signs = torch.rand(shape, generator=generator, dtype=dtype).round()
    images = torch.randint(-2, 3, shape, generator=generator).to(dtype) * signs
    images[0, 0, 0, 0] = torch.nan
    ours, torchs = MaxPool(side), nn.MaxPool2d(side)
    with torch.no_grad():
        assert torch.equal(ours(images).nan_to_num(9), torchs(images).nan_to_num(9))
        assert torch.equal(ours(images).isnan(), torchs(images).isnan())
        assert torch.equal(vmap(ours)(images[1:, None]), torchs(images[1:])[:, None])
    slopes = []
    for pool in (ours, torchs):
        leaf = images.clone().requires_grad_()
        slopes += torch.autograd.grad(pool(leaf).nansum(), leaf)
    assert torch.equal(*slopes)
