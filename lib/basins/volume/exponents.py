"""How volume falls with the threshold: local exponents, and the learning coefficient they tend to.

For small thresholds V(e) ~ e^lambda (-ln e)^(m-1) (Watanabe 2009, *Algebraic geometry and
statistical learning theory*, theorem 7.1), with lambda the learning coefficient (n/2 for a regular
minimum) and m its multiplicity. So the local exponent is d ln V / d ln e = lambda - (m - 1) / (b -
ln e), and approaches lambda too slowly to be read off one threshold where m > 1; it is fitted.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.stats import chi2

from basins import streams
from basins.directions.preconditioner import Preconditioner
from basins.volume import chords
from basins.volume.basin import Basin
from basins.volume.measures import Lebesgue
from basins.volume.path import mean_ratio
from basins.volume.rounding import fit_scale, learn_shape
from basins.volume.shapes import guess

Array = NDArray[np.float64]

NUM_CHAINS = 64
BURN_IN, SWEEPS = 64, 128  # at every threshold
MAX_MULTIPLICITY = 4
# Of lambda, of ln b or ln c, of a: beyond them a law is straight over all thresholds measured.
LIMITS = ((0.0, np.inf), (-2.0, 3.0), (-np.inf, np.inf))


@dataclass(frozen=True)
class Exponents:
    """The exponent of the volume at several thresholds, and where it tends.

    Attributes
    ----------
    heights
        Thresholds above the minimum's loss, shape (k,), falling.
    exponents, stderrs
        d ln V / d ln height there and below, as if it did not change.
    learning_coefficient, stderr
        lambda, the mean over laws of the fit, and its error.
    multiplicity
        m of the likeliest law.
    p_value
        Of that law's chi-square; tiny where none describes the exponents.
    num_evaluations
        Losses evaluated.
    """

    heights: Array
    exponents: Array
    stderrs: Array
    learning_coefficient: float
    stderr: float
    multiplicity: int
    p_value: float
    num_evaluations: int


def learning_coefficient(
    basin: Basin,
    seed: int = 0,
    num_thresholds: int = 16,
    shape: Preconditioner | None = None,
) -> Exponents:
    """Measure the exponents at thresholds falling by e, by chords, and fit the coefficient.

    At each threshold chains draw from the uniform law on the basin; the exponent is the inverse
    mean of ln(height / rise) over the draws (Hill 1975), exact for a power law. The second moment
    that makes it local (`path.local_exponent`) would cost noise, and the limit is the same.

    Parameters
    ----------
    basin
        Its threshold is the highest.
    seed
        Of all random numbers.
    num_thresholds
        4 or more.
    shape
        A guess at the map that makes the basin round; if None, as of `estimate`.

    Raises
    ------
    ValueError
        If `num_thresholds` is below 4.
    """
    if num_thresholds < 4:
        raise ValueError(f"num_thresholds: {num_thresholds!r} must be 4 or more")
    rng = streams.generator("exponents", int(seed))
    if shape is None:
        shape = next(iter(guess(basin, Lebesgue(), None, "exponents", int(seed)).values()))
    fit = fit_scale(basin, Lebesgue(), shape, rng)
    z = fit.inside[np.arange(NUM_CHAINS) % len(fit.inside)]
    widths = chords.first_widths(basin.num_parameters)
    chains = chords.Chains(z, fit.reference.shape.apply(z), widths)
    law = chords.Law(basin, Lebesgue(), fit.reference.shape, 0.0)
    heights = np.float64(basin.height) * np.exp(-np.arange(num_thresholds, dtype=np.float64))
    found = []
    for height in heights:
        inner = replace(basin, threshold=basin.loss_at_minimum + float(height))
        _pull_inside(inner, chains)
        law = replace(law, basin=inner)
        for part in range(2):
            draws = []
            for _ in range(BURN_IN // 2):
                chords.sweep(law, chains, rng, is_tuned=True)
                draws.append(chains.z)
            if part == 0:
                law = replace(law, shape=learn_shape(law.shape, np.stack(draws)))
                chains.z = law.shape.solve(chains.offsets)
        rises = []
        for _ in range(SWEEPS):
            chords.sweep(law, chains, rng, is_tuned=False)
            rises.append(inner.rise(chains.offsets))
            chains.num_evaluations += len(chains.z)
        logs = np.log(height / np.maximum(np.array(rises), np.finfo(float).tiny))
        found.append(mean_ratio(np.ones_like(logs), logs))
    exponents, stderrs = np.array(found).T
    value, stderr, multiplicity, p_value = fit_coefficient(heights, exponents, stderrs)
    cost = chains.num_evaluations + fit.num_evaluations
    return Exponents(heights, exponents, stderrs, value, stderr, multiplicity, p_value, cost)


def _pull_inside(basin: Basin, chains: chords.Chains) -> None:
    """Halve the distance to the minimum of points outside, until all are inside."""
    is_out = ~basin.is_inside(chains.offsets)
    while is_out.any():
        chains.z[is_out] /= 2
        chains.offsets[is_out] /= 2
        is_out = ~basin.is_inside(chains.offsets)


def fit_coefficient(
    heights: Array, exponents: Array, stderrs: Array
) -> tuple[float, float, int, float]:
    """Return lambda, its error, m, and the p-value of the likeliest law.

    With d = ln(first height / height): lambda itself; lambda - a exp(-c d), of multiplicity 1 with
    the next power of the threshold; and lambda - (m - 1) / (b + d). Each counts for exp(-c / 2), c
    its chi-square plus twice its parameters (Akaike 1974), and the error holds what they differ by
    (Buckland, Burnham, Augustin 1997, Biometrics 53, 603, equation 9).
    """
    depth = np.log(heights[0] / heights)
    last = float(exponents[-1])

    def bent(multiplicity: int) -> Callable[[Array], Array]:
        return lambda p: p[0] - (multiplicity - 1) / (np.exp(p[1]) + depth)

    laws: list[tuple[int, Callable[[Array], Array], list[float]]] = [
        (1, lambda p: np.full(len(depth), p[0]), [last]),
        (1, lambda p: p[0] - p[2] * np.exp(-np.exp(p[1]) * depth), [last, -1.0, 0.1 * last]),
    ]
    laws += [(m, bent(m), [last, 0.0]) for m in range(2, MAX_MULTIPLICITY + 1)]
    criteria, values, errors, p_values = np.empty((4, len(laws)))
    for index, (_, law, start) in enumerate(laws):
        bounds = np.array(LIMITS)[: len(start)].T
        solved = least_squares(
            lambda p, law=law: (law(p) - exponents) / stderrs, start, bounds=bounds
        )
        covariance = np.linalg.pinv(solved.jac.T @ solved.jac)
        values[index], errors[index] = solved.x[0], np.sqrt(covariance[0, 0])
        criteria[index] = 2 * solved.cost + 2 * len(start)
        p_values[index] = chi2.sf(2 * solved.cost, len(heights) - len(start))
    weights = np.exp(-(criteria - criteria.min()) / 2)
    weights /= weights.sum()
    value = float(weights @ values)
    stderr = float(weights @ np.sqrt(errors**2 + (values - value) ** 2))
    best = int(weights.argmax())
    return value, stderr, laws[best][0], float(p_values[best])
