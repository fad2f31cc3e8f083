"""Guesses at a basin's shape: from its curvature, from its gradient, or from losses alone."""

import numpy as np
from numpy.typing import NDArray

from basins import streams
from basins.directions import full, low_rank
from basins.directions.diagonal import from_diagonal, hutchinson
from basins.directions.preconditioner import Preconditioner
from basins.volume import polar
from basins.volume.basin import BATCH, Basin
from basins.volume.laplace import MAX_PARAMETERS
from basins.volume.measures import Gaussian, Measure

Array = NDArray[np.float64]

PRECONDITIONERS = ("diagonal", "gauss_newton", "low_rank", "full", "none")
MAX_FULL = 2000  # parameters up to which a whole Hessian is worth its n gradients
RANK = 50
PROBES = 100
# Central differences lose eps^(2/3) of the gradient's digits at this step, the least they can.
RELATIVE_STEP = float(np.cbrt(np.finfo(np.float64).eps))


def hessian_products(basin: Basin, directions: Array) -> Array:
    """Return H v for rows v, shape (k, n): as the basin gives them, or by central differences."""
    if basin.hessian_products is not None:
        return basin.hessian_products(directions)
    step = RELATIVE_STEP * (1 + float(np.sqrt(np.mean(basin.minimum**2))))
    lengths = np.linalg.norm(directions, axis=1)[:, None]
    lengths = np.where(lengths > 0, lengths, 1.0)
    products = np.empty_like(directions)
    block = max(1, BATCH // basin.num_parameters)
    for begin in range(0, len(directions), block):
        rows = slice(begin, begin + block)
        offsets = step * directions[rows] / lengths[rows]
        ahead, behind = basin.slope(offsets), basin.slope(-offsets)
        products[rows] = (ahead - behind) / (2 * step) * lengths[rows]
    return products


def hessian(basin: Basin) -> Array:
    """Return the Hessian at the minimum, shape (n, n), by n products."""
    products = hessian_products(basin, np.eye(basin.num_parameters))
    return (products + products.T) / 2


def known_curvature(basin: Basin) -> Array:
    """Return a Hessian (n, n) or its diagonal (n,): as given, or from the gradient.

    Raises
    ------
    ValueError
        If neither is there.
    """
    if isinstance(basin.curvature, np.ndarray):
        return basin.curvature
    if basin.gradient is None:
        raise ValueError("curvature: `laplace` needs it, or a gradient to derive it from")
    if basin.num_parameters > MAX_PARAMETERS:
        raise ValueError(
            f"curvature: `laplace` needs it beyond {MAX_PARAMETERS} parameters, as a matrix or a "
            "diagonal"
        )
    return hessian(basin)


def guess(
    basin: Basin, measure: Measure, kind: str | None, *names: streams.Name
) -> dict[str, Preconditioner]:
    """Return shapes to try, the likeliest first, by name.

    Parameters
    ----------
    kind
        One of `PRECONDITIONERS`, or None: what was given as curvature; else from the gradient, full
        up to 2,000 parameters and low-rank beyond; else chords along the axes.
    names
        Key of the random streams.
    """
    n, height = basin.num_parameters, basin.height
    longest = longest_length(basin, measure)
    given = basin.preconditioner(longest)
    if kind == "none":
        return {"none": Preconditioner.diagonal(np.ones(n))}
    if kind is None and given is not None:
        return {"given": given, "none": Preconditioner.diagonal(np.ones(n))}
    if kind is None and basin.gradient is None:
        return {"axes": along_axes(basin, longest)}
    if basin.gradient is None:
        raise ValueError(f"preconditioner: {kind!r} needs the basin's gradient")

    def product(rows: Array) -> Array:
        return hessian_products(basin, rows)

    if kind == "gauss_newton":
        if basin.gauss_newton_products is None:
            raise ValueError("preconditioner: 'gauss_newton' needs `gauss_newton_products`")
        diagonal = hutchinson(basin.gauss_newton_products, n, PROBES, *names, "hutchinson")
        return {"gauss_newton": from_diagonal(diagonal, height, longest)}
    if kind == "full" or (kind is None and n <= MAX_FULL):
        return {"full": full.from_hessian(hessian(basin), height, longest)}
    if kind == "diagonal":
        diagonal = hutchinson(product, n, PROBES, *names, "hutchinson")
        return {"diagonal": from_diagonal(diagonal, height, longest)}
    rank = min(RANK, n - 2)
    if rank < 1:
        raise ValueError(f"preconditioner: 'low_rank' needs 3 parameters or more, not {n}")
    found = low_rank.from_products(product, n, rank, height, *names, "low_rank", longest=longest)
    return {"low_rank": found}


def along_axes(basin: Basin, longest: float) -> Preconditioner:
    """Return half the chords along the axes through the minimum, as lengths.

    No length is beyond `longest`; if that is infinite, a chord that never ends gets the longest of
    the others.
    """
    n = basin.num_parameters
    axes = np.concatenate([np.eye(n), -np.eye(n)])
    radii = polar.lengths_along(basin, axes)
    lengths = np.sqrt(radii[:n] * radii[n:])
    is_endless = ~np.isfinite(lengths)
    if not np.isfinite(longest) and is_endless.any():
        longest = 1.0 if is_endless.all() else float(lengths[~is_endless].max())
    return Preconditioner.diagonal(np.minimum(lengths, longest))


def longest_length(basin: Basin, measure: Measure) -> float:
    """Return what the ball or the measure leaves of a direction in which the loss does not rise.

    Lengths are n^(1/2) standard deviations, as those of a ball: sigma n^(1/2) of the Gaussian.
    """
    if isinstance(measure, Gaussian):
        return min(basin.r_max, measure.sigma * float(np.sqrt(basin.num_parameters)))
    return basin.r_max
