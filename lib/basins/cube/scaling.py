"""How volumes in own landscapes go with the number of examples: a fit, and laws held against it.

Three laws: `power`, ln V = a ln N + b (Fan, Sandlund, Ko 2025, arXiv 2511.04808, section 4);
`saturating`, ln V = b + c N^-g with g > 0, which comes to an end; and `quadratic`,
ln V = a ln N + b + q (ln N)^2.
"""

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.stats import chi2

from basins import streams
from basins.cube.queries import NUM_RESAMPLES, own_landscape
from basins.cube.variable import VOLUME_STATUS

Array = NDArray[np.float64]

LAWS = ("power", "saturating", "quadratic")
FEWEST_SIZES = 3  # through two sizes goes any straight line
FIT_STATUS = ("not_measured", "fitted", "too_few_sizes")
RATES = np.geomspace(0.01, 4.0, 80)  # g of the saturating law; the least is a straight line
PUBLISHED = "published"  # the label of published-style values among estimators
TAIL = 0.05  # of resamples beyond either end of an interval


def power_law(cube: xr.Dataset) -> xr.Dataset:
    """Fit ln V = a ln N + b over each minimum's own landscape by least squares on all seeds.

    The 90 % interval is a bootstrap in two levels (Davison and Hinkley 1997, section 3.8): seeds
    are drawn with replacement, and each volume from the normal law of its own standard error. It
    holds the spread between seeds and what volumes say of themselves, and not what a lower bound
    misses.

    Returns
    -------
    Dataset
        ``exponent`` a and ``intercept`` b in nats, ``exponent_low``, ``exponent_high``,
        ``exponent_per_parameter``, ``num_sizes`` with a volume, ``calibrated_share`` of the volumes
        and the flag ``fit_status``, one of `FIT_STATUS`; NaN for fewer than three sizes.
    """
    own = own_landscape(cube.log_volume)
    error = own_landscape(cube.log_volume_stderr).broadcast_like(own)
    log_size = np.log(own.train_size.values.astype(np.float64))
    seeds = own.sizes["seed"]
    words = streams.bits("power-law", seeds, count=NUM_RESAMPLES * seeds)
    drawn = (words % np.uint64(seeds)).astype(np.int64).reshape(NUM_RESAMPLES, seeds)
    count = drawn.size * len(log_size)
    normals = streams.normals("power-law", len(log_size), seeds, count=count)
    noise = normals.reshape(len(log_size), NUM_RESAMPLES, seeds)
    axes = [["train_size", "seed"], ["train_size", "seed"]]
    fitted = xr.apply_ufunc(
        lambda values, errors: _fit(values, errors, log_size, drawn, noise),
        own,
        error,
        input_core_dims=axes,
        output_core_dims=[["fit"]],
        vectorize=True,
    )
    names = ["exponent", "intercept", "exponent_low", "exponent_high"]
    result = xr.Dataset({name: fitted.isel(fit=index) for index, name in enumerate(names)})
    there = own.notnull()
    sizes = there.any("seed").sum("train_size")
    # 1 for fitted and 2 for too few, see `FIT_STATUS`.
    status = ((sizes > 0) * 2 - (sizes >= FEWEST_SIZES)).astype(np.int8)
    is_calibrated = own_landscape(cube.volume_status) == VOLUME_STATUS.index("calibrated")
    return result.assign(
        exponent_per_parameter=result.exponent / cube.num_parameters,
        num_sizes=sizes,
        calibrated_share=is_calibrated.where(there).mean(["train_size", "seed"]),
        fit_status=status,
    )


def compare_laws(cube: xr.Dataset) -> xr.DataArray:
    """Return how far each of `LAWS` is from volumes of a train size it was not fitted to.

    Cross-validation: each size is left out in turn, the law fitted to all volumes of the others,
    and held against those left out.

    Returns
    -------
    DataArray
        Root mean square over sizes, in nats, with the dim ``law``; NaN where the sizes left are
        fewer than the law's numbers.
    """
    own = own_landscape(cube.log_volume)
    size = own.train_size.values.astype(np.float64)
    errors: xr.DataArray = xr.apply_ufunc(
        lambda values: np.array([_left_out(law, values, size) for law in LAWS]),
        own,
        input_core_dims=[["train_size", "seed"]],
        output_core_dims=[["law"]],
        vectorize=True,
    )
    return errors.assign_coords(law=list(LAWS)).rename("cross_validation_error")


def seed_variance(cube: xr.Dataset) -> xr.Dataset:
    """Return how much log volumes in own landscapes vary between seeds, recipe by recipe.

    Of recipes that fix the order of examples or the start (`subset_seed`, `initialization_seed`)
    it is the variance that the other causes; where neither depends on the other they add up to that
    of a recipe that fixes none.

    Returns
    -------
    Dataset
        ``variance`` of volumes, in nats squared, less what their own errors make of it;
        ``variance_low`` and ``variance_high``, the ends of its 90 % interval under a normal law;
        ``error_variance``, the mean square of the standard errors, where they are finite; and
        ``num_seeds``. NaN for fewer than two seeds with a volume.
    """
    own = own_landscape(cube.log_volume)
    errors = own_landscape(cube.log_volume_stderr)
    noise = (errors.where(np.isfinite(errors), 0.0) ** 2).where(own.notnull()).mean("seed")
    count = own.notnull().sum("seed")
    spread = own.var("seed", ddof=1).where(count > 1)
    freedom = (count - 1).where(count > 1)

    def end(probability: float) -> xr.DataArray:
        scaled: xr.DataArray = freedom * spread / chi2.ppf(probability, freedom) - noise
        return scaled.clip(min=0.0)

    return xr.Dataset(
        {
            "variance": (spread - noise).clip(min=0.0),
            "variance_low": end(1 - TAIL),
            "variance_high": end(TAIL),
            "error_variance": noise.where(count > 1),
            "num_seeds": count,
        }
    )


