"""Density of the Hessian's eigenvalues: in each minimum's own landscape and of the test loss."""

import functools

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from basins.cube.queries import own_landscape, spectral_density
from basins.figures import style

GROUP = "/spectrum"
DECADES = 5  # of the axis on either side, below the largest eigenvalue
WIDTH = np.log(10) / 10  # of Gaussians, in nats of the eigenvalue
FAINTEST = 0.1  # of a single eigenvalue's bump

WAYS = {"own landscape": "", "test loss": "test_"}


def draw(cube: xr.Dataset, threshold: float | None = None) -> Figure:
    """Draw the figure, from a cube with what its group ``/spectrum`` holds.

    `threshold` only has to be one of the cube's.
    """
    part = style.at_threshold(cube, threshold)
    title = (
        "Density of the Hessian's eigenvalues at minima, all seeds together\n"
        "smoothed over a tenth of a decade"
    )
    ways = {
        words: functools.partial(_panel, prefix=prefix)
        for words, prefix in WAYS.items()
        if f"{prefix}node_eigenvalue" in part
    }
    return style.panels(part, title, ways or style.say_nothing_measured)


def _panel(axis: Axes, part: xr.Dataset, prefix: str) -> None:
    names = [f"{prefix}node_eigenvalue", f"{prefix}node_weight"]
    nodes = part[names] if prefix else part[names].map(own_landscape)
    if not bool(nodes[names[0]].notnull().any()):
        style.say_nothing_measured(axis)
        return
    scale = _scale(part)
    density = spectral_density(nodes, WIDTH, scale=scale, prefix=prefix).density.mean("seed")
    density = without_tails(density, scale, int(part.num_parameters) * nodes.sizes["seed"])
    sizes = part.train_size.values
    for index, (size, color) in enumerate(zip(sizes, style.colors(len(sizes)), strict=True)):
        line = style.LINES[index % len(style.LINES)]
        axis.plot(density.value, density.sel(train_size=size), line, color=color, label=f"{size:,}")
    axis.set_yscale("log")
    axis.set_xscale("symlog", linthresh=scale)
    powers = scale * 10.0 ** np.arange(1, DECADES + 1, 2)
    axis.xaxis.set_major_locator(FixedLocator([*-powers[::-1], 0, *powers]))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.set_xlabel("eigenvalue (nat per squared unit)")
    axis.set_ylabel("density (share per unit of eigenvalue)")
    axis.legend(title="train size", title_fontsize=7.5)


def without_tails(density: xr.DataArray, scale: float, num_eigenvalues: int) -> xr.DataArray:
    """Return a density of so many eigenvalues, NaN where there is less than a bump of one."""
    slope = np.sqrt(density.value**2 + scale**2)
    single = 1 / (num_eigenvalues * np.sqrt(2 * np.pi) * WIDTH)
    return density.where(density * slope > FAINTEST * single)


def _scale(part: xr.Dataset) -> float:
    """Return where the axis of a model turns linear, the same for all its panels."""
    shown = [own_landscape(part.node_eigenvalue)] if "node_eigenvalue" in part else []
    shown += [part.test_node_eigenvalue] if "test_node_eigenvalue" in part else []
    largest = max(float(np.abs(values).max()) for values in shown)
    return float(10.0 ** (np.ceil(np.log10(largest)) - DECADES))
