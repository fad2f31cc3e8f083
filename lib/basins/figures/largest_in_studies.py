"""Studies in rows: by how much, and how often, the minimum found is the largest."""

from collections.abc import Sequence

import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from basins.cube import queries
from basins.figures import own_is_largest, style


def draw(cubes: Sequence[xr.Dataset], threshold: float | None = None) -> Figure:
    """Draw a row of two panels for each model, data set and recipe of each cube."""
    chosen = [own_is_largest.comparable(cube, threshold) for cube in cubes]
    parts = [part for cube in chosen for part in style.triples_of(cube)]
    title = (
        "Is the minimum that training finds the largest of its landscape?\n"
        "left: own volume less the largest other, a mark a seed; right: share of seeds above 0, "
        "exact 90 % intervals"
    )
    size = 10.4, 3.6 * len(parts) + 0.5
    with style.sheet(title, *size, len(parts), 2) as (figure, axes):
        for part, left, right in zip(parts, axes[::2], axes[1::2], strict=True):
            bound = f"{part.threshold_kind.item()} < {part.threshold.item():g}"
            left.set_title(f"{style.where(part)}: {part.estimator.item()}, {bound}")
            _leads(left, part)
            own_is_largest.panel(right, part)
    return figure


def _leads(axis: Axes, part: xr.Dataset) -> None:
    lead = queries.own_is_largest(part).lead.transpose("landscape_size", "seed")
    there = lead.notnull().any("seed").values
    if not there.any():
        style.say_nothing_measured(axis)
        return
    sizes = lead.landscape_size.values
    dark, light = style.colors(3)[::2]
    for sign, color in ((1, dark), (-1, light)):
        axis.plot(sizes, lead.where(sign * lead > 0), "o", color=color, alpha=0.7, mew=0)
    axis.axhline(0, color="black", linewidth=0.8)
    style.sizes_axis(axis, sizes[there], "landscape (examples)")
    axis.set_ylabel("own less the largest other (nat)")
