"""Minima as points of a plane, with the path of training among them: by t-SNE and by components."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from basins.figures import style

GROUP = "/minefield"
KINDS = {
    "neighbor": "t-SNE: neighbours stay neighbours",
    "component": "two principal components: distances as far as they go",
}


def draw(cube: xr.Dataset, threshold: float | None = None) -> Figure:
    """Draw the figure at the largest train size, from a cube with its group ``/minefield``.

    `threshold` only has to be one of the cube's.
    """
    part = style.at_threshold(cube, threshold).isel(train_size=-1)
    if "neighbor_x" not in part:
        return style.panels(part, "Minima in a plane", style.say_nothing_measured)
    pairs = [
        part.sel(model=model, dataset=dataset)
        for dataset in part.dataset.values
        for model in part.model.values
    ]
    title = (
        f"Minima of {part.train_size.item():,} examples, and the paths of training that were "
        "kept, as points of a plane\ncolour: test accuracy; stars: where a kept path ends; "
        "crosses: not every training example is fit"
    )
    size = 10.0, 4.6 * len(pairs) + 0.6
    with style.sheet(title, *size, len(pairs), 2) as (figure, axes):
        for index, pair in enumerate(pairs):
            row = axes[2 * index : 2 * index + 2]
            for axis, kind in zip(row, KINDS, strict=True):
                points = _panel(axis, pair, kind)
            figure.colorbar(points, ax=row, label="test accuracy (%)", shrink=0.8)
    return figure


def _panel(axis: Axes, pair: xr.Dataset, kind: str) -> PathCollection:
    """Draw minima and paths; return what the colour bar is of."""
    x, y = pair[f"{kind}_x"], pair[f"{kind}_y"]
    path_x, path_y = pair[f"path_{kind}_x"], pair[f"path_{kind}_y"]
    has_path = path_x.notnull().any("path_point")
    axis.set_title(f"{pair.model.item()}, {pair.dataset.item()}\n{KINDS[kind]}", fontsize=9)
    axis.set_aspect("equal", adjustable="datalim")
    axis.grid(visible=False)
    colors: dict[str, Any] = {"cmap": "viridis", "vmin": 0.0, "vmax": 100.0}
    for recipe in pair.recipe.values:
        for seed in pair.seed.values:
            at = {"recipe": recipe, "seed": seed}
            if bool(has_path.sel(at)):
                _path(axis, path_x.sel(at).values, path_y.sel(at).values)
    axis.scatter(
        path_x.values.ravel(),
        path_y.values.ravel(),
        c=100 * pair.path_accuracy.values.ravel(),
        s=9,
        **colors,
    )
    # What fits the training subset is a minimum of its loss; the rest shows what poison costs.
    is_fit = pair.train_accuracy == 1
    marks = {
        "X": (x.notnull() & ~has_path & ~is_fit, 22),
        "o": (x.notnull() & ~has_path & is_fit, 30),
        "*": (x.notnull() & has_path, 160),
    }
    for order, (marker, (chosen, area)) in enumerate(marks.items(), start=2):
        points = axis.scatter(
            x.values[chosen.values],
            y.values[chosen.values],
            c=100 * pair.test_accuracy.values[chosen.values],
            s=area,
            marker=marker,
            edgecolors="black",
            linewidths=0.5,
            zorder=order,
            **colors,
        )
    if kind == "component":
        share = 100 * pair.explained_x.item(), 100 * pair.explained_y.item()
        axis.set_xlabel(f"first component, {share[0]:.0f} % of the variance")
        axis.set_ylabel(f"second component, {share[1]:.0f} %")
    else:
        axis.set_xticks([])
        axis.set_yticks([])
        _legend(axis, {marker: int(chosen.sum()) for marker, (chosen, _) in marks.items()})
    return points


def _legend(axis: Axes, counts: dict[str, int]) -> None:
    """Say what each marker is, and how many there are."""
    words = {
        "o": f"{counts['o']} minima",
        "X": f"{counts['X']} that misclassify",
        ".": "a path",
        "*": f"{counts['*']} ends of paths",
    }
    handles = [
        Line2D([], [], marker=marker, linestyle="none", color="gray", label=text)
        for marker, text in words.items()
        if counts.get(marker, 1)
    ]
    axis.legend(handles=handles, loc="best", fontsize=7)


def _path(axis: Axes, x: np.ndarray, y: np.ndarray) -> None:
    axis.plot(x, y, color="gray", linewidth=0.5, zorder=1)
