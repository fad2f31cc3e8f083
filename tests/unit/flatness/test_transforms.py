"""Changes of a minimum against their laws: outputs to 1e-10, Hessians to 1e-8, both relative."""

import itertools

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from torch import nn
from torch.nn.functional import cross_entropy
from torch.nn.utils import prune

from basins import streams
from basins.flatness.dinh2017radial import Radial
from basins.flatness.linear_maps import (
    Permutation,
    Rescaling,
    pseudo_log_det_shift,
    transformed_hessian,
)
from basins.flatness.transforms import (
    alpha_scale,
    named_transform,
    unit_permutation,
    unit_rescaling,
)
from basins.models.functional import Network, build


def nested():
    first = nn.Sequential(nn.Conv2d(1, 4, 3), nn.LeakyReLU(), nn.AvgPool2d(2), nn.Identity())
    second = nn.Sequential(nn.Conv2d(4, 6, 2, groups=2, bias=False), nn.AdaptiveAvgPool2d(2))
    return nn.Sequential(first, nn.Dropout(), second, nn.ReLU(), nn.Flatten(), nn.Linear(24, 3))


def per_step():
    """Linear layers on each of 4 steps of a sequence, then on all of them."""
    start = (nn.Linear(3, 5), nn.ReLU(inplace=True), nn.Linear(5, 2), nn.Flatten())
    return nn.Sequential(*start, nn.Linear(8, 3))


def smooth_ends():
    start = (nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 5), nn.ReLU())
    return nn.Sequential(*start, nn.Linear(5, 4), nn.Softplus(), nn.Linear(4, 3), nn.Softmax(-1))


def signals():
    """Channels that a kernel of width 1 makes, pooled over all places."""
    start = (nn.Conv1d(2, 4, 1), nn.ReLU(), nn.MaxPool1d(2), nn.Conv1d(4, 5, 3, padding=1))
    return nn.Sequential(*start, nn.AdaptiveMaxPool1d(1), nn.Flatten(), nn.Linear(5, 3))


RECTIFIED = {
    "mlp-8-6": ((3,), lambda: build("mlp-8-6", (3,), 3, "test")),
    "mlp-5x4": ((3,), lambda: build("mlp-5x4", (3,), 3, "test")),
    "cnn-small": ((1, 8, 8), lambda: build("cnn-small", (1, 8, 8), 3, "test")),
    "nested, groups": ((1, 8, 8), nested),
    "per step": ((4, 3), per_step),
    "signals": ((2, 8), signals),
}


def mlp(*between, width=4):
    return nn.Sequential(nn.Linear(3, width), *between, nn.Linear(width, 2))


def problem(make, shape, seed):
    """Return a network, random parameters, random inputs and classes, and a random generator."""
    random = np.random.default_rng(seed)
    network = Network(make().double())
    theta = random.normal(size=network.num_parameters)
    inputs = torch.from_numpy(random.normal(size=(20, *shape)))
    return network, theta, inputs, torch.from_numpy(random.integers(3, size=20)), random


def small(seed, **options):
    """Return such a problem of a network with one hidden layer."""
    layers = lambda: nn.Sequential(  # noqa: E731 - a few words
        nn.Linear(4, 6, **options), nn.ReLU(), nn.Linear(6, 3, **options)
    )
    return problem(layers, (4,), seed)


def units_of(network):
    """Return the number of units of every weight layer."""
    return [block.shape[0] for block in network.layout if len(block.shape) > 1]


def assert_same_function(network, theta, changed, inputs):
    assert not np.array_equal(theta, changed)
    before, after = (network.apply(torch.from_numpy(t), inputs).numpy() for t in (theta, changed))
    assert after == pytest.approx(before, rel=0, abs=1e-10 * np.abs(before).max())


def hessian_of(network, theta, inputs, targets):
    """Return the Hessian of the mean cross-entropy, shape (n, n)."""

    def loss(point):
        return cross_entropy(network.apply(point, inputs), targets)

    return torch.autograd.functional.hessian(loss, torch.from_numpy(theta)).numpy()


def largest(hessian):
    return np.abs(np.linalg.eigvalsh(hessian)).max()


def jacobian_by_differences(function, point, step=1e-5):
    moves = step * np.eye(len(point))
    return (function(point + moves) - function(point - moves)).T / (2 * step)


