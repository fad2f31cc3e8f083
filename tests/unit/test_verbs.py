"""Verbs by hand: the whole path in one process, a user's own model, and bad input in a sentence."""

import io
import json
import logging
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
import xarray as xr
from by_hand import failing, run, run_study

from basins import device
from basins.cube.read import open_cube
from basins.cube.variable import VOLUME_STATUS
from basins.progress import progress
from basins.study import jobs
from basins.training import checkpoint
from basins.training.loop import train as train_minima
from basins.verbs import estimating, measuring
from basins.volume import ball, of_minimum


def test_whole_path_with_own_model_and_data_set(study_file, tmp_path, capsys):
    (tmp_path / "my_own.py").write_text(
        "import numpy as np, torch\n"
        "def model(shape, outputs):\n"
        "    return torch.nn.Sequential(torch.nn.Linear(shape[0], 7), torch.nn.Tanh(),\n"
        "                               torch.nn.Linear(7, outputs))\n"
        "def data():\n"
        "    rng = np.random.default_rng(0)\n"
        "    x = rng.normal(size=(90, 3)); y = (x.sum(1) > 0).astype(int)\n"
        "    return x[:60], y[:60], x[60:], y[60:]\n"
    )
    path = study_file(models=["my_own:model"], datasets=["my_own:data"], seeds_per_job=2)
    study = run_study(path)
    with open_cube(jobs.cube_file(study)) as cube:
        assert cube.num_parameters.item() == 7 * 3 + 7 + 2 * 7 + 2
        assert bool(cube.log_volume.sel(landscape_size=20, train_size=20).notnull().any())
        # Every ray is solved to the tolerance promised.
        with xr.open_dataset(jobs.cube_file(study), group="rays") as rays:
            width = float(rays.log_radius_tolerance.max()) * cube.num_parameters.item()
            assert 0 < width <= 0.1
    run("show", jobs.cube_file(study))
    run("check", path)
    printed = capsys.readouterr().out
    assert "my_own:model on my_own:data, adam" in printed
    assert "study tiny is valid: 4 minima in 2 jobs" in printed


def test_slow_path_gives_the_same_study(study_file, tmp_path, monkeypatch):
    measure = {"directions": 6, "thresholds": [0.3], "dtype": "float64", "scan_points": 24}
    cubes = []
    for name, how in (("fast", []), ("slow", ["--slow-path"])):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        study = run_study(study_file(seeds=2, measure={"volume": measure}), *how)
        with open_cube(jobs.cube_file(study)) as cube:
            cubes.append(cube.load())
    fast, slow = cubes
    # Single-precision training rounds differently, and Adam's first steps make 1e-3 of a last bit.
    np.testing.assert_allclose(fast.train_loss, slow.train_loss, rtol=1e-2)
    np.testing.assert_allclose(fast.mean_log_radius, slow.mean_log_radius, atol=1e-2)
    assert fast.log_volume.notnull().any()
    assert (fast.volume_status == slow.volume_status).all()
    evaluations = [cube.num_evaluations.sum().item() for cube in cubes]
    assert evaluations[1] > 2 * evaluations[0]


def test_excess_thresholds_and_weight_coordinates(study_file):
    measure = {
        "directions": 6,
        "thresholds": [0.1],
        "threshold_kind": "excess",
        "coordinates": "weight",
        "dtype": "float64",
        "r_max": 50.0,
    }
    study = run_study(study_file(measure={"volume": measure}, train_sizes=[20]))
    with open_cube(jobs.cube_file(study)) as cube:
        assert (cube.log_det_coordinates == 0).all()
        assert (cube.r_max == 50).all()
        assert cube.log_volume.notnull().all()
        assert cube.log_volume_compat.isnull().all()


def test_minimum_above_the_threshold_is_kept_and_marked(study_file):
    recipe = {"adam": {"optimizer": "sgd", "learning_rate": 1e-6, "epochs": 2}}
    study = run_study(study_file(recipes=recipe, train_sizes=[20]))
    with open_cube(jobs.cube_file(study)) as cube:
        assert (cube.training_status == 2).all()
        assert (cube.volume_status == 4).all()
        assert cube.log_volume.isnull().all()
        assert cube.train_loss.notnull().all()


