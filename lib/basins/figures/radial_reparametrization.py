"""One dimension, one function, any curvature: the radial change of coordinates.

Dinh et al. 2017, arXiv 1703.04933, section 5.
"""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from basins.figures import style
from basins.flatness.dinh2017radial import Radial

EXPONENTS = (-0.4, -0.2, 0.0, 0.4, 1.0)  # a
REACH = 1.4  # largest |eta| that is drawn, in units of the edge's


def draw(cube: xr.Dataset, threshold: float | None = None) -> Figure:
    """Draw the loss along the sharpest direction of a minimum, by its curvature, against eta.

    eta = (t^2 + b)^a t, where t is the distance from the minimum: a = 0 is t itself. b is a
    hundredth of the square of t at the basin's edge.

    Raises
    ------
    ValueError
        If the cube holds no spectral norm.
    """
    if "spectral_norm" not in cube:
        raise ValueError("spectral_norm: the cube has none; name spectrum in measure.flatness")
    bound = float(style.at_threshold(cube, threshold).threshold)
    first = cube.isel(dict.fromkeys(("model", "dataset", "recipe", "train_size", "seed"), 0))
    size = first.train_size.item()
    curvature = float(first.spectral_norm.sel(landscape_size=size))
    loss = float(first.landscape_loss.sel(landscape_size=size))
    height = bound if cube.threshold_kind == "excess" else bound - loss
    title = (
        "One minimum along its sharpest direction: the same losses, any curvature\n"
        f"{first.model.item()} on {first.dataset.item()}, {first.recipe.item()}, {size} "
        "examples; dotted: the threshold"
    )
    with style.sheet(title, 6.4, 3.9) as (figure, (axis,)):
        if height > 0 and curvature > 0:
            _curves(axis, np.sqrt(2 * height / curvature), curvature, loss)
            axis.axhline(loss + height, color="grey", linewidth=0.8, linestyle=":")
            axis.set_ylim(loss - 0.05 * height, loss + 2 * height)
        else:
            style.say_nothing_measured(axis)
        axis.set_xlabel("eta = (t² + b)^a t, over its value at the basin's edge")
        axis.set_ylabel("loss, to second order (nat)")
    return figure


def _curves(axis: Axes, edge: float, curvature: float, loss: float) -> None:
    share = np.linspace(-REACH, REACH, 1601)
    for index, a in enumerate(EXPONENTS):
        change = Radial(np.zeros(1), a, edge**2 / 100)
        eta_edge = float(change.forward(np.array([edge]))[0])
        t = change.inverse(share[:, None] * eta_edge)[:, 0]
        # d t / d (eta / eta_edge) at the minimum, where eta = b^a t.
        slope = eta_edge / change.b**a
        axis.plot(
            share,
            loss + curvature * t**2 / 2,
            style.LINES[index % len(style.LINES)],
            color=style.colors(len(EXPONENTS))[index],
            label=f"a = {a:g}: curvature x {slope**2 / edge**2:.2g}",
        )
    axis.legend()
