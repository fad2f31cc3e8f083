"""One look for all figures: a panel a model, data set and recipe; colours that print."""

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import product
from typing import Any, Literal

import numpy as np
import xarray as xr
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Colormap
from matplotlib.figure import Figure
from matplotlib.pyplot import get_cmap
from matplotlib.ticker import NullLocator

MARKERS = "osD^vP*Xhp<>"
LINES = ("-", "--", "-.", ":")
SETTINGS: dict[Any, Any] = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "legend.fontsize": 7.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "lines.linewidth": 1.4,
    "lines.markersize": 4.5,
    "pdf.fonttype": 42,
    "svg.hashsalt": "basins",
}

MOST_COLUMNS = 3  # panels side by side
LETTERS_BELOW = 6.5  # that ticks and their label take
MOST_BEYOND = 3  # of so many marks one may be outside of the panel

Panel = Callable[[Axes, xr.Dataset], None]
Shared = Literal["row", "all", "none"]  # which panels have an axis in common


@contextmanager
def look() -> Iterator[None]:
    """Draw with the project's settings, without touching anyone else's."""
    with rc_context(SETTINGS):
        yield


@contextmanager
def sheet(
    title: str,
    width: float,
    height: float,
    rows: int = 1,
    columns: int = 1,
    sharex: Shared = "none",
    sharey: Shared = "none",
    projection: Literal["3d"] | None = None,
) -> Iterator[tuple[Figure, list[Axes]]]:
    """Give a figure of `width` by `height` inches and its axes, row by row, in the common look."""
    with look():
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(
            rows,
            columns,
            squeeze=False,
            sharex=sharex,
            sharey=sharey,
            subplot_kw={"projection": projection},
        )
        figure.suptitle(title, fontsize=9.5, wrap=True)
        yield figure, list(axes.ravel())


def colors(count: int) -> list[tuple[float, float, float, float]]:
    """Return `count` colours, ordered from dark to light, that survive grey print."""
    palette: Colormap = get_cmap("viridis")
    return [palette(share) for share in np.linspace(0, 0.88, max(count, 2))][:count]


def triples_of(cube: xr.Dataset) -> list[xr.Dataset]:
    """Return the part of a cube of each model, data set and recipe, in the order of panels."""
    return [
        cube.sel(model=model, dataset=dataset, recipe=recipe)
        for dataset in cube.dataset.values
        for model in cube.model.values
        for recipe in cube.recipe.values
    ]


def where(part: xr.Dataset) -> str:
    """Return the name of one of `triples_of`."""
    return f"{part.model.item()} on {part.dataset.item()}, {part.recipe.item()}"


