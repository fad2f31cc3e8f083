"""Losses in planes as figures show them: which planes, and one scale of losses for all of them."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from numpy.typing import NDArray

from basins.cube.queries import own_landscape

GROUP = "/planes"
LEAST_SHARE = 1e-4  # of the largest loss; what is below looks the same


def own_planes(cube: xr.Dataset) -> xr.DataArray:
    """Return losses in planes of each minimum in the landscape it was trained in."""
    return own_landscape(cube.plane_loss)


def loss_range(planes: xr.DataArray) -> tuple[float, float]:
    """Return the least and the largest loss of one scale for all planes, above 0."""
    values = planes.values[np.isfinite(planes.values) & (planes.values > 0)]
    if not len(values):
        return LEAST_SHARE, 1.0
    top = float(values.max())
    low = max(float(values.min()), LEAST_SHARE * top)
    # Of a constant loss there is a scale, too.
    return (low, top) if low < top else (low / 2, 2 * top)


def levels(planes: xr.DataArray, count: int = 16) -> NDArray[np.float64]:
    """Return levels of contours, the same for all planes, even in the logarithm of the loss."""
    return np.geomspace(*loss_range(planes), count)


def contours(
    axis: Axes,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    losses: NDArray[np.float32],
    levels: NDArray[np.float64],
    height: float,
) -> None:
    """Draw losses, shape (len(y), len(x)), at `levels`, and in red the contour at `height`."""
    drawn = np.clip(losses, levels[0], levels[-1])
    scale = LogNorm(levels[0], levels[-1])
    axis.contourf(x, y, drawn, levels, norm=scale, cmap="viridis")
    axis.contour(x, y, drawn, levels, norm=scale, colors="white", linewidths=0.4)
    if losses.min() < height < losses.max():
        axis.contour(x, y, losses, [height], colors="red", linewidths=1.2)
    axis.set_aspect("equal")
    axis.grid(visible=False)


def bound(cube: xr.Dataset, threshold: float, loss: float) -> float:
    """Return the loss that bounds a basin, given the minimum's own loss."""
    return threshold + (loss if cube.threshold_kind.item() == "excess" else 0.0)
