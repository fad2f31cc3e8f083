"""Planes that minima span, with their paths or three at a time, through the verbs."""

from dataclasses import replace

import h5py
import numpy as np
import pytest
import torch
from by_hand import failing, run, run_study
from killing import KilledError, kill_at_save

from basins.cube.read import open_cube, open_group
from basins.cube.schema import validate
from basins.losses import per_example_loss
from basins.models.functional import Network, build
from basins.plan import memory, price
from basins.plan.remaining import remaining
from basins.study import fingerprints, jobs
from basins.study.load import load_study
from basins.verbs import job_data

ADAM = {"optimizer": "adam", "learning_rate": 0.02, "epochs": 30}
KEYS = {
    "models": ["mlp-6"],
    "train_sizes": [20, 40, 80, 160],
    "seeds": 3,
    "seeds_per_job": 2,
    "recipes": {"kept": ADAM | {"keep_every": 7}, "plain": ADAM | {"learning_rate": 0.01}},
}
MEASURE = {
    "volume": {"directions": 5, "thresholds": [5.0], "dtype": "float64"},
    "trajectories": {"points": 5, "margin": 0.5},
    "size_planes": {"points": 5, "train_sizes": [20, 40, 160]},
}


def losses_by_torch(study, thetas, seed):
    """Return losses of parameters (k, n) in every landscape of a seed, plainly, (landscapes, k)."""
    data = job_data.load(study, "digits")
    network = Network(build("mlp-6", data.input_shape, 10).double())
    job = next(job for job in jobs.expand(study) if seed in job.seeds)
    order = job_data.orders(study, data, replace(job, seeds=(seed,)))[0]
    inputs, targets = (
        torch.from_numpy(data.inputs[order]).double(),
        torch.from_numpy(data.targets[order]),
    )
    each = torch.stack(
        [
            per_example_loss("cross_entropy")(network.apply(torch.from_numpy(one), inputs), targets)
            for one in thetas
        ]
    )
    return np.array([each[:, :size].mean(1).numpy() for size in study.landscape_sizes])


def parameters_of(study, recipe, size, seed):
    job = next(
        job
        for job in jobs.expand(study)
        if (job.recipe, job.train_size) == (recipe, size) and seed in job.seeds
    )
    with h5py.File(jobs.minima_file(study, job.id)) as file:
        row = job.seeds.index(seed)
        path = file["path/parameters"][row].astype(np.float64) if "path" in file else None
        return file["parameters"][row].astype(np.float64), path


def test_grids_and_points_are_the_losses_of_the_parameters_they_stand_for(study_file):
    study = run_study(study_file(**KEYS, measure=MEASURE))
    cube = jobs.cube_file(study)
    with open_group(cube, "trajectories") as drawn, open_cube(cube) as root:
        validate(drawn, "/trajectories")
        assert drawn.sel(recipe="plain").trajectory_loss.isnull().all()
        one = drawn.sel(recipe="kept", train_size=40, seed=2).squeeze()
        assert one.trajectory_epochs.values.tolist() == [0, 7, 14, 21, 28, 30]
        end, path = parameters_of(study, "kept", 40, 2)
        points = np.concatenate([path, end[None]])
        expected = losses_by_torch(study, points, 2)[1]
        # Float32 in the file.
        np.testing.assert_allclose(one.trajectory_point_loss, expected, rtol=1e-5)
        own = root.train_loss.sel(recipe="kept", train_size=40, seed=2).item()
        assert one.trajectory_point_loss[-1].item() == pytest.approx(own, rel=1e-4)
        places = np.stack([one.trajectory_x, one.trajectory_y], axis=1)
        assert places[-1].tolist() == [0, 0]
        # A right triangle: along the plane, and beside it.
        lengths = np.hypot(np.linalg.norm(places, axis=1), one.trajectory_residual)
        np.testing.assert_allclose(lengths, np.linalg.norm(points - end, axis=1), rtol=1e-4)
        explained = one.trajectory_explained_x.item() + one.trajectory_explained_y.item()
        assert np.square(places).sum() / np.square(lengths).sum() == pytest.approx(
            explained, rel=1e-4
        )
        check_grid(study, one, "trajectory", points, places, 2)
    with open_group(cube, "size_planes") as drawn:
        validate(drawn, "/size_planes")
        assert drawn.corner_size.values.tolist() == [20, 40, 160]
        assert drawn.size_plane_loss.notnull().all()
        for recipe, seed in (("plain", 2), ("kept", 1)):
            one = drawn.sel(recipe=recipe, seed=seed).squeeze()
            points = np.stack(
                [parameters_of(study, recipe, size, seed)[0] for size in (20, 40, 160)]
            )
            places = np.stack([one.size_plane_corner_x, one.size_plane_corner_y], axis=1)
            apart = [np.linalg.norm(rows[:, None] - rows, axis=2) for rows in (points, places)]
            np.testing.assert_allclose(*apart, rtol=1e-4)
            check_grid(study, one, "size_plane", points, places, seed)
    assert not any(remaining(study).blocks.values())


