"""Studies with a Gaussian measure: what does not go with it is said before anything runs."""

import pytest

from basins.study.load import load_study
from basins.study.schema import StudyError

VOLUME = {"thresholds": [2.0], "measure": "gaussian", "sigma": 1.0, "coordinates": "weight"}
ADAM = {"optimizer": "adam", "learning_rate": 0.02, "epochs": 30}
GUESS = {"good_accuracy": 0.9}


def test_a_gaussian_study_is_read(study_file):
    study = load_study(study_file(measure={"volume": VOLUME, "guess_and_check": GUESS}))
    assert study.measure.volume.sigma == 1.0
    assert study.measure.guess_and_check.good_accuracy == 0.9


@pytest.mark.parametrize(
    ("volume", "more", "said"),
    [
        ({"measure": "lebesgue"}, {}, r"volume.sigma: 1 belongs to measure 'gaussian'"),
        (
            {"measure": "lebesgue", "sigma": None},
            {"guess_and_check": GUESS},
            "guess_and_check: guesses are drawn from a Gaussian",
        ),
        ({"sigma": None}, {}, "volume.sigma: the key is missing; measure 'gaussian' needs it"),
        ({"coordinates": "filter"}, {}, "volume.coordinates: 'filter' has units of each minimum's"),
        (
            {},
            {"curves": {"pairs": [["adam", "sgd"]]}},
            "curves.volume_points: 7 volumes along curves are",
        ),
        (
            {"threshold_kind": "excess"},
            {"guess_and_check": GUESS},
            "threshold_kind: 'excess' is above a minimum's own loss",
        ),
        ({}, {"guess_and_check": {}}, "good_accuracy: the key is missing; test accuracy from"),
        ({}, {"guess_and_check": {"good_accuracy": 1.5}}, "good_accuracy: 1.5 is not allowed"),
    ],
)
def test_what_does_not_go_with_it_is_said(volume, more, said, study_file):
    recipes = {"adam": ADAM, "sgd": ADAM | {"optimizer": "sgd"}}
    path = study_file(recipes=recipes, measure={"volume": VOLUME | volume, **more})
    with pytest.raises(StudyError, match=said):
        load_study(path)


def test_other_coordinates_have_another_gaussian(study_file):
    path = study_file(transforms=["radial:0.5:1"], measure={"volume": VOLUME})
    with pytest.raises(StudyError, match=r"'radial:0\.5:1' has coordinates of its own"):
        load_study(path)


def test_guesses_are_checked_on_one_order_of_examples(study_file):
    recipes = {"adam": ADAM, "own": ADAM | {"subset_seed": 3}}
    measure = {"volume": VOLUME, "guess_and_check": GUESS}
    with pytest.raises(StudyError, match=r"own\.subset_seed: 3 gives its minima other examples"):
        load_study(study_file(recipes=recipes, measure=measure))


def test_guesses_are_checked_in_one_loss(study_file):
    recipes = {"adam": ADAM, "squared": ADAM | {"loss": "squared_error"}}
    measure = {"volume": VOLUME, "guess_and_check": GUESS}
    with pytest.raises(StudyError, match=r"squared\.loss: squared_error is not the cross_entropy"):
        load_study(study_file(recipes=recipes, measure=measure))
