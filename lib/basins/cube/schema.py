"""THE table: every variable's dims, type, unit, formula and source.

The specification in results/README.md is generated from it, files are written with it, and
`validate` holds a file against it.
"""

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import xarray as xr

from basins.cube.boundary_table import BOUNDARIES
from basins.cube.class_table import CLASSES
from basins.cube.curve_table import CURVES
from basins.cube.distinct_table import DISTINCT
from basins.cube.flatness_table import FLATNESS
from basins.cube.minefield_table import MINEFIELD
from basins.cube.plane_table import PLANES
from basins.cube.spectrum_table import SPECTRUM
from basins.cube.variable import (
    BASIN,
    FAN,
    LANDSCAPE,
    MINIMUM,
    PROJECT,
    RAY,
    VOLUME,
    VOLUME_STATUS,
    Variable,
)

CONVENTIONS = "basins-1"

LI = "Li et al. 2018, arXiv 1712.09913, section 4"
DINH = "Dinh et al. 2017, arXiv 1703.04933, definition 1"
VEHTARI = "Vehtari et al. 2024, Pareto smoothed importance sampling, section 3"
SMITH = "Smith and Le 2017, arXiv 1710.06451, equation 15"
EFRON = "Efron 1979, Bootstrap methods"
HUANG = "Huang et al. 2020, arXiv 1906.03291, section 4"
VOLUMES = "this project, docs/volumes.md"

TRAINING_STATUS = (
    "not_trained",
    "converged",
    "above_threshold",
    "diverged",
    "misclassifies",
    "not_polished",
)

COORDINATES = {
    "model": ("model", "1", "name of the architecture"),
    "dataset": ("data set", "1", "name of the data set"),
    "recipe": ("training recipe", "1", "name of the recipe in the study"),
    "train_size": ("examples trained on", "1", "size of the prefix of the seed's order"),
    "seed": ("seed", "1", "fixes order of examples, initialisation and batches"),
    "landscape_size": ("examples of the landscape", "1", "size of the prefix the loss averages"),
    "threshold": ("threshold", "nat", "loss, or rise of the loss, that bounds the basin"),
    "estimator": ("volume estimator", "1", "how the volume is measured"),
    "box_size": ("size of the box", "1", "epsilon: half widths are epsilon (|theta_i| + 1)"),
    "perturbation": ("perturbation", "1", "largest change of a normalised input's numbers"),
    "eigenvalue": ("eigenvalue", "1", "from the largest down, from 0"),
    "x": ("along the first direction", "1", "in norms of the minimum's filters"),
    "y": ("along the second direction", "1", "in norms of the minimum's filters"),
    "grid_x": ("along the plane's first axis", "1", "in half widths from the grid's middle"),
    "grid_y": ("along the plane's second axis", "1", "in half widths from the grid's middle"),
    "corner_size": ("train size of a minimum in the plane", "1", "one of three"),
    "pair": ("recipes that a curve joins", "1", "of one seed, or of one recipe and the next seed"),
    "kind": ("kind of curve", "1", "the straight line, or one that was trained"),
    "position": ("position on a curve", "1", "t, from 0 at the first minimum to 1 at the second"),
    "volume_position": ("position of a basin on a curve", "1", "t, as of position"),
    "other_seed": ("seed of the second minimum", "1", "as of seed"),
    "sameness": ("what makes two minima one", "1", "one function, or one basin"),
    "input_x": ("first number of an input", "1", "as normalised"),
    "input_y": ("second number of an input", "1", "as normalised"),
    "measure": ("measure of volume", "1", "what volume means"),
    "volume_coordinates": ("coordinates of volume", "1", "unit of the radius"),
    "threshold_kind": ("kind of threshold", "1", "loss, or excess over the minimum's own loss"),
    "interval_probability": ("probability of intervals", "1", "of log_volume_low to _high"),
}

