"""Minima on the way: where training was at an epoch, measured like any other."""

import h5py
import numpy as np
import pytest
from by_hand import failing, run_study

from basins.cube.read import open_cube, open_group
from basins.cube.schema import TRAINING_STATUS, validate
from basins.plan import memory
from basins.plan.remaining import remaining
from basins.study import jobs
from basins.study.load import load_study

ADAM = {"optimizer": "adam", "learning_rate": 0.01, "epochs": 40}
KEYS = {"models": ["mlp-8"], "train_sizes": [30], "seeds": 2}


def test_an_epoch_is_a_minimum_as_a_training_that_ends_there(study_file):
    recipes = {"long": ADAM | {"measure_at": [0, 10], "keep_every": 15}, "short": ADAM}
    recipes["short"] = ADAM | {"epochs": 10}
    measure = {"volume": {"directions": 12, "thresholds": [5.0]}, "flatness": ["spectrum"]}
    study = run_study(study_file(**KEYS, recipes=recipes, measure=measure))
    path = jobs.cube_file(study)
    with open_cube(path) as cube:
        validate(cube, "/")
        assert list(cube.recipe.values) == ["long", "long@epoch:0", "long@epoch:10", "short"]
        at, short = (
            cube.sel(recipe=name).drop_vars("recipe") for name in ("long@epoch:10", "short")
        )
        for name in ("train_loss", "test_accuracy", "gradient_norm", "epochs"):
            np.testing.assert_array_equal(at[name], short[name], err_msg=name)
        # Lanczos' method starts elsewhere.
        np.testing.assert_allclose(at.spectral_norm, short.spectral_norm, rtol=1e-6)
        assert np.isfinite(cube.log_volume.sel(recipe="long@epoch:0")).all()
        assert cube.epochs.isel(seed=0).squeeze().values.tolist() == [40, 0, 10, 10]
        assert (cube.training_status == TRAINING_STATUS.index("converged")).all()
    with open_group(path, "history") as history:
        steps = history.epoch.notnull().sum("step").squeeze().isel(seed=0)
        assert steps.values.tolist() == [40, 0, 10, 10]
    job = next(job for job in jobs.expand(study) if job.label == "long")
    with h5py.File(jobs.minima_file(study, job.id)) as file:
        assert file["path/epoch"][()].tolist() == [0, 10, 15, 30]
        assert file["path/parameters"].shape == (1, 4, file["parameters"].shape[1])
    short_job = next(job for job in jobs.expand(study) if job.label == "short")
    assert memory.result_bytes(study, job, "train") == 5 * memory.result_bytes(
        study, short_job, "train"
    )
    assert not any(remaining(study).blocks.values())


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (
            {"measure_at": [10, 10]},
            "recipes.adam.measure_at: [10, 10] must be increasing and below",
        ),
        ({"measure_at": [40]}, "recipes.adam.measure_at: [40] must be increasing and below the"),
        ({"measure_at": [-1]}, "recipes.adam.measure_at.0: -1 is not allowed: "),
        ({"keep_every": 40}, "recipes.adam.keep_every: 40 must be below the recipe's 40 epochs"),
    ],
)
def test_impossible_epochs_are_one_sentence(study_file, capsys, keys, said):
    assert said in failing(capsys, "check", study_file(recipes={"adam": ADAM | keys}))


def test_an_epoch_is_no_transform(study_file, capsys):
    said = failing(capsys, "check", study_file(transforms=["epoch:3"]))
    assert "'epoch:3' is not a transform; allowed are alpha-scale:<alpha>, " in said


def test_jobs_of_epochs_are_found_by_their_names(study_file):
    recipes = {"adam": ADAM | {"measure_at": [0, 10]}}
    study = load_study(study_file(seeds=3, seeds_per_job=2, recipes=recipes))
    labels = {job.label for job in jobs.expand(study)}
    assert labels == {"adam", "adam@epoch:0", "adam@epoch:10"}
    for job in jobs.expand(study):
        assert jobs.find(study, job.id) == job
    assert "transform" in jobs.verbs(study)
