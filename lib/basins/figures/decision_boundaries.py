"""Decision boundaries from the best to the worst generalizing recipe, with training examples."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure

from basins.cube.queries import generalization_gap
from basins.figures import style

GROUP = "/boundaries"
IN_A_ROW = 6
SATURATED = 4.0  # lead at which colours are full: a probability of 98 % where it is log odds


def draw(cube: xr.Dataset, threshold: float | None = None) -> Figure:
    """Draw the figure, from a cube with what its group ``/boundaries`` holds.

    `threshold` only has to be one of the cube's.
    """
    part = style.at_threshold(cube, threshold).isel(train_size=-1)
    title = (
        f"Decision boundaries of minima of {part.train_size.item():,} examples, from the smallest "
        "to the largest generalization gap\nfirst seed; dots: training examples"
    )
    if "class_lead" not in part:
        return style.panels(part, title, style.say_nothing_measured)
    pairs = [
        part.sel(model=model, dataset=dataset).isel(seed=0)
        for dataset in part.dataset.values
        for model in part.model.values
    ]
    count = part.sizes["recipe"]
    columns = min(count, IN_A_ROW)
    rows = -(-count // columns)
    # Few panels must still hold the title.
    size = max(2.5 * columns, 8.0), 2.9 * rows * len(pairs) + 0.5
    with style.sheet(title, *size, rows * len(pairs), columns) as (figure, axes):
        for index, pair in enumerate(pairs):
            order = np.argsort(generalization_gap(pair).values, kind="stable")
            own = axes[index * rows * columns : (index + 1) * rows * columns]
            for axis, recipe in zip(own, pair.recipe.values[order], strict=False):
                _panel(axis, pair.sel(recipe=recipe))
            for axis in own[count:]:
                axis.remove()
    return figure


def _panel(axis: Axes, one: xr.Dataset) -> None:
    axis.set_title(
        f"{one.recipe.item()}\ntrain {100 * one.train_accuracy.item():.1f} %, "
        f"test {100 * one.test_accuracy.item():.1f} %",
        fontsize=8,
    )
    axis.set_aspect("equal")
    axis.grid(visible=False)
    axis.set_xticks([])
    axis.set_yticks([])
    lead = one.class_lead
    if not bool(np.isfinite(lead).all()):
        style.say_nothing_measured(axis)
        return
    colors = TwoSlopeNorm(0, -SATURATED, SATURATED)
    x, y = lead.input_x.values, lead.input_y.values
    axis.pcolormesh(x, y, lead.values, norm=colors, cmap="RdBu", rasterized=True)
    if lead.min() < 0 < lead.max():
        axis.contour(x, y, lead.values, [0.0], colors="black", linewidths=0.8)
    for label, color in ((0, "darkred"), (1, "midnightblue")):
        is_own = one.point_class.values == label
        axis.plot(
            one.point_x.values[is_own],
            one.point_y.values[is_own],
            "o",
            color=color,
            markersize=4,
            # Seen on grounds of their own colour, too.
            mec="white",
            mew=0.6,
        )
