"""Log volume in own landscapes by every estimator: published-style beside calibrated."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from basins.cube.queries import own_landscape
from basins.figures import style
from basins.volume.ball import log_volume
from basins.volume.from_rays import CALIBRATED

PUBLISHED = "published style"


def draw(cube: xr.Dataset, threshold: float | None = None) -> Figure:
    """Draw the figure; a filled mark is calibrated, a hollow one a bound or not converged.

    Published-style values leave out the constant of the ball's volume; here it is added, so that
    all lines are volumes.
    """
    chosen = float(style.at_threshold(cube, threshold).threshold)
    part = cube.sel(threshold=chosen)
    coordinates = f"{part.volume_coordinates.item()} coordinates, {part.measure.item()} measure"
    title = (
        "Log volume in own landscapes by estimator (filled: calibrated, hollow: not)\n"
        f"{coordinates}, {part.threshold_kind.item()} < {part.threshold.item():g}"
    )
    return style.panels(part, title, _panel)


def _panel(axis: Axes, part: xr.Dataset) -> None:
    sizes = part.train_size.values
    names = [PUBLISHED, *map(str, part.estimator.values)]
    # Beside one another, as on a logarithmic axis of train sizes.
    shifts = np.geomspace(0.9, 1.1, len(names))
    is_empty = True
    for index, (name, color) in enumerate(zip(names, style.colors(len(names)), strict=True)):
        values, low, high, is_sure = _numbers(part, name)
        if not np.isfinite(values).any():
            continue
        is_empty = False
        x = sizes * shifts[index]
        marker = style.MARKERS[index % len(style.MARKERS)]
        for seed in range(values.shape[1]):
            one, sure = values[:, seed], is_sure[:, seed]
            ends = np.stack([one - low[:, seed], high[:, seed] - one])
            axis.errorbar(x, one, np.nan_to_num(ends), fmt="none", ecolor=color, elinewidth=0.8)
            axis.plot(x[sure], one[sure], marker, color=color)
            axis.plot(x[~sure], one[~sure], marker, color=color, mfc="white")
        mean = np.where(np.isfinite(values).all(axis=1), values.mean(axis=1), np.nan)
        line = style.LINES[index % len(style.LINES)]
        axis.plot(x, mean, line, color=color)
        axis.plot([], [], line, color=color, marker=marker, label=name)
    if is_empty:
        style.say_nothing_measured(axis)
    else:
        axis.legend()
    style.sizes_axis(axis, sizes, "train size = landscape (examples)")
    axis.set_ylabel("log volume (nat)")


def _numbers(part: xr.Dataset, name: str) -> tuple[np.ndarray, ...]:
    """Return values, ends of intervals and whether they are calibrated, (train sizes, seeds)."""
    if name == PUBLISHED:
        values = _own(part.log_volume_compat) + log_volume(int(part.num_parameters))
        return values, values, values, np.zeros(values.shape, dtype=bool)
    chosen = part.sel(estimator=name)
    values = _own(chosen.log_volume)
    low, high = _own(chosen.log_volume_low), _own(chosen.log_volume_high)
    values = np.where(np.isfinite(values), values, np.nan)
    return values, low, high, _own(chosen.volume_status) == CALIBRATED


def _own(values: xr.DataArray) -> np.ndarray:
    return np.asarray(own_landscape(values).transpose("train_size", "seed").values)
