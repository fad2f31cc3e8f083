"""Learn the map x = A z that makes a basin round: its scale from trials, its shape from draws."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from basins.directions import full
from basins.directions.preconditioner import Preconditioner
from basins.volume.basin import Basin
from basins.volume.measures import Measure, Reference

Array = NDArray[np.float64]

LEAST_MASS, MOST_MASS = 0.3, 0.5  # of the reference inside the basin
NUM_TRIALS = 64
MAX_TRIES = 200
SCALE_TOLERANCE = 1e-9  # of ln(scale): a share that jumps over the wanted range stays so
MAX_DENSE = 1000  # parameters up to which axes are learned, beyond only lengths along them,
DENSE_DRAWS = 5  # times n independent draws at least, lest chance make the basin less round
PRIOR_DRAWS = 5  # what the shape so far counts for, in draws, where only lengths are learned


@dataclass(frozen=True)
class Fit:
    """A reference of which a good part lies inside the basin.

    Attributes
    ----------
    reference
        Of tilt 1.
    inside
        Draws of z inside the basin, shape (some, n).
    num_evaluations
        What finding it cost.
    """

    reference: Reference
    inside: Array
    num_evaluations: int


def fit_scale(
    basin: Basin, measure: Measure, shape: Preconditioner, rng: np.random.Generator
) -> Fit:
    """Scale `shape` so that 30 to 50 % of a few draws of its reference lie inside the basin."""
    normals = rng.standard_normal((NUM_TRIALS, basin.num_parameters))
    low, high, at = -np.inf, np.inf, 0.0
    tries = 0
    while True:
        tries += 1
        reference = Reference(measure, shape.times(float(np.exp(at))), 1.0)
        z = reference.draw(normals)
        is_inside = basin.is_inside(reference.shape.apply(z))
        share = float(is_inside.mean())
        if LEAST_MASS <= share <= MOST_MASS:
            break
        if share > MOST_MASS:
            low = at
            at = at + 1 if high == np.inf else (low + high) / 2
        else:
            high = at
            at = at - 1 if low == -np.inf else (low + high) / 2
        if high - low < SCALE_TOLERANCE or tries == MAX_TRIES:
            break
    return Fit(reference, z[is_inside], tries * NUM_TRIALS)


def learn_shape(shape: Preconditioner, draws: Array, may_turn: bool = True) -> Preconditioner:
    """Return the shape in which draws of z would be rounder.

    A shrunk estimate: the draws' second moments count for as many as are independent, the shape so
    far for a few, or for n where whole axes are learned.

    Parameters
    ----------
    shape
        The map so far.
    draws
        Of z about the minimum, shape (draws, chains, n).
    may_turn
        Whether axes may be learned, or only lengths.
    """
    n = draws.shape[-1]
    y = draws if shape.vectors is None or shape.has_all_lengths else draws @ shape.vectors
    squares = y**2
    variances = squares.mean(axis=(0, 1))
    rest = 0.0
    if not shape.has_all_lengths:
        whole = float(np.einsum("dci,dci->", draws, draws)) / squares[..., 0].size
        rest = max(whole - float(variances.sum()), 0.0) / (n - len(variances))
    mean = (float(variances.sum()) + rest * (n - len(variances))) / n
    count = num_independent(squares)
    axes = np.eye(n) if shape.vectors is None and n <= MAX_DENSE else shape.vectors
    has_draws = may_turn and n <= MAX_DENSE and count >= DENSE_DRAWS * n
    # Vectors may be given as an operator, which has lengths to be learned but no columns.
    if has_draws and shape.has_all_lengths and isinstance(axes, np.ndarray):
        flat = y.reshape(-1, n)
        moments = (count * (flat.T @ flat) / len(flat) + n * mean * np.eye(n)) / (count + n)
        root = axes * shape.values
        return full.from_covariance(root @ moments @ root.T)
    lengths = np.sqrt((count * variances + PRIOR_DRAWS * mean) / (count + PRIOR_DRAWS))
    return replace(shape, values=shape.values * lengths, rest=shape.rest * np.sqrt(rest or 1.0))


def num_independent(values: Array) -> float:
    """Return how many independent draws the means of `values` (draws, chains, k) are worth.

    Chains are independent, so the spread of their means tells; the median over quantities.
    """
    num_draws, num_chains, _ = values.shape
    between = values.mean(axis=0).var(axis=0, ddof=1) / num_chains
    single = values.var(axis=(0, 1))
    is_moving = between > 0
    if not is_moving.any():
        return 1.0
    worth = float(np.median(single[is_moving] / between[is_moving]))
    return float(np.clip(worth, 1.0, num_draws * num_chains))
