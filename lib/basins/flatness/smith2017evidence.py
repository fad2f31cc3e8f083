"""Bayesian evidence of a minimum, its Occam factor, and the noise scale of the training.

Smith and Le (2017), *A Bayesian Perspective on Generalization and Stochastic Gradient Descent*,
arXiv 1710.06451.
"""

from dataclasses import dataclass

import numpy as np

from basins.flatness.intervals import Estimate
from basins.flatness.ubaru2017density import Spectrum, log_det


@dataclass(frozen=True)
class Evidence:
    """What a prior N(0, 1 / precision) on the parameters makes of a minimum, in nats.

    Attributes
    ----------
    log_evidence
        ln of the probability of the targets.
    log_occam_factor
        Its part that is paid for the width of the minimum; at most 0 where H is not negative.
    log_ratio_to_null
        `log_evidence` minus that of the model that gives every class the same probability.
    """

    log_evidence: Estimate
    log_occam_factor: Estimate
    log_ratio_to_null: Estimate


def evidence(
    seen: Spectrum,
    loss: float,
    squared_norm: float,
    num_examples: int,
    num_classes: int,
    precision: float,
) -> Evidence:
    """Return ln P = -N L - precision |theta|^2 / 2 - ln det((N H + precision) / precision) / 2.

    Their equation 9, with C = N L + precision |theta|^2 / 2 and the eigenvalues of its Hessian; the
    null model of section 3 has ln P = -N ln(classes).

    Parameters
    ----------
    seen
        Spectrum of the Hessian H of the mean loss L at the minimum.
    loss, squared_norm
        L and |theta|^2.
    num_examples
        N.
    num_classes
        Of the null model, at least 2.
    precision
        Of the prior, above 0: what weight decay is N times the coefficient of, on the mean loss.

    Raises
    ------
    ValueError
        If the precision is not above 0, or there are fewer than 2 classes.

    Examples
    --------
    >>> flat = evidence(Spectrum.whole(np.zeros(3)), 0.0, 0.0, 10, 2, precision=1.0)
    >>> round(flat.log_ratio_to_null.value, 3)
    6.931
    """
    if not precision > 0:
        raise ValueError(f"precision: {precision!r} must be above 0")
    if num_classes < 2:
        raise ValueError(f"num_classes: {num_classes!r} must be at least 2")
    n = seen.num_parameters
    # det(N H + p) / p^n = det(H + p / N) (N / p)^n.
    curved = log_det(seen, precision / num_examples)
    occam = scaled(curved, -0.5, -0.5 * n * float(np.log(num_examples / precision)))
    fit = -num_examples * loss - precision * squared_norm / 2
    whole = scaled(occam, 1.0, fit)
    return Evidence(whole, occam, scaled(whole, 1.0, num_examples * float(np.log(num_classes))))


def scaled(estimate: Estimate, factor: float, added: float) -> Estimate:
    """Return factor * estimate + added."""
    ends = sorted((factor * estimate.low + added, factor * estimate.high + added))
    return Estimate(factor * estimate.value + added, abs(factor) * estimate.stderr, *ends)


def noise_scale(learning_rate: float, num_examples: int, batch_size: int) -> float:
    """Return g = learning rate (N / B - 1), the scale of SGD's noise (their section 5).

    Examples
    --------
    >>> noise_scale(0.1, 1000, 100)
    0.9
    """
    return learning_rate * (num_examples / batch_size - 1)
