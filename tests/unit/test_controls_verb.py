"""Controls of training through the verbs: seeds of a recipe's own, steps, polish, one norm."""

import shutil

import h5py
import numpy as np
import pytest
import xarray as xr
from by_hand import failing, run_study

from basins.cube.read import open_cube, open_group
from basins.cube.schema import TRAINING_STATUS, validate
from basins.plan import cost, memory
from basins.plan.remaining import remaining
from basins.study import jobs
from basins.study.load import load_study
from basins.verbs import job_data

ADAM = {"optimizer": "adam", "learning_rate": 0.02, "epochs": 30}
VOLUME = {"directions": 12, "thresholds": [1.0, 5.0]}
HELD = {"subset_seed": 3, "initialization_seed": 4}
EVERYTHING = {
    "plain": ADAM | {"keep_every": 10, "measure_at": [0]},
    "poisoned": ADAM | {"poison": {"kind": "random_labels", "examples": 30}, "batch_size": 25},
    "warm": ADAM | {"warm_start": {"recipe": "plain", "epochs": 20}},
}
MEASURED = {
    "volume": VOLUME,
    "flatness": ["norms", "margins"],
    "planes": {"points": 3},
    "trajectories": {"points": 5},
    "curves": {"pairs": [["plain", "plain"], ["plain", "warm"]], "points": 3, "epochs": 3},
}
GROUPS = ("rays", "planes", "trajectories", "curves", "history")


def everything_in(study):
    """Return all numbers of a study's cube, and its minima's parameters, in memory."""
    path = jobs.cube_file(study)
    with open_cube(path) as cube:
        found = {"/": cube.load().drop_attrs()}
    for group in GROUPS:
        with open_group(path, group) as part:
            found[group] = part.load().drop_attrs()
    for job in jobs.expand(study):
        with h5py.File(jobs.minima_file(study, job.id)) as file:
            found[job.id] = xr.Dataset({"parameters": (("seed", "n"), file["parameters"][()])})
    return found


def test_seeds_of_recipes_give_the_bits_that_those_of_the_study_give(study_file):
    """In every verb: poison, warm starts, epochs, transforms, flatness, planes, paths, curves."""
    keys = {"train_sizes": [40], "seeds": 2, "seeds_per_job": 2, "models": ["mlp-6"]}
    keys |= {"measure": MEASURED, "transforms": ["permutation"]}
    study = run_study(study_file(**keys, **HELD, recipes=EVERYTHING))
    by_study = everything_in(study)
    shutil.rmtree(jobs.results_folder(study))
    own = {name: recipe | HELD for name, recipe in EVERYTHING.items()}
    study = run_study(study_file(**keys, recipes=own))
    by_recipe = everything_in(study)
    assert list(by_study) == list(by_recipe)
    for name, expected in by_study.items():
        xr.testing.assert_identical(by_recipe[name], expected)
    # One order and one start: in full batches both seeds are one minimum.
    assert np.ptp(by_recipe["/"].train_loss.sel(recipe="plain").values) == 0


def test_data_and_model_vary_one_at_a_time(study_file):
    """Starts and examples of two seeds, in three recipes of one study."""
    recipes = {
        "both": ADAM,
        "chosen": ADAM | {"subset_seed": 7, "initialization_seed": 0},
        "data-only": ADAM | {"initialization_seed": 0},
        "model-only": ADAM | {"subset_seed": 0},
    }
    keys = {"recipes": recipes, "train_sizes": [20], "seeds": 3, "seeds_per_job": 3}
    study = load_study(study_file(**keys))
    data = job_data.load(study, "digits")
    starts, orders = {}, {}
    for job in jobs.expand(study):
        parts = (study, job, data, "cross_entropy")
        starts[job.recipe] = np.stack([job_data.initial(*parts, seed) for seed in job.seeds])
        orders[job.recipe] = job_data.orders(study, data, job)
    for name, number in (("both", 3), ("data-only", 1), ("model-only", 3)):
        assert len(np.unique(starts[name], axis=0)) == number
    for name, number in (("both", 3), ("data-only", 3), ("model-only", 1), ("chosen", 1)):
        assert len(np.unique(orders[name], axis=0)) == number
    assert (orders["model-only"] == orders["both"][0]).all()
    assert (starts["data-only"] == starts["both"][0]).all()
    # What a recipe names comes before what the study does.
    held = load_study(study_file(**keys, subset_seed=5, initialization_seed=6))
    for job in jobs.expand(held):
        found = job_data.orders(held, data, job)
        start = job_data.initial(held, job, data, "cross_entropy", 2)
        if job.recipe in ("chosen", "model-only"):
            assert (found == orders[job.recipe]).all()
        else:
            assert (found == found[0]).all()
            assert (found != orders["both"]).any(axis=1).all()
        if job.recipe in ("chosen", "data-only"):
            assert (start.numpy() == starts[job.recipe][2]).all()
        else:
            assert (start.numpy() != starts["both"]).any(axis=1).all()


