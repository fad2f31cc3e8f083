"""Compiled leapfrog trajectories in a fully connected network's loss: a run of chains, one thread.

Exploits: whole trajectories run in one call, so that small networks do not wait for Python between
two steps, and chains of one thread never for those of another; the map to parameters is one matrix
product for all of a thread's chains.

The same steps as `trajectories.leapfrog`.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from basins.models.mlp_gradients import GradientRoom, gradient_room, sum_gradient
from basins.models.mlp_kernels import FAST, Numbers, Problem, sum_losses
from basins.volume.forces import Forces
from basins.volume.maps import Map, apply, inner_room, map_of, num_together, pull


class Push(NamedTuple):
    """What drives chains, as the kernel takes it; see `forces.Forces`.

    Attributes
    ----------
    matrix
        A.
    spring, weight, stiffness, constant
        As there.
    scale
        Unit of each parameter, shape (n,).
    step, num_steps
        Of the trajectory.
    """

    matrix: Map
    spring: float
    weight: float
    stiffness: float
    constant: Numbers
    scale: Numbers
    step: float
    num_steps: int


def push_of(forces: Forces, scale: Numbers, step: float, num_steps: int) -> Push:
    """Return forces and steps as the kernel takes them."""
    return Push(
        map_of(forces.shape),
        float(forces.spring),
        float(forces.weight),
        float(forces.stiffness),
        np.ascontiguousarray(forces.constant),
        scale,
        float(step),
        int(num_steps),
    )


@njit(cache=True, forceinline=True, fastmath=FAST)
def kick(
    push: Push,
    share: float,
    z: Numbers,
    x: Numbers,
    gradients: Numbers,
    inner: Numbers,
    rooms: Numbers,
    momentum: Numbers,
) -> None:
    """Change `momentum` by what the forces do in a share of a step; all rows are (k, n)."""
    count, n = z.shape
    for p in range(count):
        for i in range(n):
            rooms[0][p, i] = (
                push.weight * gradients[p, i] + push.constant[i] + push.stiffness * x[p, i]
            )
    slopes = pull(push.matrix, rooms[0], inner, rooms[1])
    by = share * push.step
    for p in range(count):
        for i in range(n):
            momentum[p, i] -= by * (slopes[p, i] + push.spring * z[p, i])


class Ends(NamedTuple):
    """Where trajectories end; arrays of shape (k, n), but losses (k, 1). See `trajectories.Phase`.

    `z` and `momentum` begin as those of the start.
    """

    z: Numbers
    x: Numbers
    gradients: Numbers
    momentum: Numbers
    losses: Numbers


@njit(cache=True, forceinline=True)
def some(ends: Ends, begin: int, end: int) -> Ends:
    """Return the ends of a run of chains."""
    return Ends(
        ends.z[begin:end],
        ends.x[begin:end],
        ends.gradients[begin:end],
        ends.momentum[begin:end],
        ends.losses[begin:end],
    )


@njit(cache=True, forceinline=True)
def leap_together(
    push: Push,
    theta: Numbers,
    problem: Problem,
    room: GradientRoom,
    x: Numbers,
    gradients: Numbers,
    ends: Ends,
) -> None:
    """Take some chains along their trajectories, step by step; arguments as `leap`."""
    z, momentum = ends.z, ends.momentum
    count, n = z.shape
    inner = inner_room(push.matrix, count)
    rooms = np.empty((2, count, n))
    point = np.empty(n, theta.dtype)
    kick(push, 0.5, z, x, gradients, inner, rooms, momentum)
    for index in range(push.num_steps):
        is_last = index == push.num_steps - 1
        for p in range(count):
            for i in range(n):
                z[p, i] += push.step * momentum[p, i]
        apply(push.matrix, z, inner, rooms[0], ends.x)
        for p in range(count):
            for i in range(n):
                point[i] = ends.x[p, i] * push.scale[i]
                point[i] += theta[i]
            ends.gradients[p] = 0
            sum_gradient(point, problem, ends.gradients[p], room, False)
            for i in range(n):
                ends.gradients[p, i] *= push.scale[i] / problem.edges[-1]
            if is_last:
                sum_losses(point, problem, ends.losses[p])
        kick(push, 0.5 if is_last else 1.0, z, ends.x, ends.gradients, inner, rooms, momentum)


@njit(cache=True, nogil=True)
def leap(
    rows: tuple[int, int],
    push: Push,
    theta: Numbers,
    problem: Problem,
    x: Numbers,
    gradients: Numbers,
    ends: Ends,
) -> None:
    """Take chains along their trajectories; see `trajectories.leapfrog`.

    Parameters
    ----------
    rows
        The first of the chains to take, and the first not to.
    push
        Forces and steps.
    theta
        The minimum, shape (n,).
    problem
        Network and examples.
    x, gradients
        Of the start, shape (k, n).
    ends
        Where the results go.
    """
    room = gradient_room(problem, theta)
    together = num_together(push.matrix, rows[1] - rows[0])
    for p in range(rows[0], rows[1], together):
        q = p + together
        leap_together(push, theta, problem, room, x[p:q], gradients[p:q], some(ends, p, q))