@pytest.mark.parametrize("name", RECTIFIED)
def test_alpha_scale_leaves_outputs_as_they_are(name, seed):
    shape, make = RECTIFIED[name]
    network, theta, inputs, _, random = problem(make, shape, seed)
    count = len(units_of(network))
    for layers in itertools.permutations(range(count), 2):
        change = alpha_scale(network, random.uniform(0.1, 10), layers)
        assert_same_function(network, theta, change.apply(theta), inputs)
    factors = np.exp(random.normal(size=count))
    factors /= np.exp(np.log(factors).mean())
    change = alpha_scale(network, factors, range(count))
    assert_same_function(network, theta, change.apply(theta), inputs)
    assert change.solve(change.apply(theta)) == pytest.approx(theta, rel=1e-14)


@pytest.mark.parametrize("name", RECTIFIED)
def test_unit_rescaling_leaves_outputs_as_they_are(name, seed):
    shape, make = RECTIFIED[name]
    network, theta, inputs, _, random = problem(make, shape, seed)
    factors = [np.exp(random.normal(size=count)) for count in units_of(network)[:-1]]
    change = unit_rescaling(network, shape, factors)
    assert_same_function(network, theta, change.apply(theta), inputs)
    # One factor for all is T_alpha.
    alike = [np.full(count, 3.0) for count in units_of(network)[:-1]]
    assert unit_rescaling(network, shape, alike).scale == pytest.approx(
        alpha_scale(network, 3.0).scale, rel=1e-15
    )


@pytest.mark.parametrize("name", [name for name in RECTIFIED if "groups" not in name])
def test_permutations_leave_outputs_as_they_are(name, seed):
    shape, make = RECTIFIED[name]
    network, theta, inputs, _, random = problem(make, shape, seed)
    for layer, count in enumerate(units_of(network)[:-1]):
        change = unit_permutation(network, shape, layer, np.roll(random.permutation(count), 1))
        if np.array_equal(change.order, np.arange(network.num_parameters)):
            continue
        assert_same_function(network, theta, change.apply(theta), inputs)
        assert change.log_det == 0
        assert np.array_equal(change.solve(change.apply(theta)), theta)


def test_other_activations_may_stand_where_nothing_is_scaled(seed):
    network, theta, inputs, _, random = problem(smooth_ends, (3,), seed)
    change = alpha_scale(network, 3.0, (1, 2))
    assert_same_function(network, theta, change.apply(theta), inputs)
    factors = [np.ones(4), np.exp(random.normal(size=5)), np.ones(4)]
    change = unit_rescaling(network, (3,), factors)
    assert_same_function(network, theta, change.apply(theta), inputs)
    # A permutation does not need them to be homogeneous.
    for layer, count in enumerate((4, 5, 4)):
        change = unit_permutation(network, (3,), layer, np.roll(np.arange(count), 1))
        assert_same_function(network, theta, change.apply(theta), inputs)


def test_biases_are_multiplied_by_what_was_multiplied_so_far(seed):
    network, _, _, _, _ = problem(RECTIFIED["mlp-8-6"][1], (3,), seed)
    scale = alpha_scale(network, [2.0, 3.0, 1 / 6], (0, 1, 2)).scale
    firsts = [scale[block.start] for block in network.layout]
    assert firsts == pytest.approx([2, 2, 3, 6, 1 / 6, 1], rel=1e-14)
    assert all(np.ptp(scale[b.start : b.stop]) == 0 for b in network.layout)


def test_log_det_of_alpha_scale_is_that_of_dinh(seed):
    """(n1 - n2) ln alpha, with n1 and n2 the numbers of weights."""
    network, _, _, _, random = small(seed, bias=False)
    alpha = random.uniform(0.1, 10)
    found = alpha_scale(network, alpha)
    assert found.log_det == pytest.approx((24 - 18) * np.log(alpha), rel=1e-12)
    assert np.linalg.slogdet(np.diag(found.scale))[1] == pytest.approx(found.log_det, rel=1e-12)


@pytest.mark.parametrize("kind", ["alpha", "units", "order"])
def test_hessians_map_as_predicted(kind, seed):
    network, theta, inputs, targets, random = problem(RECTIFIED["mlp-8-6"][1], (3,), seed)
    if kind == "alpha":
        change = alpha_scale(network, random.uniform(0.2, 5))
    elif kind == "units":
        factors = [np.exp(random.normal(size=count)) for count in (8, 6)]
        change = unit_rescaling(network, (3,), factors)
    else:
        change = unit_permutation(network, (3,), 1, random.permutation(6))
    hessian = hessian_of(network, theta, inputs, targets)
    found = hessian_of(network, change.apply(theta), inputs, targets)
    predicted = transformed_hessian(hessian, change)
    assert predicted == pytest.approx(found, rel=0, abs=1e-8 * np.abs(found).max())
    if kind == "order":
        spectra = np.linalg.eigvalsh(found), np.linalg.eigvalsh(hessian)
        assert spectra[0] == pytest.approx(spectra[1], abs=1e-10 * np.abs(spectra[1]).max())
    else:
        trace = (np.diag(hessian) / change.scale**2).sum()
        assert np.trace(found) == pytest.approx(trace, rel=1e-8, abs=1e-8 * np.abs(found).max())


