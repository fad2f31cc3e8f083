"""What one walk along a path of laws found, whichever path it was."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from basins.volume.basin import Basin
from basins.volume.intervals import PROBABILITY

Array = NDArray[np.float64]

Indices = NDArray[np.intp]

SIGHTS = 32  # points at which a line from the minimum is looked at
SIGHT_DRAWS = 16  # draws of every chain from which lines are drawn, at most
MAX_SEEN = 2**24  # numbers of the points kept for that
NUM_CHAINS = 32  # enough for the spread between chains to tell the error to an eighth
MAX_LAG = 3.0  # standard errors that the ways there and back may differ by
MIN_INSIDE = 30.0  # draws that decide the share of the last law inside, for its error to be known
MAX_DRIFT = 4.0  # standard errors that the mean loss may move by under the last law


@dataclass
class LastDraws:
    """What is kept of the draws of a path's last law.

    Attributes
    ----------
    num_sweeps
        That will come, each of the two ways.
    rises, distances
        Of every draw: loss above the minimum's, and |x|; a list of (chains,).
    points, rows
        Points inside the basin that some of the draws stand for (chains, n), and which draws.
    """

    num_sweeps: int
    rises: list[Array] = field(default_factory=list)
    distances: list[Array] = field(default_factory=list)
    points: list[Array] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)

    def add(self, points: Array, rises: Array, distances: Array) -> None:
        """Keep what is wanted of one draw of every chain."""
        self.rises.append(rises)
        self.distances.append(distances)
        has_room = not self.points or len(self.points) * points.size < MAX_SEEN
        if has_room and len(self.rises) % (self.num_sweeps // SIGHT_DRAWS + 1) == 0:
            self.points.append(points)
            self.rows.append(len(self.rises) - 1)

    @property
    def sight_evaluations(self) -> int:
        """Losses, at most, that it takes to look along the lines to the points kept."""
        return SIGHTS * sum(len(points) for points in self.points)


@dataclass(frozen=True)
class Passage:
    """One walk of all chains along a path and back.

    Attributes
    ----------
    log_volumes
        By chain, on the way there and on the way back, shape (2, chains); without the mean weight.
    log_weights
        Of the draws of the last law, by which it becomes the law on the basin, shape (draws,
        chains); -inf outside.
    rises
        Loss over the minimum's own at these draws, in units of the height, shape (draws, chains).
    exponent, radius_exponent
        d ln V / d ln(height), d ln V / d ln(r_max), each with its error.
    shared_stderr
        Errors that all chains share: of the rule, of the reference's mass.
    rule_difference
        See `integration.Walk`.
    visible
        Whether the straight line from the minimum to what a draw stands for stays inside, of some
        of the draws, shape (some, chains).
    visible_rows
        Which draws those are.
    """

    log_volumes: Array
    log_weights: Array
    rises: Array
    exponent: tuple[float, float]
    radius_exponent: tuple[float, float]
    shared_stderr: float
    rule_difference: float
    visible: NDArray[np.bool_]
    visible_rows: NDArray[np.intp]


@dataclass(frozen=True)
class Summary:
    """A log volume from a passage, with its error.

    Attributes
    ----------
    log_volume, stderr, low, high
        In nats; ends of the 90 % interval.
    is_converged
        The two ways agree, by chance or within `stderr`, the loss is steady under the last law, and
        enough of its draws decide the share inside.
    diagnostics
        forward_minus_backward and its lag_stderr, rule_difference (nats); drift, of the mean loss
        between the halves of the draws of the last law, in standard errors; inside_ess, the draws
        whose weights decide the share of the last law inside; star_fraction, of the volume that
        straight lines from the minimum reach without leaving the basin; exponent, d ln V /
        d ln(height), and radius_exponent, d ln V / d ln(r_max), how many dimensions end at r_max.
        The last three with their _stderr.
    """

    log_volume: float
    stderr: float
    low: float
    high: float
    is_converged: bool
    diagnostics: dict[str, float]


def summarize(passage: Passage) -> Summary:
    """Return the volume and its interval, from the chains' independence.

    The chains' jackknife gives the error of the mean integral and of the share inside together;
    errors that all chains share and what lags between the two ways are added in quadrature.
    """
    there, back = passage.log_volumes
    both = (there + back) / 2
    count = len(both)
    weights, peak = relative(passage.log_weights)
    shares = weights.mean(axis=0)

    def volume(which: Indices) -> float:
        with np.errstate(divide="ignore"):
            return float(both[which].mean() + peak + np.log(shares[which].mean()))

    value, error = jackknife(volume, count)
    lag = float((there - back).mean())
    lag_error = float((there - back).std(ddof=1) / np.sqrt(count))
    # What the two ways differ by beyond chance is an error of either.
    unsettled = np.sqrt(max(lag**2 - lag_error**2, 0.0)) / 2
    stderr = float(np.sqrt(error**2 + passage.shared_stderr**2 + unsettled**2))
    half = float(student.ppf((1 + PROBABILITY) / 2, count - 1)) * stderr
    diagnostics = {
        "forward_minus_backward": lag,
        "lag_stderr": lag_error,
        "rule_difference": passage.rule_difference,
        "inside_ess": float(weights.sum() ** 2 / max((weights**2).sum(), 1e-300)),
        "num_chains": float(count),
    }
    for name in ("exponent", "radius_exponent"):
        diagnostics[name], diagnostics[name + "_stderr"] = getattr(passage, name)
    some = weights[passage.visible_rows]
    half_way = len(passage.rises) // 2
    change = passage.rises[half_way:].mean(axis=0) - passage.rises[:half_way].mean(axis=0)
    change_error = float(change.std(ddof=1) / np.sqrt(count))
    drift = float(change.mean()) / change_error if change_error > 0 else 0.0
    diagnostics["drift"] = drift
    seen, seen_error = mean_ratio(some * passage.visible, some)
    diagnostics |= {"star_fraction": seen, "star_fraction_stderr": seen_error}
    # A difference that the error bar holds is none.
    is_settled = abs(lag) <= max(MAX_LAG * lag_error, stderr) and abs(drift) <= MAX_DRIFT
    is_known = diagnostics["inside_ess"] >= MIN_INSIDE and np.isfinite(value + stderr)
    is_converged = bool(is_settled and is_known)
    return Summary(value, stderr, value - half, value + half, is_converged, diagnostics)


def relative(log_weights: Array) -> tuple[Array, float]:
    """Return weights in units of the largest, and the logarithm of that."""
    peak = float(log_weights.max())
    if not np.isfinite(peak):
        peak = 0.0
    return np.exp(log_weights - peak), peak


def look_out(basin: Basin, offsets: list[Array]) -> NDArray[np.bool_]:
    """Tell of points, a list of (chains, n), whether straight lines from the minimum reach them.

    Looked at are `SIGHTS` points of each line, evenly spread. Shape (list, chains).
    """
    result = []
    for points in offsets:
        is_seen = np.ones(len(points), dtype=bool)
        for part in np.arange(1, SIGHTS) / SIGHTS:
            is_seen[is_seen] = basin.is_inside(part * points[is_seen])
        result.append(is_seen)
    return np.array(result)


def jackknife(estimate: Callable[[Indices], float], count: int) -> tuple[float, float]:
    """Return an estimate on all chains and its jackknife standard error (Efron 1982, chapter 3).

    Parameters
    ----------
    estimate
        Maps indices of chains to a number.
    count
        How many chains.
    """
    everyone = np.arange(count)
    value = estimate(everyone)
    without = np.array([estimate(np.delete(everyone, index)) for index in everyone])
    if not np.isfinite(without).all():
        return value, np.inf
    return value, float(np.sqrt((count - 1) * without.var()))


def mean_ratio(numerators: Array, denominators: Array) -> tuple[float, float]:
    """Return the ratio of two sums over (draws, chains) and its jackknife error over chains."""
    top, bottom = numerators.sum(axis=0), denominators.sum(axis=0)

    def ratio(which: Indices) -> float:
        total = bottom[which].sum()
        return float(top[which].sum() / total) if total > 0 else 0.0

    return jackknife(ratio, len(top))


def local_exponent(ratios: Array) -> tuple[float, float]:
    """Return d ln V / d ln e at the bound from uniform draws, and its jackknife error over chains.

    For a power law the inverse mean of t = ln(bound / e) over draws is the exponent (Hill 1975,
    Annals of Statistics 3, 1163). Where it changes along e, k(t) = k - c t, the share below is S(t)
    = exp(-k t + c t^2 / 2), so E t = 1/k + c/k^3 and E t^2 / 2 = 1/k^2 + 3c/k^4 to first order in
    c, and E[t^2 / 2] / E[t]^3 = k without c.

    Parameters
    ----------
    ratios
        e / bound of draws, shape (draws, chains); all 0 where there is no bound.
    """
    if not ratios.any():
        return 0.0, 0.0
    logs = -np.log(np.maximum(ratios, 1e-300))
    sums = np.stack([np.ones_like(logs), logs, logs**2 / 2]).sum(axis=1)

    def exponent(which: Indices) -> float:
        total, first, second = sums[:, which].sum(axis=1)
        return float(second * total**2 / first**3)

    return jackknife(exponent, logs.shape[1])
