"""Subset simulation: how probable it is that weights drawn from a prior have a loss below c.

The volume of a whole class of solutions, connected or not, under the law N(0, sigma^2) of every
parameter. Down a ladder of levels l_1 > l_2 > ... > c

    ln P(L < c) = sum_j ln P(L < l_j | L < l_(j-1))

(Au and Beck 2001, Probabilistic Engineering Mechanics 16, 263, section 2), each factor counted
among draws of the law restricted to the level before: copies of those that got below, moved along
circles around the prior's mean and rays from it. A circle is searched as a whole (elliptical slice
sampling: Murray, Adams and MacKay 2010, AISTATS 9, 541), so chains can jump from one connected part
to another.

A pilot finds the levels. With levels that are fixed the product of shares is unbiased whatever the
moves (Botev and Kroese 2012, Statistics and Computing 22, 1), and the spread of independent
populations is its error. Rounds grow: more chains where the error is too large, twice the sweeps in
any case. The result is that of the last, and converged where the last two agree.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from basins import streams
from basins.directions.preconditioner import Preconditioner
from basins.volume import kernels
from basins.volume.curves import NUM_UNIFORMS, Moved, Moves, move_along
from basins.volume.forces import Forces
from basins.volume.intervals import PROBABILITY

Array = NDArray[np.float64]

POPULATIONS = 16
FIRST_CHAINS = 64  # of a population
MOST_GROWTH, MOST_CHAINS = 4.0, 2048  # of the chains from one round to the next, and in the end
KEPT_CHAINS = 256  # of a population, at most, whose draws are returned
SHARE = 0.25  # that gets below the next level
FIRST_SWEEPS = 4
AGREEMENT = 2.5  # standard errors that two rounds may be apart
CIRCLE, RAY = 2 * np.pi, 1.0  # brackets that hold the whole circle, and most of a ray's law


@dataclass(frozen=True)
class Prior:
    """A loss of parameters that are drawn from N(0, sigma^2) each.

    Attributes
    ----------
    loss
        Maps points (k, n), float64, to losses (k,); what is no number counts as infinite.
    num_parameters
        Dimension n.
    sigma
        Standard deviation of every parameter.
    mover
        Moves chains below a level as `curves.move_along` does, where a faster way is known.
    """

    loss: Callable[[Array], Array]
    num_parameters: int
    sigma: float
    mover: Callable[[Moves, float], Moved] | None = None

    def losses(self, points: Array) -> Array:
        """Return losses at points (k, n), shape (k,)."""
        with np.errstate(all="ignore"):
            found = np.asarray(self.loss(points))
        return np.where(np.isnan(found), np.inf, found)

    def move(self, moves: Moves, level: float) -> Moved:
        """Move chains along curves where the loss is below `level`."""
        if self.mover is not None:
            return self.mover(moves, level)
        return move_along(moves, lambda points: self.losses(points) < level)


@dataclass(frozen=True)
class ClassVolume:
    """What share of the prior has a loss below thresholds; arrays have their order.

    Attributes
    ----------
    log_shares
        ln P of each population, -inf where it died out and NaN where no population came that far,
        shape (thresholds, populations).
    points
        Draws of the prior below each threshold, shape (populations, chains, n), of `KEPT_CHAINS`
        at most; None where no population came that far. Copies moved apart, so not independent
        within a population.
    is_converged
        The error is as small as asked and the last two rounds agree, shape (thresholds,).
    num_levels, num_chains, num_sweeps
        Of the last round; chains of all populations, sweeps of a level.
    num_evaluations
        Losses evaluated, all rounds together.
    """

    log_shares: Array
    points: tuple[Array | None, ...]
    is_converged: NDArray[np.bool_]
    num_levels: int
    num_chains: int
    num_sweeps: int
    num_evaluations: int

    @property
    def is_reached(self) -> NDArray[np.bool_]:
        """Whether there is a number at all, shape (thresholds,)."""
        return np.asarray(~np.isnan(self.log_shares).all(axis=1))


def class_volume(
    prior: Prior,
    thresholds: Sequence[float],
    *names: streams.Name,
    stderr: float = 0.3,
    max_evaluations: float = 1e8,
) -> ClassVolume:
    """Return ln P(L < c) under a prior, for each threshold c.

    Parameters
    ----------
    prior
        Loss and law.
    thresholds
        Increasing.
    names
        Key of the random streams.
    stderr
        Nats to reach at every threshold.
    max_evaluations
        Losses after which no further round begins, and the pilot goes no further down.

    Examples
    --------
    >>> ball = Prior(lambda x: (x**2).sum(axis=1), 2, 1.0)  # the true share: 1 - exp(-c/2)
    >>> found = class_volume(ball, [0.02], "example", 0, stderr=0.1)
    >>> log_volume, stderr, low, high = combined(found.log_shares)
    >>> bool(low[0] < np.log(1 - np.exp(-0.01)) < high[0])
    True
    """
    walker = Walker(prior)
    levels = pilot(walker, thresholds, max_evaluations, streams.generator(*names, "pilot"))
    wanted = [c for c in thresholds if c in levels]
    shares = np.full((len(thresholds), POPULATIONS), np.nan)
    points: list[Array | None] = [None] * len(thresholds)
    is_converged = np.zeros(len(thresholds), dtype=np.bool_)
    none = np.full(len(thresholds), np.nan)
    chains, sweeps, rounds, last, last_error = FIRST_CHAINS, FIRST_SWEEPS, 0, none, none
    while wanted:
        before = walker.num_evaluations
        rng = streams.generator(*names, "round", rounds)
        descended = descend(walker, levels, wanted, chains, sweeps, rng)
        for row, threshold in enumerate(thresholds):
            if threshold in descended:
                shares[row], points[row] = descended[threshold]
        found, error, _, _ = combined(shares)
        is_small = error <= stderr
        with np.errstate(invalid="ignore"):
            agrees = np.abs(found - last) <= AGREEMENT * np.hypot(error, last_error)
        is_converged = agrees & is_small
        last, last_error, rounds = found, error, rounds + 1
        is_there = ~np.isnan(found)
        if is_converged[is_there].all():
            break
        growth = 1.0
        if not is_small[is_there].all():
            needed = 1.2 * (error[is_there].max() / stderr) ** 2
            growth = float(np.clip(needed, 1.0, MOST_GROWTH))
        cost = 2 * growth * (walker.num_evaluations - before)
        if walker.num_evaluations + cost > max_evaluations:
            break
        chains, sweeps = min(int(growth * chains), MOST_CHAINS), 2 * sweeps
    return ClassVolume(
        log_shares=shares,
        points=tuple(points),
        is_converged=is_converged,
        num_levels=len(levels),
        num_chains=POPULATIONS * chains,
        num_sweeps=sweeps,
        num_evaluations=walker.num_evaluations,
    )


def combined(log_shares: Array) -> tuple[Array, Array, Array, Array]:
    """Return ln of the mean share of populations, its error and the ends of its 90 % interval.

    Each population's share is unbiased, so the mean is. A product of many factors is nearly
    log-normal: with logarithms of variance s^2 the relative error of a mean of R shares is
    ((e^(s^2) - 1) / R)^(1/2).

    Parameters
    ----------
    log_shares
        Shape (..., populations).

    Returns
    -------
    tuple
        Nats, each of the shape of the leading axes; the error infinite where a population died
        out, all NaN where there is nothing.
    """
    shape, count = log_shares.shape[:-1], log_shares.shape[-1]
    rows = np.ascontiguousarray(log_shares.reshape(-1, count))
    value, error = np.full(len(rows), np.nan), np.full(len(rows), np.nan)
    there = ~np.isnan(rows).any(axis=1)
    alive = there & np.isfinite(rows).any(axis=1)
    value[there], error[there] = -np.inf, np.inf
    value[alive] = kernels.log_mean_exp(rows[alive])
    whole = np.isfinite(rows).all(axis=1)
    error[whole] = np.sqrt(np.expm1(rows[whole].var(axis=1, ddof=1)) / count)
    reach = float(student.ppf((1 + PROBABILITY) / 2, count - 1)) * error
    with np.errstate(invalid="ignore"):
        low, high = value - reach, np.minimum(value + reach, 0.0)
    return (
        value.reshape(shape),
        error.reshape(shape),
        np.where(np.isneginf(value), -np.inf, low).reshape(shape),
        np.where(np.isneginf(value), 0.0, high).reshape(shape),
    )


@dataclass
class Walker:
    """Draws and moves, and what they cost.

    Attributes
    ----------
    prior
        Loss and law.
    num_evaluations
        Losses evaluated so far.
    """

    prior: Prior
    num_evaluations: int = 0
    _shape: Preconditioner = field(init=False)

    def __post_init__(self) -> None:
        scale = np.full(self.prior.num_parameters, self.prior.sigma)
        self._shape = Preconditioner.diagonal(scale)

    def drawn(self, count: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Return draws of the prior in units of sigma, shape (count, n), and their losses."""
        z = rng.standard_normal((count, self.prior.num_parameters))
        return z, self.losses(z)

    def losses(self, z: Array) -> Array:
        """Return losses at points (k, n) in units of sigma."""
        self.num_evaluations += len(z)
        return self.prior.losses(z * self.prior.sigma)

    def swept(self, z: Array, level: float, times: int, rng: np.random.Generator) -> Array:
        """Return chains (k, n) moved so many times along a circle and a ray, below `level`."""
        n = self.prior.num_parameters
        forces = Forces(self._shape, 1.0, 0.0, 0.0, np.zeros(n))
        curves = (("circle", CIRCLE), ("ray", RAY)) if n > 1 else (("chord", RAY),)
        for _ in range(times):
            for kind, width in curves:
                moves = Moves(
                    kind=kind,
                    forces=forces,
                    z=z,
                    offsets=z * self.prior.sigma,
                    w=z if kind == "ray" else rng.standard_normal(z.shape),
                    exponentials=rng.exponential(size=len(z)),
                    uniforms=rng.random((len(z), NUM_UNIFORMS)),
                    width=width,
                    spacing=np.inf,
                )
                moved = self.prior.move(moves, level)
                self.num_evaluations += moved.num_evaluations
                z = moved.z
        return z


