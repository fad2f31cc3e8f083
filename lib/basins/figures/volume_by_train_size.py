"""Log volume against train size, one line a landscape, seeds as bands."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from basins.figures import style


def draw(cube: xr.Dataset, threshold: float | None = None) -> Figure:
    """Draw the figure; a ring marks the minimum trained in the landscape it is measured in."""
    part = style.at_threshold(cube, threshold)
    title = f"Log volume against train size\n{style.volume_words(part)}"
    return style.panels(part, title, _panel)


def _panel(axis: Axes, part: xr.Dataset) -> None:
    sizes = part.train_size.values
    volume = part.log_volume.transpose("landscape_size", "train_size", "seed")
    if not bool(volume.notnull().any()):
        style.say_nothing_measured(axis)
        return
    landscapes = part.landscape_size.values
    for index, (landscape, color) in enumerate(
        zip(landscapes, style.colors(len(landscapes)), strict=True)
    ):
        values = volume.sel(landscape_size=landscape)
        style.band(
            axis,
            sizes,
            values.values,
            color=color,
            marker=style.MARKERS[index % len(style.MARKERS)],
            linestyle=style.LINES[index % len(style.LINES)],
            label=f"{landscape:,}",
        )
        if landscape in sizes:
            own = float(values.sel(train_size=landscape).mean(skipna=False))
            if np.isfinite(own):
                axis.plot(landscape, own, "o", ms=10, mfc="none", mec="black", mew=1.0, zorder=5)
    style.sizes_axis(axis, sizes, "train size (examples)")
    axis.set_ylabel("log volume (nat)")
    axis.legend(title="landscape (examples)", ncols=2, title_fontsize=7.5)