ROOT = {
    "num_parameters": Variable(
        ("model", "dataset"), "int64", "number of parameters", "1", "n = length of theta"
    ),
    "train_loss": Variable(
        MINIMUM, "float64", "training loss", "nat", "mean loss over the training subset"
    ),
    "test_loss": Variable(MINIMUM, "float64", "test loss", "nat", "mean loss over the test set"),
    "train_accuracy": Variable(
        MINIMUM, "float64", "training accuracy", "1", "share of the subset classified correctly"
    ),
    "test_accuracy": Variable(
        MINIMUM, "float64", "test accuracy", "1", "share of the test set classified correctly"
    ),
    "generalization_gap": Variable(
        MINIMUM, "float64", "generalization gap", "1", "train_accuracy minus test_accuracy"
    ),
    "weight_norm": Variable(MINIMUM, "float64", "norm of the parameters", "1", "|theta|_2"),
    "gradient_norm": Variable(
        MINIMUM,
        "float64",
        "norm of the training loss's gradient",
        "nat",
        "|grad L_n(theta)|_2 without weight decay",
    ),
    "epochs": Variable(
        MINIMUM,
        "int32",
        "epochs trained",
        "1",
        "passes over the subset, those of a warm start among them, iterations of a polish not",
    ),
    "noise_scale": Variable(
        MINIMUM,
        "float64",
        "SGD noise scale at the first step",
        "1",
        "g = learning_rate (N/B - 1), of the recipe's own first step after a warm start",
        SMITH,
    ),
    "log_copies": Variable(
        MINIMUM,
        "float64",
        "log number of minima that are the same by symmetry",
        "nat",
        "sum over hidden layers of ln h!, and h ln 2 for odd functions, less for equal units; NaN "
        "where layers are no sequence",
    ),
    "training_status": Variable(
        MINIMUM,
        "int8",
        "what became of training",
        "1",
        "above_threshold: train_loss is not below the largest threshold; misclassifies: "
        "poison, noise or imbalance cost a clean example its class; not_polished: gradient_norm is "
        "not below what the recipe's polish asks; of several, the first in the order diverged, "
        "above_threshold, misclassifies, not_polished",
        flags=TRAINING_STATUS,
    ),
    "r_max": Variable(
        MINIMUM, "float64", "radius of censoring", "unit of coordinates", "given, or 10 |theta/s|"
    ),
    "log_det_coordinates": Variable(
        MINIMUM,
        "float64",
        "log-determinant of the coordinates",
        "nat",
        "sum_i ln s_i; ln V in weight space = log_volume + this",
        LI,
    ),
    "landscape_loss": Variable(
        LANDSCAPE, "float64", "loss of the minimum in a landscape", "nat", "L_m(theta)"
    ),
    "log_volume": Variable(
        VOLUME,
        "float64",
        "log volume of the basin",
        "nat",
        "rays: ln V_ball(n) + ln mean_u r(u)^n; the others: docs/volumes.md",
        DINH,
        ancillary=("log_volume_stderr", "log_volume_low", "log_volume_high", "volume_status"),
    ),
    "log_volume_stderr": Variable(
        VOLUME, "float64", "standard error of log_volume", "nat", "over directions or chains", EFRON
    ),
    "log_volume_low": Variable(
        VOLUME, "float64", "lower end of the interval", "nat", "nine of ten hold the truth", EFRON
    ),
    "log_volume_high": Variable(
        VOLUME, "float64", "upper end of the interval", "nat", "nine of ten hold the truth", EFRON
    ),
    "ess": Variable(
        VOLUME, "float64", "effective sample size", "1", "(sum w)^2 / sum w^2", VEHTARI
    ),
    "pareto_k": Variable(
        VOLUME, "float64", "tail index of the weights", "1", "generalized Pareto fit", VEHTARI
    ),
    "num_evaluations": Variable(
        VOLUME,
        "float64",
        "passes over the landscape's examples",
        "1",
        "rays: all directions together, shared by the thresholds; a gradient counts as two",
    ),
    "is_lower_bound": Variable(
        VOLUME, "bool", "log_volume misses mass", "1", "few rays decide the mean, or rays re-enter"
    ),
    "volume_status": Variable(
        VOLUME, "int8", "what log_volume is", "1", "why it is missing", flags=VOLUME_STATUS
    ),
    "mean_log_radius": Variable(
        BASIN, "float64", "mean log radius", "nat", "mean_u ln r(u), censored rays at ln r_max"
    ),
    "log_mean_radius": Variable(
        BASIN,
        "float64",
        "log of the mean radius",
        "nat",
        "ln mean_u r(u), censored rays at r_max",
        HUANG,
    ),
    "log_radius_low": Variable(
        BASIN, "float64", "log radius of narrow directions", "nat", "a tenth of rays are shorter"
    ),
    "log_radius_median": Variable(
        BASIN, "float64", "median log radius", "nat", "half of the rays are shorter"
    ),
    "log_radius_high": Variable(
        BASIN, "float64", "log radius of wide directions", "nat", "a tenth of rays are longer"
    ),
    "censored_fraction": Variable(
        BASIN, "float64", "share of rays that do not cross", "1", "within r_max"
    ),
    "reentry_fraction": Variable(
        BASIN, "float64", "share of rays that enter again", "1", "cross the threshold twice or more"
    ),
    "star_fraction": Variable(
        BASIN,
        "float64",
        "share of the volume that rays can see",
        "1",
        "of `annealed`'s draws, those whose straight line from the minimum stays inside",
        VOLUMES,
    ),
    "threshold_exponent": Variable(
        BASIN,
        "float64",
        "local exponent of the volume in the threshold",
        "1",
        "d ln V / d ln(threshold - landscape_loss), from `annealed`'s draws",
        VOLUMES,
        ancillary=("threshold_exponent_stderr",),
    ),
    "threshold_exponent_stderr": Variable(
        BASIN, "float64", "its standard error", "1", "jackknife over chains", EFRON
    ),
    "radius_exponent": Variable(
        BASIN,
        "float64",
        "dimensions that end at r_max",
        "1",
        "d ln V / d ln(r_max), from `annealed`'s draws: how much of the boundary was felt",
        VOLUMES,
    ),
    "log_volume_rays_predicted": Variable(
        BASIN,
        "float64",
        "what a quadratic loss makes of `rays`",
        "nat",
        "ln V_ball(n) + (n/2) ln(2 h n / tr H), h the threshold above the loss; from `laplace`",
        VOLUMES,
    ),
    "log_volume_compat": Variable(
        BASIN,
        "float64",
        "published-style log volume",
        "nat",
        "ln mean r^n, r on the published grid, no ball constant, uncrossed rays dropped",
        FAN,
    ),
}

