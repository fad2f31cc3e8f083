"""Questions researchers ask a cube: Dataset in, labelled answer out."""

import numpy as np
import xarray as xr

from basins import streams

NUM_RESAMPLES = 2000


def own_landscape(variable: xr.DataArray) -> xr.DataArray:
    """Return a variable where each minimum is measured in the landscape it was trained in."""
    own: xr.DataArray = variable.sel(landscape_size=variable.train_size)
    return own


def generalization_gap(cube: xr.Dataset) -> xr.DataArray:
    """Return train accuracy minus test accuracy."""
    gap: xr.DataArray = (cube.train_accuracy - cube.test_accuracy).rename("generalization_gap")
    return gap


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


def power_law(cube: xr.Dataset) -> xr.Dataset:
    """Fit ln V = a ln N + b over each minimum's own landscape (arXiv 2511.04808, section 4).

    Least squares on all seeds; the 90 % interval resamples seeds (the bootstrap of Efron 1979), so
    it holds the spread between seeds and not the systematic error of a lower bound.

    Returns
    -------
    Dataset
        ``exponent`` a and ``intercept`` b in nats, ``exponent_low``, ``exponent_high`` and
        ``exponent_per_parameter``; NaN where fewer than two train sizes were measured.
    """
    own = own_landscape(cube.log_volume)
    seeds = own.sizes["seed"]
    words = streams.bits("power-law", seeds, count=NUM_RESAMPLES * seeds)
    draws = (words % np.uint64(seeds)).astype(np.int64).reshape(NUM_RESAMPLES, seeds)
    log_size = np.log(own.train_size.values.astype(np.float64))
    fitted = xr.apply_ufunc(
        lambda values: _fit(values, log_size, draws),
        own,
        input_core_dims=[["train_size", "seed"]],
        output_core_dims=[["fit"]],
        vectorize=True,
    )
    names = ["exponent", "intercept", "exponent_low", "exponent_high"]
    result = xr.Dataset({name: fitted.isel(fit=index) for index, name in enumerate(names)})
    return result.assign(exponent_per_parameter=result.exponent / cube.num_parameters)


def _fit(values: np.ndarray, log_size: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Return a, b and the interval of a; `values` has shape (train sizes, seeds)."""
    fits = np.array([_line(values[:, draw], log_size) for draw in draws])
    a, b = _line(values, log_size)
    if np.isnan(a):
        return np.full(4, np.nan)
    low, high = np.nanquantile(fits[:, 0], [0.05, 0.95])
    return np.array([a, b, low, high])


def _line(values: np.ndarray, log_size: np.ndarray) -> tuple[float, float]:
    is_measured = np.isfinite(values)
    x = np.broadcast_to(log_size[:, None], values.shape)[is_measured]
    y = values[is_measured]
    if len(np.unique(x)) < 2:
        return np.nan, np.nan
    centered = x - x.mean()
    a = float(centered @ y / (centered @ centered))
    return a, float(y.mean() - a * x.mean())
