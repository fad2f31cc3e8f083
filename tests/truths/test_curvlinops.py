"""Curvature and its estimators against curvlinops, an independent library, in float64.

Curvlinops differentiates forward over backward with torch, examples in one batch; ours is by hand
where it is compiled, and backward over backward elsewhere. Both have the parameters in the order of
the module, and the mean loss over the examples.
"""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from curvlinops import GGNLinearOperator, HessianLinearOperator
from scipy.sparse.linalg import eigsh
from scipy.stats import t as student
from torch import nn

from basins.flatness.lanczos import extremes
from basins.flatness.meyer2020hutchpp import trace
from basins.flatness.of_minima import Survey, Surveyed
from basins.flatness.ubaru2017density import Spectrum, log_det, spectrum
from basins.models.functional import Network, build
from basins.rays.evaluators import evaluator_of
from basins.rays.landscapes import Landscapes
from basins.rays.products import CompiledProducts, CurvatureProducts, products_of

SIZES = (1, 20, 150)  # across an edge of a block of the compiled code
NUM_CLASSES = {"cross_entropy": 4, "binary_cross_entropy": 1, "squared_error": 3}
CASES = [
    ("tanh", "cross_entropy"),
    ("tanh", "binary_cross_entropy"),
    ("tanh", "squared_error"),
    ("linear", "cross_entropy"),
    ("mlp-9-7", "cross_entropy"),
    ("mlp-9-7", "binary_cross_entropy"),
    ("mlp-6x3", "squared_error"),
    ("cnn-small", "cross_entropy"),
    ("cnn-small", "binary_cross_entropy"),
]
FALSE_ALARM = 1e-6


def problem(seed, model, loss, sizes=SIZES):
    """Return a network at a random point and its landscapes."""
    random = np.random.default_rng(seed)
    is_image = model.startswith("cnn")
    shape, sizes = ((1, 4, 4), (1, 20)) if is_image else ((5,), sizes)
    outputs = NUM_CLASSES[loss]
    if model == "tanh":
        module = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, outputs))
    else:
        module = build(model, shape, outputs, seed)
    network = Network(module.double())
    start = random.normal(size=network.num_parameters) * (0.1 if is_image else 0.5)
    inputs = torch.from_numpy(random.normal(size=(sizes[-1], *shape)))
    targets = torch.from_numpy(random.integers(max(2, outputs), size=sizes[-1]))
    return network, torch.from_numpy(start), Landscapes(inputs, targets, sizes, loss)


def operator(network, theta, landscapes, landscape=-1, is_gauss_newton=False):
    """Return curvlinops' operator of one landscape."""
    module = copy.deepcopy(network.module).requires_grad_(True)
    torch.nn.utils.vector_to_parameters(theta, module.parameters())
    count = landscapes.sizes[landscape]
    inputs, targets = landscapes.inputs[:count], landscapes.targets[:count]
    if landscapes.loss == "cross_entropy":
        criterion = nn.CrossEntropyLoss()
    elif landscapes.loss == "binary_cross_entropy":
        criterion, targets = nn.BCEWithLogitsLoss(), targets[:, None].double()
    else:
        # Torch averages over examples and outputs, as ours does.
        criterion = nn.MSELoss()
        targets = nn.functional.one_hot(targets, NUM_CLASSES["squared_error"]).double()
    kind = GGNLinearOperator if is_gauss_newton else HessianLinearOperator
    return kind(module, criterion, list(module.parameters()), [(inputs, targets)])


def dense(*given, **options):
    """Return the whole matrix of curvlinops' operator."""
    found = operator(*given, **options)
    matrix = (found @ torch.eye(found.shape[0], dtype=torch.float64)).numpy()
    return (matrix + matrix.T) / 2


