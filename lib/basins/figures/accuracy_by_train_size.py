"""Test accuracy against train size."""

import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from basins.figures import style


def draw(cube: xr.Dataset, threshold: float | None = None) -> Figure:
    """Draw the figure; `threshold` only has to be one of the cube's."""
    part = style.at_threshold(cube, threshold)
    return style.panels(part, "Accuracy against train size (mean and deviation of seeds)", _panel)


def _panel(axis: Axes, part: xr.Dataset) -> None:
    sizes = part.train_size.values
    dark, light = style.colors(3)[:2]
    for name, color, marker, line in (
        ("train", light, "s", "--"),
        ("test", dark, "o", "-"),
    ):
        values = part[f"{name}_accuracy"].transpose("train_size", "seed").values
        style.band(
            axis, sizes, 100 * values, color=color, marker=marker, linestyle=line, label=name
        )
    style.sizes_axis(axis, sizes, "train size (examples)")
    axis.set_ylabel("accuracy (%)")
    axis.legend()