def test_alpha_makes_any_point_as_sharp_as_one_likes(seed):
    """Dinh et al. 2017, section 4.2: the spectral norm is alpha^2 times a curvature at least."""
    network, theta, inputs, targets, _ = small(seed)
    # So that no softmax is saturated: over 1,500 seeds alpha = 10 gave 7 times the norm or more.
    theta /= 3
    hessian = hessian_of(network, theta, inputs, targets)
    # Of the second layer's weights, in which the cross-entropy is convex.
    block = network.layout[2]
    curvature = np.diag(hessian)[block.start : block.stop].max()
    norms = []
    for alpha in (1.0, 10.0, 100.0, 1000.0):
        changed = alpha_scale(network, alpha).apply(theta)
        norms.append(largest(hessian_of(network, changed, inputs, targets)))
        assert norms[-1] > 0.999 * alpha**2 * curvature
    assert curvature > 0
    assert norms == sorted(norms)
    assert norms[-1] > 1e4 * norms[0]


def test_pseudo_determinants_shift_as_predicted(seed):
    """By all eigenvalues that are not 0, for every rank."""
    random = np.random.default_rng(seed)
    n = 7
    vectors, _ = np.linalg.qr(random.normal(size=(n, n)))
    rescaling = Rescaling(np.exp(random.normal(size=n)) * random.choice([-1, 1], n))
    radial = Radial(random.normal(size=n), 0.4, 1.3).jacobian(random.normal(size=n))
    for change, rank in itertools.product((rescaling, radial), (1, 4, n)):
        values = random.uniform(0.5, 2, rank) * random.choice([-1, 1], rank)
        hessian = vectors[:, :rank] * values @ vectors[:, :rank].T
        found = np.sort(np.abs(np.linalg.eigvalsh(transformed_hessian(hessian, change))))[-rank:]
        shift = np.log(found).sum() - np.log(np.abs(values)).sum()
        assert pseudo_log_det_shift(vectors[:, :rank], change) == pytest.approx(shift, abs=1e-8)
    assert pseudo_log_det_shift(vectors, rescaling) == pytest.approx(-2 * rescaling.log_det)
    order = Permutation(random.permutation(n))
    assert pseudo_log_det_shift(vectors[:, :3], order) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("a", [-0.49, -0.2, 0.0, 0.5, 3.0])
@pytest.mark.parametrize("b", [1e-4, 1.0, 100.0])
def test_the_radial_map_goes_there_and_back(a, b, seed):
    random = np.random.default_rng(seed)
    change = Radial(random.normal(size=5), a, b)
    sizes = 10.0 ** np.arange(-6, 7)[:, None]
    theta = change.center + sizes * random.normal(size=(len(sizes), 5))
    back = change.inverse(change.forward(theta))
    assert (np.abs(back - theta) < 1e-10 * (1 + sizes)).all()
    assert np.array_equal(change.inverse(np.zeros(5)), change.center)
    assert np.array_equal(change.forward(change.center), np.zeros(5))


@pytest.mark.parametrize("n", [1, 2, 5])
def test_the_radial_jacobian_is_that_of_differences(n, seed):
    random = np.random.default_rng(seed)
    change = Radial(random.normal(size=n), random.uniform(-0.4, 2), random.uniform(0.5, 2))
    for theta in (change.center, change.center + random.normal(size=n)):
        expected = jacobian_by_differences(change.forward, theta)
        found = change.jacobian(theta)
        # Truncation of steps of 1e-5, and rounding.
        columns = found.apply(np.eye(n)).T
        assert columns == pytest.approx(expected, rel=1e-6, abs=1e-8)
        rows = random.normal(size=(3, n))
        assert found.solve(found.apply(rows)) == pytest.approx(rows, rel=1e-10)
        assert change.log_det(theta) == pytest.approx(np.linalg.slogdet(expected)[1], abs=1e-6)


