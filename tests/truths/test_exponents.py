"""Learning coefficients of regular and singular minima against algebra."""

import numpy as np
import pytest

from basins.volume import Basin, learning_coefficient
from basins.volume.exponents import fit_coefficient


def in_the_cube(loss):
    return lambda x: np.where(np.abs(x).max(axis=1) < 1, loss(x), np.inf)


def product(num_outputs, num_hidden, num_inputs):
    """Return the loss |B A|^2 of a linear network whose truth is 0: reduced-rank regression."""

    def loss(x):
        split = num_outputs * num_hidden
        left = x[:, :split].reshape(-1, num_outputs, num_hidden)
        right = x[:, split:].reshape(-1, num_hidden, num_inputs)
        return ((left @ right) ** 2).sum(axis=(1, 2))

    return loss, num_hidden * (num_outputs + num_inputs)


HIGHEST = 1e-3

# Name, dimension, loss, lambda, multiplicity. Reduced rank: Aoyagi and Watanabe 2005, theorem 1.
SINGULAR = [
    ("regular", 4, lambda x: (x**2).sum(axis=1) / 2, 2.0, 1),
    ("quartic", 1, lambda x: x[:, 0] ** 4, 0.25, 1),
    ("crossing 2 2", 2, in_the_cube(lambda x: (x[:, 0] * x[:, 1]) ** 2), 0.5, 2),
    ("crossing 2 4", 2, in_the_cube(lambda x: x[:, 0] ** 2 * x[:, 1] ** 4), 0.25, 1),
    ("rank 1 of 2 x 2", 4, in_the_cube(product(2, 1, 2)[0]), 1.0, 2),
]


@pytest.mark.parametrize("case", SINGULAR, ids=lambda case: case[0])
def test_learning_coefficients(case, seed):
    _, n, loss, expected, _ = case
    found = learning_coefficient(Basin(loss, np.zeros(n), HIGHEST), seed=seed)
    # Over 12 seeds a case no mean was 1 % off and no spread above 3 %, so 10 % is far out.
    assert found.learning_coefficient == pytest.approx(expected, rel=0.1)
    # The error bar holds what the laws of the fit differ by; it may not swallow the 10 %.
    assert found.stderr < 0.1 * expected


@pytest.mark.long
def test_reduced_rank_regression_of_twelve_parameters(seed):
    # Single runs are 5 % high with a spread of 2 %: the walls of the cube are felt for long.
    basin = Basin(in_the_cube(product(3, 2, 3)[0]), np.zeros(12), HIGHEST)
    found = [learning_coefficient(basin, seed=seed + k).learning_coefficient for k in range(4)]
    assert np.mean(found) == pytest.approx(2.5, rel=0.1)


def test_three_planes_that_cross(seed):
    # Multiplicity 3 can hardly be told from a slow power at these depths: the bar must say so.
    loss = in_the_cube(lambda x: (x[:, 0] * x[:, 1] * x[:, 2]) ** 2)
    found = learning_coefficient(Basin(loss, np.zeros(3), 0.1), seed=seed)
    assert abs(found.learning_coefficient - 0.5) < 4 * found.stderr < 0.25


@pytest.mark.parametrize("multiplicity", [1, 2, 3])
def test_fit_recovers_the_law_it_is_given(multiplicity, seed):
    rng = np.random.default_rng(seed)
    heights = np.exp(-np.arange(16.0))
    errors = np.full(16, 1e-4)
    exact = 1.5 - (multiplicity - 1) / (2.0 + np.arange(16.0))
    noisy = exact + errors * rng.normal(size=16)
    value, stderr, found, p_value = fit_coefficient(heights, noisy, errors)
    assert found == multiplicity
    assert abs(value - 1.5) < 6 * stderr < 0.01
    assert p_value > 1e-6


def test_too_few_thresholds():
    basin = Basin(lambda x: x[:, 0] ** 2, np.zeros(1), 1.0)
    with pytest.raises(ValueError, match="num_thresholds: 3 must be 4 or more"):
        learning_coefficient(basin, num_thresholds=3)
