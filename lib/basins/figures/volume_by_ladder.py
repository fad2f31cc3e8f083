"""What each way of training worse or better does to volume: a line a ladder of recipes."""

from typing import Any

import xarray as xr
import yaml
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from basins.cube.queries import generalization_gap, not_converged, own_landscape
from basins.figures import style
from basins.study.ladders import ladders


def draw(cube: xr.Dataset, threshold: float | None = None) -> Figure:
    """Draw the figure at the largest train size, of the recipes of the study's own."""
    part = style.at_threshold(cube, threshold).isel(train_size=-1)
    title = (
        f"Ladders of recipes, {part.train_size.item():,} examples, own landscapes: means of seeds, "
        f"bars their spread\n{style.volume_words(part)}; hollow: not all converged"
    )
    panels: list[tuple[str, style.Panel]] = [
        ("volume", _volume),
        ("published-style volume", _published),
    ]
    return style.rows_of_panels(part, title, panels, width=5.2, height=4.8)


def _volume(axis: Axes, part: xr.Dataset) -> None:
    _lines(axis, part, own_landscape(part.log_volume), not_converged(part).any("seed"))
    axis.set_ylabel(f"log volume by {part.estimator.item()} (nat)")


def _published(axis: Axes, part: xr.Dataset) -> None:
    never = xr.zeros_like(not_converged(part).any("seed"))
    _lines(axis, part, own_landscape(part.log_volume_compat), never)
    axis.set_ylabel("log published-style volume (nat)")


def _lines(axis: Axes, part: xr.Dataset, values: xr.DataArray, is_hollow: xr.DataArray) -> None:
    study: dict[str, Any] = yaml.safe_load(part.attrs.get("study") or "{}")
    recipes = study.get("recipes") or {str(name): {} for name in part.recipe.values}
    asked = [name for name in recipes if name in part.recipe]
    values = values.sel(recipe=asked)
    has_volume = values.notnull().any("seed")
    there = [name for name in asked if bool(has_volume.sel(recipe=name))]
    if not there:
        style.say_nothing_measured(axis)
        return
    gap = (100 * generalization_gap(part)).where(values.notnull())
    table = xr.Dataset(
        {
            "gap": gap.mean("seed"),
            "volume": values.mean("seed"),
            "wide": gap.std("seed"),
            "high": values.std("seed"),
            "is_hollow": is_hollow,
        }
    ).sel(recipe=there)
    foot, climbed = next(iter(recipes)), ladders(recipes)
    handles = [Line2D([], [], marker="*", color="black", ls="none", ms=11, label=foot)]
    for index, (name, color) in enumerate(zip(climbed, style.colors(len(climbed)), strict=True)):
        rungs = [rung for rung in climbed[name] if rung in there]
        if not rungs:
            continue
        line = table.sel(recipe=[foot, *rungs] if foot in there else rungs)
        axis.plot(line.gap, line.volume, color=color, alpha=0.5, linewidth=1)
        marker = style.MARKERS[index % len(style.MARKERS)]
        for step, rung in enumerate(rungs, start=1):
            # Later rungs are larger marks.
            _mark(axis, table.sel(recipe=rung), color, marker, 4 + 5 * step / len(rungs))
        handles.append(Line2D([], [], marker=marker, color=color, label=name))
    if foot in there:
        _mark(axis, table.sel(recipe=foot), "black", "*", 13)
    style.zoom_to(axis, table.volume.where(~table.is_hollow).values, table.volume.values)
    axis.set_xlabel("train accuracy minus test accuracy (points)")
    left_out = [name for name in asked if name not in there]
    title = f"no volume: {', '.join(left_out)}" if left_out else None
    style.legend_below(axis, ncols=2, handles=handles, title=title, title_fontsize=7)


def _mark(axis: Axes, one: xr.Dataset, color: Any, marker: str, size: float) -> None:
    axis.errorbar(
        one.gap.item(),
        one.volume.item(),
        one.high.item(),
        one.wide.item(),
        color=color,
        marker=marker,
        markersize=size,
        markerfacecolor="white" if one.is_hollow.item() else color,
        elinewidth=0.7,
        zorder=5 if marker == "*" else 3,
    )
