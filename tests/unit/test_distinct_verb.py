"""Distinct minima of a study: compared by the verb, resumed, merged, priced, drawn."""

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
from basins.landscape import between_minima
from basins.landscape.ainsworth2023matching import matched, units_of
from basins.landscape.chao1984unseen import unseen_classes
from basins.landscape.sameness import joined_classes
from basins.models.functional import Network, build
from basins.plan import cell_cost, memory, price
from basins.plan.cost import ESTIMATE
from basins.plan.networks import job_network
from basins.plan.remaining import remaining
from basins.study import fingerprints, jobs
from basins.study.load import load_study

TINY = Path(__file__).parents[1] / "studies" / "tiny.yaml"
ADAM = {"optimizer": "adam", "learning_rate": 0.02, "epochs": 60}
KEYS = {
    "models": ["mlp-4"],
    "train_sizes": [20, 60],
    "seeds": 5,
    "seeds_per_job": 2,
    "subset_seed": 0,
    "recipes": {"adam": ADAM, "wild": {"optimizer": "sgd", "learning_rate": 1e30, "epochs": 10}},
}
VOLUME = {"directions": 5, "thresholds": [2.0], "dtype": "float64"}
MEASURE = {"volume": VOLUME, "distinct": {"tolerance": 0.2, "barrier": 0.3, "points": 5}}
FIGURE = ("--name", "distinct_minima", "--png", "a.png", "--pdf", "a.pdf")


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """Return the folder of a study that compares its minima, and the study, run."""
    folder = tmp_path_factory.mktemp("compared")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        mapping = yaml.safe_load(TINY.read_text()) | KEYS
        mapping |= {"transforms": ["permutation"], "measure": MEASURE}
        path = folder / "study.yaml"
        path.write_text(yaml.safe_dump(mapping))
        return folder, run_study(path)


def thetas_of(study, label, size):
    """Return the minima of all seeds, shape (seeds, n)."""
    found = {}
    for job in jobs.expand(study):
        if (job.label, job.train_size) == (label, size):
            with h5py.File(jobs.minima_file(study, job.id)) as file:
                found |= dict(zip(job.seeds, file["parameters"][()], strict=True))
    return np.stack([found[seed] for seed in sorted(found)]).astype(np.float64)


