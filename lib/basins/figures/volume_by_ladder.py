"""What each way of training worse or better does to volume: a line a ladder of recipes."""

from typing import Any

import numpy as np
import xarray as xr
import yaml
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from basins.cube.queries import generalization_gap, not_converged, own_landscape
from basins.figures import style
from basins.study.ladders import ladders


def draw(cube: xr.Dataset, threshold: float | None = None) -> Figure:
    """Draw the figure at the largest train size; minima that are in no basin are left out."""
    part = style.at_threshold(cube, threshold).isel(train_size=-1)
    title = (
        f"Ladders of recipes, {part.train_size.item():,} examples, own landscapes: means of seeds, "
        f"bars their spread\n{style.volume_words(part)}; hollow: not all converged"
    )
    panels: list[tuple[str, style.Panel]] = [
        ("volume", _volume),
        ("published-style volume", _published),
    ]
    return style.rows_of_panels(part, title, panels, width=5.2, height=4.6)


def _volume(axis: Axes, part: xr.Dataset) -> None:
    volume = own_landscape(part.log_volume)
    _lines(axis, part, volume)
    means, is_sure = volume.mean("seed"), ~not_converged(part).any("seed")
    style.zoom_to(axis, means.where(is_sure).values, means.values)
    axis.set_ylabel(f"log volume by {part.estimator.item()} (nat)")


def _published(axis: Axes, part: xr.Dataset) -> None:
    _lines(axis, part, own_landscape(part.log_volume_compat), has_status=False)
    axis.set_ylabel("log published-style volume (nat)")


def _lines(axis: Axes, part: xr.Dataset, values: xr.DataArray, has_status: bool = True) -> None:
    if not bool(values.notnull().any()):
        style.say_nothing_measured(axis)
        return
    study: dict[str, Any] = yaml.safe_load(part.attrs.get("study") or "{}")
    recipes = study.get("recipes") or {str(name): {} for name in part.recipe.values}
    gap = (100 * generalization_gap(part)).where(values.notnull())
    table = {
        "x": gap.mean("seed"),
        "y": values.mean("seed"),
        "wide": gap.std("seed"),
        "high": values.std("seed"),
    }
    foot = next(iter(recipes))
    climbed = ladders(recipes)
    colors = style.colors(len(climbed))
    for index, (name, rungs) in enumerate(climbed.items()):
        names = [foot, *(rung for rung in rungs if rung in part.recipe)]
        there = [rung for rung in names if np.isfinite(table["y"].sel(recipe=rung))]
        if there in ([], [foot]):
            continue
        chosen = {key: column.sel(recipe=there).values for key, column in table.items()}
        color = colors[index]
        axis.plot(chosen["x"], chosen["y"], color=color, alpha=0.5, linewidth=1)
        is_hollow = (not_converged(part) & has_status).sel(recipe=there).any("seed").values
        for rung in range(there[0] == foot, len(there)):
            axis.errorbar(
                *(chosen[key][rung] for key in ("x", "y", "high", "wide")),
                color=color,
                marker=style.MARKERS[index % len(style.MARKERS)],
                # Later rungs are larger marks.
                markersize=4 + 5 * rung / len(there),
                markerfacecolor="white" if is_hollow[rung] else color,
                elinewidth=0.7,
                label=name if rung == len(there) - 1 else None,
            )
    if np.isfinite(table["y"].sel(recipe=foot)):
        at = table["x"].sel(recipe=foot), table["y"].sel(recipe=foot)
        axis.plot(*at, "*", color="black", markersize=13, zorder=5, label=foot, linestyle="none")
    axis.set_xlabel("train accuracy minus test accuracy (points)")
    style.legend_below(axis, ncols=2)
