"""How often the minimum trained on a landscape is the largest of all minima measured in it."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from basins.cube.queries import own_is_largest
from basins.figures import style


def draw(cube: xr.Dataset, threshold: float | None = None) -> Figure:
    """Draw the figure: a point a landscape, bars the exact 90 % interval over seeds."""
    part = comparable(cube, threshold)
    title = (
        "In which landscapes is the minimum that training found the largest?\n"
        f"share of seeds, exact 90 % intervals; {style.volume_words(part)}"
    )
    return style.panels(part, title, panel)


def comparable(cube: xr.Dataset, threshold: float | None = None) -> xr.Dataset:
    """Return the cube at one threshold, by default where most landscapes have minima to compare.

    Of several such thresholds it is the one nearest to the middle of the list.
    """
    if threshold is None:
        counts = own_is_largest(style.by_best_estimator(cube)).num_seeds > 0
        counts = counts.sum([dim for dim in counts.dims if dim != "threshold"])
        middle = (len(counts) - 1) // 2
        most = np.flatnonzero(counts == counts.max())
        threshold = cube.threshold.values[most[np.abs(most - middle).argmin()]]
    return style.at_threshold(cube, threshold)


def panel(axis: Axes, part: xr.Dataset) -> None:
    """Draw the shares of one model, data set and recipe."""
    found = own_is_largest(part)
    there = found.num_seeds.values > 0
    if not there.any():
        style.say_nothing_measured(axis)
        return
    rate = found.rate.values[there]
    ends = np.stack([rate - found.rate_low.values[there], found.rate_high.values[there] - rate])
    sizes = found.landscape_size.values
    axis.errorbar(
        sizes[there], rate, np.maximum(ends, 0), color=style.colors(3)[0], marker="o", capsize=3
    )
    axis.plot(sizes[there], found.chance.values[there], ":", color="gray", label="by chance")
    axis.legend()
    for size, count in zip(sizes[there], found.num_seeds.values[there], strict=True):
        axis.annotate(f"{count}", (size, -0.12), ha="center", fontsize=7, color="gray")
    # Room below 0, where no bar is.
    axis.set_ylim(-0.16, 1.05)
    style.sizes_axis(axis, sizes, "landscape (examples); grey: seeds")
    axis.set_ylabel("share of seeds")
