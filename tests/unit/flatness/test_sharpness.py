"""Measures of sharpness on quadratic losses, whose largest values are known, in float64."""

import itertools

import numpy as np
import pytest

from basins.directions.isotropic import directions
from basins.flatness import (
    dinh2017sharpness,
    foret2021sharpness,
    keskar2017sharpness,
    kwon2021sharpness,
)
from basins.flatness.ascent import in_ball, in_box
from basins.flatness.neighborhood import Neighborhood


def quadratic(seed, n=6, offset=0.2):
    """Return offset + x^T H x / 2 about a random minimum, and H, which is not negative."""
    random = np.random.default_rng(seed)
    root = random.normal(size=(n, n))
    hessian = root @ root.T
    around = Neighborhood(
        random.normal(size=n),
        lambda x: offset + np.einsum("ki,ij,kj->k", x, hessian, x) / 2,
        lambda x: x @ hessian,
    )
    return around, hessian


def largest_in_box(hessian, half_widths):
    """Return the maximum of a convex quadratic in a box, which is at a corner."""
    corners = half_widths * np.array(list(itertools.product([-1, 1], repeat=len(half_widths))))
    return (np.einsum("ki,ij,kj->k", corners, hessian, corners) / 2).max()


def test_the_stronger_maximizer_finds_the_box_s_corner(seed):
    around, hessian = quadratic(seed)
    half_widths = 0.01 * (np.abs(around.minimum) + 1)
    truth = 100 * largest_in_box(hessian, half_widths) / 1.2
    found = keskar2017sharpness.sharpness(around, 0.01, seed, maximizer="ascent")
    published = keskar2017sharpness.sharpness(around, 0.01, seed)
    assert published <= found + 1e-9
    assert found <= truth * (1 + 1e-12)
    # Several corners of a convex quadratic have no step up from them: five starts miss by little.
    assert found >= 0.8 * truth


def test_a_separable_loss_has_its_largest_value_in_any_corner(seed):
    random = np.random.default_rng(seed)
    curvatures = random.exponential(size=40)
    around = Neighborhood(
        random.normal(size=40), lambda x: x**2 @ curvatures / 2, lambda x: x * curvatures
    )
    truth = 100 * curvatures @ (1e-3 * (np.abs(around.minimum) + 1)) ** 2 / 2
    found = keskar2017sharpness.sharpness(around, 1e-3, seed, maximizer="ascent")
    assert found == pytest.approx(truth, rel=1e-12)


def test_the_published_maximizer_goes_up_where_there_is_a_slope(seed):
    random = np.random.default_rng(seed)
    slope = random.normal(size=30)
    around = Neighborhood(random.normal(size=30), lambda x: x @ slope, lambda x: 0 * x + slope)
    truth = 100 * np.abs(slope) @ (1e-3 * (np.abs(around.minimum) + 1))
    for maximizer in keskar2017sharpness.MAXIMIZERS:
        found = keskar2017sharpness.sharpness(around, 1e-3, seed, maximizer=maximizer)
        assert found == pytest.approx(truth, rel=1e-9)


def test_a_subspace_is_a_box_of_its_own(seed):
    around, hessian = quadratic(seed, n=12)
    _, center = keskar2017sharpness.in_subspace(around, 5, "test", seed)
    shown = []
    spy = Neighborhood(around.minimum, lambda x: shown.append(x) or x[:, 0], around.gradient)
    keskar2017sharpness.in_subspace(spy, 5, "test", seed)[0].loss(np.eye(5))
    columns = shown[0]
    np.testing.assert_allclose(center, np.linalg.pinv(columns.T) @ around.minimum, rtol=1e-8)
    bent = columns @ hessian @ columns.T
    truth = 100 * largest_in_box(bent, 1e-3 * (np.abs(center) + 1)) / 1.2
    found = keskar2017sharpness.sharpness(
        around, 1e-3, "test", seed, subspace=5, maximizer="ascent"
    )
    assert 0.8 * truth <= found <= truth * (1 + 1e-9)


def test_the_ball_s_largest_value_is_the_largest_eigenvalue_s(seed):
    around, hessian = quadratic(seed)
    truth = 100 * 0.3**2 * np.linalg.eigvalsh(hessian)[-1] / 2 / 1.2
    found = dinh2017sharpness.sharpness(around, 0.3, seed)
    assert found <= truth * (1 + 1e-12)
    # Whole steps are power iterations: 20 leave (ratio of eigenvalues)^40.
    assert found == pytest.approx(truth, rel=0.05)


