"""All solutions together against the one that training finds, as the number of examples grows."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from basins.cube.queries import own_landscape
from basins.figures import style

GROUP = "/classes"
PARTS = {"class": "all solutions", "good": "that generalize", "bad": "that do not"}


def draw(cube: xr.Dataset, threshold: float | None = None) -> Figure:
    """Draw the figure, from a cube with its group ``/classes``."""
    part = style.at_threshold(cube, threshold)
    title = (
        f"Overall and individual volume, {part.measure.item()} measure, loss < "
        f"{part.threshold.item():g}\nmean over seeds, bars: their standard deviation; individual "
        f"by {part.estimator.item()}"
    )
    if "class_log_volume" not in part:
        return style.panels(part, title, style.say_nothing_measured)
    panels: list[tuple[str, style.Panel]] = [("", _panel)]
    return style.rows_of_panels(part, title, panels, width=7.0, height=4.4)


def _panel(axis: Axes, part: xr.Dataset) -> None:
    sizes = part.landscape_size.values
    names = list(PARTS)
    palette = dict(zip(names, ("black", "tab:green", "tab:red"), strict=True))
    for name in names:
        values = part[f"{name}_log_volume"].transpose("landscape_size", "seed").values
        _bars(axis, sizes, values, palette[name], "o", PARTS[name])
        # Where no seed drew one there is a bound, and it is the largest of theirs.
        bounds = part[f"{name}_log_volume_high"].transpose("landscape_size", "seed").values
        is_bound = np.isnan(values).all(axis=1) & np.isfinite(bounds).all(axis=1)
        axis.plot(sizes[is_bound], bounds[is_bound].max(axis=1), "v", color=palette[name], mfc="w")
    own = own_landscape(part.log_volume)
    for recipe, color in zip(part.recipe.values, style.colors(part.sizes["recipe"]), strict=True):
        one = own.sel(recipe=recipe).transpose("train_size", "seed").values
        copies = part.log_copies.sel(recipe=recipe).transpose("train_size", "seed").values
        _bars(axis, part.train_size.values, one, color, "s", f"one basin ({recipe})")
        _bars(axis, part.train_size.values, one + copies, color, "D", "with its copies", ":")
    style.sizes_axis(axis, sizes, "examples")
    axis.set_ylabel("ln of the prior's share (nat)")
    style.legend_below(axis, ncols=3)


def _bars(
    axis: Axes,
    sizes: np.ndarray,
    values: np.ndarray,
    color: object,
    marker: str,
    label: str,
    line: str = "-",
) -> None:
    """Draw means over seeds, values (sizes, seeds), where any seed has one."""
    there = np.isfinite(values)
    count = there.sum(axis=1)
    chosen = count > 0
    if not chosen.any():
        return
    kept = np.where(there, values, 0.0)[chosen]
    mean = kept.sum(axis=1) / count[chosen]
    spread = np.where(there[chosen], (values[chosen] - mean[:, None]) ** 2, 0.0).sum(axis=1)
    axis.errorbar(
        sizes[chosen],
        mean,
        np.sqrt(spread / count[chosen]),
        color=color,
        marker=marker,
        linestyle=line,
        capsize=2,
        label=label,
    )
