"""Test accuracy against batch size, a line a learning rate: where the best batch lies."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from basins.figures import style
from basins.figures.of_recipes import RecipeFacts, recipe_facts

FAILURE = 15  # points below the best at which a recipe has failed


def draw(cube: xr.Dataset, threshold: float | None = None) -> Figure:
    """Draw the figure; `threshold` only has to be one of the cube's."""
    part = style.at_threshold(cube, threshold)
    title = (
        "Test accuracy against batch size\n"
        "mean over seeds, bar one standard deviation, ring: best mean of a line"
    )
    return style.rows_of_panels(part, title, list(style.by_size(part, _panel).items()))


def _panel(axis: Axes, cube: xr.Dataset, size: int) -> None:
    part = cube.sel(train_size=size)
    known = recipe_facts(part)
    lines: dict[str, list[RecipeFacts]] = {}
    for facts in sorted(known, key=lambda facts: facts.learning_rate):
        if facts.is_plain:
            lines.setdefault(facts.others, []).append(facts)
    others = [facts for facts in known if not facts.is_plain]
    palette = style.colors(len(lines) + len(others))
    batches: set[int] = set()
    for index, recipes in enumerate(lines.values()):
        x, mean, spread = _numbers(part, recipes, size)
        batches |= set(x.tolist())
        axis.errorbar(
            x * 2 ** (0.12 * (index - (len(lines) - 1) / 2)),
            mean,
            spread,
            color=palette[index],
            marker=style.MARKERS[index % len(style.MARKERS)],
            linestyle=style.LINES[index % len(style.LINES)],
            elinewidth=0.8,
            label=recipes[0].line if len(recipes) > 1 else recipes[0].name,
        )
        if len(x) > 1 and np.isfinite(mean).any():
            best = int(np.nanargmax(mean))
            place = x[best] * 2 ** (0.12 * (index - (len(lines) - 1) / 2))
            axis.plot(place, mean[best], "o", color=palette[index], mfc="none", markersize=11)
    for index, facts in enumerate(others, start=len(lines)):
        x, mean, spread = _numbers(part, [facts], size)
        batches |= set(x.tolist())
        # Beside one another: they often begin with the same batch.
        shift = 2 ** (0.3 * (index - len(lines) + 1))
        axis.errorbar(
            x * shift,
            mean,
            spread,
            color=palette[index],
            marker=style.MARKERS[index % len(style.MARKERS)],
            mfc="white",
            linestyle="none",
            elinewidth=0.8,
            label=facts.name,
        )
    if not known or not bool(part.test_accuracy.notnull().any()):
        style.say_nothing_measured(axis)
    else:
        style.sizes_axis(axis, np.array(sorted(batches)), "batch size at the first step (examples)")
        style.legend_below(axis)
        _cut_off_failures(axis)
    axis.set_ylabel("test accuracy (%)")


def _cut_off_failures(axis: Axes) -> None:
    """End the axis above recipes that hardly train, and say there what they reach."""
    points = np.concatenate([np.asarray(line.get_xydata()) for line in axis.lines])
    points = points[np.isfinite(points).all(axis=1)]
    is_failure = points[:, 1] < points[:, 1].max() - FAILURE
    if not is_failure.any():
        return
    low, high = points[~is_failure, 1].min(), points[:, 1].max()
    floor = low - 0.25 * max(high - low, 1.0)
    axis.set_ylim(floor, high + 0.15 * max(high - low, 1.0))
    failed = np.unique(points[is_failure], axis=0)
    for index, (x, y) in enumerate(failed):
        # Lines at one batch stand close together: their numbers go above one another.
        row = int((failed[:index, 0] > x / 2).sum())
        axis.annotate(
            f"{y:.1f} ↓",
            (x, floor),
            xytext=(0, 3 + 8 * row),
            textcoords="offset points",
            ha="center",
            fontsize=7,
        )


def _numbers(
    part: xr.Dataset, recipes: list[RecipeFacts], size: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return batch sizes, increasing, and mean and deviation over seeds of accuracies in %."""
    found = sorted(
        (min(facts.batch_size or np.inf, size + facts.num_added), facts.name) for facts in recipes
    )
    values = 100 * part.test_accuracy.sel(recipe=[name for _, name in found])
    values = values.transpose("recipe", "seed").values
    return np.array([batch for batch, _ in found]), values.mean(axis=1), values.std(axis=1)
