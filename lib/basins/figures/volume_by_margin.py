"""The sharp task: how often training solves it, and how large solutions are, against the margin."""

import math
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import binomtest

from basins.cube.queries import own_landscape
from basins.datasets.circles import GAPS
from basins.figures import style
from basins.study.resolve import is_thin_circles, margin_of
from basins.volume.intervals import PROBABILITY

SOLVED = 0.99  # accuracy on test points, beside all training points right


def draw(cube: xr.Dataset, threshold: float | None = None) -> Figure:
    """Draw the figure at the largest train size, a row a model; other data sets are left out."""
    part = style.at_threshold(cube, threshold).isel(train_size=[-1])
    names = sorted(filter(is_thin_circles, map(str, part.dataset.values)), key=margin_of)
    part = part.sel(dataset=names).assign_coords(margin=("dataset", list(map(margin_of, names))))
    title = (
        f"Thin rings, {part.train_size.item():,} examples; solved: all of them right, and "
        f"{100 * SOLVED:g} % of test points (hollow: not)\n{style.volume_words(part)}"
    )
    models = part.model.values
    size = 8.4, 3.9 * len(models) + 0.5
    with style.sheet(title, *size, rows=len(models), columns=2) as (figure, axes):
        for model, left, right in zip(models, axes[::2], axes[1::2], strict=True):
            one = part.sel(model=model)
            left.set_title(f"{model}: seeds that solve it, 90 % intervals")
            _rates(left, one)
            right.set_title(f"{model}: volumes, a mark a seed")
            _volumes(right, one)
    return figure


def is_solution(cube: xr.Dataset) -> xr.DataArray:
    """Tell which minima solve the task: every training point, and nearly every test point."""
    found: xr.DataArray = (cube.train_accuracy == 1) & (cube.test_accuracy >= SOLVED)
    return found


def _rates(axis: Axes, part: xr.Dataset) -> None:
    part = part.isel(train_size=0)
    if not bool(part.test_accuracy.notnull().any()):
        style.say_nothing_measured(axis)
        return
    for index, recipe in enumerate(part.recipe.values):
        one = part.sel(recipe=recipe)
        trials = one.test_accuracy.notnull().sum("seed").values
        solved = is_solution(one).sum("seed").values
        rate = np.where(trials > 0, solved / np.maximum(trials, 1), np.nan)
        low, high = np.transpose([_interval(k, n) for k, n in zip(solved, trials, strict=True)])
        axis.errorbar(
            _beside(part, index),
            100 * rate,
            100 * np.stack([rate - low, high - rate]),
            capsize=2,
            elinewidth=0.8,
            label=recipe,
            **_look(part, index),
        )
    axis.set_ylim(-4, 104)
    axis.set_ylabel("solved (%)")
    _finish(axis, part)


def _interval(solved: int, trials: int) -> tuple[float, float]:
    """Return the exact interval of a rate (Clopper, Pearson 1934), NaN where nobody tried."""
    if not trials:
        return math.nan, math.nan
    found = binomtest(int(solved), int(trials)).proportion_ci(PROBABILITY, method="exact")
    return found.low, found.high


def _volumes(axis: Axes, part: xr.Dataset) -> None:
    values = (own_landscape(part.log_volume) / math.log(10)).isel(train_size=0)
    solved = values.where(is_solution(part).isel(train_size=0))
    if not bool(values.notnull().any()):
        style.say_nothing_measured(axis)
        return
    for index, recipe in enumerate(part.recipe.values):
        look, x = _look(part, index), _beside(part, index)
        marks = look | {"linestyle": "none"}
        for shown, fill in ((values.where(solved.isnull()), "white"), (solved, look["color"])):
            seeds = shown.sel(recipe=recipe).transpose("dataset", "seed").values
            axis.plot(x, seeds, **marks, markerfacecolor=fill)
        means = solved.sel(recipe=recipe).mean("seed").values
        axis.plot(x, means, **look | {"marker": ""}, label=f"{recipe}, mean of solved")
    if part.model.item() == "sharp-rings":
        _law(axis, part.margin.values, solved.mean(["recipe", "seed"]).values)
    axis.set_ylabel(f"log10 of the volume by {part.estimator.item()}")
    _finish(axis, part)


def _law(axis: Axes, margins: np.ndarray, means: np.ndarray) -> None:
    """Draw the law of `basins.models.sharp_rings`, whose constant is that of the widest margin."""
    is_there = np.isfinite(means)
    if not is_there.any():
        return
    widest = np.flatnonzero(is_there)[-1]
    law = means[widest] + len(GAPS) * np.log10(margins / margins[widest])
    axis.plot(margins, law, ":", color="black", label=f"margin to the power of {len(GAPS)}")


def _beside(part: xr.Dataset, index: int) -> np.ndarray:
    """Return where a recipe's marks stand: beside the others' on a logarithmic axis."""
    shift = index - (part.sizes["recipe"] - 1) / 2
    return np.asarray(part.margin.values * 1.06**shift)


def _look(part: xr.Dataset, index: int) -> dict[str, Any]:
    return {
        "color": style.colors(part.sizes["recipe"])[index],
        "marker": style.MARKERS[index % len(style.MARKERS)],
        "linestyle": style.LINES[index % len(style.LINES)],
    }


def _finish(axis: Axes, part: xr.Dataset) -> None:
    style.sizes_axis(axis, part.margin.values, "margin between classes")
    style.legend_below(axis)
