"""Accuracy, curvature and sharpness of each recipe, from the noisiest to the quietest."""

from collections.abc import Callable

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from basins.cube.queries import own_landscape
from basins.figures import style
from basins.figures.of_recipes import by_noise

# What a panel draws: name and values of a line.
Series = list[tuple[str, xr.DataArray]]


def draw(cube: xr.Dataset, threshold: float | None = None) -> Figure:
    """Draw the figure at the largest train size; `threshold` only has to be one of the cube's."""
    part = style.at_threshold(cube, threshold).isel(train_size=-1)
    title = (
        f"{part.train_size.item():,} examples, own landscapes; lines join recipes that differ in "
        "the batch alone, from the largest noise scale to the smallest\na mark a seed, large: "
        "geometric mean over seeds (of accuracies the mean)"
    )
    panels: list[tuple[str, style.Panel]] = [
        ("accuracy", _panel(_accuracies, "accuracy (%)", is_log=False)),
        ("curvature", _panel(_norms, "spectral norm of the Hessian", is_log=True)),
        ("sharpness", _panel(_sharpness, "sharpness in a box (%)", is_log=True)),
    ]
    return style.rows_of_panels(part, title, panels, width=4.4, height=3.8)


def _panel(series: Callable[[xr.Dataset], Series], label: str, is_log: bool) -> style.Panel:
    def drawn(axis: Axes, part: xr.Dataset) -> None:
        groups, shown = by_noise(part), series(part)
        recipes = [name for group in groups for name in group]
        for index, (name, variable) in enumerate(shown):
            values = variable.sel(recipe=recipes).transpose("recipe", "seed").values
            values = np.where(np.isfinite(values) & ((values > 0) | (not is_log)), values, np.nan)
            place = np.arange(len(recipes)) + 0.1 * (index - (len(shown) - 1) / 2)
            color = style.colors(len(shown))[index]
            marker = style.MARKERS[index % len(style.MARKERS)]
            axis.plot(place, values, marker, color=color, markersize=3, alpha=0.6)
            mean = np.exp(np.log(values).mean(axis=1)) if is_log else values.mean(axis=1)
            line = style.LINES[index % len(style.LINES)]
            first = 0
            for group in groups:
                run = slice(first, first + len(group))
                axis.plot(place[run], mean[run], line, color=color, marker=marker)
                first += len(group)
            axis.plot([], [], line, color=color, marker=marker, label=name)
        axis.set_xticks(range(len(recipes)), recipes, rotation=45, ha="right")
        axis.set_xlim(-0.5, len(recipes) - 0.5)
        axis.set_ylabel(label)
        if not any(np.isfinite(variable.values).any() for _, variable in shown):
            style.say_nothing_measured(axis)
            return
        if is_log:
            axis.set_yscale("log")
        axis.legend()

    return drawn


def _accuracies(part: xr.Dataset) -> Series:
    return [
        ("training set", 100 * part.train_accuracy),
        ("test set", 100 * part.test_accuracy),
    ]


def _norms(part: xr.Dataset) -> Series:
    if "spectral_norm" not in part:
        return []
    return [
        ("training loss", own_landscape(part.spectral_norm)),
        ("test loss", part.test_spectral_norm),
    ]


def _sharpness(part: xr.Dataset) -> Series:
    if "sharpness_box" not in part:
        return []
    return [
        (f"epsilon {size:g}, {how}", own_landscape(part[name].sel(box_size=size)))
        for size in part.box_size.values
        for name, how in (
            ("sharpness_box", "published maximizer"),
            ("sharpness_box_ascent", "ascent with restarts"),
        )
    ]