def with_published(cube: xr.Dataset) -> xr.Dataset:
    """Return a cube's log volumes with published-style values as one more estimator.

    These have no error and no status; they are there in filter coordinates with biases in units
    of 1 only.
    """
    names = ["log_volume", "log_volume_stderr", "volume_status"]
    values = cube[names]
    compat = cube.log_volume_compat.expand_dims(estimator=[PUBLISHED])
    published = xr.Dataset(
        {
            "log_volume": compat,
            "log_volume_stderr": xr.zeros_like(compat),
            "volume_status": xr.zeros_like(compat, dtype=np.int8),
        }
    )
    joined = xr.concat([values, published], "estimator", join="outer")
    return joined.assign(cube[["num_parameters", "log_det_coordinates"]])


def in_weight_space(cube: xr.Dataset) -> xr.Dataset:
    """Return log volumes as those the same basins have where every weight has unit 1.

    Coordinates stretch a basin by the product of their units (Li et al. 2018, arXiv
    1712.09913, section 4), so ln V gains their log-determinant and errors stay. Only the unit is
    another: directions and the distance at which basins end remain those of the coordinates.

    Parameters
    ----------
    cube : Dataset
        A cube, or what `with_published` made of one.
    """
    return cube.assign(log_volume=cube.log_volume + cube.log_det_coordinates)


def _fit(
    values: Array, errors: Array, log_size: Array, drawn: NDArray[np.int64], noise: Array
) -> Array:
    """Return a, b and the interval of a; `values` has shape (train sizes, seeds)."""
    there = np.isfinite(values)
    if there.any(axis=1).sum() < FEWEST_SIZES:
        return np.full(4, np.nan)
    scatter = np.where(np.isfinite(errors), errors, 0.0)
    resampled = values[:, drawn] + scatter[:, drawn] * noise
    slopes, _ = _lines(resampled.swapaxes(0, 1), log_size)
    a, b = _lines(values[None], log_size)
    low, high = np.nanquantile(slopes, [TAIL, 1 - TAIL])
    return np.array([a[0], b[0], low, high])


def _lines(values: Array, log_size: Array) -> tuple[Array, Array]:
    """Return slopes and intercepts of lines through values (fits, train sizes, seeds)."""
    there = np.isfinite(values)
    count = there.sum(axis=(1, 2))
    x = np.broadcast_to(log_size[None, :, None], values.shape)
    with np.errstate(invalid="ignore", divide="ignore"):
        x_mean = np.where(there, x, 0).sum(axis=(1, 2)) / count
        y_mean = np.where(there, values, 0).sum(axis=(1, 2)) / count
        centered = np.where(there, x - x_mean[:, None, None], 0)
        slopes = (centered * np.where(there, values, 0)).sum(axis=(1, 2))
        slopes = slopes / (centered**2).sum(axis=(1, 2))
    return slopes, y_mean - slopes * x_mean


def _left_out(law: str, values: Array, size: Array) -> float:
    """Return the root mean square error at sizes left out, shape of `values` (sizes, seeds)."""
    there = np.isfinite(values)
    sizes = np.flatnonzero(there.any(axis=1))
    if len(sizes) - 1 < (2 if law == "power" else 3):
        return np.nan
    squares = []
    for index in sizes:
        rest = [other for other in sizes if other != index]
        rows, seeds = np.nonzero(there[rest])
        known = values[rest][rows, seeds]
        predicted = _predict(law, size[rest][rows], known, size[index])
        squares.append(np.square(values[index][there[index]] - predicted).mean())
    return float(np.sqrt(np.mean(squares)))


def _predict(law: str, size: Array, values: Array, at: float) -> float:
    """Return what a law fitted to values of sizes says of another size."""
    if law == "saturating":
        fits = [_least_squares(_columns(size, rate), values) for rate in RATES]
        best = int(np.argmin([residual for _, residual in fits]))
        return float(_columns(np.array([at]), RATES[best])[0] @ fits[best][0])
    degree = 1 if law == "power" else 2
    powers = np.arange(degree + 1)
    found, _ = _least_squares(np.log(size)[:, None] ** powers, values)
    return float(np.log(at) ** powers @ found)


def _columns(size: Array, rate: float) -> Array:
    return np.stack([np.ones_like(size), size**-rate], axis=1)


def _least_squares(columns: Array, values: Array) -> tuple[Array, float]:
    found, *_ = np.linalg.lstsq(columns, values, rcond=None)
    return np.asarray(found, np.float64), float(np.square(columns @ found - values).sum())
