"""Radius and volume of each minimum's own basin against how badly it generalizes."""

import math

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from basins.cube.queries import generalization_gap, not_converged, own_landscape
from basins.figures import style


def draw(cube: xr.Dataset, threshold: float | None = None) -> Figure:
    """Draw the figure at the largest train size; minima that are in no basin are left out."""
    part = style.at_threshold(cube, threshold).isel(train_size=-1)
    title = (
        f"Basins against the generalization gap, {part.train_size.item():,} examples, own "
        f"landscapes, a mark a seed\n{style.volume_words(part)}; hollow: not converged"
    )
    panels: list[tuple[str, style.Panel]] = [
        ("radius", _radius),
        ("volume", _volume),
        ("published-style volume", _published),
    ]
    return style.rows_of_panels(part, title, panels, width=4.0, height=4.2)


def _radius(axis: Axes, part: xr.Dataset) -> None:
    # Cubes of older versions hold the mean of logarithms alone.
    name, words = "log_mean_radius", "mean radius"
    if name not in part:
        name, words = "mean_log_radius", "geometric mean of radii"
    _marks(axis, part, own_landscape(part[name]) / math.log(10))
    axis.set_ylabel(f"log10 of the {words}")


def _volume(axis: Axes, part: xr.Dataset) -> None:
    error = own_landscape(part.log_volume_stderr) / math.log(10)
    volume = own_landscape(part.log_volume) / math.log(10)
    _marks(axis, part, volume, error)
    style.zoom_to(axis, volume.where(~not_converged(part)).values, volume.values)
    axis.set_ylabel(f"log10 of the volume by {part.estimator.item()}")


def _published(axis: Axes, part: xr.Dataset) -> None:
    _marks(axis, part, own_landscape(part.log_volume_compat) / math.log(10))
    axis.set_ylabel("log10 of the published-style volume")


def _marks(
    axis: Axes, part: xr.Dataset, values: xr.DataArray, error: xr.DataArray | None = None
) -> None:
    if not bool(values.notnull().any()):
        style.say_nothing_measured(axis)
        return
    gap = 100 * generalization_gap(part)
    order = np.argsort(gap.mean("seed").values)
    recipes = part.recipe.values[order]
    doubtful = not_converged(part)
    for index, (recipe, color) in enumerate(zip(recipes, style.colors(len(recipes)), strict=True)):
        # Only a volume with an error bar of its own can fail to converge.
        is_hollow = (doubtful if error is not None else xr.zeros_like(doubtful)).sel(recipe=recipe)
        for hollow in (False, True):
            chosen = is_hollow.values == hollow
            if hollow and not chosen.any():
                continue
            bars = None if error is None else error.sel(recipe=recipe).values[chosen]
            axis.errorbar(
                gap.sel(recipe=recipe).values[chosen],
                values.sel(recipe=recipe).values[chosen],
                bars,
                color=color,
                marker=style.MARKERS[index % len(style.MARKERS)],
                markerfacecolor="white" if hollow else color,
                linestyle="none",
                elinewidth=0.8,
                label=None if hollow else recipe,
            )
    axis.set_xlabel("train accuracy minus test accuracy (points)")
    style.legend_below(axis, ncols=3)
