"""The minefield of a study: every minimum and every point of a path has its place in a plane."""

import h5py
import numpy as np
import pytest
from by_hand import failing, run_study

from basins.cube.read import open_cube, open_group
from basins.cube.schema import validate
from basins.landscape.minefield import minefield, rotated
from basins.plan.remaining import remaining
from basins.study import fingerprints, jobs
from basins.study.load import load_study

ADAM = {"optimizer": "adam", "learning_rate": 0.02, "epochs": 30}
POISON = {"kind": "reversed", "examples": 100}
KEYS = {
    "models": ["mlp-8", "mlp-6"],
    "train_sizes": [20, 40],
    "seeds": 3,
    "seeds_per_job": 2,
    "recipes": {
        "clean": ADAM | {"keep_every": 10, "measure_at": [5]},
        "bad": ADAM | {"poison": POISON},
    },
}
MEASURE = {"volume": {"directions": 5, "thresholds": [5.0]}, "minefield": {}}


def test_every_minimum_and_every_point_of_a_path_has_its_place(study_file):
    study = run_study(study_file(**KEYS, measure=MEASURE))
    path = jobs.cube_file(study)
    with open_group(path, "minefield") as found, open_cube(path) as cube:
        validate(found, "/minefield")
        assert dict(found.sizes)["path_point"] == 4
        trained = found.sel(recipe=["bad", "clean"])
        for name in ("neighbor_x", "neighbor_y", "component_x", "component_y"):
            assert trained[name].notnull().all(), name
            assert found[name].sel(recipe="clean@epoch:5").isnull().all()
            assert found[f"path_{name}"].sel(recipe="clean").notnull().all()
            assert found[f"path_{name}"].sel(recipe="bad").isnull().all()
        assert found.path_epochs.sel(recipe="clean").squeeze()[0, 0, 0].values.tolist() == [
            0,
            5,
            10,
            20,
        ]
        # Where training was at an epoch is a minimum of the cube as well.
        accuracy = cube.test_accuracy.sel(recipe="clean@epoch:5").values
        np.testing.assert_allclose(
            found.path_accuracy.sel(recipe="clean").isel(path_point=1).values, accuracy, rtol=1e-6
        )
        model = sorted(study.models).index("mlp-8")
        rows, places = [], []
        for job in jobs.minima_of_cell(study, jobs.cells(study)[0]):
            with h5py.File(jobs.minima_file(study, job.id)) as file:
                rows.append(file["parameters"][()])
            here = trained.isel(model=model, dataset=0).sel(
                recipe=job.recipe, train_size=job.train_size
            )
            here = here.sel(seed=list(job.seeds))
            places.append(np.stack([here.component_x.values, here.component_y.values], axis=1))
        rows, places = np.concatenate(rows).astype(np.float64), np.concatenate(places)
        # No two places are further apart than their minima.
        apart = np.linalg.norm(rows[:, None] - rows, axis=2)
        drawn = np.linalg.norm(places[:, None] - places, axis=2)
        assert (drawn <= apart * (1 + 1e-5) + 1e-4).all()
    assert not any(remaining(study).blocks.values())


def test_a_path_ends_where_its_seed_stops(study_file):
    recipes = {"clean": ADAM | {"keep_every": 5, "epochs": 200, "stop_at_loss": 1.0}}
    keys = {"models": ["mlp-8"], "train_sizes": [40], "seeds": 3, "recipes": recipes}
    study = run_study(study_file(**keys, measure=MEASURE))
    path = jobs.cube_file(study)
    with open_group(path, "minefield") as found, open_cube(path) as cube:
        epochs = cube.epochs.squeeze().values
        assert (epochs < 195).all()
        points = -(-epochs // 5)
        for name in ("path_epochs", "path_accuracy", "path_neighbor_x", "path_component_y"):
            assert (found[name].notnull().sum("path_point").squeeze() == points).all(), name


def test_too_few_minima_are_said_before_and_too_few_that_converged_are_nowhere(study_file, capsys):
    keys = {"models": ["mlp-8"], "train_sizes": [20], "recipes": {"clean": ADAM}}
    said = failing(capsys, "check", study_file(**keys, seeds=4, measure=MEASURE))
    assert "measure.minefield: a model and data set has 4 minima and points of paths" in said
    wild = {"optimizer": "sgd", "learning_rate": 1e30, "epochs": 5}
    study = run_study(study_file(**keys | {"recipes": {"wild": wild}}, seeds=5, measure=MEASURE))
    with open_group(jobs.cube_file(study), "minefield") as found:
        assert found.neighbor_x.isnull().all()
        assert found.explained_x.isnull().all()


def test_principal_axes_keep_distances_and_variance(seed):
    points = np.random.default_rng(seed).normal(size=(9, 40)) * np.arange(1.0, 41)
    along = rotated(points)
    assert along.shape == (9, 9)
    apart = [np.linalg.norm(rows[:, None] - rows, axis=2) for rows in (points, along)]
    np.testing.assert_allclose(*apart, rtol=1e-9, atol=1e-9)
    found = minefield(points, 30.0, "test", seed)
    variances = np.linalg.eigvalsh(np.cov(points, bias=True, rowvar=False))[::-1]
    np.testing.assert_allclose(found.explained, variances[:2] / variances.sum(), rtol=1e-8)
    np.testing.assert_allclose(found.components.var(0), variances[:2], rtol=1e-8)


def test_neighbours_stay_neighbours(seed):
    """Two clouds far apart: the nearest point of each is of its own cloud, in the plane as well."""
    random = np.random.default_rng(seed)
    points = random.normal(size=(40, 30)) + 100 * (np.arange(40) % 2)[:, None]
    places = minefield(points, 10.0, "test").neighbors
    apart = np.linalg.norm(places[:, None] - places, axis=2) + 1e9 * np.eye(40)
    assert (apart.argmin(1) % 2 == np.arange(40) % 2).all()
    np.testing.assert_array_equal(places, minefield(points, 10.0, "test").neighbors)


@pytest.mark.parametrize("points", [np.zeros((4, 3)), np.full((6, 3), np.nan)])
def test_too_few_points_are_one_sentence(points):
    with pytest.raises(ValueError, match="points: must be 5 or more, all finite"):
        minefield(points, 30.0, "test")


def test_a_changed_recipe_moves_the_cell_and_a_changed_measure_does_not(study_file):
    study = load_study(study_file(**KEYS, measure=MEASURE))
    cell = jobs.cells(study)[0]
    before = fingerprints.of_job(study, cell, "minefield")
    assert before == fingerprints.of(study, cell.id, "minefield")
    volume = {"directions": 6, "thresholds": [5.0]}
    other = load_study(study_file(**KEYS, measure=MEASURE | {"volume": volume}))
    assert fingerprints.of_job(other, cell, "minefield") == before
    recipes = KEYS["recipes"] | {"bad": ADAM | {"poison": POISON | {"examples": 99}}}
    other = load_study(study_file(**KEYS | {"recipes": recipes}, measure=MEASURE))
    assert fingerprints.of_job(other, cell, "minefield") != before


def test_what_no_study_asks_for_is_refused(study_file, capsys, tmp_path):
    path = study_file()
    given = ["--study", path, "--receipt", tmp_path / "none", "--output", tmp_path / "out"]
    said = failing(capsys, "minefield", *given, "--cell", "mlp-32/digits")
    assert "measure.minefield: the study asks for none" in said or "is not in study" in said
    said = failing(capsys, "minefield", *given, "--cell", "mlp-1/digits")
    assert "cell 'mlp-1/digits' is not in study" in said
