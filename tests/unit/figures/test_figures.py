"""Figures: every one draws from any cube, says what it shows, and gives the same bytes again."""

import importlib
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import yaml
from PIL import Image

from basins.cube.variable import VOLUME_STATUS
from basins.figures import style
from basins.figures.save import save
from basins.study.figure_names import ACROSS_STUDIES, FIGURES

TINY = Path(__file__).parents[2] / "studies" / "tiny.yaml"


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
            "mean_log_radius": (basin[:-1], np.full(both.shape[:-1], np.log(2.0))),
            "log_mean_radius": (basin[:-1], np.full(both.shape[:-1], np.log(2.5))),
            "log_copies": (dims, np.full(minimum, np.log(40320.0))),
            "log_det_coordinates": (dims, rng.normal(size=minimum)),
            "train_accuracy": (dims, np.ones(minimum)),
            "test_accuracy": (dims, rng.uniform(0.5, 1, minimum)),
            "train_loss": (dims, rng.uniform(0, 0.1, minimum)),
            "training_status": (dims, np.ones(minimum, dtype=np.int8)),
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


BY_RECIPE = (
    "accuracy_by_batch_size",
    "measures_by_recipe",
    "volume_by_gap",
    "volume_by_ladder",
    "measures_by_epoch",
    "lines_by_recipe",
    "overall_volume",
)  # all recipes in one panel


def drawing(name):
    return importlib.import_module(f"basins.figures.{name}").draw


# Of minima under alpha-scale, which the made cube has none of.
OF_ALPHA = {"measures_by_alpha", "radial_reparametrization"}


@pytest.mark.parametrize("name", sorted(set(FIGURES) - OF_ALPHA))
@pytest.mark.parametrize("missing", [False, True])
def test_figure_is_drawn_whole_and_the_same_again(name, missing, seed, tmp_path):
    cube = made_cube(seed, missing=missing)
    for part in "ab":
        save(drawing(name)(cube), tmp_path / f"{part}.png", tmp_path / f"{part}.pdf")
    for kind in ("png", "pdf"):
        first, second = (tmp_path / f"{part}.{kind}" for part in "ab")
        assert first.stat().st_size > 5000
        assert first.read_bytes() == second.read_bytes()


def test_a_png_has_the_colors_that_were_drawn(seed, tmp_path):
    figure = drawing("landscape_matrix")(made_cube(seed))
    save(figure, tmp_path / "a.png", tmp_path / "a.pdf")
    figure.savefig(tmp_path / "all.png", dpi=180)
    saved, drawn = (Image.open(tmp_path / f"{name}.png") for name in ("a", "all"))
    assert saved.mode == "P"
    assert saved.info["dpi"] == pytest.approx((180, 180), abs=0.1)
    apart = np.abs(np.asarray(saved.convert("RGB"), int) - np.asarray(drawn.convert("RGB"), int))
    # Of 255: only shades at edges are replaced, by others near to them.
    assert apart.mean() < 0.5
    assert (apart > 50).mean() < 1e-3


@pytest.mark.parametrize("name", sorted(set(FIGURES) - OF_ALPHA))
def test_titles_are_within_the_figure(name, seed):
    figure = drawing(name)(made_cube(seed, models=("mlp-8",)))
    figure.draw_without_rendering()
    for text in figure.texts:
        box = text.get_window_extent()
        assert 0 <= box.x0 < box.x1 <= figure.bbox.width, text.get_text()


# Over all minima of a study at once.
IN_ONE_PANEL = {"rank_correlations", "volume_by_margin"}


@pytest.mark.parametrize("name", sorted(set(FIGURES) - OF_ALPHA - IN_ONE_PANEL - set(BY_RECIPE)))
def test_every_model_data_set_and_recipe_has_its_panel(name, seed):
    figure = drawing(name)(made_cube(seed, recipes=("a", "b"), models=("mlp-7", "mlp-8", "mlp-9")))
    titles = {axis.get_title() for axis in figure.axes if axis.get_visible()}
    assert {f"mlp-{n} on digits, {r}" for n in (7, 8, 9) for r in "ab"} <= titles


