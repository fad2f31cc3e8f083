"""Compiled moves along curves in the basin of a fully connected network: one chain, one thread.

Exploits: a move runs whole in one call, from its random numbers to its end; along a curve a(t) x +
b(t) y the first layer's sums are a(t) times those of x plus b(t) times those of y, so its products
are made twice a curve, however many points are asked about; and a point is outside as soon as its
examples so far bring the loss above the threshold.

The same moves as `curves.move_along` from the same random numbers.
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
from basins.rays.first_layer import first_sums
from basins.volume.curves import CURVES, MAX_LOOKS, MAX_SHRINKS, MAX_STEPS_OUT, Moves
from basins.volume.maps import Map, apply, inner_room, map_of, num_together

CIRCLE, RAY = CURVES.index("circle"), CURVES.index("ray")


class Rule(NamedTuple):
    """What curves are like and what must hold on them; see `curves.Moves`.

    Attributes
    ----------
    curve
        Index into `CURVES`.
    matrix, spring, stiffness, constant
        Of the forces.
    width, widest
        Of brackets.
    spacing
        As there.
    power
        As there.
    scale
        Unit of each parameter, shape (n,).
    r_max
        Distance at which the basin ends.
    summed_loss
        What the summed loss must be below.
    """

    curve: int
    matrix: Map
    spring: float
    stiffness: float
    constant: Numbers
    width: float
    widest: float
    spacing: float
    power: int
    scale: Numbers
    r_max: float
    summed_loss: float


def rule_of(moves: Moves, scale: Numbers, r_max: float, summed_loss: float) -> Rule:
    """Return the rule of some moves as the kernel takes it."""
    forces = moves.forces
    width, widest = moves.bracket
    return Rule(
        CURVES.index(moves.kind),
        map_of(forces.shape),
        float(forces.spring),
        float(forces.stiffness),
        np.ascontiguousarray(forces.constant),
        float(width),
        float(widest),
        float(moves.spacing),
        moves.power,
        scale,
        float(r_max),
        float(summed_loss),
    )


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


@njit(cache=True, forceinline=True, fastmath=FAST)
def blend(base: Numbers, x: Numbers, y: Numbers, ab: Numbers, is_hidden: bool, to: Numbers) -> None:
    """Put base + a x + b y into `to`, rectified if asked; (a, b) in the precision of the others."""
    for i in range(len(to)):
        value = base[i] + ab[0] * x[i] + ab[1] * y[i]
        to[i] = 0 if is_hidden and value < 0 else value


@njit(cache=True, forceinline=True)
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


@njit(cache=True, forceinline=True, fastmath=FAST)
def dot(x: Numbers, y: Numbers) -> float:
    """Return x . y."""
    total = 0.0
    for i in range(len(x)):
        total += x[i] * y[i]
    return total


@njit(cache=True, forceinline=True, fastmath=FAST)
def turn_aside(z: Numbers, w: Numbers) -> None:
    """Make `w` at right angles to z and as long, in place."""
    squares = dot(z, z)
    along = dot(w, z) / squares
    for i in range(len(z)):
        w[i] -= along * z[i]
    longer = np.sqrt(squares / dot(w, w))
    for i in range(len(z)):
        w[i] *= longer


@njit(cache=True, forceinline=True)
def put_energy(
    rule: Rule, z: Numbers, w: Numbers, x: Numbers, y: Numbers, squares: Numbers, energy: Numbers
) -> None:
    """Put the coefficients of `forces.Forces.along` into `energy`, those of |x|^2 in `squares`."""
    squares[0], squares[1], squares[2] = dot(x, x), 2 * dot(x, y), dot(y, y)
    energy[:3] = rule.stiffness / 2 * squares
    energy[0] += rule.spring / 2 * dot(z, z)
    energy[1] += rule.spring * dot(z, w)
    energy[2] += rule.spring / 2 * dot(w, w)
    energy[3], energy[4] = dot(rule.constant, x), dot(rule.constant, y)


@njit(cache=True, forceinline=True)
def position(curve: int, t: float) -> tuple[float, float]:
    """Return a and b at a position on a curve."""
    if curve == CIRCLE:
        return np.cos(t), np.sin(t)
    if curve == RAY:
        return np.exp(t), 0.0
    return 1.0, t


class Line(NamedTuple):
    """One chain's curve: what a point on it costs, and how to ask about its loss.

    Attributes
    ----------
    energy, squares
        Coefficients, see `put_energy`.
    level
        What energy - power t must be below.
    plane
        Where it lies.
    ab, memory
        Room for a position and for a loss, see `is_below`.
    """

    energy: Numbers
    squares: Numbers
    level: float
    plane: Plane
    ab: Numbers
    memory: Numbers


@njit(cache=True, forceinline=True)
def is_inside(a: float, b: float, rule: Rule, line: Line, problem: Problem) -> bool:
    """Tell whether the basin holds a point of the line's plane."""
    squares = line.squares
    if not (squares[0] * a + squares[1] * b) * a + squares[2] * b * b < rule.r_max**2:
        return False
    line.ab[0], line.ab[1] = a, b
    return bool(is_below(line.plane, line.ab, problem, rule.summed_loss, line.memory))


@njit(cache=True, forceinline=True)
def look(t: float, rule: Rule, line: Line, problem: Problem) -> tuple[bool, int]:
    """Tell whether position t may be drawn, and if the basin had to be asked, 0 or 1."""
    a, b = position(rule.curve, t)
    weights = line.energy
    energy = (weights[0] * a + weights[1] * b + weights[3]) * a + (weights[2] * b + weights[4]) * b
    if not energy - rule.power * t < line.level:
        return False, 0
    return is_inside(a, b, rule, line, problem), 1


