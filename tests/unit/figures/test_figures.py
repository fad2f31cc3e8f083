"""Figures: every one draws from any cube, says what it shows, and gives the same bytes again."""

import importlib

import numpy as np
import pytest
import xarray as xr
import yaml

from basins.figures import style
from basins.figures.save import save
from basins.study.jobs import FIGURES


def made_cube(seed, recipes=("adam",), models=("mlp-8", "mlp-9"), missing=False):
    sizes = np.array([20, 60, 100])
    rng = np.random.default_rng(seed)
    minimum = (len(models), 1, len(recipes), 3, 4)
    volume = -100 * np.log(sizes)[:, None, None] + rng.normal(size=(*minimum, 3))
    for train in range(3):
        for landscape in range(train + 1, 3):
            volume[..., train, :, landscape] = np.nan
    if missing:
        volume[:] = np.nan
    both = np.stack([volume, volume + 10], axis=-1)[..., None]
    dims = ("model", "dataset", "recipe", "train_size", "seed")
    basin = (*dims, "landscape_size", "threshold", "estimator")
    return xr.Dataset(
        {
            "log_volume": (basin, both),
            "log_volume_stderr": (basin, np.ones_like(both)),
            "log_volume_low": (basin, both - 2),
            "log_volume_high": (basin, both + 2),
            "log_volume_compat": (basin[:-1], both[..., 0] - 30),
            "volume_status": (basin, np.where(np.isfinite(both), 2, 4).astype(np.int8)),
            "is_lower_bound": (basin, np.isfinite(both)),
            "train_accuracy": (dims, np.ones(minimum)),
            "test_accuracy": (dims, rng.uniform(0.5, 1, minimum)),
            "num_parameters": (("model", "dataset"), np.full((len(models), 1), 50)),
        },
        coords={
            "model": list(models),
            "dataset": ["digits"],
            "recipe": list(recipes),
            "train_size": sizes,
            "landscape_size": sizes,
            "seed": range(4),
            "threshold": [0.1, 0.5],
            "estimator": ["rays"],
            "measure": "lebesgue",
            "volume_coordinates": "filter",
            "threshold_kind": "loss",
        },
    )


BY_RECIPE = ("accuracy_by_batch_size", "measures_by_recipe")  # all recipes in one panel


def drawing(name):
    return importlib.import_module(f"basins.figures.{name}").draw


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("missing", [False, True])
def test_figure_is_drawn_whole_and_the_same_again(name, missing, seed, tmp_path):
    cube = made_cube(seed, missing=missing)
    for part in "ab":
        save(drawing(name)(cube), tmp_path / f"{part}.png", tmp_path / f"{part}.pdf")
    for kind in ("png", "pdf"):
        first, second = (tmp_path / f"{part}.{kind}" for part in "ab")
        assert first.stat().st_size > 5000
        assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("name", [name for name in FIGURES if name not in BY_RECIPE])
def test_every_model_data_set_and_recipe_has_its_panel(name, seed):
    figure = drawing(name)(made_cube(seed, recipes=("a", "b"), models=("mlp-7", "mlp-8", "mlp-9")))
    titles = {axis.get_title() for axis in figure.axes if axis.get_visible()}
    assert {f"mlp-{n} on digits, {r}" for n in (7, 8, 9) for r in "ab"} <= titles


def test_volumes_say_what_they_are(seed):
    for name in ("volume_by_train_size", "landscape_matrix", "volume_by_accuracy", "power_law"):
        title = drawing(name)(made_cube(seed), 0.5).get_suptitle()
        for words in ("estimator rays, lower bounds", "filter coordinates", "loss < 0.5"):
            assert words in title


def test_unknown_threshold_is_one_sentence(seed):
    with pytest.raises(
        ValueError, match=r"threshold: 0.3 is not in the cube; allowed are 0.1, 0.5"
    ):
        style.at_threshold(made_cube(seed), 0.3)


def test_drawing_leaves_other_peoples_settings_alone(seed):
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    drawing("power_law")(made_cube(seed))
    assert dict(mpl.rcParams) == before


