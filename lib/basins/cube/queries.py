"""Questions researchers ask a cube: Dataset in, labelled answer out."""

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.stats import binomtest

from basins.cube.variable import VOLUME_STATUS

Array = NDArray[np.float64]

NUM_RESAMPLES = 2000
REACH = 8  # widths beyond the outermost eigenvalues at which a density has ended


def own_landscape(variable: xr.DataArray) -> xr.DataArray:
    """Return a variable where each minimum is measured in the landscape it was trained in."""
    own: xr.DataArray = variable.sel(landscape_size=variable.train_size)
    return own


def not_converged(cube: xr.Dataset) -> xr.DataArray:
    """Return which volumes in own landscapes did not converge by their own test."""
    code = VOLUME_STATUS.index("not_converged")
    return (own_landscape(cube.volume_status) == code).rename("not_converged")


def generalization_gap(cube: xr.Dataset) -> xr.DataArray:
    """Return train accuracy minus test accuracy."""
    gap: xr.DataArray = (cube.train_accuracy - cube.test_accuracy).rename("generalization_gap")
    return gap


def basins_worth(cube: xr.Dataset, classes: xr.Dataset) -> xr.DataArray:
    """Return ln of how many basins, symmetric copies taken as one, all solutions are worth.

    The class of all parameters below the threshold, over the basin of the minimum that training
    found on as many examples, over its copies. Near 0: all there is are copies of this basin. Near
    minus `log_copies`: the basin is joined to its copies, and is all there is.

    Parameters
    ----------
    cube, classes
        The root of a cube with Gaussian measure, and its group ``/classes``.
    """
    there = classes.class_log_volume.sel(landscape_size=cube.train_size)
    worth: xr.DataArray = there - own_landscape(cube.log_volume) - cube.log_copies
    return worth.rename("log_basins_worth")


def largest_minimum(cube: xr.Dataset) -> xr.DataArray:
    """Return which train size has the largest mean log volume in each landscape.

    Only train sizes measured for every seed take part; 0 where there is none.
    """
    mean = cube.log_volume.mean("seed", skipna=False)
    filled = mean.fillna(-np.inf)
    best: xr.DataArray = mean.train_size[filled.argmax("train_size")].where(
        mean.notnull().any("train_size"), 0
    )
    named: xr.DataArray = best.astype(np.int64).drop_vars("train_size").rename("largest_minimum")
    return named


def first_lost_landscape(cube: xr.Dataset) -> xr.DataArray:
    """Return the smallest landscape in which a minimum's loss is not below the threshold.

    There it stops being a minimum below the threshold. NaN where it stays one in all that were
    measured; only landscapes of at least its train size count.
    """
    bound = cube.threshold
    if cube.threshold_kind.item() == "excess":
        bound = bound + own_landscape(cube.landscape_loss)
    is_lost = (cube.landscape_loss >= bound) & (cube.landscape_size >= cube.train_size)
    sizes: xr.DataArray = cube.landscape_size.where(is_lost).min("landscape_size")
    return sizes.rename("first_lost_landscape")


def own_is_largest(cube: xr.Dataset) -> xr.Dataset:
    """Return how often the minimum trained on a landscape is the largest of those measured in it.

    A seed counts in a landscape if its own minimum has a volume there and so has another.

    Returns
    -------
    Dataset
        ``rate`` over seeds, with ``rate_low`` and ``rate_high`` of its exact 90 % interval (Clopper
        and Pearson 1934), ``num_seeds`` that count and ``num_largest`` of them, for each landscape
        on which anything was trained; ``chance``, the rate if all that are measured were alike, and
        ``lead``, a seed's own volume less the largest other in nats. NaN where no seed counts.
    """
    sizes = cube.train_size.values
    volumes = cube.log_volume.sel(landscape_size=sizes)
    is_own = volumes.train_size == volumes.landscape_size
    own, others = volumes.where(is_own).max("train_size"), volumes.where(~is_own)
    counts = own.notnull() & others.notnull().any("train_size")
    lead = (own - others.max("train_size")).where(counts)
    is_largest = counts & (lead > 0)
    chance = (1 / (1 + others.notnull().sum("train_size"))).where(counts).mean("seed")
    num_seeds, num_largest = counts.sum("seed"), is_largest.sum("seed")

    def interval(count: int, total: int) -> Array:
        if not total:
            return np.full(2, np.nan)
        found = binomtest(int(count), int(total)).proportion_ci(0.9, "exact")
        return np.array([found.low, found.high])

    ends = xr.apply_ufunc(
        interval, num_largest, num_seeds, output_core_dims=[["end"]], vectorize=True
    )
    return xr.Dataset(
        {
            "rate": (num_largest / num_seeds).where(num_seeds > 0),
            "rate_low": ends.isel(end=0),
            "rate_high": ends.isel(end=1),
            "num_seeds": num_seeds,
            "num_largest": num_largest,
            "chance": chance,
            "lead": lead,
        }
    )


