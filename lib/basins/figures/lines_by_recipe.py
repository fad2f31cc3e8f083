"""The loss along random rays from minima of all recipes at once, the cleanest first."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from basins.cube.queries import generalization_gap
from basins.figures import of_planes, style

GROUP = of_planes.GROUP


def draw(cube: xr.Dataset, threshold: float | None = None) -> Figure:
    """Draw the figure at the largest train size, from a cube with its group ``/planes``."""
    part = style.at_threshold(cube, threshold).isel(train_size=[-1])
    title = (
        f"Loss along random rays from minima of {part.train_size.item():,} examples, own "
        f"landscapes, a line a ray; every filter in units of its norm\nfrom the smallest "
        f"generalization gap to the largest; dashed: {part.threshold_kind.item()} "
        f"{part.threshold.item():g}"
    )
    panels: list[tuple[str, style.Panel]] = [("", _panel)]
    return style.rows_of_panels(part, title, panels, width=9.0, height=4.6)


def _panel(axis: Axes, part: xr.Dataset) -> None:
    if "plane_loss" not in part or not bool(np.isfinite(part.plane_loss).any()):
        style.say_nothing_measured(axis)
        return
    planes = of_planes.own_planes(part).isel(train_size=0)
    bounds = of_planes.loss_range(planes)
    gap = generalization_gap(part).isel(train_size=0).mean("seed")
    recipes = part.recipe.values[np.argsort(gap.values, kind="stable")]
    for recipe, color in zip(recipes, style.colors(len(recipes)), strict=True):
        of_recipe = planes.sel(recipe=recipe)
        for line in (of_recipe.sel(y=0), of_recipe.sel(x=0)):
            # Two rays a line, one to either side of the minimum.
            along = line.transpose(..., "seed")
            axis.plot(
                abs(planes.x), np.clip(along.values, *bounds), color=color, linewidth=0.8, alpha=0.7
            )
        points = 100 * float(gap.sel(recipe=recipe))
        axis.plot([], [], color=color, label=f"{recipe} ({points:.0f} points)")
    if part.threshold_kind.item() == "loss":
        axis.axhline(part.threshold.item(), color="black", linestyle="--", linewidth=0.8)
    axis.set_yscale("log")
    axis.set_ylim(bounds[0] / 1.5, bounds[1] * 1.5)
    axis.set_xlabel("distance (norms of filters)")
    axis.set_ylabel("loss (nat)")
    style.legend_below(axis, ncols=4)
