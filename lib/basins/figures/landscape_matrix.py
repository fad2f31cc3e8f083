"""Landscape by train size: how much smaller each minimum is than its landscape's largest."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from basins.figures import style


def draw(cube: xr.Dataset, threshold: float | None = None) -> Figure:
    """Draw the figure; a frame marks the minimum trained in the row's landscape."""
    part = style.at_threshold(cube, threshold)
    title = (
        "Log volume (nat, mean over seeds) below the largest minimum of each landscape\n"
        + style.volume_words(part)
    )
    return style.panels(part, title, _panel, height=3.6)


def _panel(axis: Axes, part: xr.Dataset) -> None:
    mean = part.log_volume.mean("seed", skipna=False).transpose("landscape_size", "train_size")
    relative = (mean - mean.max("train_size")).values
    axis.grid(visible=False)
    axis.set_facecolor("0.85")
    axis.imshow(relative, cmap="cividis", aspect="auto")
    middle = np.nanmin(relative) / 2 if np.isfinite(relative).any() else 0
    for (row, column), value in np.ndenumerate(relative):
        shown = "n/a" if np.isnan(value) else "largest" if value == 0 else f"{value:,.0f}"
        color = "black" if np.isnan(value) or value > middle else "white"
        weight = "bold" if value == 0 else "normal"
        axis.text(
            column, row, shown, ha="center", va="center", color=color, fontsize=7, weight=weight
        )
    landscapes, sizes = part.landscape_size.values, part.train_size.values
    for row, landscape in enumerate(landscapes):
        for column in np.flatnonzero(sizes == landscape):
            axis.add_patch(
                Rectangle(
                    (column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor="red", linewidth=1.8
                )
            )
    axis.set_xticks(range(len(sizes)), [f"{size:,}" for size in sizes], rotation=45)
    axis.set_yticks(range(len(landscapes)), [f"{size:,}" for size in landscapes])
    axis.set_xlabel("train size (examples)")
    axis.set_ylabel("landscape (examples)")
