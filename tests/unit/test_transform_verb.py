"""Transformed minima of a study: the same function, other parameters, measured like any other."""

import h5py
import numpy as np
import pytest
from by_hand import failing, run, run_study

from basins.cube.read import open_cube
from basins.plan.remaining import remaining
from basins.study import fingerprints, jobs
from basins.study.load import load_study

TRANSFORMS = ["alpha-scale:4", "unit-rescaling:0.5", "permutation"]


def test_transformed_minima_are_measured_like_any_other(study_file):
    measure = {
        "volume": {
            "directions": 40,
            "thresholds": [0.7],
            "bias_scale": "norm",
            "dtype": "float64",
        },
        "flatness": ["spectrum"],
    }
    path = study_file(
        models=["mlp-8"], train_sizes=[20], seeds=2, measure=measure, transforms=TRANSFORMS
    )
    study = run_study(path)
    with open_cube(jobs.cube_file(study)) as cube:
        labels = [f"adam@{transform}" for transform in TRANSFORMS]
        assert sorted([*labels, "adam"]) == list(cube.recipe.values)
        own = cube.sel(landscape_size=20, train_size=20)
        before = own.sel(recipe="adam").drop_vars("recipe")
        for transform in TRANSFORMS:
            after = own.sel(recipe=f"adam@{transform}").drop_vars("recipe")
            # Single precision rounds the parameters, and with them the function, to 1e-6 or so.
            for name in ("train_loss", "test_loss", "landscape_loss"):
                np.testing.assert_allclose(after[name], before[name], rtol=1e-5)
            for name in ("train_accuracy", "epochs", "noise_scale", "training_status"):
                np.testing.assert_array_equal(after[name], before[name])
        scaled = own.sel(recipe="adam@alpha-scale:4")
        # Radii in units of filters that are scaled along, in the same directions, stay.
        np.testing.assert_allclose(scaled.log_volume, before.log_volume, atol=0.1)
        assert float((scaled.spectral_norm / before.spectral_norm).min()) > 2
        permuted = own.sel(recipe="adam@permutation")
        np.testing.assert_allclose(permuted.spectral_norm, before.spectral_norm, rtol=1e-4)
        assert not np.array_equal(permuted.log_volume, before.log_volume)
    parents = [job for job in jobs.expand(study) if not job.transform]
    children = [job for job in jobs.expand(study) if job.transform]
    for job in children:
        with (
            h5py.File(jobs.minima_file(study, jobs.parent(study, job).id)) as parent,
            h5py.File(jobs.minima_file(study, job.id)) as child,
        ):
            assert not np.array_equal(parent["parameters"], child["parameters"])
            np.testing.assert_array_equal(parent["history/train_loss"], child["history/train_loss"])
    left = remaining(study)
    assert not any(left.blocks.values())
    first = parents[0]
    jobs.minima_file(study, first.id).unlink()
    left = remaining(study)
    made = [job for job in children if jobs.parent(study, job) == first]
    assert list(left.blocks["train"]) == [first]
    assert left.blocks["transform"] == dict.fromkeys(made, "train is done")
    assert set(left.blocks["volume"]) == {first, *made}


def test_radial_coordinates_are_measured_around_each_minimum(study_file):
    """Radii, curvature and gradients are those of the map, of every seed about its own centre."""
    a, b = 0.5, 0.3
    volume = {"directions": 30, "thresholds": [0.7], "coordinates": "weight"}
    measure = {
        "volume": volume | {"dtype": "float64", "estimators": ["rays", "laplace"]},
        "flatness": ["spectrum", "sharpness", "norms"],
        "planes": {"points": 3},
    }
    path = study_file(
        models=["mlp-8"],
        train_sizes=[20],
        seeds=3,
        seeds_per_job=2,
        measure=measure,
        transforms=[f"radial:{a}:{b}"],
    )
    study = run_study(path)
    children = [job for job in jobs.expand(study) if job.transform]
    assert [job.seeds for job in children] == [(0,), (1,), (2,)]
    assert [jobs.parent(study, job).seeds for job in children] == [(0, 1), (0, 1), (2,)]
    with open_cube(jobs.cube_file(study)) as cube:
        own = cube.sel(landscape_size=20, train_size=20)
        after = own.sel(recipe=f"adam@radial:{a}:{b}").drop_vars("recipe")
        before = own.sel(recipe="adam").drop_vars("recipe")
        for name in ("train_loss", "test_loss", "weight_norm", "epochs", "training_status"):
            np.testing.assert_allclose(after[name], before[name], rtol=1e-5)
        np.testing.assert_allclose(after.gradient_norm, before.gradient_norm * b**-a, rtol=1e-3)
        np.testing.assert_allclose(
            after.spectral_norm, before.spectral_norm * b ** (-2 * a), rtol=1e-5
        )
        assert np.isfinite(after.log_volume).all()
        assert np.isfinite(after.sharpness_box).all()
        assert (after.distance_from_start != before.distance_from_start).all()
    for job in children:
        origin = jobs.parent(study, job)
        row = origin.seeds.index(job.seeds[0])
        with (
            h5py.File(jobs.rays_file(study, job.id)) as child,
            h5py.File(jobs.rays_file(study, origin.id)) as parent,
        ):
            radius, r_max = np.exp(parent["log_radius"][row]), parent["r_max"][row]
            assert (radius < r_max).all()
            expected = (radius**2 + b) ** a * radius
            np.testing.assert_allclose(np.exp(child["log_radius"][0]), expected, rtol=1e-4)
            np.testing.assert_allclose(child["r_max"][0], (r_max**2 + b) ** a * r_max)
    assert not any(remaining(study).blocks.values())