def test_adaptive_sharpness_is_that_of_scaled_parameters(seed):
    around, hessian = quadratic(seed, offset=0.0)
    scale = np.abs(around.minimum)
    scaled = scale[:, None] * hessian * scale
    truth = 0.1**2 * np.linalg.eigvalsh(scaled)[-1] / 2
    assert kwon2021sharpness.sharpness(around, 0.1, seed) == pytest.approx(truth, rel=0.05)
    box = largest_in_box(scaled, np.full(6, 0.1))
    found = kwon2021sharpness.sharpness(around, 0.1, seed, ball="linf")
    assert 0.8 * box <= found <= box * (1 + 1e-12)


def test_one_step_goes_along_the_gradient(seed):
    random = np.random.default_rng(seed)
    slope, minimum = random.normal(size=(2, 5))
    around = Neighborhood(minimum, lambda x: x @ slope + (x**2).sum(1), lambda x: slope + 2 * x)
    step = 0.3 * slope / np.linalg.norm(slope)
    expected = step @ slope + step @ step
    assert foret2021sharpness.sharpness(around, 0.3) == pytest.approx(expected, rel=1e-12)
    scaled = np.abs(minimum) * slope
    step = 0.3 * np.abs(minimum) * scaled / np.linalg.norm(scaled)
    expected = step @ slope + step @ step
    assert kwon2021sharpness.one_step(around, 0.3) == pytest.approx(expected, rel=1e-12)
    flat = Neighborhood(minimum, lambda x: (x**2).sum(1), lambda x: 2 * x)
    assert foret2021sharpness.sharpness(flat, 0.3) == 0


@pytest.mark.parametrize("is_adaptive", [False, True])
def test_the_average_case_is_the_trace(is_adaptive, seed):
    around, hessian = quadratic(seed)
    scale = np.abs(around.minimum) if is_adaptive else np.ones(6)
    truth = 0.01**2 * np.trace(scale[:, None] * hessian * scale) / 2
    found = kwon2021sharpness.average(around, 0.01, seed, is_adaptive=is_adaptive, num_draws=400)
    # Five standard errors: a false alarm in a million.
    assert abs(found.value - truth) < 5 * found.stderr
    assert found.stderr < 0.15 * truth


def test_sets_answer_with_their_farthest_points(seed):
    random = np.random.default_rng(seed)
    vectors, widths = random.normal(size=(3, 4)), random.uniform(0.5, 2, 4)
    inside = random.uniform(-1, 1, (1000, 4)) * widths
    assert (inside @ vectors.T).max(axis=0) == pytest.approx(
        np.einsum("ki,ki->k", in_box(widths)(vectors), vectors), rel=0.5
    )
    assert ((inside @ vectors.T) <= np.abs(vectors) @ widths + 1e-12).all()
    on_sphere, _ = directions(("test", seed), range(2000), 4)
    farthest = in_ball(0.7, widths)(vectors)
    assert np.linalg.norm(farthest / widths, axis=1) == pytest.approx([0.7] * 3)
    reached = np.einsum("ki,ki->k", farthest, vectors)
    assert ((0.7 * widths * on_sphere @ vectors.T) <= reached + 1e-12).all()
    assert (in_ball(1.0)(np.zeros((1, 4))) == 0).all()


def test_a_loss_that_is_no_number_is_above_all(seed):
    around, _ = quadratic(seed)
    broken = Neighborhood(
        around.minimum,
        lambda x: np.where(np.abs(x).max(1) > 0.01, np.nan, around.loss(x)),
        lambda x: np.where(np.abs(x).max(1)[:, None] > 0.01, np.nan, around.gradient(x)),
    )
    assert dinh2017sharpness.sharpness(broken, 1.0, seed) == np.inf


def test_arguments_out_of_bounds_are_named(seed):
    around, _ = quadratic(seed)
    with pytest.raises(ValueError, match=r"epsilon: 0 must be a finite number above 0"):
        keskar2017sharpness.sharpness(around, 0)
    with pytest.raises(ValueError, match=r"epsilon: inf must be a finite number above 0"):
        dinh2017sharpness.sharpness(around, np.inf)
    with pytest.raises(ValueError, match=r"rho: -1 must be a finite number above 0"):
        foret2021sharpness.sharpness(around, -1)
    with pytest.raises(ValueError, match=r"sigma: nan must be a finite number above 0"):
        kwon2021sharpness.average(around, np.nan)
    with pytest.raises(ValueError, match=r"num_draws: 1 must be at least 2"):
        kwon2021sharpness.average(around, 0.1, num_draws=1)
    with pytest.raises(ValueError, match=r"subspace: 7 must be between 1 and 6"):
        keskar2017sharpness.sharpness(around, 0.1, subspace=7)
    with pytest.raises(ValueError, match=r"maximizer: 'sgd' must be one of lbfgsb, ascent"):
        keskar2017sharpness.sharpness(around, 0.1, maximizer="sgd")
    with pytest.raises(ValueError, match=r"ball: 'l1' must be one of l2, linf"):
        kwon2021sharpness.sharpness(around, 0.1, ball="l1")
