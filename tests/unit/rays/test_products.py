"""Curvature products against whole matrices by torch's own derivatives, in float64 to 1e-9."""

import numpy as np
import pytest
import torch
from torch import nn

from basins import threads
from basins.models.functional import Network, build
from basins.rays.landscapes import Landscapes
from basins.rays.numba_path import NumbaEvaluator
from basins.rays.products import (
    Cells,
    CompiledProducts,
    CurvatureProducts,
    products_of,
    products_together,
)

CASES = [
    ("linear", "cross_entropy", 3),
    ("mlp-4", "cross_entropy", 3),
    ("mlp-4-3", "binary_cross_entropy", 1),
    ("mlp-3", "squared_error", 2),
]


def problem(seed, model, loss, outputs):
    random = np.random.default_rng(seed)
    network = Network(build(model, (3,), outputs, seed).double())
    inputs = torch.from_numpy(random.normal(size=(12, 3)))
    targets = torch.from_numpy(random.integers(2, size=12))
    return network, network.theta, Landscapes(inputs, targets, (5, 12), loss)


@pytest.mark.parametrize("max_bytes", [1, 2**28])
@pytest.mark.parametrize(("model", "loss", "outputs"), CASES)
def test_products_are_those_of_whole_matrices(seed, model, loss, outputs, max_bytes):
    network, theta, landscapes = problem(seed, model, loss, outputs)
    function = landscapes.loss_function

    def mean(point):
        return function(network.apply(point, landscapes.inputs), landscapes.targets).mean()

    hessian = torch.autograd.functional.hessian(mean, theta).numpy()
    gauss_newton = np.zeros_like(hessian)
    for x, y in zip(landscapes.inputs[:, None], landscapes.targets[:, None], strict=True):
        values = network.apply(theta, x)
        jacobian = torch.autograd.functional.jacobian(lambda p, x=x: network.apply(p, x)[0], theta)
        bend = torch.autograd.functional.hessian(lambda v, y=y: function(v[None], y)[0], values[0])
        gauss_newton += (jacobian.T @ bend @ jacobian).numpy() / 12
    found = CurvatureProducts(network, theta, landscapes, max_bytes)
    assert isinstance(products_of(network, theta, landscapes), CompiledProducts)
    directions = np.random.default_rng(seed).normal(size=(4, len(theta)))
    np.testing.assert_allclose(found.hessian(directions), directions @ hessian, atol=1e-9)
    np.testing.assert_allclose(found.gauss_newton(directions), directions @ gauss_newton, atol=1e-9)
    if model == "linear":
        # Outputs that are linear in the parameters bend nowhere.
        np.testing.assert_allclose(hessian, gauss_newton, atol=1e-9)


@pytest.mark.parametrize(
    ("model", "loss", "outputs"),
    [
        *CASES,
        ("mlp-6x4", "binary_cross_entropy", 1),
        ("mlp-33-20", "cross_entropy", 10),
        ("mlp-20-33-7", "squared_error", 4),
    ],
)
def test_compiled_products_are_torchs(seed, model, loss, outputs):
    random = np.random.default_rng(seed)
    network = Network(build(model, (15,), outputs, seed).double())
    # Across the edges of blocks.
    inputs = torch.from_numpy(random.normal(size=(300, 15)))
    targets = torch.from_numpy(random.integers(2, size=300))
    landscapes = Landscapes(inputs, targets, (1, 40, 128, 300), loss)
    fast = CompiledProducts(network, network.theta, landscapes)
    slow = CurvatureProducts(network, network.theta, landscapes)
    directions = random.normal(size=(5, network.num_parameters))
    for landscape in (0, 1, 2, 3, -1):
        for name in ("hessian", "gauss_newton"):
            found, expected = (getattr(one, name)(directions, landscape) for one in (fast, slow))
            np.testing.assert_allclose(
                found, expected, rtol=1e-10, atol=1e-12 * np.abs(expected).max()
            )


@pytest.mark.parametrize("is_compiled", [True, False])
@pytest.mark.parametrize("is_gauss_newton", [True, False])
def test_rows_of_several_minima_are_multiplied_together(seed, is_compiled, is_gauss_newton):
    network, theta, landscapes = problem(seed, "mlp-4-3", "cross_entropy", 3)
    kind = CompiledProducts if is_compiled else CurvatureProducts
    each = [kind(network, theta * (1 + k), landscapes) for k in range(2)]
    random = np.random.default_rng(seed)
    cells = Cells(random.integers(2, size=9), random.integers(2, size=9))
    directions = random.normal(size=(9, len(theta)))
    found = products_together(each, cells, directions, is_gauss_newton)
    for row in range(9):
        one = each[cells.minima[row]]
        product = one.gauss_newton if is_gauss_newton else one.hessian
        expected = product(directions[row : row + 1], int(cells.landscapes[row]))[0]
        np.testing.assert_allclose(found[row], expected, rtol=1e-12, atol=1e-14)


def test_products_are_differences_of_gradients(seed):
    network, theta, landscapes = problem(seed, "mlp-4-3", "cross_entropy", 3)
    evaluator = NumbaEvaluator(network, theta, landscapes)
    vector = np.random.default_rng(seed).normal(size=(1, len(theta)))
    step = 1e-6
    ahead, behind = (evaluator.gradients(sign * step * vector, 0) for sign in (1, -1))
    # No rectifier turns within 1e-6, but for one case in a hundred thousand; rounding is 1e-10.
    found = CompiledProducts(network, theta, landscapes).hessian(vector, 0)
    np.testing.assert_allclose(found, (ahead - behind) / (2 * step), rtol=1e-5, atol=1e-8)


def test_threads_share_products_out(seed, monkeypatch):
    network, theta, landscapes = problem(seed, "mlp-4", "cross_entropy", 3)
    directions = np.random.default_rng(seed).normal(size=(7, len(theta)))
    one = CompiledProducts(network, theta, landscapes).hessian(directions)
    monkeypatch.setattr(threads, "LEAST_OPERATIONS", 1)
    np.testing.assert_array_equal(
        CompiledProducts(network, theta, landscapes).hessian(directions), one
    )


def test_single_precision_of_the_network_is_left_alone(seed):
    network = Network(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)))
    landscapes = Landscapes(
        torch.randn(6, 3), torch.tensor([0, 1, 0, 1, 1, 0]), (6,), "cross_entropy"
    )
    found = CurvatureProducts(network, network.theta, landscapes)
    directions = np.random.default_rng(seed).normal(size=(2, network.num_parameters))
    assert np.isfinite(found.hessian(directions)).all()
    assert network.module[1].running_mean.dtype == torch.float32
