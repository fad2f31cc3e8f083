"""Leapfrog trajectories: reversible, of second order, and compiled the same as plain."""

from dataclasses import replace

import numpy as np
import pytest
from small_networks import CASES, SHAPES, basin_of, shape_of

from basins.volume.forces import Forces
from basins.volume.measures import Gaussian, Lebesgue
from basins.volume.trajectories import Phase, leapfrog


def quartic(x):
    return (x**4).sum(axis=1)


def steep(x):
    return 4 * x**3


def start_of(shape, gradient, rng, count=6):
    z = rng.normal(size=(count, shape.num_parameters))
    x = shape.apply(z)
    return Phase(z, x, gradient(x), rng.normal(size=z.shape), np.zeros(count))


def forces_of(shape, rng):
    return Forces(shape, 0.3, 0.2, 0.5, rng.normal(size=shape.num_parameters))


@pytest.mark.parametrize("kind", SHAPES)
def test_trajectories_run_back_the_way_they_came(kind, seed):
    rng = np.random.default_rng(seed)
    shape = shape_of(kind, 5, rng)
    forces, start = forces_of(shape, rng), start_of(shape, steep, rng)
    end = leapfrog(forces, start, 0.02, 30, steep, quartic)
    back = leapfrog(forces, replace(end, momentum=-end.momentum), 0.02, 30, steep, quartic)
    # Rounding, which a trajectory in a quartic well may enlarge a thousandfold.
    np.testing.assert_allclose(back.z, start.z, rtol=0, atol=1e-9)
    np.testing.assert_allclose(-back.momentum, start.momentum, rtol=0, atol=1e-9)
    np.testing.assert_allclose(end.rises, quartic(end.offsets))
    np.testing.assert_allclose(end.offsets, shape.apply(end.z), rtol=1e-12, atol=1e-12)


def test_energy_is_kept_to_second_order(seed):
    rng = np.random.default_rng(seed)
    shape = shape_of("low rank", 5, rng)
    forces, start = forces_of(shape, rng), start_of(shape, steep, rng)

    def energy(at):
        value = forces.spring / 2 * (at.z**2).sum(axis=1) + forces.weight * quartic(at.offsets)
        value += forces.stiffness / 2 * (at.offsets**2).sum(axis=1) + at.offsets @ forces.constant
        return value + (at.momentum**2).sum(axis=1) / 2

    errors = [
        np.abs(
            energy(leapfrog(forces, start, 0.02 / k, 20 * k, steep, quartic)) - energy(start)
        ).max()
        for k in (1, 4)
    ]
    # 16 in the limit; terms of fourth order are a percent of it at steps as small.
    assert errors[0] / errors[1] == pytest.approx(16, rel=0.2)


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize(("model", "loss", "outputs"), CASES)
def test_compiled_trajectories_are_the_plain_ones(model, loss, outputs, kind, seed):
    basin = basin_of(seed, model, loss, outputs, np.inf)
    assert basin.leaper is not None
    plain = replace(basin, leaper=None)
    rng = np.random.default_rng(seed)
    n = basin.num_parameters
    shape = shape_of(kind, n, rng).times(0.1)
    start = start_of(shape, basin.slope, rng)
    for measure in (Lebesgue(), Gaussian(rng.normal(size=n), 0.8)):
        constant = measure.force(np.zeros(n))
        for spring, weight, count in ((1.0, 0.0, 1), (0.4, 30.0, 5), (0.0, 10.0, 2)):
            forces = Forces(shape, spring, weight, measure.stiffness + 0.1, constant)
            found, expected = (one.leapfrog(forces, start, 0.05, count) for one in (basin, plain))
            for name in ("z", "offsets", "gradients", "momentum", "rises"):
                # Sums run in another order: roundings, but where one moves a unit over its kink.
                np.testing.assert_allclose(
                    getattr(found, name), getattr(expected, name), rtol=1e-9, atol=1e-10
                )
    # The start is left as it was.
    assert (start.offsets == shape.apply(start.z)).all()
