"""Figures of paths, of planes that minima span, and of the minefield, of a study's own cube."""

import importlib

import numpy as np
import pytest
from by_hand import run, run_study

from basins.cube.read import open_cube, open_group
from basins.figures import measures_by_epoch
from basins.study import figure_names, jobs
from basins.study.load import load_study

ADAM = {"optimizer": "adam", "learning_rate": 0.02, "epochs": 60}
NAMES = {
    "minefield": "/minefield",
    "training_paths": "/trajectories",
    "size_planes": "/size_planes",
    "measures_by_epoch": None,
}


@pytest.fixture(scope="module")
def walked(tmp_path_factory):
    """Return the cube of a study that walks, and its study."""
    import yaml

    folder = tmp_path_factory.mktemp("walked")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        study = {
            "study": "walked",
            "datasets": ["swiss-roll"],
            "models": ["mlp-8"],
            "train_sizes": [10, 20, 40],
            "seeds": 2,
            "seeds_per_job": 2,
            "recipes": {
                "kept": ADAM | {"keep_every": 10, "measure_at": [0, 5]},
                "plain": ADAM | {"learning_rate": 0.01},
            },
            "measure": {
                "volume": {"directions": 10, "thresholds": [0.9]},
                "flatness": ["spectrum"],
                "trajectories": {"points": 7},
                "size_planes": {"points": 7},
                "minefield": {},
            },
        }
        path = folder / "study.yaml"
        path.write_text(yaml.safe_dump(study))
        found = run_study(path)
        return folder / jobs.cube_file(found), found


def drawn(path, name, group):
    with open_cube(path) as cube:
        if group is None:
            return importlib.import_module(f"basins.figures.{name}").draw(cube)
        with open_group(path, group) as bulk:
            drawing = importlib.import_module(f"basins.figures.{name}")
            return drawing.draw(cube.assign(bulk.data_vars))


@pytest.mark.parametrize("name", NAMES)
def test_a_study_that_asks_for_it_is_drawn_so(walked, tmp_path, name):
    path, study = walked
    assert name in figure_names.figures(study)
    png, pdf = tmp_path / "a.png", tmp_path / "a.pdf"
    run("figure", "--cube", path, "--name", name, "--png", png, "--pdf", pdf)
    assert png.stat().st_size > 10_000
    assert pdf.read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize("name", NAMES)
def test_a_study_that_does_not_ask_is_not_drawn_so(walked, study_file, name):
    assert name not in figure_names.figures(load_study(study_file()))
    path, _ = walked
    with open_cube(path) as cube:
        bare = cube.sel(recipe=["plain"]).drop_vars("spectral_norm")
        figure = importlib.import_module(f"basins.figures.{name}").draw(bare)
    said = {text.get_text() for axis in figure.axes for text in axis.texts}
    assert "nothing was measured here" in said


def test_a_path_is_drawn_to_its_end_over_its_own_losses(walked):
    figure = drawn(walked[0], "training_paths", "/trajectories")
    assert [axis.get_title() for axis in figure.axes[:1]] == ["mlp-8 swiss-roll kept"]
    above, below = figure.axes
    ends = [line for line in above.lines if len(line.get_xdata()) > 1]
    assert ends[0].get_xdata()[np.isfinite(ends[0].get_xdata())][-1] == 0
    labels = [line.get_label() for line in below.lines]
    assert labels == ["in the plane, from its end", "beside the plane"]


def test_three_minima_are_marked_with_their_accuracies_in_each_landscape(walked):
    path, _ = walked
    figure = drawn(path, "size_planes", "/size_planes")
    titles = [axis.get_title() for axis in figure.axes]
    places = [f"mlp-8, swiss-roll: landscape of {size} examples" for size in (10, 20, 40)]
    assert titles == [*places, "", "", ""]
    with open_cube(path) as cube:
        accuracy = 100 * cube.test_accuracy.sel(recipe="kept").isel(seed=0).squeeze()
    expected = [f"{n}: {accuracy.sel(train_size=n).item():.1f} %" for n in (10, 20, 40)]
    for axis in figure.axes[3:]:
        assert [text.get_text() for text in axis.texts] == expected
    # Above each plane every volume that there is, by train size.
    with open_cube(path) as cube:
        volumes = cube.isel(threshold=0, estimator=0).squeeze().log_volume
    for size, axis in zip((10, 20, 40), figure.axes, strict=False):
        heights = np.concatenate([line.get_ydata() for line in axis.lines]).astype(np.float64)
        there = volumes.sel(landscape_size=size).values.ravel()
        np.testing.assert_allclose(
            np.sort(heights[np.isfinite(heights)]), np.sort(there[np.isfinite(there)])
        )


def test_stars_stand_where_kept_paths_end(walked):
    path, _ = walked
    figure = drawn(path, "minefield", "/minefield")
    with open_group(path, "minefield") as places:
        ends = places.sel(recipe="kept", train_size=40).squeeze()
        expected = np.stack([ends.component_x, ends.component_y], axis=1)
    axis = figure.axes[1]
    stars = [points for points in axis.collections if len(points.get_offsets()) == 2]
    assert any(np.allclose(points.get_offsets(), expected) for points in stars)
    assert "64" not in figure.get_suptitle()
    legend = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    counts = {
        words.split(" ", 1)[1]: int(words.split()[0]) for words in legend if words != "a path"
    }
    assert counts["ends of paths"] == 2
    assert sum(counts.values()) == 4


def test_measures_by_epoch_follow_the_order_of_training(walked):
    path, _ = walked
    with open_cube(path) as cube:
        assert measures_by_epoch.on_the_way(cube) == {
            "kept": ["kept@epoch:0", "kept@epoch:5", "kept"]
        }
        figure = measures_by_epoch.draw(cube)
        accuracy = 100 * cube.train_accuracy.isel(train_size=-1).squeeze()
    lines = [line for line in figure.axes[0].lines if line.get_label() == "kept train"]
    assert lines[0].get_xdata().tolist() == [0, 5, 60]
    means = [
        accuracy.sel(recipe=name).mean().item() for name in ("kept@epoch:0", "kept@epoch:5", "kept")
    ]
    np.testing.assert_allclose(lines[0].get_ydata(), means)