def check_grid(study, one, name, points, places, seed):
    """Hold a grid against losses of parameters found from points and their places by a fit."""
    x = one[f"{name}_center_x"].item() + one[f"{name}_half_width"].item() * one.grid_x.values
    y = one[f"{name}_center_y"].item() + one[f"{name}_half_width"].item() * one.grid_y.values
    assert x[0] < places[:, 0].min() < places[:, 0].max() < x[-1]
    assert y[0] < places[:, 1].min() < places[:, 1].max() < y[-1]
    # The plane in weights, from any points with their places in it.
    design = np.column_stack([np.ones(len(places)), places])
    if name == "trajectory":
        end = points[-1]
        directions = np.linalg.svd(points[:-1] - end, full_matrices=False)[2][:2]
        signs = np.sign(((points - end) @ directions.T * places).sum(0))
        frame = np.stack([end, *(signs[:, None] * directions)])
    else:
        frame = np.linalg.solve(design, points)
    corners = [(0, 0), (2, 1), (4, 4), (1, 3)]
    thetas = np.stack([frame[0] + x[i] * frame[1] + y[j] * frame[2] for i, j in corners])
    found = np.stack([one[f"{name}_loss"].values[:, j, i] for i, j in corners], axis=1)
    # Places are kept in single precision, which moves the points a little.
    np.testing.assert_allclose(found, losses_by_torch(study, thetas, seed), rtol=1e-3)


@pytest.mark.parametrize("verb", ["trajectories", "size_planes"])
def test_a_killed_verb_resumes_and_leaves_no_trace(study_file, monkeypatch, verb):
    study = run_study(
        path := study_file(
            **KEYS | {"train_sizes": [20, 40, 80]}, measure=MEASURE | {"size_planes": {"points": 5}}
        )
    )
    one = jobs.cells(study)[0] if verb == "size_planes" else jobs.expand(study)[0]
    output = jobs.job_file(study, one.id, verb)
    before = output.read_bytes()
    with h5py.File(output) as file:
        whole = {name: file[name][()] for name in file if isinstance(file[name], h5py.Dataset)}
    output.unlink()
    given = ["--study", path, "--receipt", jobs.receipt_of(study, one.id), "--output", output]
    if verb == "size_planes":
        given += ["--cell", one.id]
    else:
        given += ["--job", one.id, "--minima", jobs.minima_file(study, one.id)]
    saved = kill_at_save(monkeypatch, 1)
    with pytest.raises(KilledError):
        run(verb, *given)
    assert not output.exists()
    run(verb, *given)
    total = 6 if verb == "size_planes" else 2
    assert len(saved) == total
    assert before
    with h5py.File(output) as file:
        for name, values in whole.items():
            np.testing.assert_array_equal(file[name][()], values, err_msg=name)
    assert not jobs.checkpoint_file(study, one.id, verb).exists()


