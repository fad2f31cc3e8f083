"""Minima of three train sizes in the landscape of each: the plane through them, and all volumes."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from basins.figures import of_planes, style, volume_by_accuracy

GROUP = "/size_planes"


def draw(cube: xr.Dataset, threshold: float | None = None) -> Figure:
    """Draw volumes of all minima, and the plane of the first recipe and seed.

    From a cube with its group ``/size_planes``.
    """
    every = style.at_threshold(cube, threshold)
    part = every.isel(recipe=0, seed=0)
    title = (
        "Minima of three train sizes in three landscapes: every volume, and the plane through "
        f"three of {part.recipe.item()}\n{style.volume_words(every)}; planes: levels even in the "
        "logarithm, one scale a row, red: the threshold"
    )
    if "size_plane_loss" not in part:
        return style.panels(every, title, style.say_nothing_measured)
    sizes = part.corner_size.values
    pairs = [(model, dataset) for dataset in part.dataset.values for model in part.model.values]
    size = 3.9 * len(sizes), 7.3 * len(pairs) + 0.6
    with style.sheet(title, *size, 2 * len(pairs), len(sizes)) as (figure, axes):
        for index, (model, dataset) in enumerate(pairs):
            one = part.sel(model=model, dataset=dataset)
            levels = of_planes.levels(one.size_plane_loss.sel(landscape_size=list(sizes)))
            row = axes[2 * index * len(sizes) :]
            for axis, below, landscape in zip(row, row[len(sizes) :], sizes, strict=False):
                axis.set_title(
                    f"{model}, {dataset}: landscape of {landscape:,} examples", fontsize=9
                )
                minima = every.sel(model=model, dataset=dataset, landscape_size=landscape)
                volume_by_accuracy.panel(axis, minima)
                _panel(below, one.sel(landscape_size=landscape), levels)
    return figure


def _panel(axis: Axes, one: xr.Dataset, levels: np.ndarray) -> None:
    losses = one.size_plane_loss
    if bool(losses.isnull().any()):
        style.say_nothing_measured(axis)
        return
    half = one.size_plane_half_width.item()
    x = one.size_plane_center_x.item() + half * one.grid_x.values
    y = one.size_plane_center_y.item() + half * one.grid_y.values
    # An excess is above another loss at each of the three.
    is_loss = one.threshold_kind.item() == "loss"
    height = one.threshold.item() if is_loss else np.inf
    of_planes.contours(axis, x, y, losses.values, levels, height)
    corners = zip(
        one.corner_size.values,
        one.size_plane_corner_x.values,
        one.size_plane_corner_y.values,
        strict=True,
    )
    for (size, at_x, at_y), marker in zip(corners, style.MARKERS, strict=False):
        accuracy = 100 * one.test_accuracy.sel(train_size=size).item()
        axis.plot(at_x, at_y, marker, color="white", mec="black", markersize=7)
        axis.annotate(
            f"{size:,}: {accuracy:.1f} %",
            (at_x, at_y),
            textcoords="offset points",
            xytext=(0, 8),
            ha="center",
            fontsize=7,
            bbox={"facecolor": "white", "alpha": 0.8, "linewidth": 0, "pad": 1.5},
        )
    axis.set_xlabel("distance in the plane (units of parameters)")
