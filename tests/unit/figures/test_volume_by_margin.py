"""The figure of the sharp task: rates with exact intervals, volumes of what solves it and not."""

import numpy as np
import pytest
import xarray as xr
from scipy.stats import binomtest

from basins.figures import volume_by_margin
from basins.figures.save import save

MARGINS = ["circles-0.05", "circles-0.2", "circles-0.1"]
DIMS = ("model", "dataset", "recipe", "train_size", "seed")


def ring_cube(seed, num_seeds=5):
    """Return a cube of ring tasks, solved by 1 seed, 5 and 3, whose volumes obey the law."""
    rng = np.random.default_rng(seed)
    shape = (1, 3, 2, 1, num_seeds)
    solved = np.arange(num_seeds) < np.array([1, 5, 3])[None, :, None, None, None]
    accuracy = np.where(np.broadcast_to(solved, shape), 0.995, 0.8)
    margins = np.array([0.05, 0.2, 0.1])[:, None, None, None]
    volume = 3 * np.log(margins) + np.zeros(shape) + 0.1 * rng.normal(size=shape)
    basin = (*DIMS, "landscape_size", "threshold", "estimator")
    return xr.Dataset(
        {
            "train_accuracy": (DIMS, np.ones(shape)),
            "test_accuracy": (DIMS, accuracy),
            "log_volume": (basin, volume[..., None, None, None]),
            "is_lower_bound": (basin, np.zeros((*shape, 1, 1, 1), dtype=bool)),
        },
        coords={
            "model": ["sharp-rings"],
            "dataset": MARGINS,
            "recipe": ["adam", "sgd"],
            "train_size": [100],
            "landscape_size": [100],
            "seed": range(num_seeds),
            "threshold": [0.1],
            "estimator": ["rays"],
            "measure": "lebesgue",
            "volume_coordinates": "filter",
            "threshold_kind": "loss",
        },
    )


def test_rates_have_exact_intervals_in_the_order_of_margins(seed):
    figure = volume_by_margin.draw(ring_cube(seed))
    rates, volumes = figure.axes
    ticks = [text.get_text() for text in rates.get_xticklabels()]
    assert ticks == ["0.05", "0.1", "0.2"]
    for container in rates.containers:
        line, _, (bars,) = container
        np.testing.assert_allclose(line.get_ydata(), [20, 60, 100])
        for segment, successes in zip(bars.get_segments(), (1, 3, 5), strict=True):
            expected = binomtest(successes, 5).proportion_ci(0.9, method="exact")
            ends = [100 * expected.low, 100 * expected.high]
            np.testing.assert_allclose(segment[:, 1], ends, atol=1e-9)
    names = [text.get_text() for text in volumes.get_legend().get_texts()]
    assert names == ["adam, mean of solved", "sgd, mean of solved", "margin to the power of 3"]


def test_volumes_are_filled_where_the_task_is_solved_and_the_law_meets_the_widest(seed):
    cube = ring_cube(seed)
    volumes = volume_by_margin.draw(cube).axes[1]
    marks = [line for line in volumes.lines if line.get_linestyle() == "None"]
    filled = [line for line in marks if line.get_markerfacecolor() != "white"]
    hollow = [line for line in marks if line.get_markerfacecolor() == "white"]
    drawn = [
        np.isfinite(np.concatenate([line.get_ydata() for line in kind])).sum()
        for kind in (filled, hollow)
    ]
    assert drawn == [2 * (1 + 3 + 5), 2 * (4 + 2)]
    (law,) = [line for line in volumes.lines if line.get_linestyle() == ":"]
    widest = cube.log_volume.sel(dataset="circles-0.2").mean().item() / np.log(10)
    np.testing.assert_allclose(law.get_xdata(), [0.05, 0.1, 0.2])
    np.testing.assert_allclose(np.diff(law.get_ydata()), 3 * np.log10(2))
    assert law.get_ydata()[-1] == pytest.approx(widest)


def test_the_law_is_of_one_network(seed):
    cube = ring_cube(seed).assign_coords(model=["mlp-8"])
    drawn = volume_by_margin.draw(cube).axes[1].lines
    assert not [line for line in drawn if line.get_linestyle() == ":"]


def test_a_minimum_that_misses_a_training_point_has_not_solved_it(seed):
    cube = ring_cube(seed)
    cube["train_accuracy"] = cube.train_accuracy - 0.01 * (cube.seed == 0)
    figure = volume_by_margin.draw(cube)
    np.testing.assert_allclose(figure.axes[0].containers[0][0].get_ydata(), [0, 40, 80])


def test_other_data_sets_are_left_out_and_nothing_is_said_to_be_nothing(seed, tmp_path):
    cube = ring_cube(seed)
    other = cube.isel(dataset=[0]).assign_coords(dataset=["circles"])
    both = xr.concat([other, cube], dim="dataset")
    figure = volume_by_margin.draw(both)
    assert len(figure.axes[0].containers[0][0].get_ydata()) == 3
    for empty in (other, cube.where(cube.seed > 9)):
        figure = volume_by_margin.draw(empty)
        for axis in figure.axes:
            assert [text.get_text() for text in axis.texts] == ["nothing was measured here"]
    nobody = cube.assign(test_accuracy=0.5 + 0 * cube.test_accuracy)
    save(volume_by_margin.draw(nobody), tmp_path / "a.png", tmp_path / "a.pdf")
