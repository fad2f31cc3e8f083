"""Thermodynamic integration over a path of laws, by chains that walk it both ways.

Along a path s from 0 to 1 with normalizers Z(s), d ln Z / ds = E_s g for a known function g
(Kirkwood 1935; Gelman and Meng 1998, Statistical Science 13, 163, equation 8). Every chain walks
from s = 0, where it starts from an exact draw, to s = 1 and back, and gives one integral each way:
what lags behind errs to one side going and to the other coming back.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

BURN_IN = 0.25  # of the counted sweeps at a node are made before, and not counted,
MIN_BURN_IN = 8  # but so many at least, unless told otherwise, since they also tune the moves
MAX_KEPT = 2**23  # numbers of draws kept of the last law
FIRST_NODES = 9  # of a path that nothing is known of
CROWDING = 6.0  # of nodes at both ends of a path: 5 times as dense as half way


@dataclass(frozen=True)
class Seen:
    """What one sweep showed.

    Attributes
    ----------
    slope
        g, shape (chains,).
    z
        Points, shape (chains, n).
    """

    slope: Array
    z: Array


# (position on the path, node's index, is this sweep tuned) -> what it showed
Sweep = Callable[[float, int, bool], Seen]


@dataclass(frozen=True)
class Walk:
    """What chains saw on their way.

    Attributes
    ----------
    integrals
        One integral of g for each way and chain, shape (2, chains).
    rule_difference
        The mean integral minus that by every second node.
    draws
        z under the last law, shape (draws, chains, n): as many as fit into memory.
    """

    integrals: Array
    rule_difference: float
    draws: Array


def clenshaw_curtis(count: int) -> tuple[Array, Array]:
    """Return nodes in [0, 1], ascending, both ends among them, and weights that sum to 1.

    Clenshaw and Curtis (1960), by the sums in Waldvogel (2006, BIT 46, 195, equation 4).

    Examples
    --------
    >>> nodes, weights = clenshaw_curtis(5)
    >>> round(float(weights @ nodes**4), 12)  # the integral of s^4
    0.2
    """
    m = count - 1
    steps = np.arange(count)
    weights = np.ones(count)
    for j in range(1, m // 2 + 1):
        weights -= (1 if 2 * j == m else 2) / (4 * j * j - 1) * np.cos(2 * j * np.pi * steps / m)
    weights[[0, -1]] /= 2
    return (1 - np.cos(np.pi * steps / m)) / 2, weights / m


def crowded(count: int) -> tuple[Array, Array]:
    """Return positions in [0, 1] and weights, by Clenshaw and Curtis in v where s = s(v).

    Directions in which the first law's precision has to grow or fall by a factor f give a slope in
    proportion to 1 / (1 - s + s f), steep over a width of 1/f at an end of the path. So s is
    logistic in v, which resolves both ends: with nine nodes, a thousand directions and ln f of
    standard deviation 2, half of all errors are below 0.3 nats, where nodes even in s leave 2.4.
    """
    nodes, weights = clenshaw_curtis(count)
    bend = np.tanh(CROWDING / 4 * (2 * nodes - 1))
    most = np.tanh(CROWDING / 4)
    weights = weights * (1 - bend**2)
    # Divided by their sum, by which what is constant is integrated exactly.
    return (1 + bend / most) / 2, weights / weights.sum()


def walk(sweep: Sweep, num_nodes: int, num_sweeps: int, min_burn_in: int = MIN_BURN_IN) -> Walk:
    """Take all chains along the path and back.

    Parameters
    ----------
    sweep
        Moves every chain once under the law at a position.
    num_nodes
        Of the rule, 2^j + 1: every second one is a node of the half.
    num_sweeps
        At each node, each way.
    min_burn_in
        Sweeps that are made before at least.
    """
    nodes, weights = crowded(num_nodes)
    means: list[list[Array]] = [[], []]
    kept: list[Array] = []
    burn_in = max(min_burn_in, int(np.ceil(BURN_IN * num_sweeps)))
    for way, order in enumerate((range(num_nodes), reversed(range(num_nodes)))):
        for index in order:
            position = float(nodes[index])
            for _ in range(burn_in):
                # Brackets and steps follow the first way only, so that a law's sweeps are alike.
                sweep(position, index, way == 0)
            total = np.zeros(1)
            for _ in range(num_sweeps):
                seen = sweep(position, index, False)
                total = total + seen.slope
                if index == num_nodes - 1 and (not kept or len(kept) * seen.z.size < MAX_KEPT):
                    kept.append(seen.z)
            means[way].append(total / num_sweeps)
    there, back = np.stack(means[0]), np.stack(means[1][::-1])
    coarse = crowded(num_nodes // 2 + 1)[1]
    both = ((there + back) / 2).mean(axis=1)
    return Walk(
        integrals=np.stack([weights @ there, weights @ back]),
        rule_difference=float(weights @ both - coarse @ both[::2]),
        draws=np.stack(kept),
    )