def test_the_cube_holds_differences_and_classes(compared, monkeypatch):
    folder, study = compared
    monkeypatch.chdir(folder)
    path, data = jobs.cube_file(study), digits.load()
    network = Network(build("mlp-4", data.input_shape, 10, 0).double())
    layers = units_of(network, data.input_shape)
    inputs, targets = (
        torch.from_numpy(data.test_inputs).double(),
        torch.from_numpy(data.test_targets),
    )

    def outputs(theta):
        return network.apply(torch.from_numpy(theta), inputs)

    def barrier(one, other):
        at = np.linspace(0, 1, 5)
        losses = np.array(
            [
                torch.nn.functional.cross_entropy(outputs((1 - t) * one + t * other), targets)
                for t in at
            ]
        )
        return (losses - (1 - at) * losses[0] - at * losses[-1]).max()

    with open_cube(path), open_group(path, "/distinct") as found:
        validate(found, "/distinct")
        assert found.sameness.values.tolist() == ["basin", "function"]
        for size in (20, 60):
            one = found.sel(recipe="adam", train_size=size).squeeze()
            thetas = thetas_of(study, "adam", size)
            for i, j in ((0, 1), (2, 4), (3, 2)):
                pair = one.sel(seed=i, other_seed=j)
                answers = outputs(thetas[i]).argmax(1), outputs(thetas[j]).argmax(1)
                differ = (answers[0] != answers[1]).double().mean().item()
                assert pair.seed_disagreement.item() == pytest.approx(differ, rel=1e-6)
                expected = barrier(thetas[i], thetas[j])
                assert pair.seed_barrier.item() == pytest.approx(expected, rel=1e-5, abs=1e-6)
                if i < j:
                    name = f"mlp-4/digits/adam/n{size}/seed{i}"
                    names = ("tiny", name, j, "matching")
                    moved = matched(layers, thetas[i], thetas[j], *names).theta
                    expected = barrier(thetas[i], moved)
                    both = pair.seed_matched_barrier.item()
                    assert both == pytest.approx(expected, rel=1e-5, abs=1e-6)
            for name in ("seed_disagreement", "seed_barrier", "seed_matched_barrier"):
                values = one[name].values
                np.testing.assert_array_equal(values, values.T)
                np.testing.assert_array_equal(np.diagonal(values), 0)
            for notion, name, largest in (
                ("function", "seed_disagreement", 0.2),
                ("basin", "seed_matched_barrier", 0.3),
            ):
                here = one.sel(sameness=notion)
                labels = joined_classes(one[name].values.astype(np.float64), largest)
                np.testing.assert_array_equal(here.class_of_minimum, labels)
                widths = [
                    one[name].values[np.ix_(labels == k, labels == k)].max() for k in set(labels)
                ]
                assert here.class_width.item() == max(widths)
                classes = unseen_classes(np.bincount(labels)[1:], 0.9)
                assert here.num_classes == classes.seen
                assert here.num_seen_once == classes.once
                assert here.num_seen_twice == classes.twice
                np.testing.assert_equal(here.estimated_classes.item(), classes.estimate)
                np.testing.assert_equal(here.estimated_classes_low.item(), classes.low)
                np.testing.assert_equal(here.estimated_classes_high.item(), classes.high)
                assert here.distinct_status == (2 if np.isnan(classes.estimate) else 1)
            assert (one.num_compared, one.num_diverged) == (5, 0)
        # Nothing is made up where all diverged, or of minima that others were made into.
        wild = found.sel(recipe="wild")
        assert (wild.num_compared == 0).all()
        assert (wild.num_diverged == 5).all()
        assert (wild.distinct_status == 3).all()
        other = found.sel(recipe="adam@permutation")
        assert (other.distinct_status == 0).all()
        for part in (wild, other):
            assert part.seed_disagreement.isnull().all()
            assert part.estimated_classes.isnull().all()
            assert (part.num_classes == 0).all()
            assert (part.class_of_minimum == 0).all()
    assert not any(remaining(study).blocks.values())
    run("figure", "--cube", path, *FIGURE)


def test_the_plan_counts_and_weighs_it(compared, monkeypatch):
    folder, study = compared
    monkeypatch.chdir(folder)
    cell = jobs.cells(study)[0]
    counted = dict(zip(ESTIMATE, cell_cost.counts(study, cell, "distinct"), strict=True))
    network, facts = job_network(study, cell)
    # Two recipes, two sizes, ten pairs of five seeds, two lines of five points.
    points = 4 * (5 + 10 * 2 * 5)
    assert counted["points"] == points
    assert counted["shape_operations"] == 0
    passes = points * facts.num_test * network.linear
    assert passes < counted["linear_operations"] < 2 * passes
    written = jobs.job_file(study, cell.id, "distinct").stat().st_size
    assert written / 3 < memory.result_bytes(study, cell, "distinct") < 3 * written
    seconds, peak, _ = price.pricer_of(study).job(cell, "distinct")
    assert seconds > 0
    assert peak > memory.peak_bytes(study, cell, "distinct") > 0


def test_a_killed_verb_resumes_with_the_setting_it_was_at(study_file, monkeypatch):
    path = study_file(**KEYS, measure=MEASURE)
    study = run_study(path)
    cell = jobs.cells(study)[0].id
    given = ["--cell", cell, "--receipt", jobs.receipt_of(study, cell)]
    arguments = ["distinct", "--study", path, *given, "--output", "again.h5"]
    saved = kill_at_save(monkeypatch, 1)
    with pytest.raises(KilledError):
        run(*arguments)
    asked, real = [], between_minima.barrier
    monkeypatch.setattr(between_minima, "barrier", lambda *it: asked.append(1) or real(*it))
    run(*arguments)
    # Two recipes at two sizes, of which the first was kept and the last two have no pairs.
    assert len(saved) == 4
    assert len(asked) == 2 * 10
    assert not jobs.checkpoint_file(study, cell, "distinct").exists()
    with h5py.File("again.h5") as again, h5py.File(jobs.job_file(study, cell, "distinct")) as first:
        for name in first:
            if isinstance(first[name], h5py.Dataset):
                np.testing.assert_array_equal(again[name][()], first[name][()])


