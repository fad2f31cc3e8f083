"""Two modules of one's own, joined by curves."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from basins import connect_models
from basins.landscape.garipov2018curves import points


def network(width=8, depth=1):
    layers = [nn.Linear(4, width), nn.Tanh()]
    for _ in range(depth - 1):
        layers += [nn.Linear(width, width), nn.Tanh()]
    return nn.Sequential(*layers, nn.Linear(width, 2)).double()


def trained(seed):
    """Return two networks trained from starts of their own on the same examples."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        inputs = torch.randn(40, 4, dtype=torch.float64)
        targets = (inputs[:, 0] * inputs[:, 1] > 0).long()
        found = []
        for _ in range(2):
            model = network()
            optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
            for _ in range(150):
                optimizer.zero_grad()
                functional.cross_entropy(model(inputs), targets).backward()
                optimizer.step()
            found.append(model)
    return *found, inputs, targets


def test_curves_end_in_the_models_and_their_bends_are_networks(seed):
    first, last, inputs, targets = trained(seed)
    before = copy.deepcopy(first.state_dict())
    curves = connect_models(
        first, last, inputs, targets, landscape_sizes=[10, 40], num_positions=5, seed=seed
    )
    for name, value in first.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)
    ends = np.stack(
        [nn.utils.parameters_to_vector(one.parameters()).detach().numpy() for one in (first, last)]
    )
    for kind in curves.kind.values:
        at = points(kind, ends, curves.bend.sel(kind=kind).values, curves.position.values)
        for theta, t in zip(at, curves.position.values, strict=True):
            model = copy.deepcopy(first)
            nn.utils.vector_to_parameters(torch.from_numpy(theta), model.parameters())
            for size in (10, 40):
                expected = functional.cross_entropy(model(inputs[:size]), targets[:size]).item()
                found = curves.curve_loss.sel(kind=kind, position=t, landscape_size=size).item()
                assert found == pytest.approx(expected, rel=1e-9)
    means = curves.curve_loss.sel(landscape_size=40).mean("position")
    assert (means.sel(kind=["bezier", "polygon"]) < means.sel(kind="line")).all()
    assert (curves.curve_length >= curves.curve_length.sel(kind="line")).all()
    assert all(variable.attrs["units"] for variable in curves.variables.values())


def test_other_losses_and_other_seeds(seed):
    first, last, inputs, _ = trained(seed)

    def distance(outputs, targets):
        return (outputs[:, 0] - targets).square()

    def joined(seed):
        options = {"epochs": 3, "num_positions": 3, "seed": seed}
        return connect_models(first, last, inputs, inputs[:, 1], distance, **options)

    np.testing.assert_array_equal(joined(0).bend, joined(0).bend)
    assert not np.array_equal(joined(0).bend, joined(1).bend)


def test_bad_input_is_one_sentence_before_any_training(seed, monkeypatch):
    first, last, inputs, targets = trained(seed)
    monkeypatch.setattr("basins.connect.trained_bends", None)
    for other in (network(9), network(8, depth=2)):
        with pytest.raises(ValueError, match=r"^ends: a curve joins minima of one architecture"):
            connect_models(first, other, inputs, targets)
    for name, value, sentence in (
        ("num_positions", 1, "must be a whole number of at least 2"),
        ("epochs", 0, "must be a whole number of at least 1"),
        ("draws", 1.5, "must be a whole number of at least 1"),
        ("seed", -1, "must be a whole number of at least 0"),
        ("epochs", True, "must be a whole number of at least 1"),
        ("learning_rate", 0.0, "must be a number above 0"),
        ("learning_rate", True, "must be a number above 0"),
        ("learning_rate", "fast", "must be a number above 0"),
    ):
        with pytest.raises(ValueError, match=f"^{name}: {value!r} {sentence}$"):
            connect_models(first, last, inputs, targets, **{name: value})
    with pytest.raises(ValueError, match="targets: shape"):
        connect_models(first, last, inputs, targets[:3])


def test_models_of_one_shape_that_are_other_functions_are_refused(seed):
    _, _, inputs, targets = trained(seed)
    bent, other = (
        nn.Sequential(nn.Linear(4, 4), kind(), nn.Linear(4, 2)).double()
        for kind in (nn.ReLU, nn.Tanh)
    )
    with pytest.raises(ValueError, match=r"but module '1' is ReLU\(\) in one and Tanh\(\) in"):
        connect_models(bent, other, inputs, targets)
    normed = [
        nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)).double()
        for _ in range(2)
    ]
    normed[1][1].running_mean += 1
    with pytest.raises(ValueError, match=r"^ends: 1\.running_mean differs, which is no parameter"):
        connect_models(*normed, inputs, targets)


def test_a_bend_that_diverges_is_no_result(seed):
    first, last, inputs, targets = trained(seed)
    with pytest.raises(ValueError, match=r"^learning_rate: 1e\+300 is too large"):
        connect_models(first, last, inputs, targets, epochs=20, learning_rate=1e300)
