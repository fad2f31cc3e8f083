"""Contours of the loss in a random plane through a minimum, every filter in units of its norm."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from basins.figures import of_planes, style

GROUP = of_planes.GROUP


def draw(cube: xr.Dataset, threshold: float | None = None) -> Figure:
    """Draw the figure, from a cube with what its group ``/planes`` holds."""
    part = style.at_threshold(cube, threshold)
    title = (
        "Loss in a random plane through a minimum, in the landscape it was trained in\n"
        f"one scale for all, levels even in the logarithm; first seed; red: "
        f"{part.threshold_kind.item()} {part.threshold.item():g}"
    )
    if "plane_loss" not in part:
        return style.panels(part, title, style.say_nothing_measured)
    levels = of_planes.levels(of_planes.own_planes(part))
    ways = style.by_size(part, _panel, levels=levels)
    return style.panels(part, title, ways, width=3.6, height=3.3)


def _panel(axis: Axes, part: xr.Dataset, size: int, levels: np.ndarray) -> None:
    one = part.sel(train_size=size).isel(seed=0)
    losses = one.plane_loss.sel(landscape_size=size)
    if bool(losses.isnull().any()):
        style.say_nothing_measured(axis)
        return
    own = float(losses.sel(x=0, y=0))
    contours(axis, losses, levels, of_planes.bound(part, part.threshold.item(), own))
    axis.text(
        0.03,
        0.03,
        f"{own:.2g} to {losses.max().item():.2g} nat",
        transform=axis.transAxes,
        fontsize=7,
        bbox={"facecolor": "white", "alpha": 0.8, "linewidth": 0},
    )


def contours(axis: Axes, losses: xr.DataArray, levels: np.ndarray, height: float) -> None:
    """Draw losses (y, x) between levels, red where they are `height`, a cross at the minimum."""
    x, y = losses.x.values, losses.y.values
    of_planes.contours(axis, x, y, losses.values, levels, height)
    axis.plot(0, 0, "+", color="white")
    axis.set_xlabel("first direction (filter norms)")
    axis.set_ylabel("second direction")