@pytest.mark.parametrize("is_gauss_newton", [False, True])
@pytest.mark.parametrize(("model", "loss"), CASES)
def test_products_are_those_of_curvlinops(seed, model, loss, is_gauss_newton):
    network, theta, landscapes = problem(seed, model, loss)
    directions = np.random.default_rng(seed).normal(size=(3, network.num_parameters))
    chosen = products_of(network, theta, landscapes)
    assert isinstance(chosen, CompiledProducts) == model.startswith(("mlp", "linear"))
    for landscape in range(len(landscapes.sizes)):
        other = operator(network, theta, landscapes, landscape, is_gauss_newton)
        expected = (other @ torch.from_numpy(directions.T.copy())).numpy().T
        for ours in (chosen, CurvatureProducts(network, theta, landscapes)):
            product = ours.gauss_newton if is_gauss_newton else ours.hessian
            # Sums of a thousand terms or so in other orders.
            np.testing.assert_allclose(
                product(directions, landscape),
                expected,
                rtol=1e-9,
                atol=1e-11 * np.abs(expected).max(),
            )


@pytest.mark.parametrize(
    ("model", "loss"), [case for case in CASES if not case[0].startswith("cnn")]
)
def test_hessian_products_are_differences_of_gradients(seed, model, loss):
    network, theta, landscapes = problem(seed, model, loss)
    # Where no rectifier is within reach of the step.
    while model.startswith("mlp") and least_sum(network, theta, landscapes.inputs) < 1e-4:
        seed += 1
        network, theta, landscapes = problem(seed, model, loss)
    direction = np.random.default_rng(seed).normal(size=(1, len(theta)))
    direction /= np.linalg.norm(direction)
    evaluator, step = evaluator_of(network, theta, landscapes), 1e-5
    for landscape in range(len(landscapes.sizes)):
        ahead, behind = (evaluator.gradients(s * step * direction, landscape) for s in (1, -1))
        found = products_of(network, theta, landscapes).hessian(direction, landscape)
        # Third derivatives of 100 or so times the step's square; rounding over the step.
        np.testing.assert_allclose(found, (ahead - behind) / (2 * step), rtol=0, atol=1e-7)


def least_sum(network, theta, inputs):
    """Return the least absolute input of a rectifier."""
    least = []
    hooks = [
        part.register_forward_pre_hook(lambda _, given: least.append(float(given[0].abs().min())))
        for part in network.module
        if isinstance(part, nn.ReLU)
    ]
    network.apply(theta, inputs)
    for hook in hooks:
        hook.remove()
    return min(least)


@pytest.mark.parametrize("is_gauss_newton", [False, True])
@pytest.mark.parametrize(
    ("model", "loss"),
    [("tanh", "cross_entropy"), ("mlp-9-7", "cross_entropy"), ("mlp-6x3", "squared_error")],
)
def test_extremes_of_all_minima_are_those_of_curvlinops(seed, model, loss, is_gauss_newton):
    network, theta, landscapes = problem(seed, model, loss, sizes=(40, 150))
    points = [theta, 1.3 * theta]
    survey = Survey(network, [Surveyed(("test", seed), at, landscapes, 4) for at in points])
    found = survey.extremes(4, is_gauss_newton)
    assert found.is_converged.all()
    for row, (minimum, landscape) in enumerate(zip(*survey.cells(), strict=True)):
        matrix = dense(network, points[minimum], landscapes, landscape, is_gauss_newton)
        exact = np.linalg.eigvalsh(matrix)
        # Residuals of 1e-6 bound the errors.
        size = np.abs(exact).max()
        np.testing.assert_allclose(found.largest[row], exact[:-5:-1], atol=2e-6 * size)
        assert found.smallest[row] == pytest.approx(exact[0], abs=2e-6 * size)
        assert found.spectral_norm[row] == pytest.approx(size, rel=2e-6)


def test_extremes_of_a_convolutional_network_are_those_of_scipy(seed):
    network, theta, landscapes = problem(seed, "cnn-small", "cross_entropy")
    landscapes = replace(landscapes, sizes=(6,))
    ours = products_of(network, theta, landscapes)
    starts = np.random.default_rng(seed).normal(size=(1, len(theta)))
    found = extremes(lambda _, v: ours.hessian(v), starts, 2, tolerance=1e-7)
    assert found.is_converged[0]
    other = operator(network, theta, landscapes).to_scipy()
    ends = np.sort(eigsh(other, 4, which="BE", tol=1e-8, return_eigenvectors=False))
    # Residuals of 1e-7 bound the errors.
    expected = [ends[3], ends[2], ends[0]]
    size = found.spectral_norm[0]
    np.testing.assert_allclose([*found.largest[0], *found.smallest], expected, atol=2e-7 * size)