def test_the_largest_is_asked_for_where_most_landscapes_have_minima_to_compare(seed):
    cube = made_cube(seed)
    own_is_largest = importlib.import_module("basins.figures.own_is_largest")
    assert own_is_largest.comparable(cube).threshold == 0.1
    assert own_is_largest.comparable(cube, 0.5).threshold == 0.5
    # At 0.1 the minima of most data are above the threshold everywhere, at 0.5 they are not.
    cube["log_volume"].loc[{"threshold": 0.1, "train_size": 100}] = np.nan
    assert own_is_largest.comparable(cube).threshold == 0.5
    assert "loss < 0.5" in drawing("own_is_largest")(cube).get_suptitle()


def test_volumes_that_did_not_converge_leave_room_for_those_that_did(seed):
    cube = made_cube(seed, recipes=("a", "b"), models=("mlp-8",))
    assert not drawing("volume_by_gap")(cube).axes[1].texts
    lost = {"recipe": "b", "seed": 2}
    cube["log_volume"].loc[lost] = -1e5
    cube["volume_status"].loc[lost] = VOLUME_STATUS.index("not_converged")
    axis = drawing("volume_by_gap")(cube).axes[1]
    assert [text.get_text() for text in axis.texts] == ["1 below the panel"]
    assert np.diff(axis.get_ylim()) < 100
    # More than a third of all marks stay in the panel, whatever they are.
    many = cube.copy(deep=True)
    many["log_volume"].loc[{"recipe": "b"}] = -1e5
    many["volume_status"].loc[{"recipe": "b"}] = VOLUME_STATUS.index("not_converged")
    assert not drawing("volume_by_gap")(many).axes[1].texts
    # Sure of it, it is shown.
    cube["volume_status"].loc[lost] = VOLUME_STATUS.index("calibrated")
    axis = drawing("volume_by_gap")(cube).axes[1]
    assert axis.get_ylim()[0] * np.log(10) < -1e5


@pytest.mark.parametrize("name", ACROSS_STUDIES)
@pytest.mark.parametrize("missing", [False, True])
def test_figures_across_studies_have_panels_of_each(name, missing, seed, tmp_path):
    cubes = [made_cube(seed, models=(model,), missing=missing) for model in ("mlp-8", "mlp-9")]
    figure = drawing(name)(cubes, 0.5)
    titles = [axis.get_title() for axis in figure.axes]
    for model in ("mlp-8", "mlp-9"):
        assert sum(f"{model} on digits, adam" in title for title in titles) == 1
    said = {text.get_text() for axis in figure.axes for text in axis.texts}
    assert ("nothing was measured here" in said) == missing
    save(figure, tmp_path / "a.png", tmp_path / "a.pdf")
    assert (tmp_path / "a.png").stat().st_size > 5000
    with pytest.raises(ValueError, match=r"^threshold: 0.7 is not in the cube; allowed are 0.1"):
        drawing(name)(cubes, 0.7)


def test_laws_are_named_with_their_exponents(seed):
    """The made volumes go as -100 ln N, with 50 parameters: -2 nats a parameter."""
    figure = drawing("laws_of_studies")([made_cube(seed, models=("mlp-8",))])
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert [label.split(":")[0] for label in labels] == ["published style", "rays, 0% calibrated"]
    assert all(label.split("= ")[1].startswith(("-1.9", "-2.0")) for label in labels)


