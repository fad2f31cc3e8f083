"""Estimators `rays` and `importance`: averages over directions, plain and weighted.

In polar coordinates about the minimum V = integral over the unit sphere of I(u) du, with I(u) the
mass within the radius r(u). Directions come from a mixture q of laws and are weighted by the whole
mixture (the balance heuristic; Veach and Guibas 1995, SIGGRAPH, 419; Owen and Zhou 2000): V = E_q[I
/ q]. The laws are

- `isotropic`, q = 1 / |S|: alone, it is the published estimator;
- `shaped`, the direction of A z for normal z, q = 1 / (|S| |det A| |A^-1 u|^n) (Tyler 1987): exact
  for an ellipsoid of that shape;
- `drifted`, the direction of a draw of the Gaussian measure, q = its whole mass along u: exact for
  the whole space, and needed where the minimum is far from the measure's center.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from basins import streams
from basins.directions.preconditioner import Preconditioner
from basins.volume import ball, diagnostics, intervals, kernels, polar
from basins.volume.basin import BATCH, Basin, Volume
from basins.volume.measures import Gaussian, Measure

Array = NDArray[np.float64]

FIT_SHARE = 0.1  # of the directions, drawn besides to choose among shapes


@dataclass(frozen=True)
class Sample:
    """Weighted directions.

    Attributes
    ----------
    log_weights
        ln(I / q), shape (directions,), in random order.
    re_entry_fraction
        Share of rays that cross the threshold more than once.
    censored_fraction
        Share that never cross it.
    num_evaluations
        Losses evaluated.
    """

    log_weights: Array
    re_entry_fraction: float
    censored_fraction: float
    num_evaluations: int


def mixture(measure: Measure) -> dict[str, float]:
    """Return the shares of the laws that `importance` mixes."""
    if isinstance(measure, Gaussian):
        return {"shaped": 0.45, "isotropic": 0.1, "drifted": 0.45}
    return {"shaped": 0.9, "isotropic": 0.1}


def rays(basin: Basin, measure: Measure, num_directions: int, *names: streams.Name) -> Volume:
    """Return the volume by isotropic directions: the star-shaped part, and a lower bound.

    Diagnostics as of `importance`.
    """
    shape = Preconditioner.diagonal(np.ones(basin.num_parameters))
    shares = {"isotropic": 1.0}
    sample = draw(basin, measure, shape, shares, num_directions, (*names, "estimate"))
    return averaged("rays", basin, measure, sample, 0)


def importance(
    basin: Basin,
    measure: Measure,
    shapes: Mapping[str, Preconditioner],
    num_directions: int,
    *names: streams.Name,
) -> Volume:
    """Return the volume by weighted directions: of the star-shaped part.

    Of several `shapes` the one with the largest mean log weight is taken, the best of the lower
    bounds that Jensen's inequality gives, by directions of its own; fresh ones then estimate.

    Diagnostics: `ess` and `pareto_k` of the weights; `halves_difference`, between two halves of the
    directions, in its standard errors; `re_entry_fraction` and `censored_fraction` of the rays;
    `log_weight_spread` above the median, in nats; and `chose_<shape>`, 1 for the shape taken.
    """
    spent = 0
    chosen = next(iter(shapes))
    if len(shapes) > 1:
        heights = {}
        count = max(diagnostics.MIN_WEIGHTS, int(FIT_SHARE * num_directions))
        for name, shape in shapes.items():
            fit = draw(basin, measure, shape, mixture(measure), count, (*names, "fit", name))
            heights[name] = float(np.mean(fit.log_weights))
            spent += fit.num_evaluations
        chosen = max(heights, key=lambda name: heights[name])
    key = (*names, "estimate")
    sample = draw(basin, measure, shapes[chosen], mixture(measure), num_directions, key)
    result = averaged("importance", basin, measure, sample, spent)
    marks = {f"chose_{name}": float(name == chosen) for name in shapes}
    return replace(result, diagnostics={**result.diagnostics, **marks})


def draw(
    basin: Basin,
    measure: Measure,
    shape: Preconditioner,
    shares: Mapping[str, float],
    num_directions: int,
    names: tuple[streams.Name, ...],
) -> Sample:
    """Draw directions from the mixture with `shares`, solve their radii, and weight them."""
    rng = streams.generator(*names)
    n = basin.num_parameters
    farthest = polar.reach(basin, measure)
    laws = rng.permutation(_allotted(shares, num_directions))
    log_weights, crossings, cost = [], [], 0
    block = max(1, BATCH // n)
    for begin in range(0, num_directions, block):
        laws_here = laws[begin : begin + block]
        steps = rng.standard_normal((len(laws_here), n))
        is_shaped = laws_here == "shaped"
        steps[is_shaped] = shape.apply(steps[is_shaped])
        if isinstance(measure, Gaussian):
            is_drifted = laws_here == "drifted"
            steps[is_drifted] = measure.sigma * steps[is_drifted] - measure.shift
        unit = steps / np.linalg.norm(steps, axis=1)[:, None]
        whitened = np.linalg.norm(shape.solve(unit), axis=1)
        found = polar.solve(basin, unit, 1 / whitened, farthest)
        mass = polar.log_mass_within(measure, unit, found.log_radius)
        log_weights.append(mass - _log_density(measure, shape, shares, unit, whitened))
        crossings.append(found.num_crossings)
        cost += found.num_evaluations
    counts = np.concatenate(crossings)
    return Sample(
        log_weights=np.concatenate(log_weights),
        re_entry_fraction=float((counts > 1).mean()),
        censored_fraction=float((counts == 0).mean()),
        num_evaluations=cost,
    )


def _allotted(shares: Mapping[str, float], count: int) -> NDArray[np.str_]:
    """Return `count` names of laws, each as often as its share says, rounded."""
    ends = np.rint(np.cumsum(list(shares.values())) * count).astype(int)
    return np.repeat(list(shares), np.diff(ends, prepend=0))


def _log_density(
    measure: Measure,
    shape: Preconditioner,
    shares: Mapping[str, float],
    unit: Array,
    whitened: Array,
) -> Array:
    """Return ln q at unit directions (k, n), whose |A^-1 u| is `whitened`."""
    n = unit.shape[1]
    log_sphere = np.log(n) + ball.log_volume(n)
    terms = []
    for name, share in shares.items():
        if name == "isotropic":
            term = np.full(len(unit), -log_sphere)
        elif name == "shaped":
            term = -log_sphere - shape.log_det() - n * np.log(whitened)
        else:
            term = polar.log_mass_within(measure, unit, np.full(len(unit), np.inf))
        terms.append(term + np.log(share))
    return np.asarray(np.logaddexp.reduce(terms, axis=0))


def averaged(estimator: str, basin: Basin, measure: Measure, sample: Sample, spent: int) -> Volume:
    """Return the log mean weight and how far to trust it."""
    rows = sample.log_weights[None, :]
    stderr, low, high = (float(values[0]) for values in intervals.bootstrap(rows))
    tail = diagnostics.pareto_k(rows)
    spread = diagnostics.spread_above(rows)
    has_few = bool(diagnostics.is_decided_by_few(rows, spread, tail, basin.num_parameters)[0])
    half = rows.shape[1] // 2
    apart = 0.0
    if half > 1:
        halves = np.stack([rows[0, :half], rows[0, half : 2 * half]])
        means = kernels.log_mean_exp(halves)
        errors = intervals.bootstrap(halves)[0]
        total = float(np.hypot(*errors))
        apart = float(means[0] - means[1]) / total if total > 0 else 0.0
    is_lower_bound = has_few or sample.re_entry_fraction > 0
    return Volume(
        estimator=estimator,
        measure=measure.name,
        log_volume=float(kernels.log_mean_exp(rows)[0]),
        stderr=stderr,
        low=low,
        high=high,
        is_lower_bound=is_lower_bound,
        is_converged=not has_few,
        num_evaluations=sample.num_evaluations + spent,
        diagnostics={
            "ess": float(diagnostics.effective_sample_size(rows)[0]),
            "pareto_k": float(tail[0]),
            "log_weight_spread": float(spread[0]),
            "halves_difference": apart,
            "re_entry_fraction": sample.re_entry_fraction,
            "censored_fraction": sample.censored_fraction,
        },
    )