def test_volumes_of_composed_changes_multiply(seed):
    random = np.random.default_rng(seed)
    rescaling = Rescaling(np.exp(random.normal(size=4)))
    radial = Radial(random.normal(size=4), 0.3, 0.7)
    theta = random.normal(size=4)
    both = jacobian_by_differences(lambda rows: radial.forward(rescaling.apply(rows)), theta)
    expected = rescaling.log_det + radial.log_det(rescaling.apply(theta))
    assert np.linalg.slogdet(both)[1] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("a", [-0.3, 0.8])
def test_a_ball_has_the_volume_that_the_radial_determinant_says(a):
    """s^n = n times the integral of r^(n-1) |det J(r)|, s the radius of what the ball becomes."""
    n, radius = 6, 1.7
    change = Radial(np.zeros(n), a, 0.4)
    axis = np.eye(n)[2]
    integral, _ = quad(lambda r: n * r ** (n - 1) * np.exp(change.log_det(r * axis)), 0, radius)
    length = np.linalg.norm(change.forward(radius * axis))
    assert integral == pytest.approx(length**n, rel=1e-8)


def test_the_radial_map_changes_the_hessian_at_will(seed):
    """At its centre by b^-2a, at another minimum by that point's Jacobian."""
    random = np.random.default_rng(seed)
    n, step = 4, 1e-4
    root = random.normal(size=(n, n))
    hessian = root @ root.T + np.eye(n)
    minimum = random.normal(size=n)

    def loss(theta):
        return np.einsum("...i,ij,...j->...", theta - minimum, hessian, theta - minimum) / 2

    for center in (minimum, minimum + random.normal(size=n)):
        change = Radial(center, 0.6, 0.5)
        predicted = transformed_hessian(hessian, change.jacobian(minimum))
        pulled, here = change.pulled_back(loss), change.forward(minimum)
        moves = step * np.eye(n)
        pairs = moves[:, None] + moves
        across = moves[:, None] - moves
        found = pulled(here + pairs) + pulled(here - pairs)
        found -= pulled(here + across) + pulled(here - across)
        # Truncation of a step of 1e-4.
        size = np.abs(predicted).max()
        assert predicted == pytest.approx(found / (4 * step**2), rel=0, abs=1e-5 * size)
        if center is minimum:
            assert predicted == pytest.approx(0.5**-1.2 * hessian, rel=1e-12)


@pytest.mark.parametrize("name", ["alpha-scale:4", "unit-rescaling:0.5", "permutation"])
@pytest.mark.parametrize("model", ["mlp-8-6", "mlp-5x4", "cnn-small"])
def test_transforms_of_a_study_leave_outputs_as_they_are(name, model, seed):
    shape, make = RECTIFIED[model]
    network, theta, inputs, _, _ = problem(make, shape, seed)
    transform = named_transform(name)
    changed = transform(network, shape, theta, "study", seed)
    assert_same_function(network, theta, changed, inputs)
    assert np.array_equal(changed, transform(network, shape, theta, "study", seed))
    other = transform(network, shape, theta, "study", seed + 1)
    assert np.array_equal(changed, other) == (name == "alpha-scale:4")


def test_factors_of_units_are_lognormal_of_the_named_stream(seed):
    network, theta, _, _, _ = small(seed)
    changed = named_transform("unit-rescaling:0.5")(network, (4,), theta, "study", seed)
    bias = network.layout[1]
    logs = np.log(changed / theta)[bias.start : bias.stop]
    expected = 0.5 * streams.normals("study", seed, "unit-rescaling", 0, count=6)
    assert logs == pytest.approx(expected, abs=1e-12)


def hooked():
    model = mlp(nn.ReLU())
    model[1].register_forward_hook(lambda _module, _inputs, outputs: outputs**2)
    return model


def hooked_whole():
    model = nn.Sequential(mlp(nn.ReLU()), nn.ReLU(), nn.Linear(2, 2))
    model[0].register_forward_hook(lambda _module, _inputs, outputs: outputs**2)
    return model


def pruned():
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
    prune.l1_unstructured(model[2], "weight", 0.5)
    return model


def shared():
    layer = nn.Linear(3, 3)
    return nn.Sequential(layer, nn.ReLU(), layer)