def test_each_ladder_has_its_line_from_the_first_recipe(seed):
    recipes = ("plain", "poison-1", "poison-2", "batch-5", "lost")
    cube = made_cube(seed, recipes=recipes, models=("mlp-8",))
    cube.attrs["study"] = yaml.safe_dump(
        {
            "recipes": {
                "plain": {"batch_size": 10, "poison": None, "sam": None},
                "poison-1": {"batch_size": 10, "poison": {"kind": "reversed"}, "sam": None},
                "poison-2": {"batch_size": 10, "poison": {"kind": "reversed"}, "sam": None},
                "batch-5": {"batch_size": 5, "poison": None, "sam": None},
                "lost": {"batch_size": 10, "poison": None, "sam": {"rho": 0.1}},
            }
        },
        sort_keys=False,
    )
    cube["log_volume"] = cube.log_volume.where(cube.recipe != "lost")
    axis = drawing("volume_by_ladder")(cube).axes[0]
    labels = [text.get_text() for text in axis.get_legend().get_texts()]
    assert sorted(labels) == ["batch size", "plain", "poison: reversed"]
    assert axis.get_legend().get_title().get_text() == "no volume: lost"
    lines = [line for line in axis.lines if len(line.get_xdata()) > 1]
    assert sorted(len(line.get_xdata()) for line in lines) == [2, 3]
    assert len({(line.get_xdata()[0], line.get_ydata()[0]) for line in lines}) == 1
    # A cube of some of the recipes, without the first.
    part = cube.sel(recipe=["poison-1", "poison-2"])
    lines = drawing("volume_by_ladder")(part).axes[0].lines
    assert max(len(line.get_xdata()) for line in lines) == 2


def with_spectra(cube, rng, missing=False):
    """A cube with the spectra of 30 parameters, of both losses, as the verb hands it over."""
    dims = ("model", "dataset", "recipe", "train_size", "seed")
    shape = tuple(cube.sizes[dim] for dim in dims)
    variables = {}
    for prefix, more in (("", ("landscape_size",)), ("test_", ())):
        full = (*shape, *(cube.sizes[dim] for dim in more), 30)
        values = np.exp(2 * rng.normal(size=full)) * rng.choice([-0.1, 1], full)
        variables[f"{prefix}node_eigenvalue"] = (
            (*dims, *more, "node"),
            values * (np.nan if missing else 1),
        )
        variables[f"{prefix}node_weight"] = (
            (*dims, *more, "node"),
            np.full(full, np.nan if missing else 1 / 30),
        )
    return cube.assign(variables)


def test_densities_of_both_losses_stand_beside_each_other(seed):
    rng = np.random.default_rng(seed)
    cube = with_spectra(made_cube(seed), rng)
    figure = drawing("spectral_density")(cube)
    titles = [axis.get_title() for axis in figure.axes]
    assert titles == [
        f"mlp-{n} on digits, adam: {words}"
        for n in (8, 9)
        for words in ("own landscape", "test loss")
    ]
    for left, right in (figure.axes[:2], figure.axes[2:]):
        assert left.get_xlim() == right.get_xlim()
        assert left.get_ylim() == right.get_ylim()
        labels = [text.get_text() for text in left.get_legend().get_texts()]
        assert labels == ["20", "60", "100"]
    # The train size's own landscape and no other is what a line shows.
    other = cube.copy(deep=True)
    own = (cube.landscape_size == cube.train_size).broadcast_like(cube.node_eigenvalue)
    other["node_eigenvalue"] = cube.node_eigenvalue.where(own, 1e-30)
    again = drawing("spectral_density")(other)
    for first, second in zip(figure.axes[0].lines, again.axes[0].lines, strict=True):
        assert np.array_equal(first.get_ydata(), second.get_ydata(), equal_nan=True)


@pytest.mark.parametrize("given", ["not asked for", "missing"])
def test_a_figure_without_spectra_says_so(given, seed):
    cube = made_cube(seed)
    if given == "missing":
        cube = with_spectra(cube, np.random.default_rng(seed), missing=True)
    figure = drawing("spectral_density")(cube)
    for axis in figure.axes:
        assert [text.get_text() for text in axis.texts] == ["nothing was measured here"]


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


def scaled_cube(seed):
    """Return a cube of minima as trained and under T_alpha, the Hessian growing with alpha."""
    labels = ["adam", "adam@alpha-scale:0.5", "adam@alpha-scale:4", "adam@permutation"]
    cube = made_cube(seed, recipes=labels)
    dims = ("model", "dataset", "recipe", "train_size", "seed")
    random = np.random.default_rng(seed)
    norms = random.uniform(1, 2, (2, 1, 1, 3, 4, 3)) * np.array([1.0, 0.5, 4.0, 1.0]).reshape(
        1, 1, 4, 1, 1, 1
    )
    cube["spectral_norm"] = ((*dims, "landscape_size"), norms)
    cube["path_norm"] = (dims, np.ones((2, 1, 4, 3, 4)))
    cube["landscape_loss"] = ((*dims, "landscape_size"), np.full(norms.shape, 0.05))
    return cube