def test_diverged_training_is_kept_and_marked(study_file):
    recipe = {"adam": {"optimizer": "sgd", "learning_rate": 1e9, "epochs": 5}}
    study = run_study(study_file(recipes=recipe, train_sizes=[20]))
    with open_cube(jobs.cube_file(study)) as cube:
        assert (cube.training_status == 3).all()
        assert cube.log_volume.isnull().all()


@pytest.mark.parametrize("damage", ["missing", "truncated", "other kind", "other study"])
def test_bad_input_file_is_named_and_nothing_is_written(study_file, capsys, damage):
    path = study_file(train_sizes=[20], seeds=1)
    study = run_study(path)
    job = jobs.expand(study)[0].id
    minima, rays = jobs.minima_file(study, job), jobs.rays_file(study, job)
    volumes = jobs.volumes_file(study, job)
    before = volumes.read_bytes()
    if damage == "missing":
        rays.unlink()
    elif damage == "truncated":
        rays.write_bytes(rays.read_bytes()[:5000])
    elif damage == "other kind":
        shutil.copy(minima, rays)
    else:
        with h5py.File(rays, "a") as file:
            file.attrs["fingerprint"] = "other"
    arguments = ["--study", path, "--job", job, "--rays", rays, "--output", volumes]
    assert str(rays) in failing(capsys, "volume", *arguments)
    assert volumes.read_bytes() == before


def test_second_of_two_equal_results_leaves_the_first(study_file):
    """Two processes did the same job: the file and its time stamp stay as the first left them."""
    study = run_study(study_file())
    job = jobs.expand(study)[0].id
    minima, rays = jobs.minima_file(study, job), jobs.rays_file(study, job)
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in (minima, rays)}
    common = ["--study", "study.yaml", "--job", job, "--receipt", jobs.receipt_of(study, job)]
    run("train", *common, "--output", minima)
    run("rays", *common, "--minima", minima, "--output", rays)
    assert {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in before} == before
    with h5py.File(rays, "a") as file:
        file["log_radius"][0, 0, 0, 0] += 1
    run("rays", *common, "--minima", minima, "--output", rays)
    with h5py.File(rays) as ours, h5py.File(io.BytesIO(before[rays][0])) as first:
        assert np.array_equal(ours["log_radius"][()], first["log_radius"][()], equal_nan=True)


def test_study_changed_while_a_job_ran_gets_no_result(study_file, monkeypatch, capsys):
    """A job left behind by a killed run must not put its old result under the new study."""
    study = run_study(study_file())
    job = jobs.expand(study)[0].id
    volumes = jobs.volumes_file(study, job)
    before = volumes.read_bytes()
    real = measuring.volumes

    def change_meanwhile(*arguments):
        study_file(measure={"volume": {"directions": 12, "thresholds": [0.1, 0.6]}})
        return real(*arguments)

    monkeypatch.setattr(measuring, "volumes", change_meanwhile)
    with pytest.raises(SystemExit):
        run(
            "volume",
            "--study",
            "study.yaml",
            "--job",
            job,
            *["--rays", jobs.rays_file(study, job)],
            "--output",
            volumes,
        )
    assert "the study was changed while this job ran" in capsys.readouterr().err
    assert volumes.read_bytes() == before


def test_changed_data_set_is_noticed(study_file, capsys):
    path = study_file(train_sizes=[20], seeds=1)
    study = run_study(path)
    receipt = jobs.dataset_file(study, "digits")
    receipt.write_text(json.dumps(json.loads(receipt.read_text()) | {"sha256": "0"}))
    job = jobs.expand(study)[0].id
    output = jobs.minima_file(study, job)
    arguments = ["--study", path, "--job", job, "--receipt", receipt, "--output", output]
    assert "has changed since this receipt" in failing(capsys, "train", *arguments)


def test_own_data_set_too_small_is_one_sentence(study_file, tmp_path, capsys):
    (tmp_path / "too_small.py").write_text(
        "import numpy as np\n"
        "def data():\n    return np.ones((9, 3)), np.arange(9) % 2, np.ones((2, 3)), np.arange(2)\n"
    )
    path = study_file(datasets=["too_small:data"])
    said = failing(
        capsys, "fetch", "--study", path, "--dataset", "too_small:data", "--output", "receipt.json"
    )
    assert "train_sizes: 60 is more than the 9 training examples" in said
    assert not Path("receipt.json").exists()


