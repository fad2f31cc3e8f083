"""Draws integrated along their rays, against fine sums over the same lattices and closed forms."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import gammaln, logsumexp

from basins.directions.preconditioner import Preconditioner
from basins.volume import Basin, radial
from basins.volume.hmc import Tempered
from basins.volume.measures import Gaussian, Lebesgue
from basins.volume.radial import MOST_STEP, NUM_CELLS, STEP, ray_weights

# By name: loss as a function of r and of a direction's stiffness.
LOSSES = {
    "quadratic": lambda r, a: a * r**2 / 2,
    "cone": lambda r, a: a * r,
    "quartic": lambda r, a: a * r**4,
    "several crossings": lambda r, a: a * r**2 * (1 + 0.8 * np.sin(4 * np.log(r))),
    "no number beyond": lambda r, a: np.where(r < 1.05, a * r**2 / 2, np.nan),
}


def law_of(loss, n, measure, r_max, height):
    def values(x):
        r = np.maximum(np.linalg.norm(x, axis=1), 1e-100)
        return loss(r, 1 + (x[:, 0] / r) ** 2)

    basin = Basin(values, np.zeros(n), height, r_max=r_max)
    shape = Preconditioner(np.ones(n), None, 1.0, n)
    gamma = n / r_max**2 if np.isfinite(r_max) else 0.0
    return Tempered(basin, measure, shape, n / (2 * height), gamma)


def fine(law, x, begin, step, count=6_000 * NUM_CELLS):
    """Return ln of the weight of one draw, by a plain sum over its lattice's cells."""
    basin, n = law.basin, len(x)
    t = begin + step * NUM_CELLS * np.arange(count) / count
    r0 = np.linalg.norm(x)
    r = np.exp(t)
    quadratic = law.measure.stiffness / 2 * x @ x
    linear = x @ law.measure.force(np.zeros(len(x)))
    density = n * t - (quadratic * r + linear) * r
    # The loss knows a point by its distance and its first coordinate.
    points = np.zeros((count, 2))
    points[:, 0], points[:, 1] = r * x[0], r * np.sqrt(max(r0**2 - x[0] ** 2, 0))
    with np.errstate(all="ignore"):
        rises = basin.loss(points)
    rises = np.where(np.isnan(rises), np.inf, rises)
    inside = density[(rises < basin.height) & (r * r0 < basin.r_max)]
    nodes = (density - law.beta * rises - law.gamma / 2 * (r * r0) ** 2)[:: count // NUM_CELLS]
    area = logsumexp(inside) + np.log(NUM_CELLS / count) if len(inside) else -np.inf
    return area - logsumexp(nodes)


@pytest.mark.parametrize("n", [3, 40, 1000])
@pytest.mark.parametrize("r_max", [np.inf, 1.05])
@pytest.mark.parametrize("kind", ["lebesgue", "gaussian"])
@pytest.mark.parametrize("name", LOSSES)
def test_weights_are_the_integrals(name, kind, r_max, n, seed):
    rng = np.random.default_rng(seed)
    measure = Lebesgue() if kind == "lebesgue" else Gaussian(rng.normal(size=n), 1.5)
    law = law_of(LOSSES[name], n, measure, r_max, float(LOSSES[name](1.0, 1.5)))
    # Where draws of the law would be, near the edge.
    x = rng.normal(size=(20, n))
    distances = np.minimum(np.exp(rng.normal(size=(20, 1)) / np.sqrt(2 * n)), 1.04)
    x *= distances / np.linalg.norm(x, axis=1)[:, None]
    found = ray_weights(law, x, np.random.default_rng(1))
    step = min(STEP / np.sqrt(n), MOST_STEP)
    begins = -step * np.random.default_rng(1).integers(NUM_CELLS, size=20)
    exact = np.array([fine(law, row, begin, step) for row, begin in zip(x, begins, strict=True)])
    # Points of the plain sum are up to 1e-3 / n^(1/2) apart; weights are added up.
    np.testing.assert_allclose(
        np.exp(found.log_weights - exact.max()), np.exp(exact - exact.max()), atol=0.01
    )


@pytest.mark.parametrize("n", [3, 40, 1000])
@pytest.mark.parametrize("bound", ["threshold", "r_max"])
@pytest.mark.parametrize("name", ["quadratic", "cone", "quartic"])
def test_exponents_are_the_weights_slopes(name, bound, n, seed, monkeypatch):
    monkeypatch.setattr(radial, "MAX_OFF", 1e-8)
    monkeypatch.setattr(radial, "ROUNDING", 1e-14)
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(200, n))
    x *= np.exp(rng.normal(size=(200, 1)) / np.sqrt(2 * n)) / np.linalg.norm(x, axis=1)[:, None]
    stiffness = 1 + x[:, 0] ** 2 / (x**2).sum(axis=1)
    height = float(LOSSES[name](1.0, np.median(stiffness)))
    if bound == "r_max":
        law = law_of(LOSSES[name], n, Lebesgue(), 1.02, 1.5 * height)
    else:
        law = law_of(LOSSES[name], n, Lebesgue(), np.inf, height)
    found = ray_weights(law, x, np.random.default_rng(1))
    slopes = found.exponents if bound == "threshold" else found.radius_exponents
    step, start = 1e-4 / n, getattr(law.basin, bound)
    below, above = (
        ray_weights(
            replace(law, basin=replace(law.basin, **{bound: start * np.exp(h)})),
            x,
            np.random.default_rng(1),
        ).log_weights
        for h in (-step, step)
    )
    is_known = np.isfinite(below)
    differences = (above[is_known] - below[is_known]) / (2 * step)
    # A stretch of a thousandth of a cell, at a lattice's beginning, has no slope by differences.
    is_steep = slopes[is_known] > 50 * n
    np.testing.assert_allclose(
        slopes[is_known][~is_steep], differences[~is_steep], rtol=0.03, atol=0.03
    )
    assert (slopes > 0).mean() > 0.3
    assert is_steep.mean() < 0.05


@pytest.mark.parametrize("n", [2, 30, 2000])
def test_weights_of_a_quadratic_are_its_volume(n, seed):
    """Exact draws of exp(-n sum a x^2 / 2) weigh (V / Z) on average, and nearly all alike."""
    rng = np.random.default_rng(seed)
    stiffness = rng.uniform(0.2, 5, n)
    basin = Basin(lambda x: (x**2 @ stiffness) / 2, np.zeros(n), 0.5)
    law = Tempered(basin, Lebesgue(), Preconditioner(np.ones(n), None, 1.0, n), float(n), 0.0)
    draws = rng.normal(size=(4000, n)) / np.sqrt(n * stiffness)
    found = ray_weights(law, draws, rng)
    log_volume = n / 2 * np.log(np.pi) - gammaln(n / 2 + 1) - np.log(stiffness).sum() / 2
    log_normalizer = n / 2 * np.log(2 * np.pi / n) - np.log(stiffness).sum() / 2
    weights = np.exp(found.log_weights - (log_volume - log_normalizer))
    error = weights.std() / np.sqrt(len(weights))
    assert abs(weights.mean() - 1) < 5 * error
    assert error < 0.02
    surplus = weights * (found.exponents - n / 2)
    assert abs(surplus.mean()) < 5 * surplus.std() / np.sqrt(len(surplus))
    reach = found.edges[weights > 0][:, None] * draws[weights > 0]
    assert (basin.rise(reach) < 0.5 * (1 + 1e-3)).all()