def test_another_transform_makes_only_its_own_files(study_file):
    keys = {"models": ["mlp-8"], "train_sizes": [20], "seeds": 1}
    study = run_study(study_file(**keys, transforms=["alpha-scale:2"]))
    before = {job.id: fingerprints.of(study, job.id, "rays") for job in jobs.expand(study)}
    changed = load_study(study_file(**keys, transforms=["alpha-scale:2", "permutation"]))
    after = {job.id: fingerprints.of(changed, job.id, "rays") for job in jobs.expand(changed)}
    assert before.items() <= after.items()
    left = remaining(changed)
    assert not left.blocks["train"]
    assert [job.transform for job in left.blocks["transform"]] == ["permutation"]


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (
            {"transforms": ["rotation"]},
            "transforms.0: 'rotation' is not allowed: 'rotation' is not a transform; allowed are "
            "alpha-scale:<alpha>, unit-rescaling:<spread>, permutation, radial:<a>:<b>",
        ),
        ({"transforms": ["alpha-scale:-1"]}, "alpha must be a finite number above 0, not -1"),
        ({"transforms": ["radial:1"]}, "'radial:1' is not a transform; allowed are "),
        ({"transforms": ["radial:-0.5:1"]}, "a must be a finite number above -0.5, not -0.5"),
        ({"transforms": ["radial:1:0"]}, "b must be a finite number above 0, not 0"),
        ({"transforms": ["permutation", "permutation"]}, "'permutation' stands twice"),
        (
            {"transforms": ["alpha-scale:2"], "models": ["own_tanh:model"]},
            "transforms: 'alpha-scale:2' is not possible, ",
        ),
        (
            {"transforms": ["permutation"], "models": ["resnet-8"], "datasets": ["digits"]},
            "transforms: 'permutation' is not possible, ",
        ),
    ],
)
def test_impossible_transform_is_one_sentence_before_any_computing(
    study_file, tmp_path, capsys, keys, said
):
    (tmp_path / "own_tanh.py").write_text(
        "import torch\n"
        "def model(shape, outputs):\n"
        "    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 7),\n"
        "                               torch.nn.Tanh(), torch.nn.Linear(7, outputs))\n"
    )
    assert said in failing(capsys, "check", study_file(**keys))


def test_transform_of_a_foreign_file_or_of_a_trained_job_is_refused(study_file, capsys):
    path = study_file(models=["mlp-8"], train_sizes=[20], seeds=1, transforms=["permutation"])
    study = load_study(path)
    parent, child = jobs.expand(study)
    receipt, output = jobs.receipt_of(study, parent.id), jobs.minima_file(study, child.id)
    run("fetch", "--study", path, "--dataset", "digits", "--output", receipt)
    given = ["--study", path, "--receipt", receipt, "--output", output]
    missing = jobs.minima_file(study, parent.id)
    said = failing(capsys, "transform", *given, "--job", parent.id, "--minima", missing)
    assert "names no transform" in said
    said = failing(capsys, "transform", *given, "--job", child.id, "--minima", missing)
    assert f"{missing}: there is no such file" in said
    missing.parent.mkdir(parents=True)
    missing.write_text("something else")
    said = failing(capsys, "transform", *given, "--job", child.id, "--minima", missing)
    assert str(missing) in said
    assert not output.exists()


def test_transformed_jobs_are_found_by_their_names(study_file):
    study = load_study(study_file(seeds=3, seeds_per_job=2, transforms=[*TRANSFORMS, "radial:1:1"]))
    assert {job.label for job in jobs.expand(study)} == set(jobs.recipe_labels(study))
    for job in jobs.expand(study):
        assert jobs.find(study, job.id) == job