def test_units_that_cannot_be_matched_leave_barriers_as_trained(study_file, tmp_path, capsys):
    (tmp_path / "residual.py").write_text(
        "from torch import nn\n"
        "class Skip(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.inner = nn.Linear(4, 4)\n"
        "    def forward(self, inputs):\n"
        "        return inputs + self.inner(inputs)\n"
        "def build(input_shape, num_outputs):\n"
        "    ends = nn.Linear(64, 4), Skip(), nn.Linear(4, num_outputs)\n"
        "    return nn.Sequential(nn.Flatten(), *ends)\n"
    )
    keys = KEYS | {"models": ["residual:build"], "train_sizes": [20], "recipes": {"adam": ADAM}}
    study = run_study(study_file(**keys | {"seeds": 3}, measure=MEASURE))
    said = capsys.readouterr().err
    assert "units of two networks cannot be matched, model: '2' (Skip)" in said
    with open_group(jobs.cube_file(study), "/distinct") as found:
        assert found.seed_barrier.notnull().all()
        assert found.seed_matched_barrier.isnull().all()
        basins, functions = (found.sel(sameness=one) for one in ("basin", "function"))
        assert (basins.distinct_status == 4).all()
        assert (basins.num_classes == 0).all()
        assert basins.estimated_classes.isnull().all()
        assert (functions.num_classes > 0).all()
    run("figure", "--cube", jobs.cube_file(study), *FIGURE)


def test_what_it_depends_on_makes_it_again(study_file):
    study = load_study(study_file(**KEYS, measure=MEASURE))
    cell = jobs.cells(study)[0]
    before = fingerprints.of_job(study, cell, "distinct")

    def changed(volume=None, distinct=None, **keys):
        measure = {
            "volume": VOLUME | (volume or {}),
            "distinct": MEASURE["distinct"] | (distinct or {}),
        }
        other = load_study(study_file(**KEYS | keys, measure=measure))
        return fingerprints.of_job(other, cell, "distinct") != before

    assert not changed({"thresholds": [3.0]})
    assert not changed(landscape_sizes=[20, 40, 60])
    assert changed({"dtype": "float32"})
    assert changed(distinct={"tolerance": 0.1})
    assert changed(train_sizes=[20])


def test_bad_studies_are_one_sentence_before_any_computing(study_file, capsys, tmp_path):
    path = study_file()
    given = ["--study", path, "--receipt", tmp_path / "none", "--output", tmp_path / "out"]
    said = failing(capsys, "distinct", *given, "--cell", "mlp-8/digits")
    assert "measure.distinct: the study asks for none" in said

    def check(keys=None, **asked):
        measure = MEASURE | {"distinct": MEASURE["distinct"] | asked}
        return failing(capsys, "check", study_file(**KEYS | (keys or {}), measure=measure))

    said = check({"seeds": 2})
    assert "measure.distinct: different minima are counted among 3 seeds or more" in said
    assert "and the study has 2" in said
    assert "measure.distinct.tolerance: 1" in check(tolerance=1)
    assert "measure.distinct.barrier: 0" in check(barrier=0)
    assert "measure.distinct.points: 2" in check(points=2)
    assert "measure.distinct.size: unknown key; allowed are tolerance" in check(size=1)
    study = run_study(study_file(train_sizes=[20], seeds=1))
    assert not has_group(jobs.cube_file(study), "/distinct")
