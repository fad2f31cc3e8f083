"""Log volume in each minimum's own landscape against its size, with the power-law fit."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from basins.cube.queries import own_landscape
from basins.cube.scaling import power_law
from basins.figures import style

# The fit's own, between the ends of its interval.
SLOPES = ("exponent_low", "exponent", "exponent_high")


def draw(cube: xr.Dataset, threshold: float | None = None) -> Figure:
    """Draw the figure; the band holds 90 % of fits to resampled seeds."""
    part = style.at_threshold(cube, threshold)
    fit = power_law(part)
    title = f"ln V = a ln N + b over own landscapes\n{style.volume_words(part)}"
    return style.panels(part.assign(fit.data_vars), title, _panel)


def _panel(axis: Axes, part: xr.Dataset) -> None:
    own = own_landscape(part.log_volume).transpose("train_size", "seed")
    sizes = part.train_size.values
    if not bool(own.notnull().any()):
        style.say_nothing_measured(axis)
    dark, light = style.colors(3)[:2]
    for seed in own.seed.values:
        axis.plot(sizes, own.sel(seed=seed), "o", color=dark, alpha=0.6, mew=0)
    low, exponent, high = slopes = [float(part[name]) for name in SLOPES]
    label = (
        f"a = {exponent:,.0f} [{low:,.0f}, {high:,.0f}]"
        f"\na/n = {float(part.exponent_per_parameter):.3f}"
    )
    if fit_line(axis, own, slopes, dark, light, label):
        axis.legend()
    style.sizes_axis(axis, sizes, "train size = landscape (examples)")
    axis.set_ylabel("log volume (nat)")


def fit_line(
    axis: Axes,
    values: xr.DataArray,
    slopes: Sequence[float | xr.DataArray],
    color: Any,
    band_color: Any,
    label: str | None = None,
) -> bool:
    """Draw a line fitted to values (train_size, seed) in ln N, in a band; return if there is one.

    Parameters
    ----------
    slopes
        Those of `SLOPES`, in the units of the values; NaN where there was no fit.
    """
    low, middle, high = (float(slope) for slope in slopes)
    if not np.isfinite(middle):
        return False
    there = np.isfinite(values.values)
    log_size = np.log(values.train_size.values)
    # Lines of the interval turn about the middle of the data, through which least squares goes.
    center = np.broadcast_to(log_size[:, None], there.shape)[there].mean()
    level = values.values[there].mean()
    line = np.linspace(log_size[0], log_size[-1], 50)
    ends = (level + slope * (line - center) for slope in (low, high))
    axis.fill_between(np.exp(line), *ends, color=band_color, alpha=0.25, linewidth=0)
    axis.plot(np.exp(line), level + middle * (line - center), color=color, label=label)
    return True
