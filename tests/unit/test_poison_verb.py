"""Poisoned minima of a study: bad on purpose, measured in clean landscapes, and said where not."""

import numpy as np
from by_hand import run_study

from basins.cube.queries import own_landscape
from basins.cube.read import open_cube
from basins.cube.schema import TRAINING_STATUS, validate
from basins.cube.summary import summarize
from basins.plan import cost, memory
from basins.study import jobs
from basins.study.load import load_study

ADAM = {"optimizer": "adam", "learning_rate": 0.01, "epochs": 300}
POISON = {"kind": "reversed", "examples": 400, "factor": 0.5}
MEASURE = {"volume": {"directions": 12, "thresholds": [0.5]}}


def test_poison_widens_the_gap_and_leaves_the_clean_subset_alone(study_file):
    recipes = {
        "clean": ADAM,
        "reversed": ADAM | {"poison": POISON},
        "wrong": ADAM | {"poison": {"kind": "wrong_labels", "examples": 240}, "batch_size": 150},
    }
    # Wide enough to fit its poison with room: mean losses near 0.002 cost none of 60 examples.
    path = study_file(
        models=["mlp-128"], train_sizes=[60], seeds=2, recipes=recipes, measure=MEASURE
    )
    study = run_study(path)
    with open_cube(jobs.cube_file(study)) as cube:
        validate(cube, "/")
        accuracy = cube.test_accuracy.mean("seed").squeeze()
        assert (cube.train_loss < 0.01).all()
        assert (cube.train_accuracy == 1).all()
        assert accuracy.sel(recipe="clean") > 0.7
        assert (accuracy.drop_sel(recipe="clean") < 0.3).all()
        assert (cube.training_status == TRAINING_STATUS.index("converged")).all()
        # Both of the clean subset alone.
        own = own_landscape(cube.landscape_loss)
        # Near 0 a loss in single precision is off by the rounding of a probability near 1, 6e-8.
        np.testing.assert_allclose(own, cube.train_loss, rtol=1e-4, atol=6e-8)
        # Batches are drawn from the clean and the poison: 0.01 (300 / 150 - 1).
        np.testing.assert_allclose(cube.noise_scale.sel(recipe="wrong"), 0.01, rtol=1e-12)
        assert (cube.noise_scale.drop_sel(recipe="wrong") == 0).all()


def test_a_clean_example_that_poison_costs_is_said(study_file):
    recipes = {"torn": ADAM | {"epochs": 30, "poison": POISON | {"factor": 0.99}}}
    measure = {"volume": {"directions": 12, "thresholds": [0.1, 50.0]}}
    study = run_study(study_file(train_sizes=[60], seeds=1, recipes=recipes, measure=measure))
    with open_cube(jobs.cube_file(study)) as cube:
        assert cube.train_accuracy.item() < 1
        assert cube.training_status.item() == TRAINING_STATUS.index("misclassifies")
        assert "misclassifies" in summarize(cube)


def test_poison_and_rules_that_ask_more_cost_more(study_file):
    recipes = {
        "plain": ADAM,
        "poison": ADAM | {"poison": POISON},
        "wrong": ADAM | {"poison": {"kind": "wrong_labels", "examples": 400}},
        "sam": ADAM | {"sam": {}},
        "lbfgs": ADAM | {"optimizer": "lbfgs", "learning_rate": 1.0},
    }
    study = load_study(study_file(train_sizes=[100], seeds=1, recipes=recipes, measure=MEASURE))
    counted, peaks = {}, {}
    for job in jobs.expand(study):
        row = cost.counts(study, job, "train", (5.0, 3.0))
        counted[job.recipe] = dict(zip(cost.TRAIN, row, strict=True))
        peaks[job.recipe] = memory.peak_bytes(study, job, "train")
    steps = {name: one["layer_calls"] for name, one in counted.items()}
    assert steps["poison"] == steps["wrong"] == steps["plain"]
    assert steps["sam"] == 2 * steps["plain"]
    assert steps["lbfgs"] == (1 + cost.LINE_TRIALS) * steps["plain"]
    work = {name: one["linear_operations"] for name, one in counted.items()}
    # 500 examples an epoch, each by torch, and 300 epochs beside which the ends are little.
    assert 4.9 < work["poison"] / work["plain"] / cost.WEIGHTED < 5.1
    assert 4.9 < work["wrong"] / work["plain"] < 5.1
    assert peaks["lbfgs"] > peaks["plain"]
    assert peaks["poison"] > peaks["plain"]


def test_minima_of_seeds_do_not_depend_on_their_block(study_file):
    keys = {
        "train_sizes": [20],
        "seeds": 2,
        "recipes": {"a": ADAM | {"epochs": 5, "poison": POISON | {"examples": 30}}},
        "measure": MEASURE,
    }
    losses = []
    for block in (1, 2):
        study = run_study(study_file(seeds_per_job=block, **keys))
        with open_cube(jobs.cube_file(study)) as cube:
            losses.append(cube.train_loss.values)
    # Batched products round differently, and Adam's first steps turn last bits into 1e-4.
    np.testing.assert_allclose(*losses, rtol=1e-3)