def test_measures_are_drawn_against_alpha(seed, tmp_path):
    cube = scaled_cube(seed)
    figure = drawing("measures_by_alpha")(cube)
    shown = {axis.get_title(): axis for axis in figure.axes if axis.get_visible()}
    assert set(shown) == {"spectral norm", "path norm", "log volume, rays"}
    x, y = shown["spectral norm"].lines[0].get_data()
    # By construction proportional to alpha, so over its value at 1 it is alpha.
    np.testing.assert_allclose(x, [0.5, 1, 4])
    np.testing.assert_allclose(y, [0.5, 1, 4])
    assert shown["spectral norm"].get_yscale() == "log"
    assert shown["path norm"].get_ylim() == (0.5, 1.5)
    save(figure, tmp_path / "a.png", tmp_path / "a.pdf")
    with pytest.raises(ValueError, match=r"^recipe: the cube holds no minimum under alpha-scale"):
        drawing("measures_by_alpha")(made_cube(seed))


def test_one_function_has_any_curvature(seed):
    cube = scaled_cube(seed)
    figure = drawing("radial_reparametrization")(cube, 0.5)
    axis = figure.axes[0]
    curves = [line for line in axis.lines if len(line.get_xdata()) > 2]
    assert len(curves) == 5
    for line in curves:
        share, loss = line.get_data()
        # All coordinates agree on the minimum and on the edge, where the loss is the threshold.
        np.testing.assert_allclose(loss.min(), 0.05, atol=1e-12)
        np.testing.assert_allclose(np.interp([-1, 1], share, loss), 0.5, atol=1e-3)
    curvatures = [np.diff(line.get_ydata(), 2)[800 - 1] for line in curves]
    assert sorted(curvatures, reverse=bool(curvatures[0] > curvatures[-1])) == curvatures
    assert max(curvatures) > 10 * min(curvatures)
    # Above the threshold already: nothing to draw, and said so.
    assert drawing("radial_reparametrization")(cube.assign(landscape_loss=cube.landscape_loss + 1))
    with pytest.raises(ValueError, match=r"^spectral_norm: the cube has none"):
        drawing("radial_reparametrization")(made_cube(seed))


def test_figures_of_a_study_follow_what_it_asks_for():
    from basins.study.figure_names import figures, is_animated
    from basins.study.load import load_study
    from basins.study.measure_keys import PlaneMeasure

    study = load_study(TINY)
    always = FIGURES[:7]
    assert figures(study) == always
    assert figures(study.model_copy(update={"transforms": ["permutation"]})) == always
    scaled = study.model_copy(update={"transforms": ["alpha-scale:2"]})
    assert figures(scaled) == (*always, "measures_by_alpha")
    spectra = study.measure.model_copy(update={"flatness": ["spectrum"]})
    asking = scaled.model_copy(update={"measure": spectra})
    more = ("rank_correlations", "spectral_density", "measures_by_alpha")
    assert figures(asking) == (*always, *more, "radial_reparametrization")
    planes = study.measure.model_copy(update={"planes": PlaneMeasure()})
    charted = study.model_copy(update={"measure": planes})
    assert figures(charted) == (*always, "loss_planes", "loss_surfaces", "loss_lines")
    assert is_animated(charted)
    assert not is_animated(study)
    assert not is_animated(charted.model_copy(update={"landscape_sizes": [60]}))
    rings = study.model_copy(update={"datasets": ["circles-0.1", "circles-0.05"]})
    assert figures(rings) == (*always, "volume_by_margin")
    assert figures(study.model_copy(update={"datasets": ["circles", "circles-0.05"]})) == always
    adam = study.recipes["adam"]
    rungs = {
        "adam": adam,
        **{f"b{size}": adam.model_copy(update={"batch_size": size}) for size in (2, 4)},
        **{f"d{rate}": adam.model_copy(update={"weight_decay": rate}) for rate in (0.1, 0.2)},
    }
    climbed = study.model_copy(update={"recipes": rungs})
    of_recipes = ("accuracy_by_batch_size", "measures_by_recipe")
    assert figures(climbed) == (*always, *of_recipes, "volume_by_ladder")
    two = study.model_copy(update={"recipes": dict.fromkeys("ab", adam)})
    assert figures(two) == (*always, "accuracy_by_batch_size", "measures_by_recipe")