def tied():
    model = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3))
    model[2].weight = model[0].weight
    return model


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: mlp(nn.Tanh()), r"'1' \(Tanh\) between '0' \(Linear\) and '2' \(Linear\) is not"),
        (lambda: mlp(nn.GELU()), r"'1' \(GELU\) .* is not positively homogeneous; allowed are"),
        (lambda: mlp(nn.ReLU(), nn.LayerNorm(4)), r"'2' \(LayerNorm\) .* positively homogeneous"),
        (lambda: mlp(nn.Sequential(nn.ReLU(), nn.PReLU())), r"'1.1' \(PReLU\) between"),
        (lambda: build("resnet-8", (3, 8, 8), 3), r"'1' \(GroupNorm\) between '0' \(Conv2d\) and"),
        (hooked, r"'1' \(ReLU, hooked\) .* is not positively homogeneous"),
        (pruned, r"'2' \(Linear, hooked\) .* is not positively homogeneous"),
        (hooked_whole, "it must be an nn.Sequential with two weight layers or more"),
        (lambda: nn.Linear(3, 2), "it must be an nn.Sequential with two weight layers or more"),
        (lambda: build("linear", (3,), 2), "it must be an nn.Sequential with two weight layers"),
        (shared, "it has a parameter in two places"),
        (tied, "it has a parameter in two places"),
    ],
)
def test_models_that_would_change_are_refused(make, message):
    network = Network(make())
    with pytest.raises(ValueError, match=f"^model: {message}"):
        alpha_scale(network, 2.0)
    theta = np.ones(network.num_parameters)
    with pytest.raises(ValueError, match=f"^model: {message}"):
        named_transform("unit-rescaling:1")(network, (3,), theta, "test")


@pytest.mark.parametrize(
    ("alpha", "layers", "message"),
    [
        (0.0, (0, -1), "alpha: must be a finite number above 0, not 0.0"),
        (-1.0, (0, -1), "alpha: must be a finite number above 0"),
        (np.nan, (0, -1), "alpha: must be a finite number above 0"),
        (np.inf, (0, -1), "alpha: must be a finite number above 0"),
        (2.0, (0, 0), "layers: must be some of the model's 3, each once"),
        (2.0, (0, -3), "layers: must be some of the model's 3, each once"),
        (2.0, (0, 3), "layers: must be some of the model's 3, each once"),
        (2.0, (0, 1, 2), "alpha: must be one number for 2 layers or 3"),
        ([2.0, 1.0, 0.5], (0, 1), "alpha: must be one number for 2 layers or 2"),
        ([2.0, 0.6], (0, 1), "alpha: factors must have product 1, not 1.2"),
    ],
)
def test_other_factors_of_layers_are_refused(alpha, layers, message):
    network = Network(build("mlp-4-3", (3,), 2, "test"))
    with pytest.raises(ValueError, match=f"^{message}"):
        alpha_scale(network, alpha, layers)


def rescaled(model, shape):
    network = Network(model)
    return unit_rescaling(network, shape, [np.full(n, 2.0) for n in units_of(network)[:-1]])


def permuted(model, shape, layer=0, order=(1, 0, 2, 3)):
    return unit_permutation(Network(model), shape, layer, np.array(order))


GROUPS = nn.Sequential(nn.Conv2d(2, 4, 1), nn.ReLU(), nn.Conv2d(4, 2, 1, groups=2))
MIXED = {
    "a pool over the features": mlp(nn.MaxPool1d(2), nn.Linear(2, 4)),
    "a pool over units of each step": mlp(nn.MaxPool1d(2), nn.Linear(2, 4)),
    "columns behind a convolution": nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Linear(3, 2)),
    "a convolution along the features": nn.Sequential(nn.Linear(3, 4), nn.Conv1d(1, 2, 2)),
}
SHAPES = {"a pool over units of each step": (5, 3), "columns behind a convolution": (3, 3, 3)}


@pytest.mark.parametrize("name", MIXED)
def test_mixed_units_are_refused(name):
    with pytest.raises(ValueError, match=r"^model: .* mixes the units of '0'"):
        rescaled(MIXED[name], SHAPES.get(name, (3,)))


