"""Curvature against an independent library, curvlinops, in float64: products to 1e-10 relative."""

import numpy as np
import pytest
import torch
from curvlinops import GGNLinearOperator, HessianLinearOperator
from scipy.sparse.linalg import eigsh
from torch import nn

from basins.flatness import lanczos, meyer2020hutchpp, ubaru2017density
from basins.models.functional import Network, build
from basins.rays.landscapes import Landscapes
from basins.rays.products import Cells, products_of, products_together

LOSSES = {"cross_entropy": nn.CrossEntropyLoss(), "binary_cross_entropy": nn.BCEWithLogitsLoss()}
CASES = [
    ("mlp-6-5", (4,), 3, "cross_entropy", True),
    ("mlp-6", (4,), 1, "binary_cross_entropy", True),
    ("tanh", (4,), 3, "cross_entropy", False),
    ("cnn-small", (1, 8, 8), 3, "cross_entropy", False),
]


def module_of(model, shape, outputs, seed):
    if model != "tanh":
        return build(model, shape, outputs, seed)
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(*shape, 5), nn.Tanh(), nn.Linear(5, outputs))


def problem(seed, model, shape, outputs, loss, count=40):
    """Return our products with a network's matrices, and the library's two operators."""
    random = np.random.default_rng(seed)
    network = Network(module_of(model, shape, outputs, seed).double())
    inputs = torch.from_numpy(random.normal(size=(count, *shape)))
    targets = torch.from_numpy(random.integers(max(outputs, 2), size=count))
    # Away from the start, where weights and with them curvature are small.
    theta = network.theta + torch.from_numpy(random.normal(size=network.num_parameters)) / 5
    ours = products_of(network, theta, Landscapes(inputs, targets, (count // 2, count), loss))
    module = network.module.requires_grad_(True)
    nn.utils.vector_to_parameters(theta, module.parameters())
    goals = targets.double()[:, None] if loss == "binary_cross_entropy" else targets
    # In two batches of different sizes, as the library averages them.
    data = [(inputs[:25], goals[:25]), (inputs[25:], goals[25:])]
    given = module, LOSSES[loss], list(module.parameters()), data
    return ours, HessianLinearOperator(*given), GGNLinearOperator(*given), network.num_parameters


def times(operator, rows):
    """Return the library's products with rows (k, n)."""
    return (operator @ torch.from_numpy(rows.T.copy())).numpy().T


@pytest.mark.parametrize(("model", "shape", "outputs", "loss", "is_compiled"), CASES)
def test_products_are_those_of_curvlinops(model, shape, outputs, loss, is_compiled, seed):
    ours, hessian, gauss_newton, n = problem(seed, model, shape, outputs, loss)
    assert (type(ours).__name__ == "CompiledProducts") == is_compiled
    rows = np.random.default_rng(seed).normal(size=(3, n))
    for found, operator in ((ours.hessian(rows), hessian), (ours.gauss_newton(rows), gauss_newton)):
        right = times(operator, rows)
        np.testing.assert_allclose(found, right, atol=1e-10 * abs(right).max())
    cells = Cells(np.zeros(3, int), np.ones(3, int))
    np.testing.assert_allclose(
        products_together([ours], cells, rows), ours.hessian(rows), atol=1e-12 * abs(rows).max()
    )


@pytest.mark.parametrize("matrix", ["hessian", "gauss_newton"])
def test_spectrum_is_that_of_curvlinops(matrix, seed):
    ours, hessian, gauss_newton, n = problem(seed, *CASES[0][:4])
    operator = hessian if matrix == "hessian" else gauss_newton
    product = getattr(ours, matrix)
    dense = times(operator, np.eye(n))
    values = np.linalg.eigvalsh((dense + dense.T) / 2)
    start = np.random.default_rng(seed).normal(size=(1, n))
    ends = lanczos.extremes(lambda _, vectors: product(vectors), start, 5)
    top = values[-1]
    np.testing.assert_allclose(np.sort(ends.largest[0]), values[-5:], atol=1e-6 * top)
    np.testing.assert_allclose(ends.smallest[0], values[0], atol=1e-6 * top)
    np.testing.assert_allclose(ends.spectral_norm[0], abs(values).max(), rtol=1e-6)
    by_scipy = eigsh(operator.to_scipy(), k=5, which="LA", return_eigenvectors=False)
    np.testing.assert_allclose(np.sort(ends.largest[0]), np.sort(by_scipy), atol=1e-6 * top)
    # As many products as dimensions make the trace exact; fewer are within six standard errors.
    trace = meyer2020hutchpp.trace(product, n, seed, "trace", num_products=30)
    assert abs(trace.value - values.sum()) <= 6 * trace.stderr + 1e-9 * abs(values).sum()
    seen = ubaru2017density.spectrum(product, n, seed, "density", num_probes=20, num_steps=40)
    log_det = ubaru2017density.log_det(seen, 1e-2)
    right = np.log(np.maximum(values, 0) + 1e-2).sum()
    # 20 probes: six standard errors of a mean with 19 degrees of freedom, 1 in 100,000.
    assert abs(log_det.value - right) <= 6 * log_det.stderr + 1e-3 * n


@pytest.mark.parametrize("model", ["tanh", "mlp-6-5"])
def test_products_are_differences_of_gradients(model, seed):
    """Central differences in float64: 1e-5 relative, unless a unit's kink lies between them."""
    random = np.random.default_rng(seed)
    network = Network(module_of(model, (4,), 3, seed).double())
    inputs = torch.from_numpy(random.normal(size=(20, 4)))
    targets = torch.from_numpy(random.integers(3, size=20))
    theta = network.theta
    ours = products_of(network, theta, Landscapes(inputs, targets, (20,), "cross_entropy"))
    direction = random.normal(size=network.num_parameters)

    def gradient(point):
        point = point.clone().requires_grad_(True)
        nn.functional.cross_entropy(network.apply(point, inputs), targets).backward()
        return point.grad.numpy()

    step = 1e-6 * torch.from_numpy(direction)
    difference = (gradient(theta + step) - gradient(theta - step)) / 2e-6
    found = ours.hessian(direction[None])[0]
    np.testing.assert_allclose(found, difference, atol=1e-5 * abs(found).max())
