"""Guess and check through the verbs: classes in the cube, beside single minima, and resumed."""

import h5py
import numpy as np
import pytest
import yaml
from by_hand import failing, run_study

from basins.cube.class_table import CLASS_STATUS
from basins.cube.queries import basins_worth
from basins.cube.read import open_cube, open_group
from basins.cube.schema import validate
from basins.plan.remaining import remaining
from basins.study import jobs
from basins.volume.au2001subset import POPULATIONS

KEYS = {
    "datasets": ["circles"],
    "models": ["mlp-3"],
    "train_sizes": [6, 12],
    "seeds": 2,
    "recipes": {
        "adam": {
            "optimizer": "adam",
            "learning_rate": 0.05,
            "epochs": 300,
            "loss": "binary_cross_entropy",
        }
    },
}
VOLUME = {
    "directions": 20,
    "thresholds": [0.5, 0.6],
    "measure": "gaussian",
    "sigma": 2.0,
    "coordinates": "weight",
    "estimators": ["rays", "annealed"],
    "max_evaluations": 20000,
}
GUESS = {"good_accuracy": 0.55, "stderr": 0.5, "max_evaluations": 3e5}
MEASURE = {"volume": VOLUME, "guess_and_check": GUESS}


def test_a_class_is_no_smaller_than_its_minima(study_file):
    study = run_study(study_file(**KEYS, measure=MEASURE))
    path = jobs.cube_file(study)
    with open_group(path, "classes") as found, open_cube(path) as cube:
        validate(found, "/classes")
        assert (found.class_status == CLASS_STATUS.index("not_measured")).sum() == 0
        value, error = found.class_log_volume, found.class_log_volume_stderr
        # More examples, or a lower threshold: never a larger class of one order of examples.
        assert (value.diff("threshold") > 0).all()
        assert (value < 0).all()
        both = np.logaddexp(found.good_log_volume, found.bad_log_volume)
        np.testing.assert_allclose(both, value, atol=1e-9)
        draws = found.class_test_accuracy
        assert draws.sizes["class_draw"] % POPULATIONS == 0
        assert draws.notnull().all()
        np.testing.assert_allclose(cube.log_copies, np.log(6))
        alone = cube.log_volume.sel(estimator="annealed", recipe="adam")
        own = alone.sel(landscape_size=cube.train_size)
        there = value.sel(landscape_size=cube.train_size)
        # A basin lies in the class, up to what either is uncertain by.
        reach = 6 * (error.max() + cube.log_volume_stderr.sel(estimator="annealed").max())
        assert (own - there <= reach).where(own.notnull(), True).all()
        worth = basins_worth(cube, found).sel(estimator="annealed", recipe="adam")
        expected = (there - own - np.log(6)).transpose(*worth.dims)
        np.testing.assert_allclose(worth, expected, atol=1e-9)
    assert not any(remaining(study).blocks.values())


def test_a_killed_run_goes_on_where_it_was(study_file, monkeypatch):
    path = study_file(**KEYS, measure=MEASURE)
    study = run_study(path)
    cell = jobs.cells(study)[0]
    file = jobs.job_file(study, cell.id, "guess")
    with h5py.File(file) as whole:
        expected = {name: whole[name][()] for name in whole if "class" in name}
    file.unlink()
    from basins.training import checkpoint
    from basins.verbs import guess

    saves, save = [], checkpoint.save_rows

    def killed(*arguments):
        save(*arguments)
        saves.append(arguments)
        if len(saves) == 2:
            raise KeyboardInterrupt

    receipt = jobs.receipt_of(study, cell.id)
    monkeypatch.setattr(checkpoint, "save_rows", killed)
    with pytest.raises(KeyboardInterrupt):
        guess(path, cell.id, receipt, file)
    monkeypatch.setattr(checkpoint, "save_rows", save)
    guess(path, cell.id, receipt, file)
    with h5py.File(file) as whole:
        for name, values in expected.items():
            np.testing.assert_array_equal(whole[name][()], values, err_msg=name)


def test_a_study_that_does_not_ask_has_nothing_to_do(study_file, capsys):
    measure = {"volume": {"thresholds": [2.0], "directions": 5}}
    path = study_file(**KEYS, measure=measure)
    study = yaml.safe_load(path.read_text())
    cell = f"{study['models'][0]}/{study['datasets'][0]}"
    said = failing(
        capsys, "guess", "--study", path, "--cell", cell, "--receipt", "r", "--output", "o"
    )
    assert "measure.guess_and_check: the study does not ask for it" in said
