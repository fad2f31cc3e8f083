"""The figure of distinct minima, of a small cube with known numbers."""

import numpy as np
import pytest
import xarray as xr

from basins.figures.distinct_minima import draw
from basins.figures.save import save

# Two classes of three and two minima, and one alone; the last training diverged.
GROUPS = [0, 1, 0, 2, 1, 0]
SETTING = ("model", "dataset", "recipe", "train_size")
MINIMUM = (*SETTING, "seed")


def made_cube(status=1, is_matched=True):
    """Return a cube of one model whose seeds find three functions and one basin."""
    groups = np.array([*GROUPS, -1])
    count = len(groups)
    differ = np.where(groups[:, None] == groups, 0.001, 0.2) * (1 - np.eye(count))
    differ[-1], differ[:, -1] = np.nan, np.nan
    barrier = 0.01 * differ if is_matched else np.nan * differ
    shape = (1, 1, 1, 2)

    def spread(values):
        return np.broadcast_to(values, (*shape, *np.shape(values))).copy()

    pair, counted = (*MINIMUM, "other_seed"), (*SETTING, "sameness")
    classes = np.stack([np.sign(groups + 1), groups + 1], axis=1).astype(np.int16)
    cube = xr.Dataset(
        {
            "seed_disagreement": (pair, spread(differ)),
            "seed_barrier": (pair, spread(2 * differ)),
            "seed_matched_barrier": (pair, spread(barrier)),
            "class_of_minimum": ((*MINIMUM, "sameness"), spread(classes)),
            "num_parameters": (SETTING[:2], [[610]]),
            "num_compared": (SETTING, spread(6)),
            "num_diverged": (SETTING, spread(1)),
            "num_classes": (counted, spread([1 if is_matched else 0, 3])),
            "estimated_classes": (counted, spread([1.0, 3.5])),
            "estimated_classes_low": (counted, spread([1.0, 3.1])),
            "estimated_classes_high": (counted, spread([1.1, 9.0])),
            "distinct_status": (counted, spread([1 if is_matched else 4, status])),
        },
        coords={
            "model": ["mlp-8"],
            "dataset": ["digits"],
            "recipe": ["adam"],
            "train_size": [20, 60],
            "seed": range(count),
            "other_seed": range(count),
            "sameness": ["basin", "function"],
        },
    )
    return cube.assign_coords(threshold=[0.1], estimator=["rays"])


def panels(figure):
    return [axis for axis in figure.axes if axis.get_title()]


def test_like_minima_stand_side_by_side_and_classes_grow():
    figure = draw(made_cube())
    assert "Distinct minima of 60 examples" in figure.get_suptitle()
    percent, barrier, growth = panels(figure)
    assert percent.get_title() == "mlp-8 on digits, adam: disagreement (%)"
    assert barrier.get_title() == "barrier after matching (nat)"
    drawn = percent.images[0].get_array()
    # The one that diverged is left out.
    assert drawn.shape == (6, 6)
    is_near = drawn[np.arange(5), np.arange(1, 6)] < 1
    # Runs of three, two and one.
    assert is_near.sum() == 3
    np.testing.assert_allclose(np.unique(drawn.round(9)), [0, 0.1, 20])
    lines = {line.get_label(): line for line in growth.lines}
    np.testing.assert_allclose(lines["all different"].get_ydata(), np.arange(1, 7))
    np.testing.assert_allclose(lines["basins"].get_ydata(), np.ones(6))
    found = lines["functions"].get_ydata()
    # Of two seeds: 15 pairs, of which 3 + 1 are of one class.
    np.testing.assert_allclose(found[[0, 1, 5]], [1, 2 - 4 / 15, 3])
    said = growth.texts[0].get_text()
    assert "functions: 3 seen, 4 or more [3, 9]" in said
    assert "basins: 1 seen, 1 or more [1, 1]" in said


def test_what_was_not_estimated_is_said():
    _, barrier, growth = panels(draw(made_cube(status=2, is_matched=False)))
    assert barrier.get_title() == "barrier as trained (nat)"
    np.testing.assert_allclose(
        np.unique(barrier.images[0].get_array().round(9)), [0, 0.002, 0.4], atol=1e-12
    )
    said = growth.texts[0].get_text()
    assert said == "functions: none was seen twice\nbasins: units cannot be matched"
    assert not growth.containers


@pytest.mark.parametrize("kept", [0, 1, 2])
def test_too_few_minima_are_drawn_without_numbers(kept, tmp_path):
    cube = made_cube()
    for name in ("seed_disagreement", "seed_barrier", "seed_matched_barrier"):
        cube[name] = cube[name].where((cube.seed < kept) & (cube.other_seed < kept))
    cube["num_compared"] = 0 * cube.num_compared + kept
    cube["num_classes"] = 0 * cube.num_classes
    figure = draw(cube)
    said = [text.get_text() for axis in figure.axes for text in axis.texts]
    assert said.count("nothing was measured here") == (1 if kept == 2 else 3)
    save(figure, tmp_path / "a.png", tmp_path / "a.pdf")


def test_a_cube_without_comparisons_says_so():
    cube = made_cube().drop_vars(["seed_disagreement"])
    said = {text.get_text() for axis in draw(cube).axes for text in axis.texts}
    assert said == {"nothing was measured here"}