def test_unknown_figure_and_job_are_one_sentence(study_file, capsys):
    path = study_file(train_sizes=[20], seeds=1)
    study = run_study(path)
    cube = jobs.cube_file(study)
    said = failing(
        capsys, "figure", "--cube", cube, "--name", "x", "--png", "a.png", "--pdf", "a.pdf"
    )
    assert "--name: 'x' is not a figure; allowed are volume_by_train_size" in said
    arguments = ["--study", path, "--job", "x", "--rays", "r", "--output", "o", "--log", "logs/l"]
    assert "job 'x' is not in study tiny" in failing(capsys, "volume", *arguments)
    assert "Traceback" in Path("logs/l").read_text()


def test_figure_verb_draws(study_file, capsys):
    study = run_study(study_file(train_sizes=[20], seeds=2))
    cube = jobs.cube_file(study)
    common = ["figure", "--cube", cube, "--png", "f/a.png", "--pdf", "f/a.pdf"]
    run(*common, "--name", "power_law", "--threshold", "0.5")
    assert sorted(p.name for p in Path("f").iterdir()) == ["a.pdf", "a.png"]
    # Of two cubes, and of one: a figure across studies; any other is of one study.
    two = ["figure", "--cube", cube, cube, "--png", "g/a.png", "--pdf", "g/a.pdf"]
    said = failing(capsys, *two, "--name", "power_law")
    assert "--cube: figure 'power_law' is drawn from one cube, not 2; from several are" in said
    assert not Path("g").exists()
    run(*two, "--name", "largest_in_studies")
    run(*common[:3], "--png", "g/b.png", "--pdf", "g/b.pdf", "--name", "largest_in_studies")
    assert Path("g/a.png").stat().st_size > Path("g/b.png").stat().st_size


def test_killed_training_resumes_from_its_checkpoint(study_file, monkeypatch):
    """The verb that is run again ends with the same minima, and its checkpoint is gone."""
    path = study_file(train_sizes=[20], seeds=1)
    study = run_study(path)
    job = jobs.expand(study)[0]
    whole = jobs.minima_file(study, job.id)
    with h5py.File(whole) as file:
        expected = file["parameters"][()]
    saved = jobs.checkpoint_file(study, job.id)
    receipt = jobs.dataset_file(study, "digits")
    arguments = ["--study", path, "--job", job.id, "--receipt", receipt, "--output", "again.h5"]
    kill_training(monkeypatch, arguments)
    assert saved.exists()
    assert not Path("again.h5").exists()
    monkeypatch.undo()
    monkeypatch.chdir(path.parent)
    run("train", *arguments)
    assert not saved.exists()
    with h5py.File("again.h5") as file:
        assert file["parameters"][()].tobytes() == expected.tobytes()


def test_a_training_begun_by_one_arithmetic_starts_over_by_another(study_file, monkeypatch):
    path = study_file(train_sizes=[20], seeds=1)
    study = run_study(path, "--slow-path")
    job = jobs.expand(study)[0]
    with h5py.File(jobs.minima_file(study, job.id)) as file:
        expected = file["parameters"][()]
    receipt = jobs.dataset_file(study, "digits")
    arguments = ["--study", path, "--job", job.id, "--receipt", receipt, "--output", "again.h5"]
    kill_training(monkeypatch, arguments)
    monkeypatch.undo()
    monkeypatch.chdir(path.parent)
    run("train", *arguments, "--slow-path")
    with h5py.File("again.h5") as file:
        assert file["parameters"][()].tobytes() == expected.tobytes()


def kill_training(monkeypatch, arguments):
    monkeypatch.setattr(checkpoint, "save", killing(checkpoint.save))
    monkeypatch.setattr("basins.verbs.training.train_minima", saving_often(train_minima))
    with pytest.raises(KeyboardInterrupt):
        run("train", *arguments)


def saving_often(train):
    return lambda *arguments, **options: train(*arguments, **options, save_seconds=0.0)


def killing(save, after=40):
    """Return a `save` that works some times and then kills its job."""
    calls = []

    def save_then_die(*arguments):
        save(*arguments)
        calls.append(1)
        if len(calls) == after:
            raise KeyboardInterrupt

    return save_then_die


def test_progress_is_a_bar_on_a_terminal_and_lines_elsewhere(monkeypatch, caplog):
    caplog.set_level(logging.INFO, logger="basins")
    with progress("counting", 3, "things", seconds=0) as advance:
        advance(1)
        advance(2)
    assert "counting: 1 of 3 things" in caplog.text
    assert "counting: 3 things in" in caplog.text

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    with progress("counting", 2, "things") as advance:
        advance(2)
    assert "counting" in terminal.getvalue()


