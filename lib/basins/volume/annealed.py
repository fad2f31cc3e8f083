"""Estimator `annealed`: thermodynamic integration to the law on the basin, with its error.

Two paths lead there, `restricted` and `tempered`; see these modules. Each round walks a path with
fresh chains, learns the basin's shape from its draws, and lets the next one sweep more, until the
error is as small as asked and both ways agree, or the budget ends. The result is that of the last
round alone, so nothing it learned from is in it.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta as beta_law

from basins import streams
from basins.directions.preconditioner import Preconditioner
from basins.volume import restricted, tempered
from basins.volume.basin import BATCH, Basin, Volume
from basins.volume.intervals import PROBABILITY
from basins.volume.measures import Gaussian, Measure, Reference
from basins.volume.path import summarize

Array = NDArray[np.float64]

MOVES = ("chords", "axes", "hmc")
FEW_PARAMETERS = 10  # up to which chords are the default even where there is a gradient
FIRST_SWEEPS = 16
MOST_GROWTH = 8.0  # of the sweeps from one round to the next
DIRECT_DRAWS = 4096
DIRECT_SHARE = 0.1  # of the measure inside the basin, from which it is counted


def annealed(
    basin: Basin,
    measure: Measure,
    shape: Preconditioner,
    moves: str,
    stderr: float,
    max_evaluations: float,
    *names: streams.Name,
) -> Volume:
    """Return the basin's volume by annealing.

    Parameters
    ----------
    basin, measure
        What is measured.
    shape
        A guess at the map that makes it round; its scale does not matter.
    moves
        One of `MOVES`.
    stderr
        Nats to reach.
    max_evaluations
        Losses that may be evaluated; the first round is made in any case.
    names
        Key of the random streams.
    """
    spent = 0
    if isinstance(measure, Gaussian):
        counted, spent = count_inside(basin, measure, shape, *names)
        if counted is not None:
            return counted
    walker: restricted.Walker | tempered.Walker
    if moves == "hmc":
        walker = tempered.Walker(basin, measure, shape, max_evaluations)
    else:
        walker = restricted.Walker(basin, measure, shape, moves, stderr)
    walker.pilot(streams.generator(*names, "pilot"))
    nodes, sweeps, rounds = walker.first_nodes, FIRST_SWEEPS, 0
    while True:
        before = walker.num_evaluations
        passage = walker.passage(nodes, sweeps, streams.generator(*names, "round", rounds))
        cost = walker.num_evaluations - before
        found = summarize(passage)
        rounds += 1
        told = {"num_rounds": rounds, "num_nodes": nodes, "num_sweeps": sweeps}
        total = walker.num_evaluations + spent
        if found.is_converged and found.stderr <= stderr:
            break
        growth = MOST_GROWTH
        if np.isfinite(found.stderr):
            growth = float(np.clip(1.2 * (found.stderr / stderr) ** 2, 2.0, MOST_GROWTH))
        if abs(passage.rule_difference) / 3 > stderr / 2:
            nodes = 2 * nodes - 1
            cost *= 2
        growth = min(growth, (max_evaluations - total) / cost)
        if growth < 1:
            break
        sweeps = int(growth * sweeps)
    return Volume(
        estimator="annealed",
        measure=measure.name,
        log_volume=found.log_volume,
        stderr=found.stderr,
        low=found.low,
        high=found.high,
        is_lower_bound=False,
        is_converged=found.is_converged,
        num_evaluations=total,
        diagnostics={name: float(value) for name, value in told.items()} | found.diagnostics,
    )


def count_inside(
    basin: Basin, measure: Gaussian, shape: Preconditioner, *names: streams.Name
) -> tuple[Volume | None, int]:
    """Return the basin's probability by counting draws of the measure, where it is large.

    Returns
    -------
    tuple
        The result, None where less than `DIRECT_SHARE` is inside, and the losses evaluated. The
        interval is that of Clopper and Pearson (1934).
    """
    rng = streams.generator(*names, "count")
    law = Reference(measure, shape, 0.0)
    n = basin.num_parameters
    inside = drawn = 0
    while drawn < DIRECT_DRAWS:
        count = min(DIRECT_DRAWS - drawn, max(1, BATCH // n))
        z = law.draw(rng.standard_normal((count, n)))
        inside += int(basin.is_inside(shape.apply(z)).sum())
        drawn += count
        if drawn >= 64 and inside < DIRECT_SHARE / 2 * drawn:
            return None, drawn
    if inside < DIRECT_SHARE * drawn:
        return None, drawn
    share, tail = inside / drawn, (1 - PROBABILITY) / 2
    low = beta_law.ppf(tail, inside, drawn - inside + 1)
    high = beta_law.ppf(1 - tail, inside + 1, drawn - inside) if inside < drawn else 1.0
    return Volume(
        estimator="annealed",
        measure=measure.name,
        log_volume=float(np.log(share)),
        stderr=float(np.sqrt(max(1 - share, 1 / drawn) / (share * drawn))),
        low=float(np.log(low)),
        high=float(np.log(high)),
        is_lower_bound=False,
        is_converged=True,
        num_evaluations=drawn,
        diagnostics={"counted_share": share},
    ), drawn
