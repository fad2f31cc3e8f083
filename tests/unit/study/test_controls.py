"""Steps at every train size, and the one sentence for controls that cannot be."""

import math
import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from basins.study import fingerprints, jobs
from basins.study.controls import of_size, trained_on
from basins.study.load import parse_study, study_text
from basins.study.recipe_keys import Poison, Recipe
from basins.study.recipes import kept_epochs, points_placed
from basins.study.schema import StudyError

TINY = {
    "study": "tiny",
    "datasets": ["digits"],
    "models": ["mlp-8"],
    "train_sizes": [20, 60],
    "seeds": 2,
    "measure": {"volume": {"directions": 12, "thresholds": [0.1, 0.5]}},
}
ADAM = {"optimizer": "adam", "learning_rate": 0.02}
LBFGS = {"optimizer": "lbfgs", "learning_rate": 1.0, "epochs": 9}
STAGED = ADAM | {"schedule": "steps", "milestones": [0.5], "decay_factor": 0.1}


def study_of(**recipes):
    return parse_study(TINY | {"recipes": recipes}, "my.yaml")


@given(
    steps=st.integers(1, 10_000),
    size=st.integers(1, 5000),
    batch=st.one_of(st.integers(1, 6000), st.just("full")),
    added=st.integers(0, 50),
)
def test_epochs_are_the_fewest_that_hold_the_steps(steps, size, batch, added):
    poison = Poison(kind="random_labels", examples=added) if added else None
    recipe = Recipe(**ADAM, steps=steps, batch_size=batch, poison=poison)
    count = trained_on(recipe, size)
    assert count == size + added
    an_epoch = 1 if batch == "full" else sum(1 for _ in range(0, count, batch))
    counted = of_size(recipe, size)
    assert (counted.own_epochs - 1) * an_epoch < steps <= counted.own_epochs * an_epoch
    assert counted.own_epochs == math.ceil(steps / an_epoch)
    assert counted.model_copy(update={"epochs": None, "steps": steps}) == recipe
    assert of_size(counted, size + 1) is counted


def test_paths_and_the_cube_have_room_for_the_size_with_most_epochs():
    """Sizes 20 and 60 in batches of 20: 12 epochs and 4."""
    study = study_of(a=ADAM | {"steps": 12, "batch_size": 20, "keep_every": 3, "measure_at": [1]})
    kept = [kept_epochs(of_size(study.recipes["a"], size)) for size in (20, 60)]
    assert kept == [[0, 1, 3, 6, 9], [0, 1, 3]]
    assert points_placed(study) == 2 * (6 + 4)


BAD = [
    (ADAM, "a.epochs: the key is missing; a recipe is given epochs, or the steps"),
    (ADAM | {"epochs": 3, "steps": 3}, "a.steps: the recipe has 3 epochs as well; one of the two"),
    (ADAM | {"steps": 0}, "a.steps: 0 is not allowed"),
    (ADAM | {"epochs": 0}, "a.epochs: 0 is not allowed"),
    (
        STAGED | {"steps": 9, "schedule": "growing_batch", "batch_size": 5},
        "a.steps: schedule growing_batch changes how many steps an epoch has; give epochs",
    ),
    (
        STAGED | {"steps": 9, "batch_size": 20},
        None,
    ),
    (
        STAGED | {"steps": 3, "batch_size": 20},
        "a.milestones: [0.5] of 1 epochs of 60 examples are epochs [0]; they must be increasing",
    ),
    (
        ADAM | {"steps": 12, "batch_size": 20, "measure_at": [4]},
        "a.measure_at: [4] must be increasing and below the recipe's 4 epochs of 60 examples",
    ),
    (
        ADAM | {"steps": 12, "batch_size": 20, "keep_every": 5},
        "a.keep_every: 5 must be below the recipe's 4 epochs of 60 examples, or its path",
    ),
    (ADAM | {"epochs": 3, "polish": {"gradient_norm": 0}}, "a.polish.gradient_norm: 0 is not"),
    (ADAM | {"epochs": 3, "polish": {"iterations": 0}}, "a.polish.iterations: 0 is not allowed"),
    (ADAM | {"epochs": 3, "polish": {"norm": 1}}, "a.polish.norm: unknown key"),
    (ADAM | {"epochs": 3, "weight_norm": 0}, "a.weight_norm: 0 is not allowed"),
    (
        LBFGS | {"weight_norm": 5},
        "a.weight_norm: optimizer lbfgs searches along straight lines, which leave the sphere",
    ),
    (
        ADAM | {"epochs": 3, "weight_norm": 5, "polish": {}},
        "a.weight_norm: a polish changes the norm again; the recipe may have one of the two",
    ),
    (
        ADAM | {"epochs": 3, "weight_norm": 5, "weight_decay": 0.1},
        "a.weight_norm: weight decay of 0.1 shrinks what is held at one norm; set weight_decay",
    ),
    (
        ADAM | {"epochs": 3, "weight_norm": 5, "optimizer": "adamw"},
        "a.weight_norm: weight decay of 0.01 shrinks what is held at one norm; set weight_decay",
    ),
    (ADAM | {"epochs": 3, "subset_seed": -1}, "a.subset_seed: -1 is not allowed"),
    (ADAM | {"epochs": 3, "initialization_seed": -1}, "a.initialization_seed: -1 is not allowed"),
]


