"""Chao's lower bound against cases worked by hand, another program's, and draws."""

import numpy as np
import pytest

from basins.landscape.chao1984unseen import unseen_classes

# As EstimateS gives them to two digits, which the tests of scikit-bio hold: (sizes, S, low, high).
ESTIMATES = {
    "once and twice": ([1, 1, 4, 2, 5, 2, 4, 1, 2], 9.75, 9.07, 17.45),
    "none twice": ([1, 1, 4, 5], 5.0, 4.08, 17.27),
}


@pytest.mark.parametrize("case", ESTIMATES)
def test_the_interval_is_that_of_another_program(case):
    sizes, estimate, low, high = ESTIMATES[case]
    found = unseen_classes(np.array(sizes), 0.95)
    assert found.estimate == estimate
    assert found.low == pytest.approx(low, abs=0.011)
    assert found.high == pytest.approx(high, abs=0.011)


def test_cases_worked_by_hand():
    found = unseen_classes(np.array([3, 1, 1, 1, 2]), 0.9)
    assert (found.seen, found.once, found.twice) == (5, 3, 1)
    # 5 + 3 * 2 / (2 * 2); variance 1.5 + 3 * 25 / 16 + 9 * 4 / 64 = 6.75.
    assert found.estimate == 6.5
    factor = np.exp(1.6448536269514722 * np.sqrt(np.log(1 + 6.75 / 2.25)))
    assert found.low == pytest.approx(5 + 1.5 / factor, rel=1e-12)
    assert found.high == pytest.approx(5 + 1.5 * factor, rel=1e-12)
    # None twice: variance 6 * 5 / 2 + 6 * 121 / 4 - 6^4 / (4 * 22), S = 7 + 15.
    found = unseen_classes(np.array([1] * 6 + [4]), 0.9)
    assert found.estimate == 22
    variance = 15 + 6 * 121 / 4 - 1296 / 88
    factor = np.exp(1.6448536269514722 * np.sqrt(np.log(1 + variance / 225)))
    assert (found.low, found.high) == pytest.approx((7 + 15 / factor, 7 + 15 * factor), rel=1e-12)


def test_where_nothing_seems_to_be_missing_there_is_still_room_above():
    # All draws in one class: exp(-20) of a chance to have missed it.
    found = unseen_classes(np.array([20]), 0.9)
    assert found.estimate == found.low == 1
    assert 1 < found.high < 1.001
    # One singleton adds nothing to S.
    found = unseen_classes(np.array([7, 1, 4]), 0.9)
    assert found.estimate == 3
    missed = np.exp(-12 / 3)
    middle, half = 3 / (1 - missed), 1.6448536269514722 * np.sqrt(3 * missed / (1 - missed))
    assert found.low == max(3, middle - half)
    assert found.high == pytest.approx(middle + half, rel=1e-12)


@pytest.mark.parametrize("draws", [1, 3, 40])
def test_where_nothing_came_twice_there_is_no_estimate(draws):
    found = unseen_classes(np.ones(draws, dtype=np.int64), 0.9)
    assert (found.seen, found.once, found.twice) == (draws, draws, 0)
    assert np.isnan([found.estimate, found.low, found.high]).all()


def test_intervals_hold_and_bounds_stay_below(seed):
    """Of 1,000 samples, 60 draws of 30 equal classes, the interval holds 30 in 77 to 91 %.

    It is an asymptotic one, of 90 %, and holds 84.3 % here (20,000 samples); that 1,000 stray by
    six of their standard deviations has a chance below 1e-8. One of half the width would fail. The
    mean of S is 30 within seven of its standard errors, 0.125.
    """
    random = np.random.default_rng(seed)
    held, estimates, uneven = 0, [], []
    odds = np.arange(1, 31) ** -1.5
    for _ in range(1000):
        counts = np.bincount(random.integers(30, size=60))
        found = unseen_classes(counts[counts > 0], 0.9)
        held += found.low <= 30 <= found.high
        estimates.append(found.estimate)
        counts = random.multinomial(60, odds / odds.sum())
        uneven.append(unseen_classes(counts[counts > 0], 0.9).estimate)
    assert 773 <= held <= 912
    assert np.mean(estimates) == pytest.approx(30, abs=0.9)
    # Of unequal classes it is a lower bound.
    assert np.mean(uneven) < 27


def test_what_is_no_sample_is_one_sentence():
    for sizes in ([], [0, 1], [1.5, 1.0], [[1, 2]]):
        with pytest.raises(ValueError, match="sizes: must be whole numbers from 1 on"):
            unseen_classes(np.array(sizes), 0.9)
    for probability in (0.0, 1.0, np.nan):
        with pytest.raises(ValueError, match="probability: must be between 0 and 1"):
            unseen_classes(np.array([1, 2]), probability)
