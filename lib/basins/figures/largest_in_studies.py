"""Studies in rows: volumes in every landscape, how often the minimum found is the largest."""

from collections.abc import Sequence

import xarray as xr
from matplotlib.figure import Figure

from basins.figures import own_is_largest, style, volume_by_train_size


def draw(cubes: Sequence[xr.Dataset], threshold: float | None = None) -> Figure:
    """Draw a row of two panels for each model, data set and recipe of each cube."""
    parts = [
        part.sel(dataset=dataset, model=model, recipe=recipe)
        for part in (style.at_threshold(cube, threshold) for cube in cubes)
        for dataset in part.dataset.values
        for model in part.model.values
        for recipe in part.recipe.values
    ]
    title = (
        "Is the minimum that training finds the largest of its landscape?\n"
        "left: volumes, mean and spread of seeds, rings: own landscapes; right: share of seeds "
        "whose own minimum is the largest"
    )
    size = 10.4, 3.6 * len(parts) + 0.5
    with style.sheet(title, *size, len(parts), 2) as (figure, axes):
        for part, left, right in zip(parts, axes[::2], axes[1::2], strict=True):
            where = f"{part.model.item()} on {part.dataset.item()}, {part.recipe.item()}"
            what = f"{part.estimator.item()}, {part.threshold_kind.item()} < "
            left.set_title(f"{where}: {what}{part.threshold.item():g}")
            volume_by_train_size.panel(left, part)
            own_is_largest.panel(right, part)
            right.set_title("exact 90 % intervals over seeds")
    return figure
