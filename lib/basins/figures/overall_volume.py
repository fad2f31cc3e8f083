"""All solutions together against the one that training finds, as the number of examples grows."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from basins.cube.class_table import CLASS_STATUS
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
        f"by {part.estimator.item()};\nhollow: not converged; with its copies where they are apart"
    )
    if "class_log_volume" not in part:
        return style.panels(part, title, style.say_nothing_measured)
    panels: list[tuple[str, style.Panel]] = [("", _panel)]
    return style.rows_of_panels(part, title, panels, width=7.0, height=4.4)


def _panel(axis: Axes, part: xr.Dataset) -> None:
    sizes = part.landscape_size.values
    names = list(PARTS)
    palette = dict(zip(names, ("silver", "tab:green", "tab:red"), strict=True))
    for name in names:
        values = part[f"{name}_log_volume"].transpose("landscape_size", "seed").values
        # What all solutions have lies under what others share with it.
        _bars(
            axis,
            sizes,
            values,
            palette[name],
            "o",
            PARTS[name],
            width=6 if name == "class" else 1.5,
        )
        # Where no seed drew one there is a bound, and it is the largest of theirs.
        bounds = part[f"{name}_log_volume_high"].transpose("landscape_size", "seed").values
        is_bound = np.isnan(values).all(axis=1) & np.isfinite(bounds).all(axis=1)
        if is_bound.any():
            axis.plot(
                sizes[is_bound],
                bounds[is_bound].max(axis=1),
                "v",
                color=palette[name],
                mfc="w",
                label=f"{PARTS[name]}, at most",
            )
    is_guess = part.class_status == CLASS_STATUS.index("not_converged")
    doubtful = part.class_log_volume.mean("seed").where(is_guess.any("seed"))
    axis.plot(sizes, doubtful.values, "o", color="silver", ms=9, mew=2, mfc="w", zorder=5)
    own = own_landscape(part.log_volume)
    is_sure = part.class_status == CLASS_STATUS.index("calibrated")
    most = part.class_log_volume_high.where(is_sure).sel(landscape_size=part.train_size)
    for recipe, color in zip(part.recipe.values, style.colors(part.sizes["recipe"]), strict=True):
        one = own.sel(recipe=recipe).transpose("train_size", "seed")
        # Copies that together exceed all solutions are joined: the basin holds some of them.
        many = (one + part.log_copies.sel(recipe=recipe)).where(lambda all_of: all_of <= most)
        _bars(axis, part.train_size.values, one.values, color, "s", f"one basin ({recipe})")
        apart = many.transpose("train_size", "seed").values
        _bars(axis, part.train_size.values, apart, color, "D", "with its copies", line=":")
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
    width: float = 1.5,
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
        linewidth=width,
        markersize=3 + width,
        elinewidth=1.5,
        capsize=2,
        label=label,
    )