def test_calibrated_volumes_are_drawn_where_they_are(seed):
    """Beside `rays`, `annealed` is what every other figure shows; one figure shows both."""
    cube = made_cube(seed)
    annealed = cube.assign_coords(estimator=["annealed"])
    annealed["is_lower_bound"] = annealed.is_lower_bound & False
    annealed["volume_status"] = xr.where(annealed.volume_status == 2, 1, 4)
    both = xr.concat([annealed, cube], dim="estimator", data_vars="minimal")
    title = drawing("volume_by_train_size")(both).get_suptitle()
    assert "estimator annealed;" in title
    figure = drawing("volume_by_estimator")(both)
    labels = {text.get_text() for text in figure.axes[0].get_legend().get_texts()}
    assert labels == {"published style", "annealed", "rays"}


BATCHES = {"small": 4, "middle": 16, "large": "full"}


def recipe_cube(seed):
    """Return a cube of a study of batch sizes, with curvature and sharpness; large is sharp."""
    recipes = [*BATCHES, "warm"]
    cube = made_cube(seed, recipes=sorted(recipes), models=("mlp-8",))
    rng = np.random.default_rng(seed)
    keys = {"optimizer": "sgd", "learning_rate": 0.1, "epochs": 7}
    study = {name: keys | {"batch_size": size} for name, size in BATCHES.items()}
    study["warm"] = study["large"] | {"warm_start": {"recipe": "small", "epochs": 3}}
    minimum = cube.test_accuracy.dims
    landscape = (*minimum, "landscape_size")
    scale = xr.DataArray([0.0, 2.0, 8.0, 0.0], {"recipe": sorted(recipes)}, "recipe")
    accuracy = xr.DataArray([0.7, 0.9, 0.8, 0.85], {"recipe": sorted(recipes)}, "recipe")
    cube["noise_scale"] = scale + 0 * cube.test_accuracy
    cube["test_accuracy"] = accuracy + 0 * cube.test_accuracy
    shape = [cube.sizes[dim] for dim in landscape]
    for name in ("sharpness_box", "sharpness_box_ascent"):
        cube[name] = ((*landscape, "box_size"), rng.uniform(1, 9, (*shape, 2)))
    cube["spectral_norm"] = (landscape, rng.uniform(1, 9, shape))
    cube["test_spectral_norm"] = (minimum, rng.uniform(1, 9, shape[:-1]))
    cube = cube.assign_coords(box_size=[5e-4, 1e-3])
    cube.attrs["study"] = yaml.safe_dump({"recipes": study})
    return cube


def test_the_best_batch_of_a_line_is_ringed(seed):
    figure = drawing("accuracy_by_batch_size")(recipe_cube(seed))
    (axis,) = figure.axes
    (ring,) = [line for line in axis.lines if line.get_markersize() == 11]
    assert (ring.get_xdata()[0], ring.get_ydata()[0]) == (16, pytest.approx(90))
    labels = [text.get_text() for text in axis.get_legend().get_texts()]
    assert labels == ["sgd, rate 0.1, 7 epochs", "warm"]
    assert [text.get_text() for text in axis.get_xticklabels()] == ["4", "16", "100"]


def test_recipes_stand_in_order_of_their_noise_with_every_measure(seed):
    figure = drawing("measures_by_recipe")(recipe_cube(seed))
    accuracy, curvature, sharpness = figure.axes
    for axis in figure.axes:
        names = [text.get_text() for text in axis.get_xticklabels()]
        assert names[:2] == ["small", "middle"]
        assert set(names[2:]) == {"large", "warm"}
    drawn = [{text.get_text() for text in axis.get_legend().get_texts()} for axis in figure.axes]
    assert drawn[0] == {"training set", "test set"}
    assert drawn[1] == {"training loss", "test loss"}
    assert len(drawn[2]) == 4
    assert accuracy.get_yscale() == "linear"
    assert curvature.get_yscale() == sharpness.get_yscale() == "log"


def test_measures_that_were_not_asked_for_are_said_to_be_missing(seed):
    figure = drawing("measures_by_recipe")(made_cube(seed, models=("mlp-8",)))
    said = [any("nothing was measured" in text.get_text() for text in a.texts) for a in figure.axes]
    assert said == [False, True, True]