@pytest.mark.parametrize("is_gauss_newton", [False, True])
def test_estimates_are_the_same_whoever_multiplies(seed, is_gauss_newton):
    network, theta, landscapes = problem(seed, "mlp-9-7", "cross_entropy")
    n, products = network.num_parameters, products_of(network, theta, landscapes)
    other = operator(network, theta, landscapes, is_gauss_newton=is_gauss_newton)

    def theirs(rows):
        return (other @ torch.from_numpy(rows.T.copy())).numpy().T

    ours = products.gauss_newton if is_gauss_newton else products.hessian
    for estimator in (
        lambda product: trace(product, n, seed),
        lambda product: log_det(spectrum(product, n, seed, num_steps=8), 0.01),
    ):
        found, expected = estimator(ours), estimator(theirs)
        assert found.value == pytest.approx(expected.value, rel=1e-8)
        assert found.stderr == pytest.approx(expected.stderr, rel=1e-6)


@pytest.mark.parametrize("is_gauss_newton", [False, True])
@pytest.mark.parametrize("model", ["tanh", "mlp-9-7"])
def test_estimates_are_those_of_the_dense_matrix(seed, model, is_gauss_newton):
    network, theta, landscapes = problem(seed, model, "cross_entropy")
    n, products = network.num_parameters, products_of(network, theta, landscapes)
    ours = products.gauss_newton if is_gauss_newton else products.hessian
    exact = np.linalg.eigvalsh(dense(network, theta, landscapes, is_gauss_newton=is_gauss_newton))
    damping, num_probes = 0.01, 400
    truth = np.log(np.maximum(exact, 0) + damping).sum()
    whole = Spectrum.whole(np.linalg.eigvalsh(ours(np.eye(n))))
    assert log_det(whole, damping).value == pytest.approx(truth, rel=1e-8)
    assert trace(ours, n, num_products=3 * n).value == pytest.approx(exact.sum(), rel=1e-9)
    # By Student's law of as many draws; an eigenvector of few weights is seen by few of them.
    few, many = student.isf(FALSE_ALARM / 2, 19), 7
    found = trace(ours, n, seed, num_products=60)
    assert abs(found.value - exact.sum()) <= few * found.stderr
    matrix = ours(np.eye(n))
    seen = spectrum(lambda v: v @ matrix, n, seed, num_probes=num_probes)
    assert abs(log_det(seen, damping).value - truth) <= many * log_det(seen, damping).stderr
    width = 0.1 * np.ptp(exact)
    for at in np.linspace(exact[0], exact[-1], 5):
        bump = Spectrum.whole(exact).density(np.array([at]), width)[0]

        def height(values, at=at):
            return np.exp(-(((values - at) / width) ** 2) / 2) / np.sqrt(2 * np.pi) / width / n

        found = seen.trace_of(height)
        assert seen.density(np.array([at]), width)[0] == pytest.approx(found.value, rel=1e-9)
        assert abs(found.value - bump) <= many * found.stderr


@pytest.mark.parametrize(("kind", "repeats"), [("trace", 2000), ("log_det", 600)])
def test_intervals_of_nine_in_ten_hold_the_truth_of_networks(seed, kind, repeats):
    """Seen are 89 % of traces and 92 % of determinants; at these 85 % fail once in 10^7 runs."""
    damping, holds, errors = 0.01, [], []
    for index in range(20):
        network, theta, landscapes = problem(seed + index, "mlp-9-7", "cross_entropy")
        matrix = dense(network, theta, landscapes)
        exact, n = np.linalg.eigvalsh(matrix), len(matrix)
        for repeat in range(repeats // 20):
            names = "coverage", seed, index, repeat
            if kind == "trace":
                truth, found = exact.sum(), trace(lambda v, m=matrix: v @ m, n, *names)
            else:
                truth = np.log(np.maximum(exact, 0) + damping).sum()
                seen = spectrum(lambda v, m=matrix: v @ m, n, *names, num_steps=40)
                found = log_det(seen, damping)
            holds.append(found.low <= truth <= found.high)
            errors.append((found.value - truth) / found.stderr)
    assert np.mean(holds) >= 0.85
    # Bars are no wider than the errors they speak of, but for chance.
    assert np.std(errors) > 0.6