def spectral_density(
    spectrum: xr.Dataset,
    width: float,
    num_points: int | None = None,
    scale: float | None = None,
    prefix: str = "",
) -> xr.Dataset:
    """Return densities of eigenvalues, smoothed by Gaussians, on one grid for all minima.

    A density integrates to 1, by which the share of eigenvalues in any part is its integral there
    (Lin, Saad, Yang 2016, SIAM Review 58, 34).

    Parameters
    ----------
    spectrum
        The cube's group ``/spectrum``, as `basins.cube.read.open_group` opens it, or a part of it.
    width
        Standard deviation of the Gaussians: in units of eigenvalues, or, given a scale, of t.
    num_points
        Of the grid, which reaches beyond all eigenvalues; default half a width apart. Farther than
        a width apart they would miss eigenvalues.
    scale
        If given, Gaussians are as wide as `width` in t = asinh(eigenvalue / scale), which is linear
        below the scale and logarithmic, on either side of 0, above it; the grid is even in t.
    prefix
        Of which matrix: none for the Hessian in landscapes, ``gauss_newton_``, ``test_`` or
        ``test_gauss_newton_``.

    Returns
    -------
    Dataset
        ``density`` per unit of the eigenvalue, over the spectrum's dims and ``value``, whose labels
        are the grid; NaN where nothing was measured.

    Raises
    ------
    ValueError
        If an argument cannot be used.

    Examples
    --------
    >>> nodes = xr.Dataset({"node_eigenvalue": ("node", [0.0, 4.0]),
    ...                     "node_weight": ("node", [0.5, 0.5])})
    >>> density = spectral_density(nodes, width=0.1).density
    >>> float(density.integrate("value").round(6))
    1.0
    """
    for name, number in (("width", width), ("scale", 1.0 if scale is None else scale)):
        if not 0 < number < np.inf:
            raise ValueError(f"{name}: {number!r} must be a finite number above 0")
    nodes, weights = _nodes(spectrum, prefix)
    if scale is not None:
        nodes = nodes.copy(data=np.arcsinh(nodes.values / scale))
    is_any = bool(nodes.notnull().any())
    low, high = (float(nodes.min()), float(nodes.max())) if is_any else (0.0, 0.0)
    low, high = low - REACH * width, high + REACH * width
    least = int(np.ceil((high - low) / width)) + 1
    if num_points is not None and num_points < least:
        raise ValueError(f"num_points: {num_points} must be at least {least} for this width")
    grid = np.linspace(low, high, num_points or 2 * least)
    density: xr.DataArray = xr.apply_ufunc(
        lambda at, share: _smoothed(at, share, grid, width),
        nodes,
        weights,
        input_core_dims=[["node"], ["node"]],
        output_core_dims=[["value"]],
        vectorize=True,
    )
    values = grid
    if scale is not None:
        # d eigenvalue = scale cosh(t) dt.
        density = density / xr.DataArray(scale * np.cosh(grid), dims="value")
        values = scale * np.sinh(grid)
    return xr.Dataset({"density": density}).assign_coords(value=values)


def eigenvalue_fraction(spectrum: xr.Dataset, below: float, prefix: str = "") -> xr.DataArray:
    """Return the share of eigenvalues whose absolute value is below a cut, NaN if not measured.

    Parameters
    ----------
    spectrum, prefix
        As in `spectral_density`.
    below
        The cut.
    """
    nodes, weights = _nodes(spectrum, prefix)
    share = weights.where(np.abs(nodes) < below, 0.0).sum("node")
    found: xr.DataArray = share.where(weights.notnull().any("node")).rename("eigenvalue_fraction")
    return found


def _nodes(spectrum: xr.Dataset, prefix: str) -> tuple[xr.DataArray, xr.DataArray]:
    """Return eigenvalues and weights."""
    name = f"{prefix}node_eigenvalue"
    if name not in spectrum:
        known = [str(n).removesuffix("node_eigenvalue") for n in spectrum if "node_eigen" in str(n)]
        raise ValueError(
            f"prefix: there is no {name}; allowed are {', '.join(map(repr, known)) or 'none'}"
        )
    return spectrum[name], spectrum[f"{prefix}node_weight"]


def _smoothed(nodes: Array, weights: Array, grid: Array, width: float) -> Array:
    """Return the density at the grid; `nodes` and `weights` have NaN where there is none."""
    is_there = np.isfinite(nodes)
    if not is_there.any():
        return np.full(len(grid), np.nan)
    distances = (grid[:, None] - nodes[is_there]) / width
    bumps = np.exp(-(distances**2) / 2) / (np.sqrt(2 * np.pi) * width)
    return np.asarray(bumps @ weights[is_there])
