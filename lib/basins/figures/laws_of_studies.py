"""Power laws of several studies side by side, by every estimator."""

from collections.abc import Iterator, Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from basins.cube.queries import own_landscape
from basins.cube.scaling import PUBLISHED, power_law, with_published
from basins.figures import style

# Drawn and named, in this order; importance is rays weighted.
WORDS = {PUBLISHED: "published style", "rays": "rays", "annealed": "calibrated"}


def draw(cubes: Sequence[xr.Dataset], threshold: float | None = None) -> Figure:
    """Draw a panel for each model, data set and recipe of each cube."""
    parts = [part for cube in cubes for part in _parts(style.only_threshold(cube, threshold))]
    columns = min(style.MOST_COLUMNS, len(parts))
    rows = -(-len(parts) // columns)
    title = (
        "ln V = a ln N + b over own landscapes, by estimator: volumes less those of the fewest "
        "examples, in nats a parameter\nlines: fits; bands: 90 % intervals over seeds and volumes' "
        "own errors"
    )
    size = max(3.9 * columns, 8.6), 3.8 * rows + 0.6
    with style.sheet(title, *size, rows, columns) as (figure, axes):
        for axis, part in zip(axes, parts, strict=False):
            axis.set_title(
                f"{part.model.item()} on {part.dataset.item()}, {part.recipe.item()}\n"
                f"n = {part.num_parameters.item():,}, {part.threshold_kind.item()} < "
                f"{part.threshold.item():g}, {part.volume_coordinates.item()} coordinates"
            )
            _panel(axis, part)
        for axis in axes[len(parts) :]:
            axis.remove()
    return figure


def _parts(cube: xr.Dataset) -> Iterator[xr.Dataset]:
    volumes = with_published(cube)
    fitted = volumes.assign(power_law(volumes).data_vars)
    for dataset in cube.dataset.values:
        for model in cube.model.values:
            for recipe in cube.recipe.values:
                yield fitted.sel(dataset=dataset, model=model, recipe=recipe)


def _panel(axis: Axes, part: xr.Dataset) -> None:
    sizes = part.train_size.values
    palette = dict(zip(WORDS, style.colors(len(WORDS)), strict=True))
    names = [name for name in WORDS if name in part.estimator.values]
    is_empty = True
    for name in names:
        one = part.sel(estimator=name)
        own = own_landscape(one.log_volume).transpose("train_size", "seed")
        means = own.mean("seed").dropna("train_size")
        if not means.size:
            continue
        is_empty = False
        scale = one.num_parameters.item()
        marker = style.MARKERS[list(WORDS).index(name)]
        values = (own - means[0]) / scale
        axis.plot(sizes, values, marker, color=palette[name], alpha=0.6, mew=0)
        label = WORDS[name]
        exponent = one.exponent.item()
        if np.isfinite(exponent):
            low, high = one.exponent_low.item() / scale, one.exponent_high.item() / scale
            label += f": a/n = {exponent / scale:.3f} [{low:.3f}, {high:.3f}]"
            line = np.geomspace(sizes[0], sizes[-1], 50)
            there = np.isfinite(own.values)
            center = np.log(np.broadcast_to(sizes[:, None], own.shape)[there]).mean()
            level = (exponent * center + one.intercept.item() - means[0].item()) / scale
            run = np.log(line) - center
            axis.fill_between(
                line,
                *(level + end * run for end in (low, high)),
                color=palette[name],
                alpha=0.2,
                linewidth=0,
            )
            axis.plot(line, level + exponent / scale * run, color=palette[name])
        axis.plot([], [], marker, color=palette[name], linestyle="-", label=label)
    if is_empty:
        style.say_nothing_measured(axis)
    else:
        style.legend_below(axis, ncols=1)
    style.sizes_axis(axis, sizes, "")
    axis.set_ylabel("change of ln V (nat / parameter)")
