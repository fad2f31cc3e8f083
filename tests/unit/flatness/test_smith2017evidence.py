"""Evidence against Gaussian integrals that are known."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from basins.flatness.smith2017evidence import evidence, noise_scale
from basins.flatness.ubaru2017density import Spectrum, spectrum


def test_evidence_of_a_linear_regression_is_its_marginal_likelihood(seed):
    """For a Gaussian likelihood the formula is exact: y ~ N(0, X X^T / precision + 1)."""
    random = np.random.default_rng(seed)
    count, n, precision = 12, 5, 0.7
    inputs = random.normal(size=(count, n))
    targets = random.normal(size=count)
    covariance = inputs @ inputs.T / precision + np.eye(count)
    truth = multivariate_normal.logpdf(targets, np.zeros(count), covariance)
    best = np.linalg.solve(inputs.T @ inputs + precision * np.eye(n), inputs.T @ targets)
    # The loss is minus the log likelihood, constant included.
    errors = targets - inputs @ best
    loss = (errors @ errors / 2 + count / 2 * np.log(2 * np.pi)) / count
    seen = Spectrum.whole(np.linalg.eigvalsh(inputs.T @ inputs / count))
    found = evidence(seen, loss, best @ best, count, 3, precision)
    assert found.log_evidence.value == pytest.approx(truth, rel=1e-12)
    assert found.log_evidence.stderr == 0
    assert found.log_ratio_to_null.value == pytest.approx(truth + count * np.log(3), rel=1e-12)
    assert found.log_occam_factor.value < 0


def test_a_minimum_that_costs_nothing_has_the_fits_evidence():
    found = evidence(Spectrum.whole(np.zeros(4)), 0.25, 2.0, 10, 2, 3.0)
    assert found.log_occam_factor.value == pytest.approx(0, abs=1e-12)
    assert found.log_evidence.value == pytest.approx(-2.5 - 3.0)


def test_errors_of_the_spectrum_are_errors_of_the_evidence(seed):
    random = np.random.default_rng(seed)
    values = random.exponential(size=60)
    basis, _ = np.linalg.qr(random.normal(size=(60, 60)))
    matrix = (basis * values) @ basis.T
    seen = spectrum(lambda v: v @ matrix, 60, seed)
    exact = evidence(Spectrum.whole(values), 0.1, 1.0, 100, 10, 1.0)
    found = evidence(seen, 0.1, 1.0, 100, 10, 1.0)
    error = found.log_evidence.value - exact.log_evidence.value
    assert abs(error) < 5 * found.log_evidence.stderr
    assert found.log_evidence.low < found.log_evidence.value < found.log_evidence.high


def test_noise_falls_with_the_batch():
    assert noise_scale(0.5, 100, 100) == 0
    assert noise_scale(0.5, 100, 10) == pytest.approx(4.5)


@pytest.mark.parametrize("precision", [0.0, -1.0, np.nan])
def test_a_prior_without_a_width_is_refused(precision):
    with pytest.raises(ValueError, match=r"precision: .* must be above 0"):
        evidence(Spectrum.whole(np.ones(2)), 0.0, 0.0, 10, 2, precision)


def test_one_class_is_no_classification():
    with pytest.raises(ValueError, match=r"num_classes: 1 must be at least 2"):
        evidence(Spectrum.whole(np.ones(2)), 0.0, 0.0, 10, 1, 1.0)
