"""Kendall's tau of every measure with the generalization gap: at worst, overall, given the loss."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from basins.cube.ranking import rank
from basins.cube.ranking_words import by_worst, ranked, too_few
from basins.figures import style

ROW_HEIGHT = 0.19
BLUE, RED, GREY = "#31688e", "#c1440e", "#555555"


def draw(cube: xr.Dataset, threshold: float | None = None) -> Figure:
    """Draw the figure, of all thresholds unless one is named.

    Raises
    ------
    ValueError
        If the cube has no such threshold.
    """
    if threshold is not None:
        chosen = float(style.at_threshold(cube, threshold).threshold)
        cube = cube.sel(threshold=[chosen])
    ranking = rank(cube)
    shown = by_worst(ranked(ranking))
    sentence = too_few(ranking)
    if not sentence and not shown.sizes["measure"]:
        sentence = "Every measure, or the generalization gap, is the same for all minima."
    title = (
        f"What goes with the generalization gap over {ranking.attrs['num_minima']} minima "
        f"({ranking.attrs['num_left_out']} left out)\n"
        "what holds best in its worst environment on top; above 0: a larger measure, a larger gap; "
        "hollow: measured on the test set"
    )
    height = 1.5 + ROW_HEIGHT * (8 if sentence else shown.sizes["measure"])
    with style.sheet(title, 8.6, height) as (figure, (axis,)):
        if sentence:
            axis.text(0.5, 0.5, sentence, ha="center", va="center", transform=axis.transAxes)
            axis.set_yticks([])
        else:
            _dots(axis, shown)
            figure.legend(loc="outside lower right", ncols=3)
        axis.set_xlim(-1.05, 1.05)
        axis.set_xlabel("Kendall's tau with the generalization gap (1)")
    return figure


def _dots(axis: Axes, shown: xr.Dataset) -> None:
    tau, low, high = (shown[name].values for name in ("tau", "tau_low", "tau_high"))
    y = np.arange(len(tau))
    axis.axvline(0, color="black", linewidth=0.8)
    axis.hlines(y, low, high, color=BLUE, linewidth=1.6)
    is_test = shown.has_seen_test_set.values.astype(bool)
    axis.plot(tau[~is_test], y[~is_test], "o", color=BLUE, label="all minima, 90 % interval")
    axis.plot(tau[is_test], y[is_test], "o", color=BLUE, mfc="white")
    axis.plot(
        shown.partial_tau.values, y, "|", color=GREY, ms=8, mew=1.5, label="given the training loss"
    )
    if np.isfinite(shown.worst_tau).any():
        axis.plot(shown.worst_tau.values, y, "x", color=RED, label="worst environment")
    axis.set_yticks(y, shown.long_name.values, fontsize=7)
    # The first measure stands on top.
    axis.set_ylim(len(tau) - 0.4, -0.6)