def pilot(
    walker: Walker, thresholds: Sequence[float], max_evaluations: float, rng: np.random.Generator
) -> list[float]:
    """Return levels, falling, each a `SHARE` of the one before; thresholds reached are of them."""
    z, losses = walker.drawn(POPULATIONS * FIRST_CHAINS, rng)
    goals = sorted(thresholds, reverse=True)
    levels: list[float] = []
    while goals:
        level = float(np.quantile(losses, SHARE, method="lower"))
        if np.mean(losses < goals[0]) >= SHARE:
            level = goals.pop(0)
        is_below = losses < level
        # Losses that are all the same, or a budget at its end, lead no further.
        if not is_below.any() or walker.num_evaluations > max_evaluations:
            break
        levels.append(level)
        z = walker.swept(z[copied(is_below, rng)], level, FIRST_SWEEPS, rng)
        losses = walker.losses(z)
    return levels


def descend(
    walker: Walker,
    levels: Sequence[float],
    thresholds: Sequence[float],
    chains: int,
    sweeps: int,
    rng: np.random.Generator,
) -> dict[float, tuple[Array, Array]]:
    """Walk fresh populations down fixed levels.

    Returns
    -------
    dict
        Of each threshold that was reached: ln P of each population, shape (populations,), and
        draws below it, shape (populations, chains, n).
    """
    n = walker.prior.num_parameters
    z, losses = walker.drawn(POPULATIONS * chains, rng)
    log_shares, found = np.zeros(POPULATIONS), {}
    for level in levels:
        is_below = (losses < level).reshape(POPULATIONS, chains)
        if not is_below.any():
            break
        with np.errstate(divide="ignore"):
            log_shares = log_shares + np.log(is_below.mean(axis=1))
        # One that died out has no weight; chains of others stand in its place.
        chosen = [
            np.flatnonzero(is_below)[copied_rows(int(is_below.sum()), chains, rng)]
            if not row.any()
            else index * chains + copied(row, rng)
            for index, row in enumerate(is_below)
        ]
        z = walker.swept(z[np.concatenate(chosen)], level, sweeps, rng)
        losses = walker.losses(z)
        if level in thresholds:
            kept = z.reshape(POPULATIONS, chains, n)[:, :KEPT_CHAINS]
            found[level] = (log_shares, kept * walker.prior.sigma)
    return found


def copied(is_kept: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.intp]:
    """Return rows of those kept, as many as there were: each as often as any other, but for one."""
    rows = np.flatnonzero(is_kept)
    return rows[copied_rows(len(rows), len(is_kept), rng)]


def copied_rows(num_kept: int, count: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return `count` numbers below `num_kept`, each as often as any other but for one."""
    return np.resize(rng.permutation(num_kept), count)
