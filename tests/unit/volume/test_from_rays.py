"""Numbers of a basin: what is missing is marked, and the published value by its own recipe."""

import math

import numpy as np
import pytest

from basins.volume.fan2025compat import compat_log_volume
from basins.volume.from_rays import (
    CALIBRATED,
    LOWER_BOUND,
    MINIMUM_ABOVE_THRESHOLD,
    volumes,
)


def published(losses_of, norms, n, threshold):
    """The published recipe: a grid of coefficients, the first whose loss is above the threshold."""
    grid = [x * x for x in np.linspace(0, 1, 100)]
    radii = []
    for direction, norm in enumerate(norms):
        above = [c for c in grid if losses_of(direction, c * norm) > threshold]
        if above:
            radii.append(above[0] * norm)
    if not radii:
        return math.nan
    logs = [n * math.log(r) for r in radii]
    return max(logs) + math.log(sum(math.exp(x - max(logs)) for x in logs) / len(logs))


def test_compat_is_the_published_recipe(seed):
    rng = np.random.default_rng(seed)
    n, threshold = 50, 0.1
    curvature = rng.uniform(0.001, 0.02, 40)
    norms = rng.uniform(6, 8, 40)
    radius = np.sqrt(2 * threshold / curvature)
    expected = published(lambda d, r: curvature[d] * r * r / 2, norms, n, threshold)
    crossings = np.ones((1, 40), dtype=np.int16)
    found = compat_log_volume(np.log(radius)[None], crossings, np.log(norms), n)
    assert found[0] == pytest.approx(expected, rel=1e-10)
    assert (radius > norms).any(), "some directions must be dropped"


def test_compat_of_no_crossing_is_missing():
    crossings = np.zeros((1, 3), dtype=np.int16)
    assert np.isnan(compat_log_volume(np.zeros((1, 3)), crossings, np.zeros(3), 5)).all()


def test_states_are_marked(seed):
    radii = np.stack(
        [
            np.full(60, 0.5),
            np.random.default_rng(seed).normal(0, 3, 60),
            np.full(60, np.nan),
            np.full(60, 0.5),
        ]
    )[None]
    crossings = np.ones(radii.shape, dtype=np.int16)
    crossings[0, 2] = 0
    crossings[0, 3, 7] = 3
    found = volumes(radii, crossings, np.zeros(60), 4, has_published_directions=False)
    status = found.by_estimator["volume_status"][0, :, 0].tolist()
    assert status == [CALIBRATED, LOWER_BOUND, MINIMUM_ABOVE_THRESHOLD, LOWER_BOUND]
    assert found.by_estimator["is_lower_bound"][0, :, 0].tolist() == [False, True, False, True]
    for name in ("log_volume", "log_volume_stderr", "log_volume_low", "ess", "pareto_k"):
        values = found.by_estimator[name][0, :, 0]
        assert np.isnan(values).tolist() == [False, False, True, False], name
    assert np.isnan(found.by_basin["log_volume_compat"]).all()
    for name in ("censored_fraction", "reentry_fraction", "log_radius_median"):
        missing = np.isnan(found.by_basin[name][0]).tolist()
        assert missing == [False] * 2 + [True, False], name
    assert found.by_basin["reentry_fraction"][0, 3] == pytest.approx(1 / 60)
    for share, name in ((0.1, "low"), (0.5, "median"), (0.9, "high")):
        quantile = np.quantile(radii[0, 1], share)
        assert found.by_basin[f"log_radius_{name}"][0, 1] == pytest.approx(quantile)


def test_censored_rays_count_at_the_ball():
    """A body that reaches beyond r_max in half the directions: the volume inside the ball."""
    crossings = np.tile(np.array([0, 1], dtype=np.int16), 30)[None, None]
    log_radius = np.where(crossings == 0, np.log(2.0), np.log(1.0))
    found = volumes(log_radius, crossings, np.zeros(60), 2, has_published_directions=False)
    assert found.by_estimator["log_volume"].item() == pytest.approx(np.log(np.pi * 2.5))
    assert found.by_basin["censored_fraction"].item() == 0.5


def test_one_missing_radius_makes_every_number_of_its_basin_missing():
    log_radius = np.zeros((1, 1, 60))
    log_radius[0, 0, 3] = np.nan
    crossings = np.ones(log_radius.shape, dtype=np.int16)
    found = volumes(log_radius, crossings, np.ones(60), 4, has_published_directions=True)
    for name, values in found.by_basin.items():
        assert np.isnan(values).all(), name
    assert np.isnan(found.by_estimator["log_volume"]).all()
