"""The loss along lines through a minimum: both axes of its random plane, every seed."""

import functools

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
        "Loss along random lines through minima, in the landscape each was trained in\n"
        f"every filter in units of its norm; two lines a seed; dashed: "
        f"{part.threshold_kind.item()} {part.threshold.item():g}"
    )
    if "plane_loss" not in part:
        return style.panels(part, title, style.say_nothing_measured)
    bounds = of_planes.loss_range(of_planes.own_planes(part))
    return style.panels(part, title, functools.partial(_panel, bounds=bounds))


def _panel(axis: Axes, part: xr.Dataset, bounds: tuple[float, float]) -> None:
    planes = of_planes.own_planes(part)
    sizes = planes.train_size.values
    if not bool(np.isfinite(planes).any()):
        style.say_nothing_measured(axis)
        return
    for size, color in zip(sizes, style.colors(len(sizes)), strict=True):
        of_size = planes.sel(train_size=size)
        for line in (of_size.sel(y=0), of_size.sel(x=0)):
            values = np.clip(line.transpose(..., "seed").values, *bounds)
            axis.plot(planes.x, values, color=color, linewidth=0.8, alpha=0.8)
        axis.plot([], [], color=color, label=f"{size:,}")
    if part.threshold_kind.item() == "loss":
        axis.axhline(part.threshold.item(), color="black", linestyle="--", linewidth=0.8)
    axis.set_yscale("log")
    axis.set_ylim(bounds[0] / 1.5, bounds[1] * 1.5)
    axis.set_xlabel("distance (norms of filters)")
    axis.set_ylabel("loss (nat)")
    axis.legend(title="train size", title_fontsize=7.5)
