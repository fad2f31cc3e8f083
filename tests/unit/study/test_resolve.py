"""Names to callables, a user's own included."""

import sys

import pytest

from basins.study.resolve import (
    DATASETS,
    dataset_entry,
    dataset_loader,
    margin_of,
    model_builder,
    resolve,
)
from basins.study.schema import StudyError


@pytest.mark.parametrize("name", [*DATASETS, "circles-0.05"])
def test_known_data_sets_have_loaders(name):
    assert callable(dataset_loader(name))


@pytest.mark.parametrize(
    "name", ["linear", "mlp-3", "mlp-32x5", "cnn-small", "resnet-8-noskip", "sharp-rings"]
)
def test_known_models_have_builders(name):
    assert callable(model_builder(name))


def test_data_sets_are_known_by_their_names_alone():
    assert dataset_entry("circles-0.05").num_train == 2000
    assert margin_of("circles-0.05") == 0.05
    # A user's own is not known before it is loaded.
    assert dataset_entry("circles.own:load") is None
    assert dataset_entry("circle") is None


def test_module_beside_the_study_is_found(tmp_path, monkeypatch):
    (tmp_path / "module_beside_the_study.py").write_text(
        "def build(shape, outputs): return outputs"
    )
    monkeypatch.chdir(tmp_path)
    # A copy of the path, so that what `resolve` puts in front is gone after the test.
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert model_builder("module_beside_the_study:build")((1,), 3) == 3


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("no_such_module_here:x", "cannot be imported"),
        ("math:no_such_function", "cannot be imported"),
        ("math:pi", "is not callable but a float"),
    ],
)
def test_bad_target_is_one_sentence(target, words):
    with pytest.raises(StudyError, match=words):
        resolve(target)
