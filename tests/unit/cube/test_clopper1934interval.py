"""Exact intervals of a probability: as SciPy has them, and as often right as they say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from basins.cube.clopper1934interval import interval


@given(st.integers(0, 40).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_interval_is_scipys(numbers):
    successes, trials = numbers
    low, high = interval(successes, trials)
    if not trials:
        assert (low, high) == (0, 1)
        return
    expected = binomtest(successes, trials).proportion_ci(0.9, method="exact")
    assert low == pytest.approx(expected.low, abs=1e-9)
    assert high == pytest.approx(expected.high, abs=1e-9)


# SciPy's own law overflows at subnormal probabilities.
@given(st.integers(1, 30), st.floats(1e-9, 1 - 1e-9) | st.sampled_from([0.0, 1.0]))
def test_interval_holds_the_truth_as_often_as_it_says(trials, truth):
    successes = np.arange(trials + 1)
    low, high = interval(successes, trials)
    is_inside = (low <= truth) & (truth <= high)
    assert binom.pmf(successes, trials, truth)[is_inside].sum() >= 0.9 - 1e-9


@pytest.mark.parametrize(("successes", "trials"), [(3, 2), (-1, 2), ([0, 5], [1, 4])])
def test_impossible_numbers_are_one_sentence(successes, trials):
    with pytest.raises(ValueError, match=r"^successes: .* must lie between 0 and trials"):
        interval(successes, trials)