def panels(
    cube: xr.Dataset,
    title: str,
    draw: Panel | Mapping[str, Panel],
    width: float = 4.2,
    height: float = 3.4,
    projection: Literal["3d"] | None = None,
) -> Figure:
    """Draw one panel for each model, data set and recipe, at most `MOST_COLUMNS` in a row.

    Several named ways to draw stand beside one another, on axes alike.
    """
    ways = draw if isinstance(draw, Mapping) else {"": draw}
    triples = triples_of(cube)
    count = len(triples) * len(ways)
    columns = len(ways) if len(ways) > 1 else min(MOST_COLUMNS, count)
    if columns == MOST_COLUMNS and count == MOST_COLUMNS + 1:
        columns = 2
    rows = -(-count // columns)
    alike: Shared = "row" if len(ways) > 1 else "none"
    # One panel alone must still hold the title.
    width = max(width, 6.4 / columns)
    size = width * columns, height * rows + 0.5
    with sheet(title, *size, rows, columns, alike, alike, projection) as (figure, axes):
        pairs = ((part, words) for part in triples for words in ways)
        for axis, (part, words) in zip(axes, pairs, strict=False):
            axis.set_title(f"{where(part)}: {words}" if words else where(part))
            ways[words](axis, part)
        # Hidden axes of three dimensions have no extent, which the layout trips over.
        for axis in axes[count:]:
            axis.remove()
    return figure


def rows_of_panels(
    cube: xr.Dataset,
    title: str,
    draw: list[tuple[str, Panel]],
    width: float = 4.2,
    height: float = 3.4,
) -> Figure:
    """Draw a row for each model and data set: a named panel of all its recipes for each drawing."""
    pairs = [
        cube.sel(model=model, dataset=dataset)
        for dataset in cube.dataset.values
        for model in cube.model.values
    ]
    rows, columns = len(pairs), len(draw)
    size = max(width * columns, 6.4), height * rows + 0.5
    with sheet(title, *size, rows, columns) as (figure, axes):
        for axis, (part, (name, panel)) in zip(axes, product(pairs, draw), strict=True):
            words = f"{part.model.item()} on {part.dataset.item()}"
            axis.set_title(f"{words}: {name}" if name else words)
            panel(axis, part)
    return figure


def at_threshold(cube: xr.Dataset, threshold: float | None) -> xr.Dataset:
    """Return the cube at one threshold (default: the middle one), calibrated if it is so.

    Raises
    ------
    ValueError
        If the cube has no such threshold.
    """
    return by_best_estimator(only_threshold(cube, threshold))


def by_best_estimator(cube: xr.Dataset) -> xr.Dataset:
    """Return the cube by estimator `annealed` where it is there, by `rays` where not."""
    return cube.sel(estimator="annealed" if "annealed" in cube.estimator else "rays")


def only_threshold(cube: xr.Dataset, threshold: float | None) -> xr.Dataset:
    """Return the cube at one threshold (default: the middle one), by all estimators.

    Raises
    ------
    ValueError
        If the cube has no such threshold.
    """
    values = cube.threshold.values
    chosen = values[(len(values) - 1) // 2] if threshold is None else threshold
    if chosen not in values:
        raise ValueError(
            f"threshold: {chosen:g} is not in the cube{_of(cube)}; allowed are "
            + ", ".join(f"{value:g}" for value in values)
        )
    return cube.sel(threshold=chosen)


def _of(cube: xr.Dataset) -> str:
    title = cube.attrs.get("title")
    return f" of {title!r}" if title else ""


def volume_words(part: xr.Dataset) -> str:
    """Return what a volume of this selection is: estimator, coordinates, measure, threshold."""
    bound = ", lower bounds" if bool(part.is_lower_bound.any()) else ""
    return (
        f"estimator {part.estimator.item()}{bound}; {part.volume_coordinates.item()} coordinates, "
        f"{part.measure.item()} measure, {part.threshold_kind.item()} < {part.threshold.item():g}"
    )


def shown_sizes(cube: xr.Dataset) -> list[int]:
    """Return the train sizes of panels side by side: the least, the middle one, the largest."""
    sizes = cube.train_size.values
    chosen = np.linspace(0, len(sizes) - 1, min(MOST_COLUMNS, len(sizes))).round().astype(int)
    return [int(sizes[index]) for index in chosen]


def by_size(cube: xr.Dataset, panel: Callable[..., None], **fixed: Any) -> dict[str, Panel]:
    """Return the panel of each train size shown, named; it is given `size` and what is fixed."""
    return {
        f"{size:,} examples": functools.partial(panel, size=size, **fixed)
        for size in shown_sizes(cube)
    }


def sizes_axis(axis: Axes, sizes: np.ndarray, label: str) -> None:
    """Make the horizontal axis logarithmic with exactly these sizes as ticks."""
    axis.set_xscale("log")
    axis.set_xticks(sizes, [f"{size:g}" for size in sizes])
    axis.xaxis.set_minor_locator(NullLocator())
    axis.tick_params(axis="x", labelrotation=45)
    axis.set_xlabel(label)


def band(axis: Axes, x: np.ndarray, values: np.ndarray, **style: Any) -> None:
    """Draw the mean over seeds with a band of one standard deviation; `values` is (x, seeds)."""
    is_measured = np.isfinite(values).all(axis=1)
    x, values = x[is_measured], values[is_measured]
    if not len(x):
        return
    mean, deviation = values.mean(axis=1), values.std(axis=1)
    axis.plot(x, mean, **style)
    axis.fill_between(
        x, mean - deviation, mean + deviation, color=style.get("color"), alpha=0.18, linewidth=0
    )


def zoom_to(axis: Axes, sure: np.ndarray, every: np.ndarray) -> None:
    """Show what is sure, where a few marks that are doubtful would leave it little of the height.

    The panel then says how many are beyond it, which is one of `MOST_BEYOND` at most.
    """
    sure, every = sure[np.isfinite(sure)], every[np.isfinite(every)]
    if len(sure) < 2:
        return
    low, high = sure.min() - np.ptp(sure), sure.max() + np.ptp(sure)
    below, above = int((every < low).sum()), int((every > high).sum())
    if not 0 < below + above <= len(every) / MOST_BEYOND:
        return
    axis.set_ylim(low, high)
    place: dict[str, Any] = {"fontsize": 7, "transform": axis.transAxes}
    if below:
        axis.text(0.02, 0.02, f"{below} below the panel", va="bottom", **place)
    if above:
        axis.text(0.02, 0.98, f"{above} above the panel", va="top", **place)


def legend_below(axis: Axes, ncols: int = 2, **more: Any) -> None:
    """Name what is drawn below the panel, where no mark can be under it."""
    # A distance in letters, not in shares of the panel, which the layout could not foresee.
    place: dict[str, Any] = {
        "loc": "upper center",
        "bbox_to_anchor": (0.5, 0),
        "borderaxespad": LETTERS_BELOW,
    }
    axis.legend(ncols=ncols, **place, **more)


def say_nothing_measured(axis: Axes, _part: xr.Dataset | None = None) -> None:
    """Say in the panel, whatever was to be drawn there, that there is nothing to draw."""
    # Axes of three dimensions have another way to write on the sheet.
    write: Any = getattr(axis, "text2D", axis.text)
    middle = {"ha": "center", "va": "center", "transform": axis.transAxes}
    write(0.5, 0.5, "nothing was measured here", **middle)