def test_rank_correlations_name_every_measure_and_mark_the_worst_environment(seed):
    cube = made_cube(seed)
    figure = drawing("rank_correlations")(cube)
    assert "over 24 minima (0 left out)" in figure.get_suptitle()
    names = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert {"training loss", "log volume of the basin, loss < 0.5, by rays"} <= set(names)
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["all minima, 90 % interval", "given the training loss", "worst environment"]
    # Of one threshold where one is named; of two train sizes none is worst.
    figure = drawing("rank_correlations")(cube.isel(train_size=[0, 1]), 0.1)
    names = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert "log volume of the basin, loss < 0.1, by rays" in names
    assert "log volume of the basin, loss < 0.5, by rays" not in names
    assert len(figure.legends[0].get_texts()) == 2


def test_rank_correlations_say_why_there_are_none(seed):
    cube = made_cube(seed)
    few = cube.assign(training_status=cube.training_status.where(cube.seed == 0, 3))
    few = few.isel(model=[0])
    texts = [text.get_text() for text in drawing("rank_correlations")(few).axes[0].texts]
    assert texts == ["Only 3 minima can be used: a rank correlation takes at least 5."]
    same = cube.assign(test_accuracy=cube.train_accuracy)
    texts = [text.get_text() for text in drawing("rank_correlations")(same).axes[0].texts]
    assert texts == ["Every measure, or the generalization gap, is the same for all minima."]


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
    assert [axis.get_title() for axis in figure.axes] == [
        f"mlp-8 on digits: {size} examples" for size in (20, 60, 100)
    ]
    for axis, size in zip(figure.axes, (20, 60, 100), strict=True):
        (ring,) = [line for line in axis.lines if line.get_markersize() == 11]
        assert (ring.get_xdata()[0], ring.get_ydata()[0]) == (16, pytest.approx(90))
        labels = [text.get_text() for text in axis.get_legend().get_texts()]
        assert labels == ["sgd, rate 0.1, 7 epochs", "warm"]
        assert [text.get_text() for text in axis.get_xticklabels()] == ["4", "16", str(size)]
        # The small batch, 20 points below, has failed: said at the foot, not drawn to scale.
        assert [text.get_text() for text in axis.texts] == ["70.0 ↓"]
        assert axis.get_ylim()[0] > 70


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


def plane_cube(seed, high=1.0):
    """Return a cube with paraboloids in planes, the higher the more examples."""
    cube = made_cube(seed)
    axis = np.linspace(-1, 1, 11)
    height = xr.DataArray([0.01, 0.1, high], {"train_size": cube.train_size.values}, "train_size")
    bowl = xr.DataArray(axis[:, None] ** 2 + axis**2, {"y": axis, "x": axis}, ("y", "x"))
    landscape = xr.zeros_like(cube.log_volume.isel(threshold=0, estimator=0, drop=True)).fillna(0)
    cube["plane_loss"] = (landscape + height * (bowl + 1e-6)).astype(np.float32)
    return cube


def test_planes_have_one_scale_and_the_threshold_where_it_is_reached(seed):
    figure = drawing("loss_planes")(plane_cube(seed), 0.5)
    assert len(figure.axes) == 6
    titles = [axis.get_title() for axis in figure.axes]
    assert titles[0] == "mlp-8 on digits, adam: 20 examples"
    limits = {tuple(c.get_clim()) for axis in figure.axes for c in axis.collections[:1]}
    assert len(limits) == 1
    # Filled contours and lines; a third set where the loss passes the threshold.
    assert [len(axis.collections) for axis in figure.axes] == [2, 2, 3] * 2
    outline = figure.axes[2].collections[2].get_paths()[0].vertices
    np.testing.assert_allclose(np.hypot(*outline.T), 0.5**0.5, rtol=0.02)


