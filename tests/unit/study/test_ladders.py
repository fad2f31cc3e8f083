"""Ladders of recipes: named by the keys in which they differ from the first."""

from pathlib import Path

from basins.study.ladders import ladders
from basins.study.load import load_study

CONFIG = Path(__file__).parents[3] / "config"


def of_study(name):
    study = load_study(CONFIG / f"{name}.yaml")
    return ladders({key: recipe.model_dump() for key, recipe in study.recipes.items()})


def test_every_recipe_but_the_first_stands_on_one_ladder():
    for name in ("ladders", "poison-digits", "batch-size", "augmentation"):
        study = load_study(CONFIG / f"{name}.yaml")
        rungs = [rung for names in of_study(name).values() for rung in names]
        assert sorted(rungs) == sorted(list(study.recipes)[1:])


def test_kinds_pairs_of_keys_and_what_comes_before_have_names_of_their_own():
    found = of_study("ladders")
    assert list(found) == [
        "poison: reversed",
        "poison: wrong labels",
        "label noise",
        "after label noise",
        "imbalance",
        "after imbalance",
        "batch size",
        "sam",
    ]
    assert found["after label noise"] == ["after-noise-01", "after-noise-03", "after-noise-10"]
    both = {"a": {"batch_size": 1, "sam": None}, "b": {"batch_size": 2, "sam": {"adaptive": True}}}
    assert ladders(both) == {"batch size and adaptive sam": ["b"]}


def test_whatever_differs_has_a_name():
    warm = {"warm_start": {"recipe": "cold", "epochs": 5}}
    assert ladders({"warm": warm, "cold": {"warm_start": None}}) == {"warm start": ["cold"]}
    after = {"warm_start": {"recipe": "plain", "epochs": 5}}
    assert ladders({"plain": {}, "late": after}) == {"after plain": ["late"]}
    assert ladders({"plain": {"sam": {"rho": 1}}, "a": {}, "b": {"sam": {"rho": 1}}}) == {
        "sam": ["a"],
        "the same": ["b"],
    }