RAYS = {
    "log_radius": Variable(
        RAY, "float64", "log radius", "nat", "ln r(u): the loss first reaches the threshold"
    ),
    "num_crossings": Variable(
        RAY, "int16", "crossings along the ray", "1", "0: censored at r_max; above 1: re-entry"
    ),
    "log_radius_tolerance": Variable(
        RAY, "float64", "width of the final bracket", "nat", "in ln r; n times it is at most 0.1"
    ),
    "log_direction_norm": Variable(
        (*MINIMUM, "direction"),
        "float64",
        "log norm of the Gaussian direction",
        "nat",
        "ln |g|, u = g / |g|",
    ),
}

HISTORY = {
    "train_loss": Variable(
        (*MINIMUM, "step"), "float64", "training loss", "nat", "mean of the epoch's batches"
    ),
    "epoch": Variable((*MINIMUM, "step"), "float64", "epoch of the point", "1", "from 0"),
}

GROUPS = {"/": ROOT, "/rays": RAYS, "/history": HISTORY}
# What a group may hold beside what it must; a group that is only here may be missing.
MORE = {
    "/": FLATNESS,
    "/spectrum": SPECTRUM,
    "/planes": PLANES,
    "/boundaries": BOUNDARIES,
    "/minefield": MINEFIELD,
    "/curves": CURVES,
    "/distinct": DISTINCT,
    "/classes": CLASSES,
}


def describe(dataset: xr.Dataset, group: str) -> xr.Dataset:
    """Return `dataset` with the attributes of the table on its variables and coordinates."""
    table = GROUPS.get(group, {}) | MORE.get(group, {})
    for name in dataset.data_vars:
        dataset[name].attrs = table[str(name)].attributes()
    for name in dataset.coords:
        if str(name) in COORDINATES:
            long_name, units, formula = COORDINATES[str(name)]
            dataset[name].attrs = {
                "long_name": long_name,
                "units": units,
                "formula": formula,
                "references": PROJECT,
            }
    return dataset


def validate(dataset: xr.Dataset, group: str) -> None:
    """Raise ValueError, naming the variable, unless `dataset` is as the table says."""
    more = MORE.get(group, {})
    for name, variable in (GROUPS.get(group, {}) | more).items():
        if name not in dataset:
            if name in more:
                continue
            raise ValueError(f"{group}: variable {name} is missing")
        found = dataset[name]
        if found.dims != variable.dims or found.dtype != np.dtype(variable.dtype):
            raise ValueError(
                f"{group}: variable {name} is {found.dtype} over {found.dims}, "
                f"not {variable.dtype} over {variable.dims}"
            )
        _check_attributes(name, found.attrs, variable.attributes())
    for name, axis in dataset.indexes.items():
        if not (axis.is_unique and axis.is_monotonic_increasing):
            raise ValueError(f"{group}: coordinate {name} is not sorted and unique")


def _check_attributes(
    name: str, found: Mapping[Hashable, Any], expected: Mapping[str, Any]
) -> None:
    for key, value in expected.items():
        if key not in found or not np.array_equal(found[key], value):
            raise ValueError(f"variable {name}: attribute {key} is not {value!r}")
