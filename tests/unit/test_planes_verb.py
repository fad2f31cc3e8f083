"""Losses in planes of a study: computed by the verb, resumed, merged, drawn."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
import xarray as xr
from by_hand import failing, run, run_study
from killing import KilledError, kill_at_save
from PIL import Image

from basins.cube.axes import grid_axis
from basins.cube.read import has_group, open_cube, open_group
from basins.cube.schema import validate
from basins.datasets import digits
from basins.datasets.subsets import order
from basins.figures import landscape_animation
from basins.landscape.li2018planes import filter_normalized
from basins.models.functional import Network, build
from basins.plan import memory
from basins.study import jobs

VOLUME = {"directions": 12, "thresholds": [0.5]}


def asking(**planes):
    return {"volume": VOLUME | {"dtype": "float64"}, "planes": planes}


def test_the_cube_holds_losses_of_the_plane(study_file, monkeypatch):
    study = run_study(study_file(measure=asking(points=5, extent=0.5)))
    path = jobs.cube_file(study)
    data = digits.load()
    network = Network(build("mlp-8", data.input_shape, 10, 0).double())
    with open_cube(path) as cube, open_group(path, "/planes") as planes:
        validate(planes, "/planes")
        np.testing.assert_allclose(planes.x, [-0.5, -0.25, 0, 0.25, 0.5])
        np.testing.assert_array_equal(planes.y, planes.x)
        middle = planes.plane_loss.sel(x=0, y=0)
        # Drawn numbers are kept in single precision.
        np.testing.assert_allclose(middle, cube.landscape_loss, rtol=1e-6)
        assert (planes.plane_loss.min(["x", "y"]) >= 0).all()
        for job in jobs.expand(study):
            with h5py.File(jobs.minima_file(study, job.id)) as file:
                theta = file["parameters"][0].astype(np.float64)
            chosen = order(data.name, data.targets, job.seeds[0])
            names = study.study, jobs.minimum_name(job, job.seeds[0]), "plane"
            first, second = filter_normalized(network.layout, theta, *names)
            for size in (20, 60):
                inputs = torch.from_numpy(data.inputs[chosen[:size]]).double()
                outputs = network.apply(
                    torch.from_numpy(theta + 0.5 * first - 0.25 * second), inputs
                )
                targets = torch.from_numpy(data.targets[chosen[:size]])
                one = planes.plane_loss.sel(
                    train_size=job.train_size, seed=job.seeds[0], landscape_size=size
                )
                expected = torch.nn.functional.cross_entropy(outputs, targets)
                assert one.squeeze().sel(x=0.5, y=-0.25) == pytest.approx(expected.item(), rel=1e-6)
        jobs_noted = {
            job.split()[0] for job in xr.open_dataset(path, group="provenance").job.values
        }
        assert "planes" in jobs_noted
    for job in jobs.expand(study):
        written = jobs.job_file(study, job.id, "planes").stat().st_size
        assert written / 1.5 < memory.result_bytes(study, job, "planes") < 1.5 * written
    for name in ("loss_planes", "loss_surfaces", "loss_lines"):
        run("figure", "--cube", path, "--name", name, "--png", "a.png", "--pdf", "a.pdf")
    monkeypatch.setattr(landscape_animation, "HELD", 1)
    run("animate", "--cube", path, "--output", "a.gif", "--seed", 1, "--train-size", 20)
    with Image.open("a.gif") as image:
        # One frame for either landscape, and those between.
        assert image.n_frames == 2 + landscape_animation.EASED


def test_an_animation_of_nothing_is_one_sentence(study_file, capsys):
    path = study_file(train_sizes=[20], seeds=1, measure=asking(points=3))
    cube = jobs.cube_file(run_study(path))
    said = failing(capsys, "animate", "--cube", cube, "--output", "a.gif")
    assert "landscape_sizes: the cube has one, 20; an animation needs two or more" in said
    said = failing(capsys, "animate", "--cube", cube, "--output", "a.mp4")
    assert "--output: 'a.mp4' must end in .gif; animations are GIFs" in said
    said = failing(capsys, "animate", "--cube", "absent.nc", "--output", "a.gif")
    assert "absent.nc: there is no such file" in said
    cube = jobs.cube_file(run_study(study_file(study="plain", train_sizes=[20], seeds=1)))
    said = failing(capsys, "animate", "--cube", cube, "--output", "a.gif")
    assert "cube.nc: has no group /planes; the study did not ask for what it holds" in said
    assert not Path("a.gif").exists()


@pytest.mark.parametrize("extent", [0.9, 0.7, 1.0])
@pytest.mark.parametrize("points", [3, 7, 51, 71, 101])
def test_the_minimum_is_a_point_of_every_grid(extent, points):
    axis = grid_axis(points, extent)
    assert axis[points // 2] == 0
    assert (axis[0], axis[-1]) == (-extent, extent)


def test_a_killed_verb_resumes_with_the_minimum_it_was_at(study_file, monkeypatch):
    path = study_file(train_sizes=[20], seeds=3, seeds_per_job=3, measure=asking(points=3))
    study = run_study(path)
    job = jobs.expand(study)[0].id
    files = ["--receipt", jobs.receipt_of(study, job), "--minima", jobs.minima_file(study, job)]
    arguments = ["planes", "--study", path, "--job", job, *files, "--output", "again.h5"]
    saved = kill_at_save(monkeypatch, 2)
    with pytest.raises(KilledError):
        run(*arguments)
    run(*arguments)
    assert len(saved) == 3
    assert not jobs.checkpoint_file(study, job, "planes").exists()
    with h5py.File("again.h5") as again, h5py.File(jobs.job_file(study, job, "planes")) as first:
        np.testing.assert_array_equal(again["plane_loss"][()], first["plane_loss"][()])


def test_minima_that_diverged_have_no_planes(study_file):
    recipes = {
        "adam": {"optimizer": "adam", "learning_rate": 0.02, "epochs": 10},
        "wild": {"optimizer": "sgd", "learning_rate": 1e30, "epochs": 10},
    }
    study = run_study(
        study_file(train_sizes=[20], seeds=1, recipes=recipes, measure=asking(points=3))
    )
    with open_group(jobs.cube_file(study), "/planes") as planes:
        assert planes.plane_loss.sel(recipe="wild").isnull().all()
        assert planes.plane_loss.sel(recipe="adam").notnull().all()
    for name in ("loss_planes", "loss_surfaces", "loss_lines"):
        cube = jobs.cube_file(study)
        run("figure", "--cube", cube, "--name", name, "--png", "a.png", "--pdf", "a.pdf")


def test_bad_requests_are_one_sentence_before_any_computing(study_file, capsys):
    study = run_study(path := study_file(train_sizes=[20], seeds=1))
    assert not has_group(jobs.cube_file(study), "/planes")
    job = jobs.expand(study)[0].id
    files = [
        *("--receipt", jobs.receipt_of(study, job)),
        *("--minima", jobs.minima_file(study, job)),
        *("--output", "o.h5"),
    ]
    said = failing(capsys, "planes", "--study", path, "--job", job, *files)
    assert "measure.planes: the study asks for no planes" in said
    for planes, sentence in (
        ({"points": 4}, "measure.planes.points: 4 is even; it must be odd"),
        ({"points": 1}, "measure.planes.points: 1 is not allowed"),
        ({"extent": 0.0}, "measure.planes.extent: 0.0 is not allowed"),
        ({"size": 3}, "measure.planes.size: unknown key; allowed are points, extent"),
    ):
        said = failing(capsys, "check", study_file(measure=asking(**planes)))
        assert sentence in said