@njit(cache=True, forceinline=True)
def is_seen(t: float, rule: Rule, line: Line, problem: Problem) -> tuple[bool, int]:
    """Tell whether the way to position t stays inside, and how often the basin was asked."""
    looks = int(min(abs(t) / rule.spacing, MAX_LOOKS))
    asked = 0
    end_a, end_b = position(rule.curve, t)
    for is_straight in range(2 if rule.curve == CIRCLE else 1):
        is_lost = False
        for index in range(1, looks + 1):
            share = index / (looks + 1)
            a, b = position(rule.curve, share * t)
            if is_straight:
                a, b = 1 - share + share * end_a, share * end_b
            asked += 1
            is_lost = not is_inside(a, b, rule, line, problem)
            if is_lost:
                break
        if not is_lost:
            return True, asked
    return False, asked


@njit(cache=True, forceinline=True)
def slice_one(rule: Rule, line: Line, uniforms: Numbers, problem: Problem) -> tuple[float, int]:
    """Return a position drawn on a line, and how often the basin was asked."""
    width = rule.width
    left = -width * uniforms[0]
    right = left + width
    num_steps = int(min(MAX_STEPS_OUT, rule.widest / width)) - 1
    steps_left = int(uniforms[1] * (num_steps + 1))
    asked = 0
    for _ in range(steps_left):
        is_good, cost = look(left, rule, line, problem)
        asked += cost
        if not is_good:
            break
        left -= width
    for _ in range(num_steps - steps_left):
        is_good, cost = look(right, rule, line, problem)
        asked += cost
        if not is_good:
            break
        right += width
    for shrink in range(MAX_SHRINKS):
        t = left + (right - left) * uniforms[2 + shrink]
        is_good, cost = look(t, rule, line, problem)
        asked += cost
        if is_good:
            seen, cost = is_seen(t, rule, line, problem)
            return t if seen else 0.0, asked + cost
        if t < 0:
            left = t
        else:
            right = t
    return 0.0, asked


class Start(NamedTuple):
    """Where chains are and what decides their moves, see `curves.Moves`; a row a chain."""

    z: Numbers
    x: Numbers
    w: Numbers
    exponentials: Numbers
    uniforms: Numbers


class Ends(NamedTuple):
    """Where moves end, see `curves.Moved`, and how often each asked the basin; a row a chain."""

    z: Numbers
    x: Numbers
    positions: Numbers
    asked: Numbers


@njit(cache=True, forceinline=True, fastmath=FAST)
def put_scaled(x: Numbers, scale: Numbers, to: Numbers) -> None:
    """Put x times `scale` into `to`, in its precision."""
    for i in range(len(x)):
        to[i] = x[i] * scale[i]


@njit(cache=True, forceinline=True, fastmath=FAST)
def put_point(a: float, x: Numbers, b: float, y: Numbers, to: Numbers) -> None:
    """Put a x + b y into `to`."""
    for i in range(len(x)):
        to[i] = a * x[i] + b * y[i]


@njit(cache=True, nogil=True)
def move_chains(
    rows: tuple[int, int],
    rule: Rule,
    theta: Numbers,
    sums: Numbers,
    problem: Problem,
    start: Start,
    ends: Ends,
) -> None:
    """Move chains along their curves; see `curves.move_along`.

    Parameters
    ----------
    rows
        The first of the chains to move, and the first not to.
    rule
        Of all curves.
    theta, sums
        The minimum, shape (n,), and its first layer's sums.
    problem
        Network and examples.
    start, ends
        All chains, and where results go.
    """
    n = len(theta)
    above = problem.widths[1] * (problem.widths[0] + 1)
    together = num_together(rule.matrix, rows[1] - rows[0])
    inner = inner_room(rule.matrix, together)
    ws, ys, room = np.empty((together, n)), np.empty((together, n)), np.empty((together, n))
    x_step, y_step = np.empty(n, theta.dtype), np.empty(n, theta.dtype)
    ab = np.empty(2, theta.dtype)
    energy, squares = np.empty(5), np.empty(3)
    memory = np.empty(n - above + (problem.widths[1:].sum() + 2) * BLOCK, theta.dtype)
    for begin in range(rows[0], rows[1], together):
        if rule.curve != RAY:
            for p in range(together):
                ws[p] = start.w[begin + p]
                if rule.curve == CIRCLE:
                    turn_aside(start.z[begin + p], ws[p])
            apply(rule.matrix, ws, inner, room, ys)
        for p in range(begin, begin + together):
            z, x = start.z[p], start.x[p]
            w, y = ws[p - begin], ys[p - begin]
            if rule.curve == RAY:
                w[:], y[:] = z, x
            put_energy(rule, z, w, x, y, squares, energy)
            put_scaled(x, rule.scale, x_step)
            put_scaled(y, rule.scale, y_step)
            x_sums = first_sums(x_step, problem)
            y_sums = x_sums if rule.curve == RAY else first_sums(y_step, problem)
            plane = Plane(theta[above:], x_step[above:], y_step[above:], sums, x_sums, y_sums)
            # At the start a = 1 and b = 0.
            level = energy[0] + energy[3] + start.exponentials[p]
            line = Line(energy, squares, level, plane, ab, memory)
            t, ends.asked[p] = slice_one(rule, line, start.uniforms[p], problem)
            a, b = position(rule.curve, t)
            put_point(a, z, b, w, ends.z[p])
            put_point(a, x, b, y, ends.x[p])
            ends.positions[p] = t
