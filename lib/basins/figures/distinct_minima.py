"""How many different minima seeds find: who differs from whom, classes found, classes unseen."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import Normalize, PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from basins.figures import style
from basins.landscape.hurlbert1971rarefaction import rarefied

GROUP = "/distinct"
LABELS = {"function": "functions", "basin": "basins"}
NONE_TWICE = 2  # of the flag distinct_status
Array = np.ndarray


def draw(cube: xr.Dataset, threshold: float | None = None) -> Figure:
    """Draw the figure at the largest train size, from a cube with its group ``/distinct``."""
    part = style.at_threshold(cube, threshold).isel(train_size=-1)
    title = (
        f"Distinct minima of {part.train_size.item():,} examples, in order of disagreement\n"
        "right: classes among so many seeds, mean over all choices of them; marks: how many there "
        "are at least (Chao), 90 % interval"
    )
    if "seed_disagreement" not in part:
        return style.panels(part, "Distinct minima", style.say_nothing_measured)
    seeds = part.num_compared + part.num_diverged
    rows = [
        part.sel(model=model, dataset=dataset, recipe=recipe)
        for dataset in part.dataset.values
        for model in part.model.sortby(part.num_parameters.sel(dataset=dataset)).values
        for recipe in part.recipe.values
        # Minima made of others are compared with none.
        if int(seeds.sel(model=model, dataset=dataset, recipe=recipe))
    ]
    with style.sheet(title, 10.5, 2.9 * len(rows) + 0.6, len(rows), 3) as (figure, axes):
        for index, row in enumerate(rows):
            order = _order(row.seed_disagreement.values)
            percent, barrier, growth = axes[3 * index : 3 * index + 3]
            where = f"{row.model.item()} on {row.dataset.item()}, {row.recipe.item()}"
            percent.set_title(f"{where}: disagreement (%)")
            _matrix(figure, percent, 100 * row.seed_disagreement.values, order)
            matched = row.seed_matched_barrier.values
            is_matched = bool(np.isfinite(matched).any())
            barrier.set_title(f"barrier {'after matching' if is_matched else 'as trained'} (nat)")
            _matrix(figure, barrier, matched if is_matched else row.seed_barrier.values, order)
            growth.set_title("classes found")
            _growth(growth, row)
        named = [axis.get_legend_handles_labels() for axis in axes]
        lines = {label: handle for pair in named for handle, label in zip(*pair, strict=True)}
        if lines:
            figure.legend(lines.values(), lines, loc="outside lower center", ncols=len(lines))
    return figure


def _order(differences: Array) -> Array:
    """Return minima that were compared, near ones beside one another (average linkage)."""
    kept = np.flatnonzero(np.isfinite(np.diagonal(differences)))
    if len(kept) < 3:
        return kept
    condensed = squareform(differences[np.ix_(kept, kept)].astype(np.float64), checks=False)
    return np.asarray(kept[leaves_list(linkage(condensed, "average", optimal_ordering=True))])


def _matrix(figure: Figure, axis: Axes, values: Array, order: Array) -> None:
    """Draw differences of minima in an order; what is beyond the scale has its last colour."""
    axis.grid(visible=False)
    shown = values[np.ix_(order, order)]
    apart = shown[~np.eye(len(order), dtype=bool)]
    apart = apart[np.isfinite(apart)]
    if not len(apart):
        style.say_nothing_measured(axis)
        return
    top = float(np.quantile(apart, 0.98)) or 1.0
    # Small differences decide what is one class: the scale gives them room.
    scale: Normalize = PowerNorm(0.5, vmin=0, vmax=top)
    filled = np.where(np.isfinite(shown), shown, top)
    image = axis.imshow(filled, norm=scale, cmap="viridis", interpolation="none")
    bar = figure.colorbar(image, ax=axis, extend="max" if apart.max() > top else "neither")
    bar.locator = MaxNLocator(5)
    bar.update_ticks()
    axis.set_xlabel("minima")
    axis.set_xticks([])
    axis.set_yticks([])


def _growth(axis: Axes, row: xr.Dataset) -> None:
    """Draw how classes grow with seeds, and how many there are at least."""
    compared = int(row.num_compared)
    if not bool((row.num_classes > 0).any()):
        style.say_nothing_measured(axis)
        return
    seeds = np.arange(1, compared + 1)
    axis.plot(seeds, seeds, color="0.6", linestyle=":", linewidth=1, label="all different")
    notes = []
    for index, (sameness, label) in enumerate(LABELS.items()):
        one = row.sel(sameness=sameness)
        color, marker = style.colors(3)[index], style.MARKERS[index]
        if not int(one.num_classes):
            notes.append(f"{label}: units cannot be matched")
            continue
        classes = one.class_of_minimum.values
        found = rarefied(np.bincount(classes[classes > 0])[1:])
        axis.plot(seeds, found, style.LINES[index], color=color, label=label)
        if int(one.distinct_status) == NONE_TWICE:
            notes.append(f"{label}: none was seen twice")
            continue
        estimate = one.estimated_classes.item()
        ends = [
            [estimate - one.estimated_classes_low.item()],
            [one.estimated_classes_high.item() - estimate],
        ]
        at = compared * (1.08 + 0.08 * index)
        look: dict[str, Any] = {
            "color": color,
            "marker": marker,
            "capsize": 2.5,
            "linestyle": "none",
        }
        axis.errorbar([at], [estimate], ends, **look)
        notes.append(
            f"{label}: {int(one.num_classes)} seen, {estimate:.0f} or more "
            f"[{one.estimated_classes_low.item():.0f}, {one.estimated_classes_high.item():.0f}]"
        )
    axis.set_yscale("log")
    axis.set_xlabel("seeds")
    axis.set_ylabel("classes")
    axis.text(0.02, 1.0, "\n".join(notes), transform=axis.transAxes, va="top", fontsize=7)
    low, high = axis.get_ylim()
    axis.set_ylim(min(low, 0.9), 4 * high)