def test_device_is_chosen_and_missing_gpu_is_one_sentence(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    before = torch.get_num_threads()
    assert device.set_up("auto", 1).type == "cpu"
    assert torch.get_num_threads() == 1
    torch.set_num_threads(before)
    with pytest.raises(ValueError, match="device: cuda was asked for, but torch sees no GPU"):
        device.set_up("cuda", 1)


def test_seeds_of_subsets_and_initialisation_can_be_held(study_file):
    """One seed for the order of examples: the landscapes of all seeds are the same."""
    study = run_study(
        study_file(subset_seed=3, initialization_seed=4, train_sizes=[20], seeds_per_job=2)
    )
    with open_cube(jobs.cube_file(study)) as cube:
        # Same data, same start, full batch: the same minimum.
        assert np.ptp(cube.train_loss.values) == 0


CALIBRATED = {
    "estimators": ["rays", "importance", "laplace", "annealed"],
    "directions": 40,
    "thresholds": [0.1, 0.5],
    "coordinates": "weight",
    "r_max": 0.5,
    "dtype": "float64",
    "max_evaluations": 2e5,
    "stderr": 5.0,
}


def test_estimators_stand_side_by_side_in_the_cube(study_file, capsys):
    study = run_study(study_file(measure={"volume": CALIBRATED}, models=["linear"], seeds=1))
    with open_cube(jobs.cube_file(study)) as cube:
        assert cube.estimator.values.tolist() == ["annealed", "importance", "laplace", "rays"]
        own = cube.sel(train_size=20, landscape_size=20).squeeze()
        assert own.log_volume.notnull().all()
        annealed = own.sel(estimator="annealed")
        # All of them see the same bodies: rays only a part, the others most.
        assert (own.log_volume.sel(estimator="rays") < annealed.log_volume_high).all()
        assert (annealed.volume_status == 1).all()
        assert (annealed.log_volume_stderr < 5).all()
        assert annealed.log_volume_low.values[0] < annealed.log_volume.values[0]
        # Nothing is larger than the ball at whose edge basins end.
        n = cube.num_parameters.item()
        assert (annealed.log_volume_low < ball.log_volume(n, 0.5)).all()
        assert (own.star_fraction > 0.9).all()
        assert (own.radius_exponent > 0).all()
        assert own.log_volume_rays_predicted.notnull().all()
        # A minimum above the threshold has no volume by any estimator, and says why.
        above = cube.landscape_loss.sel(train_size=20, landscape_size=60).item() > 0.5
        other = cube.sel(train_size=20, landscape_size=60).squeeze()
        assert bool((other.volume_status == 4).all()) == above
        assert bool(other.log_volume.isnull().all()) == above
    run("show", jobs.cube_file(study))
    assert "annealed, threshold 0.1" in capsys.readouterr().out


def test_killed_estimate_resumes_from_its_checkpoint(study_file, monkeypatch):
    """Killed at any volume and run again, it ends with the same numbers, each measured once."""
    path = study_file(
        measure={"volume": CALIBRATED},
        models=["linear"],
        train_sizes=[20],
        seeds=2,
        seeds_per_job=2,
    )
    study = run_study(path)
    job = jobs.expand(study)[0].id
    files = [jobs.receipt_of(study, job), jobs.minima_file(study, job)]
    arguments = ["--study", path, "--job", job, "--receipt", files[0], "--minima", files[1]]
    monkeypatch.setattr(estimating, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    monkeypatch.setattr(checkpoint, "save", killing(checkpoint.save, after=8))
    with pytest.raises(KeyboardInterrupt):
        run("estimate", *arguments, "--output", "again.h5")
    saved = jobs.checkpoint_file(study, job, "estimate")
    assert saved.exists()
    assert not Path("again.h5").exists()
    monkeypatch.undo()
    monkeypatch.chdir(path.parent)
    measured = []
    real = of_minimum.estimate
    monkeypatch.setattr(of_minimum, "estimate", lambda *a, **k: measured.append(a) or real(*a, **k))
    run("estimate", *arguments, "--output", "again.h5")
    # Two seeds, two thresholds, three estimators: twelve volumes, eight of which were there.
    assert len(measured) == 12 - 8
    assert not saved.exists()
    with h5py.File("again.h5") as again, h5py.File(jobs.job_file(study, job, "estimate")) as first:
        for name in first:
            if isinstance(first[name], h5py.Dataset):
                assert np.array_equal(again[name][()], first[name][()], equal_nan=True), name


def test_estimates_that_nobody_asked_for_are_one_sentence(study_file, capsys):
    study = run_study(path := study_file(train_sizes=[20], seeds=1))
    job = jobs.expand(study)[0].id
    said = failing(
        capsys,
        *["estimate", "--study", path, "--job", job, "--receipt", jobs.receipt_of(study, job)],
        *["--minima", jobs.minima_file(study, job), "--output", "o.h5"],
    )
    assert "measure.volume.estimators: only 'rays' is named" in said


def test_laplace_of_a_large_network_is_refused_before_it_begins(study_file, monkeypatch, capsys):
    monkeypatch.setattr(of_minimum, "MAX_PARAMETERS", 100)
    path = study_file(measure={"volume": CALIBRATED}, train_sizes=[20], seeds=1)
    with pytest.raises(SystemExit):
        run_study(path)
    said = capsys.readouterr().err
    assert "estimators: 'laplace' takes a whole Hessian, so at most 100 parameters" in said


def test_recipes_that_change_on_the_way_run_whole(study_file):
    """A study of every option: epochs add up, noise scales are those of the first own step."""
    plain = {"optimizer": "sgd", "learning_rate": 0.1, "epochs": 30, "batch_size": 10}
    stages = {"milestones": [0.5], "decay_factor": 0.5}
    recipes = {
        "augmented": plain | {"augmentation": {"shift": 1, "flip": True}},
        "grows": plain | {"schedule": "growing_batch"} | stages,
        "steps": plain | {"schedule": "steps"} | stages,
        "warm": plain | {"batch_size": "full", "warm_start": {"recipe": "augmented", "epochs": 25}},
    }
    study = run_study(study_file(train_sizes=[60], recipes=recipes))
    with open_cube(jobs.cube_file(study)) as cube:
        minima = cube.squeeze(("model", "dataset", "train_size"))
        assert minima.epochs.sel(recipe="warm").values.tolist() == [55, 55]
        assert minima.epochs.sel(recipe="grows").values.tolist() == [30, 30]
        scales = minima.noise_scale.isel(seed=0)
        assert scales.values.tolist() == pytest.approx([0.5, 0.5, 0.5, 0])
        assert (minima.train_accuracy > 0.5).all()
        with xr.open_dataset(jobs.cube_file(study), group="history") as history:
            curve = history.epoch.sel(recipe="warm", seed=0).values.ravel()
            assert curve.tolist() == list(range(55))


def test_own_data_that_are_no_images_are_not_augmented(study_file, tmp_path, capsys):
    (tmp_path / "flat.py").write_text(
        "import numpy as np\n"
        "def data():\n"
        "    x = np.ones((90, 3))\n"
        "    return x, np.arange(90) % 2, x, np.arange(90) % 2\n"
    )
    recipe = {"optimizer": "sgd", "learning_rate": 0.1, "epochs": 3, "augmentation": {"flip": True}}
    path = study_file(datasets=["flat:data"], recipes={"some": recipe})
    with pytest.raises(SystemExit):
        run_study(path)
    sentence = "recipes.some.augmentation: an input of flat:data has shape (3,); only images"
    assert sentence in capsys.readouterr().err


def test_estimators_mark_a_training_that_diverged(study_file):
    recipes = {
        "adam": {"optimizer": "adam", "learning_rate": 0.02, "epochs": 10},
        "wild": {"optimizer": "sgd", "learning_rate": 1e30, "epochs": 10},
    }
    volume = {
        "estimators": ["rays", "laplace", "importance"],
        "directions": 12,
        "thresholds": [9.0],
    }
    keys = {"models": ["mlp-3"], "train_sizes": [20], "seeds": 2, "seeds_per_job": 2}
    study = run_study(study_file(**keys, recipes=recipes, measure={"volume": volume}))
    with open_cube(jobs.cube_file(study)) as cube:
        found = cube.volume_status.sel(recipe="wild")
        assert (found == VOLUME_STATUS.index("minimum_above_threshold")).all()
        assert cube.log_volume.sel(recipe="wild").isnull().all()
        assert cube.log_volume.sel(recipe="adam").notnull().all()
