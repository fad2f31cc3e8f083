"""Diagnostics and intervals against laws whose answer is known."""

import numpy as np
import pytest
from scipy.stats import genpareto

from basins.volume import diagnostics, intervals


@pytest.mark.parametrize("shape", [-0.3, 0.2, 0.7, 1.5])
def test_fitted_shape_is_that_of_the_law(shape, seed):
    excess = np.sort(genpareto.rvs(shape, size=4000, random_state=seed))
    # The estimate's deviation is (1 + k) / sqrt(4000) < 0.04; six of them, false alarm 1e-8.
    assert diagnostics.generalized_pareto_shape(excess) == pytest.approx(shape, abs=0.24)


def test_pareto_k_tells_light_tails_from_heavy(seed):
    rng = np.random.default_rng(seed)
    log_weights = np.stack([rng.uniform(0, 1, 1000), 3 * rng.exponential(size=1000)])
    light, heavy = diagnostics.pareto_k(log_weights)
    assert light < 0.5
    assert heavy > 0.7


def test_heaviest_tails_keep_their_index(seed):
    """Beyond what exp can hold the index goes on in proportion to the scale, without a jump."""
    log_weights = np.random.default_rng(seed).exponential(size=(1, 1000))
    found = {scale: diagnostics.pareto_k(scale * log_weights).item() for scale in (30, 40, 1e4)}
    # Of exponential log weights the index is their scale. So far above 1 the fit's grid ends early:
    # 0.69 of it with deviation 0.08 (0.42 to 1.10 over 20,000 seeds); the band is five deviations.
    for scale, index in found.items():
        assert index / scale == pytest.approx(0.7, abs=0.42)
    # 1.311 to 1.333 over 20,000 seeds; a jump to Hill's estimate would be 10 to 70 % (the prior
    # worth ten observations keeps it from being 4/3 exactly).
    assert found[40] / found[30] == pytest.approx(4 / 3, rel=0.05)


def test_pareto_k_says_nothing_of_too_few_draws():
    assert np.isnan(diagnostics.pareto_k(np.zeros((2, 10)))).all()
    assert diagnostics.pareto_k(np.zeros(100)) == -np.inf
    assert np.isnan(diagnostics.pareto_k(np.full(100, -np.inf)))


def test_effective_sample_size_of_equal_and_of_one_weight():
    rows = np.stack([np.zeros(50), np.r_[1000.0, np.zeros(49)]])
    np.testing.assert_allclose(diagnostics.effective_sample_size(rows), [50, 1])


def test_interval_covers_the_truth(seed):
    # ln E exp(x), x normal with sd 0.5: 0.125. Of 400 repeats about 90 % cover; fewer than 330 or
    # all 400 have a chance below 1e-5. The bias of 200 draws is far below the interval.
    draws = np.random.default_rng(seed).normal(0, 0.5, (400, 200))
    stderr, low, high = intervals.bootstrap(draws)
    covered = ((low <= 0.125) & (high >= 0.125)).sum()
    assert 330 <= covered < 400
    # Delta method: sqrt((e^{s^2} - 1) / 200).
    assert stderr.mean() == pytest.approx(np.sqrt(np.expm1(0.25) / 200), rel=0.1)


def test_same_draws_same_interval(seed):
    rows = np.random.default_rng(seed).normal(0, 50, (3, 40))
    assert np.array_equal(intervals.bootstrap(rows), intervals.bootstrap(rows.copy()))


@pytest.mark.parametrize("gap", [1e-6, 1.0, 50.0, 250.0, 1000.0])
def test_ties_at_the_cutoff_have_no_tail_index(gap):
    """Twenty-five of 500 weights above equal others: 42 of the 67 fitted equal the cutoff."""
    assert np.isnan(diagnostics.pareto_k(np.r_[np.full(25, gap), np.zeros(475)]))