@pytest.mark.parametrize("odd", [{"learning_rate": 1e30}, {"stop_at_loss": 4.9}])
def test_trainings_that_diverged_or_never_moved_are_in_no_plane(study_file, odd):
    wild = {"optimizer": "sgd", "learning_rate": 0.01, "epochs": 5, "keep_every": 2} | odd
    keys = KEYS | {"recipes": {"wild": wild}, "train_sizes": [20, 40, 160], "seeds": 1}
    study = run_study(study_file(**keys, measure=MEASURE))
    cube = jobs.cube_file(study)
    for group, name in (("trajectories", "trajectory_loss"), ("size_planes", "size_plane_loss")):
        with open_group(cube, group) as drawn:
            assert drawn[name].isnull().all()


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (
            {"recipes": {"adam": ADAM}},
            "measure.trajectories: no recipe keeps its path; give one of them `keep_every`",
        ),
        ({"train_sizes": [20, 160]}, "measure.size_planes.train_sizes: 40 is not a train size of"),
        (
            {"measure": MEASURE | {"size_planes": {}}, "train_sizes": [20, 40]},
            "measure.size_planes: a plane goes through three minima, and the study has 2 train",
        ),
        (
            {"measure": MEASURE | {"size_planes": {"train_sizes": [40, 20, 160]}}},
            "measure.size_planes.train_sizes: 20 follows 40; values must be increasing",
        ),
        (
            {"measure": MEASURE | {"size_planes": {"train_sizes": [20, 40]}}},
            "measure.size_planes.train_sizes: [20, 40] is not allowed",
        ),
        (
            {"measure": MEASURE | {"trajectories": {"margin": -1.0}}},
            "measure.trajectories.margin: -1.0 is not allowed",
        ),
    ],
)
def test_planes_that_cannot_be_are_one_sentence(study_file, capsys, keys, said):
    given = {"measure": MEASURE} | keys
    assert said in failing(capsys, "check", study_file(**KEYS | given))


def test_a_job_without_a_path_is_refused_and_not_planned(study_file, capsys, tmp_path):
    study = load_study(path := study_file(**KEYS, measure=MEASURE))
    plain = next(job for job in jobs.expand(study) if job.recipe == "plain")
    given = ["--study", path, "--job", plain.id, "--receipt", tmp_path / "r"]
    said = failing(
        capsys, "trajectories", *given, "--minima", tmp_path / "m", "--output", tmp_path / "o"
    )
    assert f"--job: {plain.id} keeps no path" in said
    left = remaining(study)
    assert {job.recipe for job in left.blocks["trajectories"]} == {"kept"}
    assert list(left.blocks["size_planes"]) == jobs.cells(study)
    assert {path.parts[3] for path in jobs.job_files(study, "trajectories")} == {"mlp-6"}


def test_planes_are_priced_by_their_points(study_file):
    small = load_study(study_file(**KEYS, measure=MEASURE))
    grids = {"trajectories": {"points": 15}, "size_planes": {"points": 15}}
    large = load_study(study_file(**KEYS, measure=MEASURE | grids))
    for verb in grids:
        prices = []
        for study in (small, large):
            one = jobs.cells(study)[0] if verb == "size_planes" else jobs.expand(study)[0]
            pricer = price.pricer_of(study)
            start = pricer.compute.start_seconds["rays"]
            prices.append((pricer.job(one, verb)[0] - start, memory.result_bytes(study, one, verb)))
        assert prices[1][0] > prices[0][0]
        assert 8.5 < (prices[1][1] - memory.FILE_BYTES) / (prices[0][1] - memory.FILE_BYTES) < 9.5
        assert price.pricer_of(small).largest(verb).minutes >= 10


def test_other_landscapes_move_planes_and_not_the_minefield(study_file):
    measure = MEASURE | {"minefield": {}}
    before = load_study(study_file(**KEYS, measure=measure))
    after = load_study(study_file(**KEYS, landscape_sizes=[20, 40, 80, 160, 200], measure=measure))
    for verb, stays in (("minefield", True), ("size_planes", False)):
        prints = [fingerprints.of_job(s, jobs.cells(s)[0], verb) for s in (before, after)]
        assert (prints[0] == prints[1]) == stays, verb