def test_curves_join_minima_of_one_order_of_examples(study_file, capsys):
    def check(*pairs, **recipes):
        measure = {"volume": VOLUME, "curves": {"pairs": list(pairs), "points": 3}}
        path = study_file(recipes={"a": ADAM, "b": ADAM} | recipes, measure=measure)
        return path, f"measure.curves.pairs: {pairs[0][0]} and {pairs[0][1]} have other orders of"

    own = ADAM | {"subset_seed": 0}
    path, said = check(["a", "b"], b=own)
    assert said in failing(capsys, "check", path)
    path, said = check(["a@permutation", "b"], b=own)
    path.write_text(path.read_text() + "transforms: [permutation]\n")
    assert said in failing(capsys, "check", path)
    path, said = check(["a", "b"], a=ADAM | {"subset_seed": 1}, b=own)
    assert said in failing(capsys, "check", path)
    path, _ = check(["a", "a"])
    said = "joins minima of two seeds, which are minima of one loss only if they were trained on"
    assert said in failing(capsys, "check", path)
    for pairs, recipes in (([["a", "b"]], {"a": own, "b": own}), ([["b", "b"]], {"b": own})):
        assert load_study(check(*pairs, **recipes)[0])


def test_steps_polish_and_norms_are_in_the_cube(study_file):
    """20 and 60 examples in batches of 20: 30 steps are 30 epochs and 10."""
    batches = {"epochs": None, "steps": 30, "batch_size": 20}
    recipes = {
        "far": ADAM | {"polish": {"gradient_norm": 1e-12, "iterations": 3}},
        "held": ADAM | {"weight_norm": 5.0, "measure_at": [0, 10]},
        "polished": ADAM | {"stop_at_loss": 0.4, "polish": {}, "measure_at": [0]},
        "steps": ADAM | batches | {"keep_every": 4, "measure_at": [0, 9]},
    }
    keys = {"recipes": recipes, "seeds_per_job": 2, "transforms": ["alpha-scale:4"]}
    measure = {"volume": VOLUME | {"thresholds": [1.0, 9.0]}, "trajectories": {"points": 3}}
    study = run_study(study_file(**keys, models=["mlp-32"], measure=measure))
    with open_cube(jobs.cube_file(study)) as cube:
        validate(cube, "/")
        one = cube.squeeze(("model", "dataset")).isel(seed=0)
        assert one.epochs.sel(recipe="steps").values.tolist() == [30, 10]
        assert one.epochs.sel(recipe="steps@epoch:9").values.tolist() == [9, 9]
        assert one.epochs.sel(recipe="far").values.tolist() == [30, 30]
        assert (one.epochs.sel(recipe="polished") < 30).all()
        held = cube.weight_norm.sel(recipe=["held", "held@epoch:0", "held@epoch:10"])
        np.testing.assert_allclose(held, 5.0, rtol=2**-24)
        # Passes at the end are in single precision.
        assert (cube.gradient_norm.sel(recipe="polished") < 1.01e-4).all()
        assert (cube.gradient_norm.sel(recipe="polished@alpha-scale:4") > 1.01e-4).all()
        status = {name: cube.training_status.sel(recipe=name) for name in cube.recipe.values}
        marked = TRAINING_STATUS.index("not_polished")
        for name, values in status.items():
            assert (values == (marked if name.startswith("far") else 1)).all(), name
    with open_group(jobs.cube_file(study), "history") as history:
        steps = history.epoch.notnull().sum("step").squeeze().isel(seed=0)
        assert steps.sel(recipe="steps").values.tolist() == [30, 10]
    with open_group(jobs.cube_file(study), "trajectories") as group:
        points = group.trajectory_epochs.sel(recipe="steps").squeeze().isel(seed=0)
        kept = [row[np.isfinite(row)].tolist() for row in points.values]
        assert kept == [[0, 4, 8, 9, 12, 16, 20, 24, 28, 30], [0, 4, 8, 9, 10]]
    assert not any(remaining(study).blocks.values())


def test_the_plan_counts_steps_and_polishes(study_file):
    batches = {"epochs": None, "steps": 300, "batch_size": 20}
    recipes = {
        "plain": ADAM | {"epochs": 300},
        "polished": ADAM | {"epochs": 300, "polish": {"iterations": 100}},
        "same": ADAM | batches,
        "warm": ADAM | {"warm_start": {"recipe": "same", "epochs": 2}},
    }
    study = load_study(study_file(train_sizes=[20, 100], recipes=recipes))
    counted, peaks = {}, {}
    for job in jobs.expand(study):
        row = cost.counts(study, job, "train", (5.0, 3.0))
        counted[job.recipe, job.train_size] = dict(zip(cost.TRAIN, row, strict=True))
        peaks[job.recipe, job.train_size] = memory.peak_bytes(study, job, "train")
    layers = {key: one["layer_calls"] for key, one in counted.items()}
    assert layers["same", 20] == layers["same", 100] == layers["plain", 100]
    assert layers["warm", 20] == layers["plain", 20] * (30 + 2) / 300
    assert layers["warm", 100] == layers["plain", 100] * (30 + 2 * 5) / 300
    work = {key: one["linear_operations"] for key, one in counted.items()}
    # 60 passes over 100 examples, not 300; of the ends a little.
    assert work["same", 100] / work["plain", 100] == pytest.approx(0.2, abs=0.02)
    # A hundred iterations of two and a half gradients each, in double precision.
    polish = cost.DOUBLE * (1 + cost.LINE_TRIALS) * 100 / 300
    assert work["polished", 100] / work["plain", 100] == pytest.approx(1 + polish, rel=0.02)
    assert peaks["polished", 100] > peaks["plain", 100]
