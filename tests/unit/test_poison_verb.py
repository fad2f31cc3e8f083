"""Poisoned minima of a study: bad on purpose, measured in clean landscapes, and said where not."""

import numpy as np
import torch
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
        "wrong": ADAM | {"poison": {"kind": "wrong_labels", "examples": 400}},
    }
    path = study_file(
        models=["mlp-32"], train_sizes=[60], seeds=2, recipes=recipes, measure=MEASURE
    )
    study = run_study(path)
    with open_cube(jobs.cube_file(study)) as cube:
        validate(cube, "/")
        accuracy = cube.test_accuracy.mean("seed").squeeze()
        assert (cube.train_accuracy == 1).all()
        assert accuracy.sel(recipe="clean") > 0.7
        assert (accuracy.drop_sel(recipe="clean") < 0.3).all()
        assert (cube.training_status == TRAINING_STATUS.index("converged")).all()
        # Both of the clean subset alone.
        own = own_landscape(cube.landscape_loss)
        np.testing.assert_allclose(own, cube.train_loss, rtol=1e-4)
        # More examples to an epoch, so more noise where batches are drawn.
        assert (cube.noise_scale == 0).all()


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


def test_the_same_poison_whatever_the_job(study_file):
    """The more examples, the same and others: minima of seeds do not depend on their block."""
    keys = {
        "train_sizes": [20],
        "seeds": 2,
        "recipes": {"a": ADAM | {"epochs": 5, "poison": POISON | {"examples": 30}}},
        "measure": MEASURE,
    }
    one, two = (run_study(study_file(seeds_per_job=k, **keys)) for k in (1, 2))
    assert one.seeds_per_job != two.seeds_per_job
    with open_cube(jobs.cube_file(two)) as cube:
        together = cube.train_loss.values.ravel()
    run_study(study_file(seeds_per_job=1, **keys))
    with open_cube(jobs.cube_file(one)) as cube:
        torch.testing.assert_close(
            torch.from_numpy(cube.train_loss.values.ravel()),
            torch.from_numpy(together),
            rtol=1e-3,
            atol=1e-5,
        )
