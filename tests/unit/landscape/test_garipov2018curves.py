"""Curves between minima against formulas, finite differences and a ring-shaped valley."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from basins.landscape.along_curves import barrier
from basins.landscape.garipov2018curves import (
    bend_gradients,
    checked_ends,
    ends_of,
    points,
    shares,
    stratified,
    trained_bends,
)
from basins.models.functional import Network, build
from basins.rays.evaluators import evaluator_of
from basins.rays.landscapes import Landscapes
from basins.study.curves import KINDS, TRAINED

GRID = np.linspace(0, 1, 401)
# Of E_t f(t) over [0, 1]: exact to rounding for polynomials of degree 79, on either half.
NODES, WEIGHTS = np.polynomial.legendre.leggauss(40)
HALVES = np.concatenate([(NODES + 1) / 4, (NODES + 3) / 4])
MASS = np.concatenate([WEIGHTS, WEIGHTS]) / 4


def slow_point(kind, first, bend, last, t):
    """The formulas of the paper, one point at a time."""
    if kind == "line":
        return first + t * (last - first)
    if kind == "bezier":
        return (1 - t) ** 2 * first + 2 * t * (1 - t) * bend + t**2 * last
    if t <= 0.5:
        return 2 * (t * bend + (0.5 - t) * first)
    return 2 * ((t - 0.5) * last + (1 - t) * bend)


@pytest.mark.parametrize("kind", KINDS)
@given(key=st.integers(0, 2**31), t=st.lists(st.floats(0, 1), min_size=1, max_size=9))
def test_curves_are_those_of_the_paper_and_end_in_the_minima(kind, key, t):
    first, bend, last = np.random.default_rng(key).normal(size=(3, 7))
    found = points(kind, np.stack([first, last]), bend, np.array(t))
    expected = [slow_point(kind, first, bend, last, one) for one in t]
    # Sums of three numbers near 1, in another order.
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(shares(kind, np.array(t)).sum(1), 1, rtol=1e-14)
    ends = points(kind, np.stack([first, last]), bend, np.array([0.0, 1.0]))
    np.testing.assert_array_equal(ends, [first, last])


@given(key=st.integers(0, 2**31), count=st.integers(1, 9))
def test_every_part_of_a_curve_is_drawn_once(key, count):
    found = stratified(count, "test", key)
    assert (np.floor(found * count) == np.arange(count)).all()


def ring(w):
    return (np.square(w).sum(-1) - 1) ** 2


def ring_slopes(w):
    return 4 * (np.square(w).sum(-1, keepdims=True) - 1) * w


def test_trained_curves_go_round_where_the_straight_line_climbs(seed):
    """L = (|w|^2 - 1)^2 between opposite points of its valley.

    The line climbs to 1 in the middle, and its mean is 8/15. Of a Bezier curve bent by h, with
    u = 1 - (1 - 2 t)^2, the loss is u^2 (u h^2 / 4 - 1)^2, whose mean is least at h^2 = 9/2: it is
    2/105 and the top 4/81.
    """
    angle = np.random.default_rng(seed).uniform(0, 2 * np.pi)
    first = np.array([np.cos(angle), np.sin(angle)])
    ends = np.stack([first, -first])
    bends = trained_bends(
        ring_slopes, ends, TRAINED, "ring", seed, epochs=600, learning_rate=0.05, draws=8
    )
    line = ring(points("line", ends, bends[0], GRID))
    assert barrier(line, GRID) == pytest.approx(1, abs=1e-12)

    def mean_loss(bend, kind):
        return MASS @ ring(points(kind, ends, bend, HALVES))

    assert mean_loss(bends[0], "line") == pytest.approx(8 / 15, rel=1e-12)
    for kind, bend in zip(TRAINED, bends, strict=True):
        starts = [first[::-1] * [1, -1], first[::-1] * [-1, 1]]
        best = min(minimize(mean_loss, start, (kind,), tol=1e-12).fun for start in starts)
        # The noise of positions is what is left: at most 0.3 % in 60 seeds.
        assert best * (1 - 1e-6) <= mean_loss(bend, kind) <= 1.02 * best
    assert minimize(mean_loss, starts[0], ("bezier",)).fun == pytest.approx(2 / 105, rel=1e-6)
    top = barrier(ring(points("bezier", ends, bends[0], GRID)), GRID)
    # At most 6 % off in 60 seeds.
    assert top == pytest.approx(4 / 81, rel=0.2)


@pytest.mark.parametrize(("model", "shape"), [("mlp-5", (4,)), ("cnn-small", (1, 8, 8))])
def test_gradients_by_the_bend_are_those_of_the_mean_loss(seed, model, shape):
    random = np.random.default_rng(seed)
    network = Network(build(model, shape, 3, seed).double())
    inputs = torch.from_numpy(random.normal(size=(9, *shape)))
    targets = torch.from_numpy(random.integers(3, size=9))
    landscapes = Landscapes(inputs, targets, (9,), "cross_entropy")
    evaluator = evaluator_of(network, network.theta, landscapes)
    own = network.theta.numpy()
    ends = own + 0.1 * random.normal(size=(2, len(own)))
    bends = own + 0.1 * random.normal(size=(2, len(own)))
    drawn = [stratified(3, seed, kind) for kind in TRAINED]
    found = bend_gradients(lambda at: evaluator.gradients(at - own), ends, TRAINED, bends, drawn)
    for kind, bend, t, slope in zip(TRAINED, bends, drawn, found, strict=True):

        def mean_loss(bend, kind=kind, t=t):
            steps = points(kind, ends, bend, t) - own
            return evaluator.losses(steps, np.ones(3), 1).mean()

        for way in random.normal(size=(3, len(own))) / len(own) ** 0.5:
            rise = mean_loss(bend + 1e-5 * way) - mean_loss(bend - 1e-5 * way)
            # Central differences: 1e-10 of curvature, 1e-11 of rounding; kinks are 1e-5 apart.
            assert rise / 2e-5 == pytest.approx(slope @ way, rel=1e-4, abs=1e-6)


def test_bends_are_the_same_again_and_start_off_the_line(seed):
    ends = np.random.default_rng(seed).normal(size=(2, 30))
    options = {"epochs": 2, "learning_rate": 1e-9}
    found = [trained_bends(np.zeros_like, ends, TRAINED, seed, **options) for _ in range(2)]
    np.testing.assert_array_equal(*found)
    away = np.linalg.norm(found[0] - ends.mean(0), axis=1) / np.linalg.norm(ends[1] - ends[0])
    np.testing.assert_allclose(away, 0.01, rtol=1e-6)


def test_ends_of_different_architectures_are_refused(seed):
    def network(model):
        return Network(build(model, (4,), 3, seed))

    small, large = network("mlp-5"), network("mlp-6")
    said = (
        r"^ends: a curve joins minima of one architecture, but one has a tensor 1.weight of shape "
        r"\(5, 4\) where the other has 1.weight of shape \(6, 4\)$"
    )
    with pytest.raises(ValueError, match=said):
        ends_of(small, large)
    # One more layer, of which the first has no like.
    with pytest.raises(ValueError, match="one architecture"):
        ends_of(network("mlp-5"), network("mlp-5-3"))
    with pytest.raises(ValueError, match="but one has 3 parameters and the other 2"):
        checked_ends(np.zeros(3), np.zeros(2))
    with pytest.raises(ValueError, match="a parameter of a minimum is not finite"):
        checked_ends(np.zeros(2), np.array([0.0, np.nan]))
    ends = ends_of(small, network("mlp-5"))
    assert ends.shape == (2, small.num_parameters)
    np.testing.assert_array_equal(*ends)