@pytest.mark.parametrize(
    ("refused", "message"),
    [
        (lambda: rescaled(mlp(nn.ReLU()), (2,)), r"example_shape: the model takes no \(2,\)"),
        (lambda: rescaled(mlp(nn.ReLU()), (-1,)), "example_shape: the model takes no"),
        (lambda: rescaled(mlp(nn.ReLU()), ("3",)), "example_shape: the model takes no"),
        (
            lambda: rescaled(nn.Sequential(nn.Conv1d(1, 2, 1), nn.Linear(4, 2)), (4,)),
            r"example_shape: '0' \(Conv1d\) takes \(4,\) for a batch",
        ),
        (
            lambda: unit_rescaling(Network(mlp(nn.ReLU())), (3,), [np.ones(3)]),
            r"factors: must be arrays of shapes \[\(4,\)\]",
        ),
        (
            lambda: unit_rescaling(Network(mlp(nn.ReLU())), (3,), [np.arange(4.0)]),
            "factors: must be a finite number above 0",
        ),
        (lambda: permuted(mlp(nn.ReLU()), (3,), layer=1), "layer: must be from 0 to 0, not 1"),
        (lambda: permuted(mlp(nn.ReLU()), (3,), layer=-1), "layer: must be from 0 to 0, not -1"),
        (
            lambda: permuted(mlp(nn.ReLU()), (3,), order=(0, 1, 2)),
            "order: must hold each of 0 to 3 once",
        ),
        (
            lambda: permuted(mlp(nn.LayerNorm(4)), (3,)),
            r"model: '1' \(LayerNorm\) .* is not known to treat all units alike; allowed are",
        ),
        (
            lambda: permuted(GROUPS, (2, 3, 3)),
            r"model: '0' \(Conv2d\) or '2' \(Conv2d\) has groups",
        ),
        (lambda: Rescaling(np.array([1.0, 0.0])), "scale: every entry must be finite and not 0"),
        (lambda: Rescaling(np.array([1.0, np.nan])), "scale: every entry must be finite"),
        (lambda: Rescaling(np.ones(3)).apply(np.ones(2)), r"theta: must have shape \(..., 3\)"),
        (lambda: Permutation(np.array([0, 0])), "order: must hold each of 0 to 1 once"),
        (lambda: Permutation(np.array([0.0, 1.0])), "order: .* as whole numbers"),
        (
            lambda: transformed_hessian(np.array([[1.0, 2.0], [0.0, 1.0]]), Rescaling(np.ones(2))),
            r"hessian: must be symmetric, of shape \(2, 2\)",
        ),
        (
            lambda: transformed_hessian(np.eye(3), Rescaling(np.ones(2))),
            r"hessian: must be symmetric, of shape \(2, 2\)",
        ),
        (
            lambda: pseudo_log_det_shift(np.ones((2, 1)), Rescaling(np.ones(2))),
            r"vectors: must have orthonormal columns, shape \(2, rank\)",
        ),
        (
            lambda: pseudo_log_det_shift(np.eye(3), Rescaling(np.ones(2))),
            r"vectors: must have orthonormal columns, shape \(2, rank\)",
        ),
        (lambda: Radial(np.zeros(2), -0.5, 1.0), "a: must be a number above -1/2, not -0.5"),
        (lambda: Radial(np.zeros(2), np.nan, 1.0), "a: must be a number above -1/2"),
        (lambda: Radial(np.zeros(2), 1.0, 0.0), "b: must be a finite number above 0"),
        (lambda: Radial(np.zeros((2, 1)), 1.0, 1.0), "center: must be finite, shape"),
        (lambda: Radial(np.full(2, np.nan), 1.0, 1.0), "center: must be finite, shape"),
        (
            lambda: Radial(np.zeros(2), 1.0, 1.0).forward(np.zeros(3)),
            r"theta: must have shape \(..., 2\), not \(3,\)",
        ),
        (
            lambda: Radial(np.zeros(2), 1.0, 1.0).inverse(np.zeros(3)),
            r"eta: must have shape \(..., 2\), not \(3,\)",
        ),
        (
            lambda: Radial(np.zeros(2), 1.0, 1.0).jacobian(np.zeros((1, 2))),
            r"theta: must be one point, not of shape \(1, 2\)",
        ),
        (
            lambda: named_transform("rotation"),
            "'rotation' is not a transform; allowed are alpha-scale:<alpha>, "
            "unit-rescaling:<spread>, permutation",
        ),
        (lambda: named_transform("alpha-scale"), "'alpha-scale' is not a transform"),
        (lambda: named_transform("permutation:3"), "'permutation:3' is not a transform"),
        (
            lambda: named_transform("alpha-scale:big"),
            "'alpha-scale:big' is not possible: alpha must be a finite number above 0",
        ),
        (
            lambda: named_transform("alpha-scale:-1"),
            "'alpha-scale:-1' is not possible: alpha must be a finite number above 0",
        ),
        (
            lambda: named_transform("unit-rescaling:0"),
            "'unit-rescaling:0' is not possible: spread must be a finite number above 0",
        ),
    ],
)
def test_what_does_not_fit_is_refused(refused, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        refused()
