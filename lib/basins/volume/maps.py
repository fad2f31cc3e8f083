"""Compiled linear maps x = A z of many rows at once; see `directions.preconditioner`."""

from typing import NamedTuple

import numpy as np
from numba import njit

from basins.directions.preconditioner import Preconditioner
from basins.models.mlp_kernels import FAST, Numbers


class Map(NamedTuple):
    """A preconditioner as kernels take it; `vectors` (n, 0) for the axes themselves."""

    values: Numbers
    vectors: Numbers
    rest: float


def map_of(shape: Preconditioner) -> Map:
    """Return a preconditioner as kernels take it."""
    vectors = np.empty((shape.num_parameters, 0)) if shape.vectors is None else shape.vectors
    return Map(np.ascontiguousarray(shape.values), np.ascontiguousarray(vectors), float(shape.rest))


@njit(cache=True, forceinline=True)
def num_together(matrix: Map, count: int) -> int:
    """Return how many of `count` chains go best through the map at once.

    All, for one matrix product, or one, which then stays in the cache.
    """
    return max(1, count) if matrix.vectors.shape[1] else 1


@njit(cache=True, forceinline=True)
def inner_room(matrix: Map, count: int) -> Numbers:
    """Return room for the coordinates along the vectors, of rows in number `count`."""
    rank = matrix.vectors.shape[1]
    return np.empty((count, rank if rank < len(matrix.vectors) else 0))


@njit(cache=True, forceinline=True, fastmath=FAST)
def stretch(matrix: Map, rows: Numbers, inner: Numbers) -> None:
    """Multiply `rows` (k, n) in place by the symmetric part of A: its lengths along its vectors."""
    count, n = rows.shape
    if len(matrix.values) == n:
        for p in range(count):
            for i in range(n):
                rows[p, i] *= matrix.values[i]
        return
    np.dot(rows, matrix.vectors, inner)
    for p in range(count):
        for i in range(inner.shape[1]):
            inner[p, i] *= matrix.values[i] - matrix.rest
        for i in range(n):
            rows[p, i] *= matrix.rest
    rows += np.dot(inner, matrix.vectors.T)


@njit(cache=True, forceinline=True)
def apply(matrix: Map, z: Numbers, inner: Numbers, room: Numbers, x: Numbers) -> None:
    """Put A z into `x`; `room` is as large as they are."""
    turns = matrix.vectors.shape[1] == z.shape[1]
    to = room if turns else x
    to[:] = z
    stretch(matrix, to, inner)
    if turns:
        np.dot(to, matrix.vectors.T, x)


@njit(cache=True, forceinline=True)
def pull(matrix: Map, rows: Numbers, inner: Numbers, room: Numbers) -> Numbers:
    """Return A^T times rows, in `rows` itself or in `room`, as large."""
    if matrix.vectors.shape[1] < rows.shape[1]:
        stretch(matrix, rows, inner)
        return rows
    np.dot(rows, matrix.vectors, room)
    stretch(matrix, room, inner)
    return room
