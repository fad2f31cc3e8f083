"""Preconditioners in all forms against plain matrices, to 1e-10: a few products in float64."""

import numpy as np
import pytest

from basins.directions import diagonal, full, low_rank
from basins.directions.preconditioner import Preconditioner

N = 7


def orthogonal(rng):
    return np.linalg.qr(rng.normal(size=(N, N)))[0]


def forms(rng):
    """Return each form with the matrix it stands for."""
    values, vectors = rng.uniform(0.2, 5, N), orthogonal(rng)
    yield Preconditioner.diagonal(values), np.diag(values)
    yield Preconditioner(values, vectors, 1.0, N), vectors * values
    few = vectors[:, :3]
    matrix = 0.7 * (np.eye(N) - few @ few.T) + few * values[:3] @ few.T
    yield Preconditioner(values[:3], few, 0.7, N), matrix


@pytest.mark.parametrize("index", range(3))
def test_forms_act_as_their_matrices(index, seed):
    rng = np.random.default_rng(seed)
    shape, matrix = list(forms(rng))[index]
    rows = rng.normal(size=(4, N))
    assert shape.apply(rows) == pytest.approx(rows @ matrix.T, rel=1e-10, abs=1e-10)
    assert shape.pull(rows) == pytest.approx(rows @ matrix, rel=1e-10, abs=1e-10)
    assert shape.solve(shape.apply(rows)) == pytest.approx(rows, rel=1e-10, abs=1e-10)
    assert shape.log_det() == pytest.approx(np.linalg.slogdet(matrix)[1], rel=1e-10, abs=1e-10)
    assert shape.times(3.0).apply(rows) == pytest.approx(3 * rows @ matrix.T, abs=1e-10)
    # A function of the lengths in z, and the sum of its logarithms.
    gram = matrix.T @ matrix
    assert shape.scale(np.square, rows) == pytest.approx(rows @ gram, rel=1e-9, abs=1e-9)
    assert shape.log_det(np.square) == pytest.approx(np.linalg.slogdet(gram)[1], abs=1e-9)


def test_lengths_reach_the_height_along_principal_axes(seed):
    rng = np.random.default_rng(seed)
    curvatures, vectors = rng.uniform(0.1, 10, N), orthogonal(rng)
    hessian = vectors * curvatures @ vectors.T
    shape = full.from_hessian(hessian, height=0.3)
    ends = shape.apply(np.eye(N))
    rises = np.einsum("ki,ij,kj->k", ends, hessian, ends) / 2
    assert rises == pytest.approx(np.full(N, 0.3), rel=1e-9)


def test_flat_and_falling_directions_get_the_longest_length():
    curvatures = np.array([2.0, 0.0, -3.0])
    assert full.lengths(curvatures, 1.0, longest=5.0) == pytest.approx([1, 5, 5])
    assert full.lengths(np.zeros(2), 1.0) == pytest.approx([1, 1])
    assert full.lengths(np.zeros(2), 1.0, longest=4.0) == pytest.approx([4, 4])


def test_root_of_a_covariance(seed):
    factor = np.random.default_rng(seed).normal(size=(N, N))
    covariance = factor @ factor.T
    shape = full.from_covariance(covariance)
    root = shape.apply(np.eye(N)).T
    assert root @ root.T == pytest.approx(covariance, rel=1e-8, abs=1e-8)


def test_hutchinson_is_exact_for_diagonals_and_unbiased_else(seed):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=N)
    assert diagonal.hutchinson(lambda v: v * values, N, 3, "h", seed) == pytest.approx(values)
    factor = rng.normal(size=(N, N))
    matrix = factor + factor.T
    probes = 20_000
    found = diagonal.hutchinson(lambda v: v @ matrix, N, probes, "h", seed)
    # The variance of one probe is the sum of squares off the diagonal; five deviations each.
    spread = np.sqrt(((matrix - np.diag(np.diag(matrix))) ** 2).sum(axis=1) / probes)
    assert (np.abs(found - np.diag(matrix)) < 5 * spread).all()


def test_second_moments_stand_for_curvature():
    shape = diagonal.from_second_moment(np.array([4.0, 16.0]), height=1.0)
    assert shape.values == pytest.approx(np.sqrt([2 / 2, 2 / 4]))


def test_low_rank_finds_leading_axes_and_the_mean_of_the_rest(seed):
    rng = np.random.default_rng(seed)
    vectors = orthogonal(rng)
    curvatures = np.array([100.0, 50.0, 2.0, 2.0, 2.0, 2.0, 2.0])
    hessian = vectors * curvatures @ vectors.T
    shape = low_rank.from_products(lambda v: v @ hessian, N, 2, 1.0, "low rank", seed)
    assert np.sort(shape.values) == pytest.approx(np.sqrt([2 / 100, 2 / 50]), rel=1e-6)
    # All the rest is alike, so the trace of it is exact whatever the probes.
    assert shape.rest == pytest.approx(1.0, rel=0.3)
    exact = full.from_hessian(hessian, 1.0)
    assert shape.log_det() == pytest.approx(exact.log_det(), abs=5 * 0.3)
