"""Flatness of a study's minima: measured by the verb, resumed, merged, shown."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
import xarray as xr
from by_hand import failing, run, run_study
from killing import KilledError, kill_at_save

from basins.cube.flatness_table import FLATNESS_BY_MEASURE
from basins.cube.queries import eigenvalue_fraction
from basins.cube.read import has_group, open_cube, open_group
from basins.cube.schema import validate
from basins.datasets import digits
from basins.datasets.subsets import order
from basins.models.functional import Network, build
from basins.plan import memory
from basins.study import jobs
from basins.verbs import surveying

MEASURES = list(FLATNESS_BY_MEASURE)
OPTIONS = {
    "box_sizes": [1e-3],
    "subspace": 20,
    "num_eigenvalues": 3,
    "prior_precision": 2.0,
    "perturbations": [0.1, 1.0],
}
VOLUME = {"directions": 12, "thresholds": [0.5]}


def asking(*measures, **options):
    return {
        "volume": VOLUME,
        "flatness": list(measures or MEASURES),
        "flatness_options": OPTIONS | options,
    }


def hessian(network, theta, inputs, targets):
    def loss(point):
        return torch.nn.functional.cross_entropy(network.apply(point, inputs), targets)

    return torch.autograd.functional.hessian(loss, theta).numpy()


def test_the_cube_holds_what_dense_matrices_say(study_file, monkeypatch):
    # 650 parameters, so that spectra are whole.
    study = run_study(study_file(models=["linear"], measure=asking()))
    drawn = []
    monkeypatch.setattr("basins.figures.save.save", lambda figure, *_: drawn.append(figure))
    files = ["--png", "a.png", "--pdf", "a.pdf"]
    run("figure", "--cube", jobs.cube_file(study), "--name", "spectral_density", *files)
    assert [len(axis.lines) for axis in drawn[0].axes] == [2, 2]
    data = digits.load()
    network = Network(build("linear", data.input_shape, 10, 0).double())
    test = torch.from_numpy(data.test_inputs).double(), torch.from_numpy(data.test_targets)
    path = jobs.cube_file(study)
    with open_cube(path) as cube, open_group(path, "/spectrum") as spectra:
        validate(cube, "/")
        validate(spectra, "/spectrum")
        assert {k for table in FLATNESS_BY_MEASURE.values() for k in table} <= set(cube.data_vars)
        for seed in (0, 1):
            job = next(j for j in jobs.expand(study) if j.seeds == (seed,) and j.train_size == 60)
            with h5py.File(jobs.minima_file(study, job.id)) as file:
                theta = torch.from_numpy(file["parameters"][0]).double()
            chosen = order(data.name, data.targets, seed)
            for size in (20, 60):
                inputs = torch.from_numpy(data.inputs[chosen[:size]]).double()
                targets = torch.from_numpy(data.targets[chosen[:size]])
                values = np.linalg.eigvalsh(hessian(network, theta, inputs, targets))
                one = cube.sel(train_size=60, seed=seed, landscape_size=size).squeeze()
                np.testing.assert_allclose(one.eigenvalues, values[:-4:-1], rtol=1e-6)
                nodes = spectra.sel(train_size=60, seed=seed, landscape_size=size).squeeze()
                # Rounding of products is of the size of the largest.
                tolerance = {"rtol": 1e-6, "atol": 1e-9 * values[-1]}
                np.testing.assert_allclose(nodes.node_eigenvalue, values, **tolerance)
                np.testing.assert_allclose(nodes.gauss_newton_node_eigenvalue, values, **tolerance)
                np.testing.assert_allclose(nodes.node_weight, 1 / 650, rtol=1e-12)
                assert one.spectral_norm == pytest.approx(values[-1], rel=1e-6)
                assert one.smallest_eigenvalue == pytest.approx(0, abs=1e-6 * values[-1])
                assert one.trace == pytest.approx(values.sum(), rel=1e-9)
                assert one.trace_stderr == 0
                damped = np.log(np.maximum(values, 0) + 1e-3).sum()
                assert one.log_det == pytest.approx(damped, rel=1e-6)
                # A linear network's Gauss-Newton matrix is its Hessian.
                for name in ("spectral_norm", "trace", "log_det"):
                    assert one[f"gauss_newton_{name}"] == pytest.approx(one[name].item(), rel=1e-6)
                occam = -np.log1p(size * np.maximum(values, 0) / 2.0).sum() / 2
                assert one.log_occam_factor == pytest.approx(occam, rel=1e-6)
                expected = occam - size * one.landscape_loss - one.weight_norm**2
                assert one.log_evidence == pytest.approx(expected.item(), rel=1e-5)
                assert one.log_evidence_ratio - one.log_evidence == pytest.approx(size * np.log(10))
                # What is stronger finds more.
                assert (one.sharpness_box <= one.sharpness_box_ascent + 1e-9).all()
                assert one.sharpness_subspace_ascent > 0
                # At most |g| rho + the largest curvature's share.
                assert one.sharpness_ball > 0
            # A linear classifier: the path norm is that of the parameters, the margin the outputs'.
            assert minimum_of(cube, seed).path_norm == pytest.approx(float(theta.norm()), rel=1e-6)
            outputs = network.apply(theta, torch.from_numpy(data.inputs[chosen[:60]]).double())
            own = outputs[torch.arange(60), torch.from_numpy(data.targets[chosen[:60]])]
            wrong = outputs.scatter(
                1, torch.from_numpy(data.targets[chosen[:60]])[:, None], -torch.inf
            )
            median = float((own - wrong.amax(1)).quantile(0.5))
            assert one.margin_median == pytest.approx(median, rel=1e-5)
            attacked = minimum_of(cube, seed)
            assert (attacked.pgd_accuracy <= attacked.test_accuracy + 1e-9).all()
            assert attacked.pgd_accuracy[1] < attacked.pgd_accuracy[0]
            assert (attacked.pgd_accuracy <= attacked.fgsm_accuracy + 0.02).all()
            values = np.linalg.eigvalsh(hessian(network, theta, *test))
            tested = cube.sel(train_size=60, seed=seed).squeeze()
            assert tested.test_spectral_norm == pytest.approx(values[-1], rel=1e-6)
            np.testing.assert_allclose(tested.test_eigenvalues, values[:-4:-1], rtol=1e-6)
            nodes = spectra.sel(train_size=60, seed=seed).squeeze()
            np.testing.assert_allclose(
                nodes.test_node_eigenvalue, values, rtol=1e-6, atol=1e-9 * values[-1]
            )
            assert tested.test_gauss_newton_trace == pytest.approx(values.sum(), rel=1e-6)


def minimum_of(cube, seed):
    return cube.sel(train_size=60, seed=seed).squeeze()


def test_studies_without_flatness_have_no_such_variable(study_file):
    study = run_study(study_file(train_sizes=[20], seeds=1))
    with open_cube(jobs.cube_file(study)) as cube:
        assert "spectral_norm" not in cube
        assert "box_size" not in cube.dims
    assert not has_group(jobs.cube_file(study), "/spectrum")
    with pytest.raises(
        ValueError, match=r"cube\.nc: has no group /spectrum; the study did not ask"
    ):
        open_group(jobs.cube_file(study), "/spectrum")


def test_models_with_many_nodes_and_with_few_share_a_cube(study_file):
    """A whole spectrum of 650 nodes beside one of 1,210 parameters seen by 3 vectors of 5 steps."""
    study = run_study(
        study_file(
            train_sizes=[20],
            landscape_sizes=[20, 60],
            models=["mlp-16", "linear"],
            measure=asking("gauss_newton", num_probes=3, num_steps=5),
        )
    )
    with open_group(jobs.cube_file(study), "/spectrum") as spectra:
        validate(spectra, "/spectrum")
        assert "node" not in spectra.coords
        assert set(spectra.data_vars) == {
            f"{test}gauss_newton_node_{what}"
            for test in ("", "test_")
            for what in ("eigenvalue", "weight")
        }
        counted = spectra.gauss_newton_node_eigenvalue.notnull().sum("node")
        assert (counted.sel(model="linear") == 650).all()
        assert (counted.sel(model="mlp-16") == 15).all()
        for test in ("", "test_"):
            weights = spectra[f"{test}gauss_newton_node_weight"]
            np.testing.assert_allclose(weights.sum("node"), 1, rtol=1e-9)
            # The quadrature of x is the trace over n, to the error of three vectors.
            nodes = spectra[f"{test}gauss_newton_node_eigenvalue"]
            assert ((nodes * weights).sum("node") > 0).all()
    with xr.open_datatree(jobs.cube_file(study)) as tree:
        assert "spectrum" in tree.children
    again = jobs.cube_file(study).with_name("again.nc")
    run("cube", "--study", "study.yaml", "--output", again)
    assert again.read_bytes() == jobs.cube_file(study).read_bytes()
    for job in jobs.expand(study):
        written = jobs.job_file(study, job.id, "flatness").stat().st_size
        foretold = memory.result_bytes(study, job, "flatness")
        assert written / 1.5 < foretold < 1.5 * written


def test_flatness_of_an_older_version_is_one_sentence(study_file, capsys):
    path = study_file(train_sizes=[20], seeds=1, measure=asking("spectrum", "sharpness"))
    study = run_study(path)
    victim = jobs.job_file(study, jobs.expand(study)[0].id, "flatness")
    written = victim.stat().st_size
    foretold = memory.result_bytes(study, jobs.expand(study)[0], "flatness")
    assert written / 1.5 < foretold < 1.5 * written
    with h5py.File(victim, "a") as file:
        del file["spectrum"]
    said = failing(capsys, "cube", "--study", path, "--output", "other.nc")
    assert f"{victim}: holds no group spectrum, as older versions wrote it" in said


def test_a_killed_survey_resumes_from_its_checkpoint(study_file, monkeypatch):
    path = study_file(
        train_sizes=[20], seeds=3, seeds_per_job=3, measure=asking("spectrum", "sharpness")
    )
    study = run_study(path)
    job = jobs.expand(study)[0].id
    files = ["--receipt", jobs.receipt_of(study, job), "--minima", jobs.minima_file(study, job)]
    arguments = ["flatness", "--study", path, "--job", job, *files, "--output", "again.h5"]
    # One minimum at a time, killed after the second.
    monkeypatch.setattr(surveying.devices, "rays_together", lambda _bytes: 1)
    kill_at_save(monkeypatch, 2)
    with pytest.raises(KilledError):
        run(*arguments)
    assert not Path("again.h5").exists()
    measured, measure = [], surveying.measure_minima
    monkeypatch.setattr(
        surveying, "measure_minima", lambda *a, **k: measured.append(a) or measure(*a, **k)
    )
    run(*arguments)
    # The third minimum alone, in its landscapes and on the test set.
    assert len(measured) == 2
    assert not jobs.checkpoint_file(study, job, "flatness").exists()
    with h5py.File("again.h5") as again, h5py.File(jobs.job_file(study, job, "flatness")) as first:
        assert set(again["spectrum"]) == set(first["spectrum"])
        for name in [*first, *(f"spectrum/{name}" for name in first["spectrum"])]:
            if isinstance(first[name], h5py.Dataset):
                np.testing.assert_allclose(again[name][()], first[name][()], rtol=1e-9)


def test_minima_that_diverged_have_no_flatness(study_file):
    recipes = {
        "adam": {"optimizer": "adam", "learning_rate": 0.02, "epochs": 10},
        "wild": {"optimizer": "sgd", "learning_rate": 1e30, "epochs": 10},
    }
    study = run_study(
        study_file(train_sizes=[20], seeds=1, recipes=recipes, measure=asking("spectrum"))
    )
    with open_cube(jobs.cube_file(study)) as cube:
        assert cube.training_status.sel(recipe="wild").item() == 3
        assert cube.spectral_norm.sel(recipe="wild").isnull().all()
        assert cube.test_trace.sel(recipe="wild").isnull().all()
        assert cube.spectral_norm.sel(recipe="adam").notnull().all()
    with open_group(jobs.cube_file(study), "/spectrum") as spectra:
        assert spectra.node_weight.sel(recipe="wild").isnull().all()
        assert spectra.test_node_eigenvalue.sel(recipe="adam").notnull().all()
        shares = eigenvalue_fraction(spectra, np.inf)
        assert shares.sel(recipe="wild").isnull().all()
        np.testing.assert_allclose(shares.sel(recipe="adam"), 1, rtol=1e-12)


def test_bad_requests_are_one_sentence_before_any_computing(study_file, capsys):
    study = run_study(path := study_file(train_sizes=[20], seeds=1))
    job = jobs.expand(study)[0].id
    receipt = jobs.receipt_of(study, job)
    files = ["--receipt", receipt, "--minima", jobs.minima_file(study, job)]
    said = failing(capsys, "flatness", "--study", path, "--job", job, *files, "--output", "o.h5")
    assert "measure.flatness: no measure is named" in said
    # 610 parameters.
    path = study_file(train_sizes=[20], seeds=1, measure=asking(subspace=611))
    common = ["--study", path, "--job", job, "--receipt", receipt]
    said = failing(capsys, "train", *common, "--output", "o.h5")
    assert "measure.flatness_options.subspace: 611 is more than the 610 parameters" in said
    for measure, sentence in (
        (asking("spectrum", "spectrum"), "measure.flatness: 'spectrum' stands twice"),
        (asking("flat"), "measure.flatness.0: 'flat' is not allowed"),
        (asking(prior_precision=0.0), "measure.flatness_options.prior_precision: 0.0"),
        (asking(box_sizes=[1e-3, 5e-4]), "measure.flatness_options.box_sizes: 0.0005 follows"),
    ):
        said = failing(capsys, "check", study_file(measure=measure))
        assert sentence in said
