"""Power laws of several studies side by side, by every estimator and in the published style."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from basins.cube.queries import not_converged, own_landscape
from basins.cube.scaling import PUBLISHED, power_law, with_published
from basins.figures import style
from basins.figures.power_law import SLOPES, fit_line

Color = tuple[float, float, float, float]


def draw(cubes: Sequence[xr.Dataset], threshold: float | None = None) -> Figure:
    """Draw a panel for each model, data set and recipe of each cube.

    Raises
    ------
    ValueError
        If a cube has no such threshold.
    """
    parts = [part for cube in cubes for part in _fitted(style.only_threshold(cube, threshold))]
    # In all panels an estimator looks the same; beside the others what was published comes first.
    names = list(dict.fromkeys(name for part in parts for name in _measured(part)))
    names.sort(key=lambda name: name != PUBLISHED)
    looks = dict(
        zip(names, zip(style.colors(len(names)), style.MARKERS, strict=False), strict=True)
    )
    columns = min(style.MOST_COLUMNS, len(parts))
    rows = -(-len(parts) // columns)
    title = (
        "ln V = a ln N + b over own landscapes, by estimator: volumes less the mean of the fewest "
        "examples, in nats a parameter\nbrackets and bands: 90 % intervals of the slope; hollow: "
        "not converged"
    )
    size = max(4.1 * columns, 8.6), 4.0 * rows + 0.6
    with style.sheet(title, *size, rows, columns) as (figure, axes):
        for axis, part in zip(axes, parts, strict=False):
            axis.set_title(
                f"{style.where(part)}\n"
                f"n = {part.num_parameters.item():,}, {part.threshold_kind.item()} < "
                f"{part.threshold.item():g}, {part.volume_coordinates.item()} coordinates"
            )
            _panel(axis, part, looks)
        for axis in axes[len(parts) :]:
            axis.remove()
    return figure


def _fitted(cube: xr.Dataset) -> list[xr.Dataset]:
    volumes = with_published(cube)
    return style.triples_of(volumes.assign(power_law(volumes).data_vars))


def _measured(part: xr.Dataset) -> list[str]:
    """Return the estimators that have a volume in any own landscape."""
    there = own_landscape(part.log_volume).notnull()
    return [name for name in part.estimator.values.tolist() if there.sel(estimator=name).any()]


def _panel(axis: Axes, part: xr.Dataset, looks: dict[str, tuple[Color, str]]) -> None:
    changes = own_landscape(part.log_volume) - _first_means(part)
    changes = (changes / part.num_parameters).transpose("estimator", "train_size", "seed")
    sizes = part.train_size.values
    measured = _measured(part)
    if not measured:
        style.say_nothing_measured(axis)
        return
    is_doubtful = not_converged(part)
    for name, (color, marker) in looks.items():
        if name not in measured:
            continue
        one = part.sel(estimator=name)
        values, doubtful = changes.sel(estimator=name), is_doubtful.sel(estimator=name)
        axis.plot(sizes, values.where(~doubtful), marker, color=color, alpha=0.6, mew=0)
        axis.plot(sizes, values.where(doubtful), marker, color=color, mfc="white")
        axis.plot([], [], marker, color=color, linestyle="-", label=_words(one))
        fit_line(axis, values, [one[end] / one.num_parameters for end in SLOPES], color, color)
    style.zoom_to(axis, changes.where(~is_doubtful).values, changes.values)
    style.legend_below(axis, ncols=1)
    style.sizes_axis(axis, sizes, "train size = landscape (examples)")
    axis.set_ylabel("change of ln V (nat / parameter)")


def _first_means(part: xr.Dataset) -> xr.DataArray:
    """Return mean log volumes of the fewest examples that have one, by estimator."""
    means = own_landscape(part.log_volume).mean("seed")
    first: xr.DataArray = means.isel(train_size=means.notnull().argmax("train_size"))
    return first.drop_vars(["train_size", "landscape_size"])


def _words(one: xr.Dataset) -> str:
    name = one.estimator.item()
    share = f"{one.calibrated_share.item():.0%} calibrated"
    words = "published style" if name == PUBLISHED else f"{name}, {share}"
    if not np.isfinite(one.exponent):
        return f"{words}: no fit"
    low, slope, high = (one[name].item() / one.num_parameters.item() for name in SLOPES)
    return f"{words}: a/n = {slope:.4f} [{low:.4f}, {high:.4f}]"
