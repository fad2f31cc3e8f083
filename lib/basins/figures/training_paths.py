"""Paths of training over the loss in their principal planes, and how far from these they run."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from basins.cube.queries import own_landscape
from basins.figures import of_planes, style

GROUP = "/trajectories"


def draw(cube: xr.Dataset, threshold: float | None = None) -> Figure:
    """Draw the figure at the largest train size, from a cube with its group ``/trajectories``."""
    part = style.at_threshold(cube, threshold).isel(train_size=-1, seed=0)
    title = (
        f"Paths of training on {part.train_size.item():,} examples over the loss in their "
        "principal planes, own landscapes, first seed\nlevels even in the logarithm, one scale for "
        f"all; red: {part.threshold_kind.item()} {part.threshold.item():g}; below: what the plane "
        "leaves out"
    )
    if "trajectory_loss" not in part:
        return style.panels(part, title, style.say_nothing_measured)
    losses = own_landscape(part.trajectory_loss)
    has_path = losses.notnull().all(losses.dims[-2:])
    names = [
        {"model": model, "dataset": dataset, "recipe": recipe}
        for dataset in part.dataset.values
        for model in part.model.values
        for recipe in part.recipe.values
        if bool(has_path.sel(model=model, dataset=dataset, recipe=recipe))
    ]
    if not names:
        return style.panels(part, title, style.say_nothing_measured)
    levels = of_planes.levels(losses)
    count = len(names)
    size = 4.4 * count, 7.6
    with style.sheet(title, *size, 2, count) as (figure, axes):
        for above, below, chosen in zip(axes[:count], axes[count:], names, strict=True):
            one = part.sel(chosen)
            above.set_title(" ".join(chosen.values()), fontsize=9)
            _over_losses(above, one, losses.sel(chosen), levels, part.threshold.item())
            _beside(below, one)
    return figure


def _over_losses(
    axis: Axes, one: xr.Dataset, losses: xr.DataArray, levels: np.ndarray, threshold: float
) -> None:
    half = one.trajectory_half_width.item()
    x = one.trajectory_center_x.item() + half * one.grid_x.values
    y = one.trajectory_center_y.item() + half * one.grid_y.values
    height = of_planes.bound(one, threshold, float(one.train_loss))
    of_planes.contours(axis, x, y, losses.values, levels, height)
    axis.plot(one.trajectory_x, one.trajectory_y, ".-", color="black", linewidth=0.8, markersize=3)
    axis.plot(0, 0, "*", color="white", mec="black", markersize=11)
    share = 100 * one.trajectory_explained_x.item(), 100 * one.trajectory_explained_y.item()
    axis.set_xlabel(f"first component, {share[0]:.0f} % of the path")
    axis.set_ylabel(f"second component, {share[1]:.0f} %")


def _beside(axis: Axes, one: xr.Dataset) -> None:
    """Draw distances from the end: along the plane, and beside it."""
    along = np.hypot(one.trajectory_x, one.trajectory_y)
    for values, line, color, label in (
        (along, "-", style.colors(2)[0], "in the plane, from its end"),
        (one.trajectory_residual, "--", style.colors(2)[1], "beside the plane"),
    ):
        axis.plot(one.trajectory_epochs, values, line, color=color, label=label)
    axis.set_xscale("symlog", linthresh=10)
    axis.set_xlabel("epochs")
    axis.set_ylabel("distance (units of parameters)")
    axis.legend()
