"""Log volume in each minimum's own landscape against its size, with the power-law fit."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from basins.cube.queries import own_landscape
from basins.cube.scaling import power_law
from basins.figures import style


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
    exponent = float(part.exponent)
    if np.isfinite(exponent):
        line = np.geomspace(sizes[0], sizes[-1], 50)
        # Lines of the interval turn about the middle of the data, where the fit is surest.
        center = np.log(np.broadcast_to(sizes[:, None], own.shape)[np.isfinite(own.values)]).mean()
        level = exponent * center + float(part.intercept)
        low, high = (
            level + float(part[name]) * (np.log(line) - center)
            for name in ("exponent_low", "exponent_high")
        )
        axis.fill_between(line, low, high, color=light, alpha=0.3, linewidth=0)
        low_end, high_end = float(part.exponent_low), float(part.exponent_high)
        label = (
            f"a = {exponent:,.0f} [{low_end:,.0f}, {high_end:,.0f}]"
            f"\na/n = {float(part.exponent_per_parameter):.3f}"
        )
        axis.plot(line, level + exponent * (np.log(line) - center), color=dark, label=label)
        axis.legend()
    style.sizes_axis(axis, sizes, "train size = landscape (examples)")
    axis.set_ylabel("log volume (nat)")
