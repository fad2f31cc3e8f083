"""Which measures of a minimum go with its generalization gap: cube in, rank correlations out.

After Jiang et al. 2020, arXiv 1912.02178 (rank correlations, overall and one axis at a time), and
Dziugaite et al. 2020, arXiv 2010.11924 (the worst case over environments).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from basins.cube import kendall, schema
from basins.cube.flatness_table import FLATNESS
from basins.cube.queries import NUM_RESAMPLES, generalization_gap, own_landscape
from basins.cube.variable import LANDSCAPE, MINIMUM, Variable
from basins.volume.intervals import PROBABILITY

# Fewer minima than this have no rank correlation worth a mark.
MIN_MINIMA = 5

AXES = MINIMUM[:-1]
VARIANTS = ("threshold", "estimator", "box_size", "perturbation")
# The answer itself, the training loss once more, a choice, and how well something was measured.
NOT_MEASURES = (
    *("train_accuracy", "test_accuracy", "generalization_gap", "test_loss"),
    *("landscape_loss", "r_max"),
    *("ess", "pareto_k", "num_evaluations", "censored_fraction", "star_fraction"),
    *("radius_exponent", "log_copies"),
)
# Measures, though they are whole numbers.
COUNTS = ("epochs", "num_parameters")
ON_TEST_SET = ("test_", "fgsm_", "pgd_")


@dataclass(frozen=True)
class Measured:
    """One number of every minimum.

    Attributes
    ----------
    name
        Variable of the cube, with the variant in brackets: ``sharpness_box[box_size=0.001]``.
    long_name
        The same for people.
    values
        Over `MINIMUM`; in the minimum's own landscape where the variable has landscapes.
    has_seen_test_set
        Whether it is measured on the test set, which the gap is made of too.
    """

    name: str
    long_name: str
    values: xr.DataArray
    has_seen_test_set: bool


def measures(cube: xr.Dataset) -> Iterator[Measured]:
    """Yield every measure of a cube, thresholds, estimators and sizes as measures of their own.

    Last comes ``train_size``, which nobody measures: what is no better says no more.
    """
    table = schema.ROOT | FLATNESS
    errors = {name for variable in table.values() for name in variable.ancillary}
    for name, variable in table.items():
        if name in cube and name not in errors and _is_measure(name, variable):
            yield from _variants(cube, name, variable.long_name)
    sizes = cube.train_size.astype(np.float64)
    yield Measured("train_size", "examples trained on", _over_minima(cube, sizes), False)


def _is_measure(name: str, variable: Variable) -> bool:
    is_number = variable.dtype.startswith("float") or name in COUNTS
    is_error = name.endswith(("_stderr", "spectrum_residual"))
    has_dims = set(variable.dims) <= {*LANDSCAPE, *VARIANTS}
    return is_number and has_dims and not is_error and name not in NOT_MEASURES


def _variants(cube: xr.Dataset, name: str, long_name: str) -> Iterator[Measured]:
    values = cube[name]
    if "landscape_size" in values.dims:
        # A landscape that was not asked for is missing, not an error.
        values = own_landscape(values.reindex(landscape_size=cube.train_size.values))
    dims = [dim for dim in VARIANTS if dim in values.dims]
    words = {
        "threshold": f"{cube.threshold_kind.item()} < {{:g}}",
        "estimator": "by {}",
        "box_size": "size {:g}",
        "perturbation": "by {:g}",
    }
    for labels in product(*(cube[dim].values for dim in dims)):
        chosen = dict(zip(dims, labels, strict=True))
        brackets = ",".join(f"{dim}={label}" for dim, label in chosen.items())
        yield Measured(
            f"{name}[{brackets}]" if chosen else name,
            ", ".join([long_name, *(words[dim].format(label) for dim, label in chosen.items())]),
            _over_minima(cube, values.sel(chosen)),
            name.startswith(ON_TEST_SET),
        )


def _over_minima(cube: xr.Dataset, values: xr.DataArray) -> xr.DataArray:
    over: xr.DataArray = values.broadcast_like(cube.train_loss).transpose(*MINIMUM)
    return over.astype(np.float64)


def rank(cube: xr.Dataset) -> xr.Dataset:
    """Correlate every measure of a cube with the generalization gap over its minima.

    Signs are as found: a positive tau says that a larger measure goes with a larger gap. Minima
    that diverged or were not trained are left out, and from a measure those it is not finite for.

    Returns
    -------
    Dataset
        Over ``measure``, in falling order of tau, those without one last:

        ``tau``, ``tau_low``, ``tau_high``
            Kendall's tau-b over all minima, and its interval (`kendall.resampling_weights`).
        ``partial_tau``
            The same given the training loss.
        ``worst_tau``, ``worst_environment``
            Of the environments, in which one axis of the study varies and the others are fixed, the
            one that speaks most against the sign of tau: the smallest where tau is positive, the
            largest where it is negative. An environment needs `kendall.MIN_SETTINGS` settings.
        ``axis_tau``
            Over ``axis`` too: mean over the environments in which it varies (the granulated
            coefficient of Jiang et al. 2020).
        ``num_environments``, ``num_minima``, ``num_left_out``
            How many there were; of trained minima, how many have no finite value.
        ``has_seen_test_set``
            Whether it is measured on the test set.

        The attributes count the minima that could be used and those left out.
    """
    status = cube.training_status.transpose(*MINIMUM).values
    is_trained = (status > 0) & (status != schema.TRAINING_STATUS.index("diverged"))
    gap = generalization_gap(cube).transpose(*MINIMUM).values
    gap = np.where(is_trained & np.isfinite(gap), gap, np.nan)
    loss = np.asarray(cube.train_loss.transpose(*MINIMUM).values)
    settings = int(np.prod(gap.shape[:-1]))
    weights = kendall.resampling_weights(settings, gap.shape[-1], NUM_RESAMPLES)
    found = list(measures(cube))
    rows = [_row(cube, one, gap, loss, weights.reshape(NUM_RESAMPLES, -1)) for one in found]
    dims = {name: ("measure", "axis") if name == "axis_tau" else ("measure",) for name in rows[0]}
    ranking = xr.Dataset(
        {name: (dims[name], [row[name] for row in rows]) for name in rows[0]},
        coords={"measure": [one.name for one in found], "axis": list(AXES)},
        attrs={
            "title": cube.attrs.get("title", ""),
            "num_minima": int(np.isfinite(gap).sum()),
            "num_left_out": int(gap.size - np.isfinite(gap).sum()),
            "interval_probability": PROBABILITY,
            "num_resamples": NUM_RESAMPLES,
        },
    )
    # NaN sorts last, and ties stay in the table's order.
    return ranking.isel(measure=np.argsort(-ranking.tau.values, kind="stable"))


def _row(
    cube: xr.Dataset,
    one: Measured,
    gap: NDArray[np.float64],
    loss: NDArray[np.float64],
    weights: NDArray[np.float64],
) -> dict[str, object]:
    """Return what `rank` says of one measure; arrays are over `MINIMUM`, weights flat over it."""
    values = one.values.values
    is_usable = np.isfinite(values) & np.isfinite(gap)
    x, y, z = values[is_usable], gap[is_usable], loss[is_usable]
    is_enough = len(x) >= MIN_MINIMA
    tau = kendall.tau(x, y) if is_enough else np.nan
    low, high = np.nan, np.nan
    if np.isfinite(tau):
        resamples = kendall.resampled_tau(x, y, weights[:, is_usable.ravel()])
        low, high = kendall.interval(resamples, PROBABILITY)
    partial = kendall.partial_tau(tau, kendall.tau(x, z), kendall.tau(y, z))
    by_axis = _environments(cube, np.where(is_usable, values, np.nan), gap)
    pooled = [pair for pairs in by_axis.values() for pair in pairs] if is_enough else []
    worst, where = np.nan, ""
    if pooled and np.isfinite(tau):
        worst, where = min(pooled, key=lambda pair: pair[0] if tau >= 0 else -pair[0])
    return {
        "long_name": one.long_name,
        "tau": tau,
        "tau_low": low,
        "tau_high": high,
        "partial_tau": partial,
        "worst_tau": worst,
        "worst_environment": where,
        "axis_tau": [
            np.mean([pair[0] for pair in pairs]) if pairs and is_enough else np.nan
            for pairs in by_axis.values()
        ],
        "num_environments": len(pooled),
        "num_minima": len(x),
        "num_left_out": int(np.isfinite(gap).sum()) - len(x),
        "has_seen_test_set": one.has_seen_test_set,
    }


def _environments(
    cube: xr.Dataset, values: NDArray[np.float64], gap: NDArray[np.float64]
) -> dict[str, list[tuple[float, str]]]:
    """Return, of every axis, tau and name of each environment in which it varies."""
    by_axis: dict[str, list[tuple[float, str]]] = {}
    for index, axis in enumerate(AXES):
        by_axis[axis] = []
        for place in kendall.environments(gap.shape[:-1], index):
            tau = kendall.environment_tau(values[place], gap[place])
            if np.isfinite(tau):
                by_axis[axis].append((tau, _environment_name(cube, axis, place)))
    return by_axis


def _environment_name(cube: xr.Dataset, axis: str, place: tuple[int | slice, ...]) -> str:
    fixed = [
        f"{dim} {cube[dim].values[at]}"
        for dim, at in zip(AXES, place, strict=True)
        if dim != axis and cube.sizes[dim] > 1
    ]
    return f"{axis} varies" + (f" at {', '.join(fixed)}" if fixed else "")
