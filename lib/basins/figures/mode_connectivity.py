"""Loss, error and volume along the straight line and trained curves between two minima."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from basins.figures import style

GROUP = "/curves"
WORDS = {"line": "straight line", "bezier": "Bezier curve", "polygon": "polygon"}
LOWER_BOUND = 2  # of the flag curve_volume_status


def draw(cube: xr.Dataset, threshold: float | None = None) -> Figure:
    """Draw the figure at the largest train size, from a cube with its group ``/curves``."""
    part = style.at_threshold(cube, threshold)
    bound = f"{part.threshold_kind.item()} < {part.threshold.item():g}"
    if "curve_loss" not in part:
        return style.panels(part, "Curves between minima", style.say_nothing_measured)
    part = part.isel(train_size=-1)
    # Each curve in the landscape that it was trained in.
    part = part.sel(landscape_size=part.train_size.item())
    rows = [("loss (nat)", _losses), ("test error (%)", _errors)]
    words = ""
    if "curve_log_volume" in part:
        rows.append(("log volume (nat)", _volumes))
        is_bound = bool((part.curve_volume_status == LOWER_BOUND).any())
        words = (
            f"\nbelow: volume around points of the curve by rays{', lower bounds' * is_bound}; "
            f"{part.volume_coordinates.item()} coordinates of each point, {part.measure.item()} "
            f"measure, {bound}; no mark: the point is above"
        )
    title = (
        f"Curves between minima of {part.train_size.item():,} examples, one line a seed, in the "
        f"landscape of these examples\nbends trained to lower the mean loss along a curve{words}"
    )
    columns = [
        part.sel(model=model, dataset=dataset, pair=pair)
        for dataset in part.dataset.values
        for model in part.model.values
        for pair in part.pair.values
    ]
    count = len(columns)
    size = max(3.6 * count, 7.2), 2.7 * len(rows) + 0.9
    with style.sheet(title, *size, len(rows), count, "all", "row") as (figure, axes):
        for index, column in enumerate(columns):
            pair = column.pair.item()
            axes[index].set_title(f"{column.model.item()} on {column.dataset.item()}\n{pair}")
            for row, (label, panel) in enumerate(rows):
                axis = axes[row * count + index]
                panel(axis, column)
                if not index:
                    axis.set_ylabel(label)
            axis.set_xlabel("position t")
        handles, labels = axes[0].get_legend_handles_labels()
        if handles:
            figure.legend(handles, labels, loc="outside lower center", ncols=len(handles))
    return figure


def _losses(axis: Axes, part: xr.Dataset) -> None:
    axis.set_yscale("log")
    if part.threshold_kind.item() == "loss":
        axis.axhline(part.threshold.item(), color="black", linestyle=":", linewidth=0.8)
    _lines(axis, part.curve_loss)


def _errors(axis: Axes, part: xr.Dataset) -> None:
    _lines(axis, 100 * part.curve_test_error)


def _volumes(axis: Axes, part: xr.Dataset) -> None:
    _lines(axis, part.curve_log_volume, marker="o", markersize=3, linewidth=0.8)


def _lines(axis: Axes, values: xr.DataArray, **look: Any) -> None:
    """Draw values along every curve, a colour a kind and a line a seed; infinite ones are gaps."""
    if not bool(np.isfinite(values).any()):
        style.say_nothing_measured(axis)
        return
    (along,) = {"position", "volume_position"} & set(values.dims)
    for index, (kind, label) in enumerate(WORDS.items()):
        color, dashes = style.colors(len(WORDS))[index], style.LINES[index]
        for seed in values.seed.values:
            one = values.sel(kind=kind, seed=seed)
            drawn = one.where(np.isfinite(one)).values
            axis.plot(values[along], drawn, dashes, color=color, alpha=0.85, label=label, **look)
            # One name for all seeds.
            label = "_"
