"""Compiled losses along rays from a fully connected network's minimum: one point, one thread.

Exploits: the first layer is linear, (W + r D) x = W x + r D x, so both products are made once, W x
for the minimum and D x for the ray, and a radius costs the layers above; all landscapes come from
one pass, as sums over the first so many examples.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from basins.rays.mlp_kernels import (
    BLOCK,
    FAST,
    Numbers,
    Problem,
    add_losses,
    first_sums,
    run_layers,
)


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


@njit(cache=True, nogil=True)
def put_ray_sums(steps: Numbers, problem: Problem, ray_sums: Numbers) -> None:
    """Put the first layer's sums along rays with these steps (rays, n) into `ray_sums`."""
    for p in range(len(steps)):
        ray_sums[p] = first_sums(steps[p], problem)


@njit(cache=True, fastmath=FAST)
def shift(base: Numbers, along: Numbers, radius: float, is_hidden: bool, to: Numbers) -> None:
    """Put base + radius along into `to`, rectified if asked.

    In float64: a radius rounded to single precision moves all numbers alike, and by more than the
    tolerance in a million dimensions, where roundings of the sums cancel.
    """
    for i in range(len(to)):
        value = base[i] + radius * along[i]
        to[i] = 0 if is_hidden and value < 0 else value


@njit(cache=True, nogil=True)
def ray_losses(rays: Rays, rows: Numbers, radii: Numbers, problem: Problem, means: Numbers) -> None:
    """Put mean losses at radii along rays into `means`, float64, shape (points, landscapes).

    Parameters
    ----------
    rays
        The minimum and its rays.
    rows, radii
        Of each point its ray and how far along it, shape (points,).
    problem
        Network and examples.
    """
    widths, edges = problem.widths, problem.edges
    dtype = rays.theta.dtype
    above = len(rays.theta) - rays.steps.shape[1]
    theta = np.empty(rays.steps.shape[1], dtype)
    first = np.empty(widths[1] * BLOCK, dtype)
    memory = np.empty(max(1, widths[2:].sum()) * BLOCK, dtype)
    top, sums = np.empty(BLOCK, dtype), np.empty(BLOCK, dtype)
    for p in range(len(rows)):
        step = rays.steps[rows[p]]
        for i in range(len(theta)):
            theta[i] = step[i] * radii[p]
            theta[i] += rays.theta[above + i]
        total, landscape = 0.0, 0
        for block in range(len(edges) - 1):
            begin, end = edges[block], edges[block + 1]
            count = end - begin
            part = slice(widths[1] * begin, widths[1] * end)
            x = first[: widths[1] * count]
            shift(rays.sums[part], rays.ray_sums[rows[p], part], radii[p], len(widths) > 2, x)
            outputs = run_layers(theta, widths, 1, x.reshape(widths[1], count), memory)
            total += add_losses(problem.kind, outputs, problem.targets[begin:end], top, sums)
            if end == problem.sizes[landscape]:
                means[p, landscape] = total / end
                landscape += 1
