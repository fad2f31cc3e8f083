"""Log volume in the smallest landscape against test accuracy, a point a minimum."""

import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from basins.figures import style


def draw(cube: xr.Dataset, threshold: float | None = None) -> Figure:
    """Draw the figure; minima that are not in a basin of that landscape are left out."""
    part = style.at_threshold(cube, threshold).isel(landscape_size=0)
    title = (
        f"Log volume in the landscape of {part.landscape_size.item():,} examples against test "
        f"accuracy\n{style.volume_words(part)}"
    )
    return style.panels(part, title, panel)


def panel(axis: Axes, part: xr.Dataset) -> None:
    """Draw the minima of one landscape, coloured by train size; several recipes together."""
    if not bool(part.log_volume.notnull().any()):
        style.say_nothing_measured(axis)
    sizes = part.train_size.values
    for index, (size, color) in enumerate(zip(sizes, style.colors(len(sizes)), strict=True)):
        minima = part.sel(train_size=size)
        minima = minima.stack(minimum=minima.log_volume.dims)
        axis.errorbar(
            100 * minima.test_accuracy,
            minima.log_volume,
            yerr=minima.log_volume_stderr,
            color=color,
            marker=style.MARKERS[index % len(style.MARKERS)],
            linestyle="none",
            elinewidth=0.8,
            label=f"{size:,}",
        )
    axis.locator_params(axis="x", nbins=6)
    axis.set_xlabel("test accuracy (%)")
    axis.set_ylabel("log volume (nat)")
    axis.legend(title="train size", ncols=2, title_fontsize=7.5)
