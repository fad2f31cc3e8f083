"""Slice sampling in networks' basins: compiled, the same draws as the plain rounds."""

from dataclasses import replace

import numpy as np
import pytest
from small_networks import CASES, basin_of, shape_of

from basins.volume import chords, curves
from basins.volume.basin import Basin
from basins.volume.forces import square
from basins.volume.measures import Gaussian, Lebesgue


@pytest.mark.parametrize(
    ("kind", "r_max"), [("diagonal", 0.7), ("diagonal", np.inf), ("turned", 0.7), ("low rank", 0.7)]
)
@pytest.mark.parametrize("curve", curves.CURVES)
@pytest.mark.parametrize(("model", "loss", "outputs"), CASES)
def test_compiled_moves_are_the_plain_ones(seed, model, loss, outputs, curve, kind, r_max):
    basin = basin_of(seed, model, loss, outputs, r_max)
    assert basin.mover is not None
    rng = np.random.default_rng(seed)
    n = basin.num_parameters
    shape = shape_of(kind, n, rng).times(0.1)
    measures = (Lebesgue(), Gaussian(rng.normal(size=n), 0.8))
    for measure in measures:
        found = []
        for one in (basin, replace(basin, mover=None)):
            z = np.random.default_rng(seed).normal(size=(16, n)) * 0.1
            chains = chords.Chains(z, shape.apply(z), chords.first_widths(n))
            law = chords.Law(one, measure, shape, 0.3)
            for turn in range(5):
                chords.move(law, chains, curve, np.random.default_rng([seed, 1 + turn]), True)
            found.append(chains)
        # First layers are summed in another order, so positions may differ by roundings.
        np.testing.assert_allclose(found[0].z, found[1].z, rtol=1e-9, atol=1e-12)
        assert found[0].num_evaluations == found[1].num_evaluations


@pytest.mark.parametrize("kind", curves.CURVES)
def test_energy_along_a_curve_is_that_of_its_points(kind, seed):
    rng = np.random.default_rng(seed)
    x, y, z, w = rng.normal(size=(4, 6, 3))
    measure = Gaussian(rng.normal(size=3), 0.7)
    law = chords.Law(Basin(lambda x: (x**2).sum(axis=1), np.zeros(3), 1.0), measure, None, 0.4)
    t = rng.normal(size=6)
    lines = curves.Curves(
        kind, x, y, law.forces.along(z, w, x, y), square(x, y), 0, np.zeros(6), 1.0, np.inf
    )
    moved, weights = curves.combined(lines, t, x, y), curves.combined(lines, t, z, w)
    energy = measure.energy(moved) + 0.2 * (weights**2).sum(axis=1)
    constant = measure.energy(np.zeros(3))
    a, b = lines.at(t)
    found = np.einsum("ki,ik->k", lines.energy, np.stack([a * a, a * b, b * b, a, b]))
    np.testing.assert_allclose(found + constant, energy, rtol=1e-12)
    np.testing.assert_allclose(
        np.einsum("ki,ik->k", lines.squares, np.stack([a * a, a * b, b * b])),
        (moved**2).sum(axis=1),
        rtol=1e-12,
    )
