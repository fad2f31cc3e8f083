"""Planes through minima and paths, against plain linear algebra."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from basins.landscape.plane import Plane, through, window
from basins.landscape.trajectory import principal_plane


@pytest.mark.parametrize("n", [2, 3, 50])
def test_three_points_lie_in_their_plane_at_their_distances(seed, n):
    points = np.random.default_rng(seed).normal(size=(3, n)) * 7
    plane = through(points)
    np.testing.assert_allclose(plane.directions @ plane.directions.T, np.eye(2), atol=1e-12)
    np.testing.assert_allclose(plane.distances(points), 0, atol=1e-9)
    places = plane.coordinates(points)
    apart = [np.linalg.norm(rows[:, None] - rows, axis=2) for rows in (points, places)]
    np.testing.assert_allclose(*apart, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(places[0], 0, atol=1e-12)
    assert places[1, 1] == pytest.approx(0, abs=1e-9)
    assert places[2, 1] > 0


def test_a_point_is_its_shadow_and_its_distance(seed):
    random = np.random.default_rng(seed)
    directions = np.linalg.qr(random.normal(size=(20, 2)))[0].T
    plane = Plane(random.normal(size=20), directions)
    points = random.normal(size=(6, 20))
    x = plane.coordinates(points)
    rest = points - plane.origin - x @ directions
    np.testing.assert_allclose(rest @ directions.T, 0, atol=1e-12)
    np.testing.assert_allclose(plane.distances(points), np.linalg.norm(rest, axis=1), rtol=1e-9)


@pytest.mark.parametrize("third", [[2.0, 4.0], [0.5, 1.0], [0.0, 0.0]])
def test_points_on_a_line_are_refused(third):
    points = np.array([[0.0, 0.0], [1.0, 2.0], third])
    with pytest.raises(ValueError, match="points: the three lie on one line"):
        through(points)


@settings(deadline=None)
@given(
    st.lists(st.tuples(*[st.floats(-1e3, 1e3)] * 2), min_size=2, max_size=9),
    st.floats(0, 3),
)
def test_a_window_holds_all_places_with_their_margin(places, margin):
    places = np.array(places)
    middle, half = window(places, margin)
    extent = np.ptp(places, axis=0).max() or 1.0
    assert (abs(places - middle) <= half - margin * extent + 1e-9 * (1 + abs(places).max())).all()
    assert half == pytest.approx(extent * (0.5 + margin))


def test_a_principal_plane_explains_as_eigenvalues_say(seed):
    random = np.random.default_rng(seed)
    path, end = random.normal(size=(12, 40)).cumsum(0), random.normal(size=40)
    plane, explained = principal_plane(path, end)
    moments = (path - end).T @ (path - end)
    values, vectors = np.linalg.eigh(moments)
    np.testing.assert_allclose(explained, values[:-3:-1] / values.sum(), rtol=1e-9)
    overlap = abs(plane.directions @ vectors[:, :-3:-1])
    np.testing.assert_allclose(overlap, np.eye(2), atol=1e-6)
    # What is not along the plane is beside it.
    seen = np.square(plane.coordinates(path)).sum() + np.square(plane.distances(path)).sum()
    assert seen == pytest.approx(np.trace(moments), rel=1e-9)


@pytest.mark.parametrize(
    "path", [np.zeros((5, 3)), np.outer(np.arange(4.0), np.ones(3)), np.ones((1, 3))]
)
def test_a_path_that_spans_no_plane_is_refused(path):
    with pytest.raises(ValueError, match="path: its points lie on one line"):
        principal_plane(path, np.zeros(3))
