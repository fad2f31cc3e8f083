"""What T_alpha does to every measure: one panel a measure, alpha against its change."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from basins.cube.flatness_table import FLATNESS
from basins.cube.queries import own_landscape
from basins.figures import style
from basins.study.jobs import parse_recipe_label
from basins.study.transform import parse_transform

COLUMNS = 6
ROUNDING = 1e-3  # relative; less is drawn as no change at all


def draw(cube: xr.Dataset, threshold: float | None = None) -> Figure:
    """Draw the figure: measures in own landscapes over those at alpha = 1, logarithms minus those.

    Raises
    ------
    ValueError
        If the cube holds no minimum under T_alpha.
    """
    scaled = by_alpha(cube)
    chosen = float(style.at_threshold(cube, threshold).threshold)
    found = measures(scaled, chosen)
    rows = -(-len(found) // COLUMNS)
    title = (
        "The same function: every measure against alpha, over its value at alpha = 1 (of log "
        f"measures: difference in nats)\nown landscapes, {_words(scaled)}; volumes at "
        f"{cube.threshold_kind.item()} < {chosen:g}; a line a minimum"
    )
    size = 2.3 * COLUMNS, 1.9 * rows + 0.6
    with style.sheet(title, *size, rows, COLUMNS, sharex="all") as (figure, axes):
        for axis, (name, values) in zip(axes, found.items(), strict=False):
            axis.set_title(name, fontsize=7.5)
            _panel(axis, scaled.alpha.values, values, is_log="log " in name)
        for axis in axes[len(found) :]:
            axis.set_visible(False)
        for axis in axes[max(0, len(found) - COLUMNS) : len(found)]:
            axis.tick_params(labelbottom=True)
            axis.set_xlabel("alpha")
    return figure


def by_alpha(cube: xr.Dataset) -> xr.Dataset:
    """Return the minima as trained and under T_alpha, of the first recipe that has them.

    Dim recipe becomes alpha, 1 for those as trained.

    Raises
    ------
    ValueError
        If there are none.
    """
    alphas: dict[str, dict[float, str]] = {}
    for label in map(str, cube.recipe.values):
        recipe, transform = parse_recipe_label(label)
        kind, numbers = parse_transform(transform) if transform else ("alpha-scale", (1.0,))
        if kind == "alpha-scale":
            alphas.setdefault(recipe, {})[numbers[0]] = label
    chosen = next((labels for labels in alphas.values() if len(labels) > 1), None)
    if chosen is None:
        raise ValueError("recipe: the cube holds no minimum under alpha-scale, see `transforms:`")
    part = cube.sel(recipe=[chosen[alpha] for alpha in sorted(chosen)])
    return part.rename(recipe="alpha").assign_coords(alpha=sorted(chosen))


def measures(cube: xr.Dataset, threshold: float) -> dict[str, xr.DataArray]:
    """Return what is drawn by its title, dims alpha and minimum."""
    found = {}
    for name in [str(one) for one in cube.data_vars if one in FLATNESS]:
        if name.endswith(("_stderr", "_residual", "eigenvalues")):
            continue
        values = cube[name]
        for dim in ("box_size", "perturbation"):
            if dim in values.dims:
                values = values.isel({dim: -1})
        found[name] = values
    for estimator in map(str, cube.estimator.values):
        part = cube.log_volume.sel(estimator=estimator, threshold=threshold)
        found[f"log volume, {estimator}"] = part
    minima = ["model", "dataset", "train_size", "seed"]
    return {
        name.replace("_", " "): (own_landscape(v) if "landscape_size" in v.dims else v)
        .stack(minimum=minima)
        .transpose("alpha", "minimum")
        for name, v in found.items()
    }


def _panel(axis: Axes, alphas: np.ndarray, values: xr.DataArray, is_log: bool) -> None:
    numbers = values.values
    reference = numbers[list(alphas).index(1.0)]
    with np.errstate(divide="ignore", invalid="ignore"):
        change = numbers - reference if is_log else numbers / reference
    color = style.colors(3)[1]
    axis.plot(alphas, change, "o-", color=color, alpha=0.6, linewidth=1, markersize=3)
    axis.set_xscale("log", base=2)
    axis.tick_params(labelsize=6.5)
    if not np.isfinite(change).any():
        style.say_nothing_measured(axis)
        return
    apart = change if is_log else change - 1
    size = np.nanmax(abs(reference)) if is_log else 1.0
    if np.nanmax(abs(apart)) <= ROUNDING * max(1.0, size):
        middle = 0.0 if is_log else 1.0
        axis.set_ylim(middle - 0.5, middle + 0.5)
    elif not is_log and np.nanmin(change) > 0:
        axis.set_yscale("log")
        axis.yaxis.set_minor_formatter(NullFormatter())


def _words(cube: xr.Dataset) -> str:
    return ", ".join(
        f"{model} on {dataset}" for model in cube.model.values for dataset in cube.dataset.values
    )
