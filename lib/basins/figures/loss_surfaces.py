"""The loss over a random plane through a minimum as a surface, one scale for all minima."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from basins.figures import of_planes, style

GROUP = of_planes.GROUP


def draw(cube: xr.Dataset, threshold: float | None = None) -> Figure:
    """Draw the figure, from a cube with what its group ``/planes`` holds.

    `threshold` only has to be one of the cube's.
    """
    part = style.at_threshold(cube, threshold)
    title = (
        "Loss over a random plane through a minimum, in the landscape it was trained in\n"
        "height: nat, logarithmic, one scale for all; axes in norms of filters; first seed"
    )
    if "plane_loss" not in part:
        return style.panels(part, title, style.say_nothing_measured)
    bounds = of_planes.loss_range(of_planes.own_planes(part))
    ways = style.by_size(part, _panel, bounds=bounds)
    return style.panels(part, title, ways, width=3.8, height=3.6, projection="3d")


def _panel(axis: Axes, part: xr.Dataset, size: int, bounds: tuple[float, float]) -> None:
    losses = part.plane_loss.sel(train_size=size, landscape_size=size).isel(seed=0)
    if bool(losses.isnull().any()):
        style.say_nothing_measured(axis)
        return
    surface(axis, losses, bounds)


def surface(axis: Axes, losses: xr.DataArray, bounds: tuple[float, float]) -> None:
    """Draw losses (y, x) as a surface over the plane, whose height ends at the bounds."""
    solid: Any = axis  # of three dimensions
    low, high = np.log10(bounds)
    x, y = np.meshgrid(losses.x.values, losses.y.values)
    height = np.log10(np.clip(losses.values, *bounds))
    solid.plot_surface(
        x, y, height, cmap="viridis", vmin=low, vmax=high, rcount=60, ccount=60, linewidth=0
    )
    solid.set_zlim(low, high)
    ticks = np.arange(np.ceil(low), np.floor(high) + 1)
    solid.set_zticks(ticks, [f"$10^{{{int(tick)}}}$" for tick in ticks])
    solid.set_xticks([losses.x.values[0], 0, losses.x.values[-1]])
    solid.set_yticks([losses.y.values[0], 0, losses.y.values[-1]])
    solid.tick_params(labelsize=7, pad=0)
