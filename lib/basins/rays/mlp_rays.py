"""Compiled losses along rays from a fully connected network's minimum: one point, one thread.

Exploits: the first layer is linear, (W + r D) x = W x + r D x, so both products are made once, W x
for the minimum and D x for the ray, and a radius costs the layers above; all landscapes come from
one pass, as sums over the first so many examples; and losses are not negative, so that a sum above
every limit needs no more examples.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from basins.models.mlp_kernels import (
    BLOCK,
    FAST,
    Numbers,
    Problem,
    add_losses,
    run_layers,
)
from basins.rays.first_layer import put_first_sums


class Rays(NamedTuple):
    """Rays from a minimum, as the kernel takes them.

    Attributes
    ----------
    theta
        The minimum, shape (n,).
    sums
        Its first layer's sums, block after block.
    steps
        Of the layers above the first, along each ray, float64, shape (rays, n - first layer).
    ray_sums
        The first layer's sums along each ray, shape (rays, sums).
    """

    theta: Numbers
    sums: Numbers
    steps: Numbers
    ray_sums: Numbers


class Points(NamedTuple):
    """Points on rays, arrays of shape (points,).

    Attributes
    ----------
    rows, radii
        Of each point its ray and how far along it.
    most
        Summed loss above which a point is outside all its basins.
    """

    rows: Numbers
    radii: Numbers
    most: Numbers


@njit(cache=True, nogil=True)
def put_ray_sums(
    steps: Numbers, problem: Problem, first: int, last: int, ray_sums: Numbers
) -> None:
    """Put the first layer's sums along rays with these steps (rays, n) into `ray_sums`.

    Those of the blocks from `first` up to `last`.
    """
    for p in range(len(steps)):
        put_first_sums(steps[p], problem, first, last, ray_sums[p])


@njit(cache=True, forceinline=True, fastmath=FAST)
def shift(base: Numbers, along: Numbers, radius: float, is_hidden: bool, to: Numbers) -> None:
    """Put base + radius along into `to`, rectified if asked.

    In float64: a radius rounded to single precision moves all numbers alike, and by more than the
    tolerance in a million dimensions, where roundings of the sums cancel.
    """
    for i in range(len(to)):
        value = base[i] + radius * along[i]
        to[i] = 0 if is_hidden and value < 0 else value


@njit(cache=True, nogil=True)
def ray_losses(rays: Rays, points: Points, problem: Problem, means: Numbers) -> None:
    """Put mean losses of points into `means`, float64, shape (points, landscapes).

    Those that no example is needed for any more are infinite.
    """
    widths, edges = problem.widths, problem.edges
    dtype = rays.theta.dtype
    above = len(rays.theta) - rays.steps.shape[1]
    theta = np.empty(rays.steps.shape[1], dtype)
    first = np.empty(widths[1] * BLOCK, dtype)
    memory = np.empty(max(1, widths[2:].sum()) * BLOCK, dtype)
    top, sums = np.empty(BLOCK, dtype), np.empty(BLOCK, dtype)
    for p in range(len(points.rows)):
        row, radius = points.rows[p], points.radii[p]
        step = rays.steps[row]
        for i in range(len(theta)):
            theta[i] = step[i] * radius
            theta[i] += rays.theta[above + i]
        total, landscape = 0.0, 0
        for block in range(len(edges) - 1):
            begin, end = edges[block], edges[block + 1]
            count = end - begin
            part = slice(widths[1] * begin, widths[1] * end)
            x = first[: widths[1] * count]
            shift(rays.sums[part], rays.ray_sums[row, part], radius, len(widths) > 2, x)
            outputs = run_layers(theta, widths, 1, x.reshape(widths[1], count), memory)
            total += add_losses(problem.kind, outputs, problem.targets[begin:end], top, sums)
            if end == problem.sizes[landscape]:
                means[p, landscape] = total / end
                landscape += 1
            if total > points.most[p]:
                means[p, landscape:] = np.inf
                break
