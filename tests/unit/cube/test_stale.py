"""Files that look done: whose results they are, and how Snakemake learns that they are not."""

import shutil

import h5py
import pytest

from basins.cube import stale
from basins.study import jobs, load


@pytest.fixture
def finished(tiny_run, tmp_path, monkeypatch):
    """A copy of a finished run as the working folder, and its study."""
    shutil.copytree(tiny_run.folder / "results", tmp_path / "results")
    monkeypatch.chdir(tmp_path)
    return load.load_study("results/tiny/study.yaml")


def stamps(study):
    return {path: path.stat().st_mtime for path, _, _ in stale.job_files(study)}


def test_finished_study_has_no_stale_file_and_keeps_its_stamps(finished):
    before = stamps(finished)
    assert len(before) == 3 * len(jobs.expand(finished))
    assert stale.mark(finished) == []
    assert stamps(finished) == before


def test_change_marks_what_it_touches_and_changing_back_restores_it(finished):
    before = stamps(finished)
    volume = finished.measure.volume.model_copy(update={"directions": 99})
    changed = finished.model_copy(
        update={"measure": finished.measure.model_copy(update={"volume": volume})}
    )
    marked = stale.mark(changed)
    assert {path.parts[2] for path in marked} == {"rays", "volumes"}
    assert stale.mark(changed) == marked
    for path, seconds in stamps(changed).items():
        assert (seconds < stale.OLDEST) == (path in marked)
    assert stale.mark(finished) == []
    assert stamps(finished) == pytest.approx(before, abs=1e-6)


@pytest.mark.parametrize("content", [b"", b"not HDF5 at all", None])
def test_damaged_file_is_set_aside(finished, content):
    path = jobs.minima_file(finished, jobs.expand(finished)[0].id)
    path.write_bytes(path.read_bytes()[:2000] if content is None else content)
    assert stale.fingerprint_of(path) is None
    assert stale.mark(finished) == [path]
    assert not path.exists()
    assert path.with_name(f"{path.name}.set-aside").exists()
    assert stale.mark(finished) == []


def test_file_of_another_version_or_none_is_nothing(tmp_path):
    path = tmp_path / "file.h5"
    assert stale.fingerprint_of(path) is None
    with h5py.File(path, "w") as file:
        file.attrs["fingerprint"] = "x"
    assert stale.fingerprint_of(path) is None
    with h5py.File(path, "a") as file:
        file.attrs["Conventions"] = "basins-99"
    assert stale.fingerprint_of(path) is None


def test_first_bytes_tell_the_same_as_opening(finished):
    """The quick look says yes to every whole file of ours, and to no other."""
    for path, found, expected in stale.job_files(finished):
        assert stale.fingerprint_of(path) == found == expected
        assert stale.is_plainly(path, expected)
        assert not stale.is_plainly(path, "0" * 64)
        content = path.read_bytes()
        for damaged in (content[:-1], content[:5000], content[:100], b"", b"x" + content[1:]):
            path.write_bytes(damaged)
            assert not stale.is_plainly(path, expected)
        path.write_bytes(content)
