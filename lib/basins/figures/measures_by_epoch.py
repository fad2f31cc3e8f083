"""Accuracy, volume and curvature along training: of minima at epochs, and where training ended."""

import math

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from basins.cube.queries import own_landscape
from basins.figures import style
from basins.study.jobs import parse_recipe_label
from basins.study.transform import epoch_of


def draw(cube: xr.Dataset, threshold: float | None = None) -> Figure:
    """Draw the figure at the largest train size, of every recipe measured on its way."""
    part = style.at_threshold(cube, threshold).isel(train_size=-1)
    title = (
        f"Along training on {part.train_size.item():,} examples, own landscapes: mean of "
        f"{part.sizes['seed']} seeds, band: a standard deviation\n{style.volume_words(part)}"
    )
    panels: list[tuple[str, style.Panel]] = [
        ("accuracy", _accuracy),
        ("volume", _volume),
        ("curvature", _curvature),
    ]
    return style.rows_of_panels(part, title, panels, width=4.4, height=3.8)


def on_the_way(cube: xr.Dataset) -> dict[str, list[str]]:
    """Return the recipes measured at epochs, each with its labels in order of these, the end last.

    Examples
    --------
    >>> on_the_way(xr.Dataset(coords={"recipe": ["a", "a@epoch:10", "a@epoch:2", "b"]}))
    {'a': ['a@epoch:2', 'a@epoch:10', 'a']}
    """
    found: dict[str, dict[float, str]] = {}
    for label in map(str, cube.recipe.values):
        recipe, transform = parse_recipe_label(label)
        epoch = epoch_of(transform)
        if epoch is not None:
            found.setdefault(recipe, {})[epoch] = label
    return {
        recipe: [labels[epoch] for epoch in sorted(labels)] + [recipe]
        for recipe, labels in found.items()
    }


def _accuracy(axis: Axes, part: xr.Dataset) -> None:
    _lines(axis, part, {"train": 100 * part.train_accuracy, "test": 100 * part.test_accuracy})
    axis.set_ylabel("accuracy (%)")


def _volume(axis: Axes, part: xr.Dataset) -> None:
    _lines(axis, part, {"": own_landscape(part.log_volume) / math.log(10)})
    axis.set_ylabel(f"log10 of the volume by {part.estimator.item()}")


def _curvature(axis: Axes, part: xr.Dataset) -> None:
    if "spectral_norm" not in part:
        style.say_nothing_measured(axis)
        return
    _lines(axis, part, {"": own_landscape(part.spectral_norm)})
    axis.set_yscale("log")
    axis.set_ylabel("spectral norm of the Hessian")


def _lines(axis: Axes, part: xr.Dataset, series: dict[str, xr.DataArray]) -> None:
    """Draw values against the epochs that were trained, a line a recipe and name."""
    every = [(recipe, name) for recipe in on_the_way(part) for name in series]
    is_any = False
    for index, (recipe, name) in enumerate(every):
        labels = on_the_way(part)[recipe]
        values = series[name].sel(recipe=labels).transpose("recipe", "seed").values
        # Of seeds that stopped earlier the same minimum stands at its last epoch.
        epochs = part.epochs.sel(recipe=labels).transpose("recipe", "seed").values.max(axis=1)
        is_any = is_any or bool(np.isfinite(values).any())
        color = style.colors(len(every))[index]
        style.band(
            axis,
            epochs,
            values,
            color=color,
            linestyle=style.LINES[index % len(style.LINES)],
            marker=style.MARKERS[index % len(style.MARKERS)],
            label=f"{recipe} {name}".strip(),
        )
    axis.set_xscale("symlog", linthresh=1)
    axis.set_xlabel("epochs")
    if not is_any:
        style.say_nothing_measured(axis)
        return
    axis.legend()