@pytest.mark.parametrize(("recipe", "sentence"), BAD)
def test_bad_controls_are_one_sentence(recipe, sentence):
    if sentence is None:
        assert study_of(a=recipe).recipes["a"].steps == recipe["steps"]
        return
    with pytest.raises(StudyError, match=re.escape(f"my.yaml: recipes.{sentence}")) as raised:
        study_of(a=recipe)
    assert "\n" not in str(raised.value)


def test_a_warm_start_goes_on_where_the_other_recipe_stops():
    first = ADAM | {"steps": 12, "batch_size": 20}
    warm = ADAM | {"epochs": 2, "warm_start": {"recipe": "first", "epochs": 4}}
    study_of(first=first, warm=warm)
    asked = [
        ({}, {"warm_start": {"recipe": "first", "epochs": 5}}, "warm_start.epochs: 5 is more than"),
        ({"subset_seed": 3}, {}, "subset_seed: none is given, and 3 for recipe first, by which"),
        ({}, {"initialization_seed": 0}, "initialization_seed: 0, and none is given for recipe"),
        ({"weight_norm": 2.5}, {}, "weight_norm: none is given, and 2.5 for recipe first, by"),
    ]
    for one, other, sentence in asked:
        with pytest.raises(StudyError, match=re.escape(f"recipes.warm.{sentence}")):
            study_of(first=first | one, warm=warm | other)
    with pytest.raises(StudyError, match=r"the 4 epochs of recipe first of 60 examples"):
        study_of(first=first, warm=warm | asked[0][1])
    study_of(first=first | {"subset_seed": 3}, warm=warm | {"subset_seed": 3})


def test_seeds_of_a_recipe_are_worth_what_those_of_the_study_are():
    """One result, one fingerprint; keys that are not given leave older results what they are."""
    keys = {"subset_seed": 3, "initialization_seed": 4}
    adam = ADAM | {"epochs": 5}
    warm = adam | {"warm_start": {"recipe": "a", "epochs": 2}}
    plain = {"a": adam, "warm": warm}
    by_study = parse_study(TINY | keys | {"recipes": plain}, "my.yaml")
    own = {name: recipe | keys for name, recipe in plain.items()}
    by_recipe = parse_study(TINY | {"recipes": own}, "my.yaml")
    over = parse_study(TINY | {"subset_seed": 0, "recipes": own}, "my.yaml")
    none = parse_study(TINY | {"recipes": plain}, "my.yaml")
    for job in jobs.expand(none):
        for verb in ("train", "rays"):
            found = [
                fingerprints.of_job(study, job, verb) for study in (by_study, by_recipe, over, none)
            ]
            assert len(set(found[:3])) == 1
            assert found[3] != found[0]
    dumped = fingerprints._facts(none, jobs.expand(none)[0], "train")
    assert not {"steps", "polish", "weight_norm", *keys} & set(dumped["recipe"])
    held = study_of(a=adam | {"weight_norm": 2.0, "polish": None})
    facts = fingerprints._facts(held, jobs.expand(held)[0], "train")
    assert facts["recipe"]["weight_norm"] == 2.0


def test_the_resolved_text_of_controls_is_the_same_study():
    study = study_of(a=ADAM | {"steps": 9, "polish": {}}, b=ADAM | {"epochs": 2, "weight_norm": 3})
    assert parse_study(yaml.safe_load(study_text(study)), "again") == study
