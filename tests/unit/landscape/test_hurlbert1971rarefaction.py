"""Rarefaction against the mean over all parts of the draws, one by one."""

import itertools

import numpy as np
import pytest

from basins.landscape.hurlbert1971rarefaction import rarefied


def test_it_is_the_mean_over_all_parts_of_the_draws(seed):
    random = np.random.default_rng(seed)
    sizes = random.integers(1, 4, size=random.integers(1, 5))
    draws = np.repeat(np.arange(len(sizes)), sizes)
    expected = [
        np.mean([len(set(part)) for part in itertools.combinations(draws, k)])
        for k in range(1, len(draws) + 1)
    ]
    np.testing.assert_allclose(rarefied(sizes), expected, rtol=1e-10)


@pytest.mark.parametrize("count", [1, 2, 500])
def test_ends_are_known(count):
    np.testing.assert_allclose(rarefied(np.ones(count, dtype=np.int64)), np.arange(1, count + 1))
    np.testing.assert_allclose(rarefied(np.array([count])), np.ones(count))
