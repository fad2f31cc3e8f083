import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from basins import streams
from basins.directions.isotropic import directions


def test_directions_have_length_one_and_their_gaussian_comes_back(seed):
    unit, log_norm = directions(("minimum", seed), range(5), 40)
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1, rtol=1e-14)
    for index in range(5):
        gaussian = streams.normals("minimum", seed, "direction", index, count=40)
        np.testing.assert_allclose(unit[index] * np.exp(log_norm[index]), gaussian, rtol=1e-12)


@settings(max_examples=25)
@given(st.lists(st.integers(0, 1000), min_size=1, max_size=6), st.integers(1, 50))
def test_a_direction_does_not_depend_on_its_batch(indices, num_parameters):
    unit, log_norm = directions(("a",), indices, num_parameters)
    for row, index in enumerate(indices):
        alone, norm_alone = directions(("a",), [index], num_parameters)
        np.testing.assert_array_equal(unit[row], alone[0])
        assert log_norm[row] == norm_alone[0]


def test_minima_have_directions_of_their_own(seed):
    one, _ = directions(("study", f"minimum-{seed}"), [0], 10)
    other, _ = directions(("study", f"minimum-{seed + 1}"), [0], 10)
    assert not np.isclose(one, other).any()


def test_directions_are_uniform_on_the_sphere(seed):
    # One coordinate of a uniform direction in three dimensions is uniform on (-1, 1)
    # (Archimedes). False alarm: one run in 1e6 for each of three axes; it sees a shift of the
    # mean by 0.1 with certainty.
    unit, _ = directions(("uniform", seed), range(2000), 3)
    for axis in range(3):
        assert stats.kstest(unit[:, axis], stats.uniform(-1, 2).cdf).pvalue > 1e-6
