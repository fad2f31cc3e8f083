"""Curves between minima of a study: trained by the verb, resumed, merged, drawn."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
import yaml
from by_hand import failing, run, run_study
from killing import KilledError, kill_at_save

from basins.cube.read import has_group, open_cube, open_group
from basins.cube.schema import validate
from basins.datasets import digits
from basins.datasets.subsets import order
from basins.landscape.garipov2018curves import points
from basins.models.functional import Network, build
from basins.plan import cell_cost, memory, price
from basins.plan.cost import ESTIMATE
from basins.plan.networks import job_network
from basins.plan.remaining import remaining
from basins.rays.numba_path import NumbaEvaluator
from basins.study import curves, fingerprints, jobs
from basins.study.load import load_study

TINY = Path(__file__).parents[1] / "studies" / "tiny.yaml"
ADAM = {"optimizer": "adam", "learning_rate": 0.02, "epochs": 60}
KEYS = {
    "models": ["mlp-8"],
    "train_sizes": [20, 60],
    "seeds": 3,
    "seeds_per_job": 2,
    "subset_seed": 0,
    "recipes": {
        "clean": ADAM,
        "bad": ADAM | {"poison": {"kind": "reversed", "examples": 100}},
    },
}
PAIRS = [["clean", "clean"], ["clean", "bad"], ["clean", "clean@permutation"]]
ASKED = {
    "pairs": PAIRS,
    "points": 5,
    "epochs": 40,
    "learning_rate": 0.05,
    "volume_points": 3,
    "directions": 12,
}
VOLUME = {"directions": 12, "thresholds": [1.5, 3.0], "dtype": "float64"}
MEASURE = {"volume": VOLUME, "curves": ASKED}


def theta_of(study, label, size, seed):
    job = next(
        job
        for job in jobs.expand(study)
        if (job.label, job.train_size) == (label, size) and seed in job.seeds
    )
    with h5py.File(jobs.minima_file(study, job.id)) as file:
        return file["parameters"][job.seeds.index(seed)].astype(np.float64)


@pytest.fixture(scope="module")
def joined(tmp_path_factory):
    """Return the folder of a study that joins its minima, and the study, run."""
    folder = tmp_path_factory.mktemp("joined")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        mapping = yaml.safe_load(TINY.read_text()) | KEYS
        mapping |= {"transforms": ["permutation"], "measure": MEASURE}
        path = folder / "study.yaml"
        path.write_text(yaml.safe_dump(mapping))
        return folder, run_study(path)


def test_the_cube_holds_what_lies_along_curves(joined, monkeypatch):
    folder, study = joined
    monkeypatch.chdir(folder)
    path, data = jobs.cube_file(study), digits.load()
    network = Network(build("mlp-8", data.input_shape, 10, 0).double())
    chosen = order(data.name, data.targets, 0)
    with open_cube(path) as cube, open_group(path, "/curves") as found:
        validate(found, "/curves")
        assert found.pair.values.tolist() == [
            "clean to bad",
            "clean to clean",
            "clean to clean@permutation",
        ]
        own = found.squeeze(["model", "dataset"])
        loss = own.curve_loss
        # A seed and the next: the last has none.
        assert loss.sel(pair="clean to clean", seed=2).isnull().all()
        assert own.curve_log_volume.sel(pair="clean to clean", seed=2).isnull().all()
        assert (own.curve_volume_status.sel(pair="clean to clean", seed=2) == 0).all()
        assert loss.sel(pair=["clean to bad", "clean to clean@permutation"]).notnull().all()
        # Whatever the curve, its ends are the minima.
        minima = cube.squeeze(["model", "dataset"]).landscape_loss
        for pair, last, seeds in (
            ("clean to bad", "bad", [0, 1, 2]),
            ("clean to clean@permutation", "clean@permutation", [0, 1, 2]),
            ("clean to clean", "clean", [1, 2]),
        ):
            part = loss.sel(pair=pair).isel(seed=slice(len(seeds))).transpose("kind", ...)
            first = minima.sel(recipe="clean").isel(seed=slice(len(seeds)))
            # Drawn numbers are kept in single precision.
            for at, end in ((0, first), (1, minima.sel(recipe=last, seed=seeds))):
                expected = np.broadcast_to(end.values, part.sel(position=at).shape)
                np.testing.assert_allclose(part.sel(position=at).values, expected, rtol=1e-6)
        # Along the line there is nothing to train: passes of the plain network.
        for size, seed in ((20, 0), (60, 2)):
            ends = np.stack([theta_of(study, label, size, seed) for label in ("clean", "bad")])
            at = points("line", ends, ends[0], found.position.values)
            here = own.sel(pair="clean to bad", kind="line", train_size=size, seed=seed)
            inputs = torch.from_numpy(data.inputs[chosen[:size]]).double()
            targets = torch.from_numpy(data.targets[chosen[:size]])
            tests = torch.from_numpy(data.test_inputs).double()
            for theta, t in zip(at, found.position.values, strict=True):
                outputs = network.apply(torch.from_numpy(theta), inputs)
                expected = torch.nn.functional.cross_entropy(outputs, targets).item()
                one = here.sel(position=t)
                assert one.curve_loss.sel(landscape_size=size) == pytest.approx(expected, rel=1e-6)
                wrong = (outputs.argmax(1) != targets).double().mean().item()
                # An example may change sides between single precision and double.
                assert abs(one.curve_train_error.item() - wrong) < 1.5 / size
                answers = network.apply(torch.from_numpy(theta), tests).argmax(1)
                wrong = (answers != torch.from_numpy(data.test_targets)).double().mean().item()
                assert abs(one.curve_test_error.item() - wrong) < 1.5 / len(tests)
            distance = np.linalg.norm(ends[1] - ends[0])
            assert here.curve_length.item() == pytest.approx(distance, rel=1e-12)
        straight = loss.sel(kind="line")
        share = found.position
        rises = straight - (1 - share) * straight.sel(position=0) - share * straight.sel(position=1)
        np.testing.assert_allclose(
            own.curve_barrier.sel(kind="line"), rises.max("position", skipna=False), atol=1e-5
        )
        # Bent away, and lower than the line it started beside.
        in_own = loss.sel(landscape_size=20, train_size=20, seed=[0, 1]).mean("position")
        assert (in_own.sel(kind=["bezier", "polygon"]) < in_own.sel(kind="line")).all()
        assert (own.curve_length >= own.curve_length.sel(kind="line") * (1 - 1e-12)).sum() == 48
    assert not any(remaining(study).blocks.values())
    run("figure", "--cube", path, "--name", "mode_connectivity", "--png", "a.png", "--pdf", "a.pdf")
    cell = jobs.cells(study)[0]
    written = jobs.job_file(study, cell.id, "curves").stat().st_size
    assert written / 1.5 < memory.result_bytes(study, cell, "curves") < 1.5 * written
    priced = price.pricer_of(study).job(cell, "curves")
    assert all(number > 0 for number in priced)


def test_volumes_at_the_ends_are_those_of_the_minima(joined):
    folder, study = joined
    path = folder / jobs.cube_file(study)
    with open_cube(path) as cube, open_group(path, "/curves") as found:
        ours = found.curve_log_volume.sel(pair="clean to bad", volume_position=0)
        theirs = cube.log_volume.sel(recipe="clean", estimator="rays").transpose(
            "model", "dataset", "train_size", "seed", "landscape_size", "threshold"
        )
        status = found.curve_volume_status.sel(pair="clean to bad")
        for kind in curves.KINDS:
            # Other batches of rays: the radii agree to their tolerance, a tenth of a nat.
            np.testing.assert_allclose(ours.sel(kind=kind).values, theirs.values, atol=0.2)
        is_above = status == 4
        assert (found.curve_log_volume.sel(pair="clean to bad").isnull() == is_above).all()
        assert is_above.any()
        assert (~is_above).any()
        scales = found.curve_log_det_coordinates.sel(pair="clean to bad", volume_position=0)
        expected = cube.log_det_coordinates.sel(recipe="clean")
        np.testing.assert_allclose(scales.sel(kind="line").values, expected.values, rtol=1e-12)


def test_a_killed_verb_resumes_with_the_curve_it_was_at(study_file, monkeypatch):
    keys = KEYS | {"train_sizes": [20]}
    asked = ASKED | {"pairs": PAIRS[:2], "epochs": 5, "volume_points": None}
    path = study_file(**keys, measure={"volume": VOLUME, "curves": asked})
    study = run_study(path)
    cell = jobs.cells(study)[0].id
    given = ["--cell", cell, "--receipt", jobs.receipt_of(study, cell)]
    arguments = ["curves", "--study", path, *given, "--output", "again.h5"]
    saved = kill_at_save(monkeypatch, 2)
    with pytest.raises(KilledError):
        run(*arguments)
    run(*arguments)
    # Two of the first pair's seeds have a next; the second joins three.
    assert len(saved) == 5
    assert not jobs.checkpoint_file(study, cell, "curves").exists()
    with h5py.File("again.h5") as again, h5py.File(jobs.job_file(study, cell, "curves")) as first:
        assert "curve_log_volume" not in first
        for name in ("curve_loss", "curve_test_error", "curve_barrier", "curve_length"):
            np.testing.assert_array_equal(again[name][()], first[name][()])
    run("figure", "--cube", jobs.cube_file(study), *FIGURE)


FIGURE = ("--name", "mode_connectivity", "--png", "a.png", "--pdf", "a.pdf")


def test_the_plan_counts_what_curves_ask_for(study_file, monkeypatch):
    asked = ASKED | {"pairs": PAIRS[:2], "epochs": 7, "volume_points": None}
    path = study_file(**KEYS, measure={"volume": VOLUME, "curves": asked})
    rows = []
    real = NumbaEvaluator.gradients

    def counting(self, steps, landscape):
        rows.append((len(steps), int(self.problem.sizes[landscape])))
        return real(self, steps, landscape)

    monkeypatch.setattr(NumbaEvaluator, "gradients", counting)
    study = run_study(path)
    cell = jobs.cells(study)[0]
    counted = dict(zip(ESTIMATE, cell_cost.counts(study, cell, "curves"), strict=True))
    # Two joins of a recipe with itself and three with the other, at two sizes; a gradient is two
    # losses; and losses, errors of training and of test at 5 positions of 3 curves.
    network, facts = job_network(study, cell)
    assert counted["points"] == 2 * sum(count for count, _ in rows) + 10 * 3 * 15
    examples = 2 * sum(count * size for count, size in rows)
    examples += 5 * 15 * (2 * 60 + 20 + 60 + 2 * facts.num_test)
    assert counted["linear_operations"] == examples * network.linear
    with_volumes = study.model_copy(
        update={
            "measure": study.measure.model_copy(
                update={"curves": study.measure.curves.model_copy(update={"volume_points": 3})}
            )
        }
    )
    more = cell_cost.counts(with_volumes, cell, "curves", (6.0, 8.0), at_worst=True)
    # 5 points of each join, 12 rays of each; two thresholds in two landscapes on a scan.
    assert more[0] - counted["points"] == 10 * 5 * 12 * (6 + 8 * 2 * 2)


def test_no_curve_ends_where_a_training_diverged(study_file):
    keys = KEYS | {"train_sizes": [20], "seeds": 1}
    keys["recipes"] = {
        "clean": ADAM,
        "wild": {"optimizer": "sgd", "learning_rate": 1e30, "epochs": 10},
    }
    asked = ASKED | {"pairs": [["clean", "wild"]], "epochs": 2}
    study = run_study(study_file(**keys, measure={"volume": VOLUME, "curves": asked}))
    with open_group(jobs.cube_file(study), "/curves") as found:
        assert found.curve_loss.isnull().all()
        assert (found.curve_volume_status == 0).all()
    run("figure", "--cube", jobs.cube_file(study), *FIGURE)


def test_what_a_curve_depends_on_makes_it_again(study_file):
    path = study_file(**KEYS, transforms=["permutation"], measure=MEASURE)
    study = load_study(path)
    cell = jobs.cells(study)[0]
    before = fingerprints.of_job(study, cell, "curves")

    def changed(**volume):
        measure = {"volume": VOLUME | volume, "curves": ASKED}
        other = load_study(study_file(**KEYS, transforms=["permutation"], measure=measure))
        return fingerprints.of_job(other, cell, "curves") != before

    assert not changed(directions=13)
    assert changed(thresholds=[1.5])
    assert changed(coordinates="weight")
    assert {job.label for job in curves.joined(study, cell)} == {
        "clean",
        "bad",
        "clean@permutation",
    }


def test_bad_pairs_are_one_sentence_before_any_computing(study_file, capsys, tmp_path):
    path = study_file()
    given = ["--study", path, "--receipt", tmp_path / "none", "--output", tmp_path / "out"]
    said = failing(capsys, "curves", *given, "--cell", "mlp-8/digits")
    assert "measure.curves: the study asks for none" in said

    def check(keys=None, **asked):
        measure = MEASURE | {"curves": ASKED | {"pairs": PAIRS[:2]} | asked}
        path = study_file(**KEYS | (keys or {}), measure=measure)
        return failing(capsys, "check", path)

    key = "measure.curves.pairs: "
    said = check(pairs=[["clean", "mlp-8"]])
    assert (
        key + "'mlp-8' is no recipe of the study; a curve joins minima of one architecture" in said
    )
    assert "allowed are bad, clean" in said
    assert key + "a curve from 'clean' to itself joins two seeds, and the" in check({"seeds": 1})
    said = check({"subset_seed": None})
    assert key + "a curve from 'clean' to itself joins minima of two seeds, which are" in said
    assert "give the study or the recipe a subset_seed" in said
    said = check(pairs=[["clean", "bad"], ["clean", "bad"]])
    assert key + "['clean', 'bad'] stands twice" in said
    radial = {"transforms": ["radial:1:1"]}
    said = check(radial, pairs=[["clean", "clean@radial:1:1"]])
    assert key + "'clean@radial:1:1' has coordinates of its own around each minimum" in said
    losses = {"recipes": {"clean": ADAM, "bad": ADAM | {"loss": "squared_error"}}}
    said = check(losses)
    assert key + "clean is trained on cross_entropy and bad on squared_error; a curve is" in said
    assert "measure.curves.points: 4 is even; it must be odd" in check(points=4)
    assert "measure.curves.pairs" in check(pairs=[["clean"]])
    assert "measure.curves.draws: 0 is not allowed" in check(draws=0)
    assert "measure.curves.volume_points: 1 is not allowed" in check(volume_points=1)
    assert "measure.curves.size: unknown key; allowed are pairs, points" in check(size=1)
    study = run_study(study_file(train_sizes=[20], seeds=1))
    assert not has_group(jobs.cube_file(study), "/curves")
