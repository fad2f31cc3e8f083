"""What is left to do, and why, on a finished run that is then disturbed."""

import shutil

import h5py
import pytest

from basins.plan.remaining import changed_keys, remaining
from basins.study import figure_names, fingerprints, jobs
from basins.study.load import load_study, parse_study


@pytest.fixture
def finished(tiny_run, tmp_path, monkeypatch):
    shutil.copytree(tiny_run.folder / "results", tmp_path / "results")
    shutil.copytree(tiny_run.folder / "tests", tmp_path / "tests")
    monkeypatch.chdir(tmp_path)
    return load_study("tests/studies/tiny.yaml")


def changed(before, **keys):
    return parse_study(before.model_dump(mode="json") | keys, "changed")


def test_finished_study_leaves_nothing(finished):
    left = remaining(finished)
    assert not any(left.blocks.values())
    assert (left.datasets, left.has_cube, left.figures, left.has_explorer) == ([], True, [], True)


def test_new_study_leaves_everything(finished):
    left = remaining(changed(finished, study="other"))
    assert {verb: len(blocks) for verb, blocks in left.blocks.items()} == dict.fromkeys(
        ("train", "rays", "volume"), 4
    )
    assert left.reasons("train") == {"missing": 4}
    assert left.datasets == ["digits"]
    assert left.figures == list(figure_names.FIGURES[:7])


def test_changed_key_names_itself_and_what_follows(finished):
    recipes = {"adam": {"optimizer": "adam", "learning_rate": 0.02, "epochs": 120}}
    study = changed(finished, recipes=recipes)
    assert changed_keys(study) == ["recipes.adam.epochs: 100 -> 120"]
    left = remaining(study)
    assert left.reasons("train") == {"recipes.adam.epochs: 100 -> 120": 4}
    assert left.reasons("rays") == {"recipes.adam.epochs: 100 -> 120": 4}
    assert not left.has_cube


def test_changed_measure_leaves_minima(finished):
    volume = {"directions": 14, "thresholds": [0.1, 0.5], "coordinates": "filter"}
    left = remaining(changed(finished, measure={"volume": volume}))
    assert left.blocks["train"] == {}
    assert left.reasons("rays") == {"measure.volume.directions: 12 -> 14": 4}


def test_new_seed_leaves_its_jobs_only(finished):
    left = remaining(changed(finished, seeds=[0, 1, 2]))
    assert {job.seeds for job in left.blocks["train"]} == {(2,)}
    assert left.reasons("train") == {"missing": 2}


def test_damaged_and_missing_files_and_what_follows(finished):
    listed = jobs.expand(finished)
    jobs.minima_file(finished, listed[0].id).write_bytes(b"cut")
    jobs.rays_file(finished, listed[1].id).unlink()
    jobs.figure_file(finished, figure_names.FIGURES[0], "pdf").unlink()
    left = remaining(finished)
    assert left.blocks["train"] == {listed[0]: "damaged"}
    assert left.blocks["rays"] == {listed[0]: "train is done", listed[1]: "missing"}
    assert left.blocks["volume"] == {listed[0]: "rays is done", listed[1]: "rays is done"}
    assert not left.has_cube


def test_lost_figure_and_lost_receipt(finished):
    jobs.figure_file(finished, figure_names.FIGURES[0], "pdf").unlink()
    left = remaining(finished)
    assert left.figures == [figure_names.FIGURES[0]]
    assert not left.has_explorer
    jobs.dataset_file(finished, "digits").unlink()
    left = remaining(finished)
    assert left.reasons("train") == {"its data set is fetched": 4}


def test_lost_explorer_is_all_that_is_left(finished):
    jobs.explorer_file(finished).unlink()
    left = remaining(finished)
    assert (left.has_cube, left.figures, left.has_explorer) == (True, [], False)


def test_lost_animation(finished):
    """The study has no planes; of one that has, everything else stands in for what it measures."""
    assert remaining(finished).has_animation
    study = changed(finished, measure=finished.measure.model_dump(mode="json") | {"planes": {}})
    assert not remaining(study).has_animation
    for job in jobs.expand(study):
        source = jobs.volumes_file(study, job.id)
        path = jobs.job_file(study, job.id, "planes")
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, path)
        with h5py.File(path, "a") as file:
            file.attrs["fingerprint"] = fingerprints.of_job(study, job, "planes")
    assert remaining(study).has_cube
    assert not remaining(study).has_animation
    jobs.animation_file(study).touch()
    assert remaining(study).has_animation
    jobs.cube_file(study).unlink()
    assert not remaining(study).has_animation


def test_unreadable_record_of_the_last_run_gives_no_keys(finished):
    jobs.study_file(finished).write_text("study: [")
    assert changed_keys(changed(finished, seeds=[5])) == []
    recipes = {"adam": {"optimizer": "adam", "learning_rate": 0.02, "epochs": 120}}
    left = remaining(changed(finished, recipes=recipes))
    assert left.reasons("train") == {"made by another version of the study": 4}
