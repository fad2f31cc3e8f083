"""Copies on a node's own disk: made once, whole, and again when the files change."""

import os

import numpy as np
import pytest

from basins.datasets.load import load
from basins.datasets.scratch import local_root


@pytest.fixture
def root(tmp_path):
    (tmp_path / "data" / "SET" / "raw").mkdir(parents=True)
    (tmp_path / "data" / "SET" / "raw" / "inputs").write_text("one")
    (tmp_path / "data" / "single.mat").write_text("two")
    return tmp_path / "data"


def test_copy_is_made_once_and_again_when_files_change(root, tmp_path, monkeypatch):
    monkeypatch.setenv("NODE_DISK", str(tmp_path / "disk"))
    files = ("SET", "single.mat")
    first = local_root("set", files, root, "$NODE_DISK/data")
    assert first.is_relative_to(tmp_path / "disk" / "data")
    assert (first / "SET" / "raw" / "inputs").read_text() == "one"
    assert (first / "single.mat").read_text() == "two"
    stamp = first.stat().st_mtime_ns
    assert local_root("set", files, root, "$NODE_DISK/data") == first
    assert first.stat().st_mtime_ns == stamp
    (root / "single.mat").write_text("three")
    second = local_root("set", files, root, "$NODE_DISK/data")
    assert (second / "single.mat").read_text() == "three"
    assert {path.name for path in first.parent.iterdir()} == {first.name, second.name}


def test_quicker_job_of_the_same_node_wins(root, tmp_path, monkeypatch):
    from pathlib import Path

    rename = Path.rename

    def later(partial, target):
        target.mkdir()
        (target / "marker").touch()
        return rename(partial, target)

    monkeypatch.setattr(Path, "rename", later)
    copy = local_root("set", ["single.mat"], root, str(tmp_path))
    assert (copy / "marker").exists()
    assert not list(tmp_path.glob(".*"))


def test_unset_variable_and_full_disk_are_one_sentence(root, tmp_path, monkeypatch):
    monkeypatch.delenv("NO_SUCH_DISK", raising=False)
    with pytest.raises(ValueError, match="names a variable that is not set on this machine"):
        local_root("set", ["SET"], root, "$NO_SUCH_DISK/x")
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="scratch: set cannot be copied to"):
        local_root("set", ["SET"], root, str(tmp_path / "file" / "below"))
    with pytest.raises(ValueError, match="scratch: set cannot be copied to"):
        local_root("set", ["absent"], root, str(tmp_path / "other"))
    assert not list((tmp_path / "other").glob(".*"))


def test_copied_images_are_the_same(data_root, tmp_path):
    copy = local_root("mnist", ["MNIST"], data_root, os.fspath(tmp_path))
    assert copy.parent == tmp_path
    assert np.array_equal(load("mnist", copy).inputs, load("mnist", data_root).inputs)