def test_surfaces_and_lines_share_their_scale(seed):
    cube = plane_cube(seed)
    surfaces = drawing("loss_surfaces")(cube)
    assert len({axis.get_zlim() for axis in surfaces.axes}) == 1
    lines = drawing("loss_lines")(cube)
    assert len({axis.get_ylim() for axis in lines.axes}) == 1
    # Two lines of each of 4 seeds for 3 sizes, one for each name, and the threshold.
    assert len(lines.axes[0].lines) == 2 * 4 * 3 + 3 + 1
    both = lines.axes[0].lines[0].get_ydata()
    np.testing.assert_allclose(both, both[::-1])


def test_losses_of_all_sizes_of_numbers_are_drawn(seed):
    cube = plane_cube(seed, high=np.inf)
    for name in ("loss_planes", "loss_surfaces", "loss_lines"):
        assert drawing(name)(cube)
        assert drawing(name)(cube.assign(plane_loss=0 * cube.plane_loss.fillna(0)))
        assert drawing(name)(cube.assign(plane_loss=np.nan * cube.plane_loss))


def test_basins_stand_against_the_gap_from_the_smallest_to_the_largest(seed):
    cube = recipe_cube(seed)
    figure = drawing("volume_by_gap")(cube)
    radius, volume, published = figure.axes
    # Test accuracies of 0.9, 0.85, 0.8 and 0.7, all of 1 in training.
    names = [text.get_text() for text in radius.get_legend().get_texts()]
    assert names == ["middle", "warm", "small", "large"]
    for line, gap in zip(radius.lines, (10, 15, 20, 30), strict=True):
        np.testing.assert_allclose(line.get_xdata(), gap)
        np.testing.assert_allclose(line.get_ydata(), np.log10(2.5))
    own = cube.log_volume.isel(threshold=0, estimator=0, train_size=2, landscape_size=2)
    found = np.concatenate([line.get_ydata() for line in volume.lines])
    np.testing.assert_allclose(np.sort(found), np.sort(own.values.ravel()) / np.log(10))
    # Published-style values are 30 nats below, and have no error bars.
    found = np.concatenate([line.get_ydata() for line in published.lines])
    np.testing.assert_allclose(np.sort(found), np.sort(own.values.ravel() - 30) / np.log(10))


def test_boundaries_go_from_the_smallest_gap_to_the_largest(seed):
    cube = recipe_cube(seed)
    axis = np.linspace(-1, 1, 7)
    lead = xr.DataArray(
        axis[:, None] + axis, {"input_y": axis, "input_x": axis}, ("input_y", "input_x")
    )
    cube["class_lead"] = (lead + 0 * cube.test_accuracy).transpose(..., "input_y", "input_x")
    for name, values in (
        ("point_x", [0.5, -0.5]),
        ("point_y", [0.1, 0.2]),
        ("point_class", [1, 0]),
    ):
        cube[name] = xr.DataArray(np.array(values, float), dims="point") + 0 * cube.test_accuracy
    figure = drawing("decision_boundaries")(cube)
    shown = [axis for axis in figure.axes if axis.get_visible()]
    assert [axis.get_title().splitlines()[0] for axis in shown] == [
        "middle",
        "warm",
        "small",
        "large",
    ]
    assert shown[0].get_title().endswith("train 100.0 %, test 90.0 %")
    first, second = shown[0].lines
    assert (first.get_xydata().tolist(), second.get_xydata().tolist()) == (
        [[-0.5, 0.2]],
        [[0.5, 0.1]],
    )
    boundary = shown[0].collections[1].get_paths()[0].vertices
    np.testing.assert_allclose(boundary.sum(axis=1), 0, atol=1e-9)
