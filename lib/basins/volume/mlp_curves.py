"""Compiled slice sampling in the basin of a fully connected network: one chain, one thread.

Exploits: along a curve a(t) x + b(t) y the first layer's sums are a(t) times those of x plus b(t)
times those of y, so its products are made twice a curve, however many points are asked about; and a
point is outside as soon as its examples so far bring the loss above the threshold.

The same draws as `curves.slice_draw` from the same uniform numbers.
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
    block_inputs,
    product,
    run_layers,
)
from basins.volume.curves import CURVES, MAX_SHRINKS, MAX_STEPS_OUT

CIRCLE, RAY = CURVES.index("circle"), CURVES.index("ray")


class Slices(NamedTuple):
    """Curves, and what must hold at positions on them; see `curves.Curves`.

    Attributes
    ----------
    curve
        Index into `CURVES`.
    width, widest, power, energy, squares, levels
        As there.
    uniforms
        Random numbers, a row a curve.
    r_max
        Distance at which the basin ends.
    summed_loss
        What the summed loss must be below.
    """

    curve: int
    width: float
    widest: float
    power: int
    energy: Numbers
    squares: Numbers
    levels: Numbers
    uniforms: Numbers
    r_max: float
    summed_loss: float


class Plane(NamedTuple):
    """The points anchor + a x + b y of a network's parameters.

    Attributes
    ----------
    rest, x_rest, y_rest
        Parameters of all layers but the first.
    sums, x_sums, y_sums
        Of the first layer, block after block.
    """

    rest: Numbers
    x_rest: Numbers
    y_rest: Numbers
    sums: Numbers
    x_sums: Numbers
    y_sums: Numbers


@njit(cache=True)
def first_sums(theta: Numbers, problem: Problem) -> Numbers:
    """Return W x + b of the first layer for all examples, block after block."""
    fan_in, fan_out = problem.widths[0], problem.widths[1]
    weights = theta[: fan_out * fan_in].reshape(fan_out, fan_in)
    sums = np.empty(fan_out * problem.edges[-1], theta.dtype)
    for block in range(len(problem.edges) - 1):
        begin, end = problem.edges[block], problem.edges[block + 1]
        y = sums[fan_out * begin : fan_out * end].reshape(fan_out, end - begin)
        product(weights, block_inputs(problem, begin, end), y)
        for j in range(fan_out):
            y[j] += theta[fan_out * fan_in + j]
    return sums


@njit(cache=True, fastmath=FAST)
def blend(base: Numbers, x: Numbers, y: Numbers, ab: Numbers, is_hidden: bool, to: Numbers) -> None:
    """Put base + a x + b y into `to`, rectified if asked; (a, b) in the precision of the others."""
    for i in range(len(to)):
        value = base[i] + ab[0] * x[i] + ab[1] * y[i]
        to[i] = 0 if is_hidden and value < 0 else value


@njit(cache=True)
def is_below(plane: Plane, ab: Numbers, problem: Problem, bound: float, memory: Numbers) -> bool:
    """Tell whether the summed loss at a point of a plane is below `bound`.

    `memory` is room for parameters, a block's activations and two numbers of each example.
    """
    widths, edges = problem.widths, problem.edges
    theta = memory[: len(plane.rest)]
    top, sums = memory[-BLOCK:], memory[-2 * BLOCK : -BLOCK]
    blend(plane.rest, plane.x_rest, plane.y_rest, ab, False, theta)
    total = 0.0
    for block in range(len(edges) - 1):
        begin, end = edges[block], edges[block + 1]
        count = end - begin
        part = slice(widths[1] * begin, widths[1] * end)
        first = memory[len(theta) : len(theta) + widths[1] * count]
        further = memory[len(theta) + widths[1] * count :]
        is_hidden = len(widths) > 2
        blend(plane.sums[part], plane.x_sums[part], plane.y_sums[part], ab, is_hidden, first)
        outputs = run_layers(theta, widths, 1, first.reshape(widths[1], count), further)
        total += add_losses(problem.kind, outputs, problem.targets[begin:end], top, sums)
        # What is no number is not below either.
        if not total < bound:
            return False
    return True


@njit(cache=True)
def look(
    t: float, p: int, slices: Slices, plane: Plane, problem: Problem, ab: Numbers, memory: Numbers
) -> tuple[bool, int]:
    """Tell whether position t on curve p may be drawn, and if the basin had to be asked, 0 or 1."""
    a, b = 1.0, t
    if slices.curve == CIRCLE:
        a, b = np.cos(t), np.sin(t)
    elif slices.curve == RAY:
        a, b = np.exp(t), 0.0
    weights = slices.energy[p]
    energy = (weights[0] * a + weights[1] * b + weights[3]) * a + (weights[2] * b + weights[4]) * b
    if not energy - slices.power * t < slices.levels[p]:
        return False, 0
    squares = slices.squares[p]
    if not (squares[0] * a + squares[1] * b) * a + squares[2] * b * b < slices.r_max**2:
        return False, 1
    ab[0], ab[1] = a, b
    return is_below(plane, ab, problem, slices.summed_loss, memory), 1


@njit(cache=True)
def slice_one(p: int, slices: Slices, plane: Plane, problem: Problem) -> tuple[float, int]:
    """Return the position on curve p, and how often the basin was asked."""
    width, widest, uniforms = slices.width, slices.widest, slices.uniforms[p]
    dtype = plane.rest.dtype
    ab = np.empty(2, dtype)
    memory = np.empty(len(plane.rest) + (problem.widths[1:].sum() + 2) * BLOCK, dtype)
    left = -width * uniforms[0]
    right = left + width
    num_steps = int(min(MAX_STEPS_OUT, widest / width)) - 1
    steps_left = int(uniforms[1] * (num_steps + 1))
    asked = 0
    for _ in range(steps_left):
        is_inside, cost = look(left, p, slices, plane, problem, ab, memory)
        asked += cost
        if not is_inside:
            break
        left -= width
    for _ in range(num_steps - steps_left):
        is_inside, cost = look(right, p, slices, plane, problem, ab, memory)
        asked += cost
        if not is_inside:
            break
        right += width
    for shrink in range(MAX_SHRINKS):
        t = left + (right - left) * uniforms[2 + shrink]
        is_inside, cost = look(t, p, slices, plane, problem, ab, memory)
        asked += cost
        if is_inside:
            return t, asked
        if t < 0:
            left = t
        else:
            right = t
    return 0.0, asked


@njit(cache=True, nogil=True)
def slice_draws(
    rows: tuple[int, int],
    slices: Slices,
    theta: Numbers,
    sums: Numbers,
    xs: Numbers,
    ys: Numbers,
    problem: Problem,
    positions: Numbers,
    asked: Numbers,
) -> None:
    """Draw positions on curves and count how often each asked the basin; see `curves.slice_draw`.

    Parameters
    ----------
    rows
        The first of the curves to draw on, and the first not to.
    slices
        All k curves.
    theta, sums
        The minimum, shape (n,), and its first layer's sums.
    xs, ys
        Points and directions relative to it, shape (k, n).
    problem
        Network and examples.
    positions, asked
        What is found, shape (k,).
    """
    above = problem.widths[1] * (problem.widths[0] + 1)
    for p in range(rows[0], rows[1]):
        x_sums = first_sums(xs[p], problem)
        y_sums = x_sums if slices.curve == RAY else first_sums(ys[p], problem)
        plane = Plane(theta[above:], xs[p, above:], ys[p, above:], sums, x_sums, y_sums)
        positions[p], asked[p] = slice_one(p, slices, plane, problem)
