"""Studies: what is accepted, and the one sentence for everything that is not."""

import copy
import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from basins.study.load import load_study, parse_study, save_study, study_sha256, study_text
from basins.study.recipes import check_held_out, check_shape
from basins.study.schema import StudyError

TINY = {
    "study": "tiny",
    "datasets": ["digits"],
    "models": ["mlp-8"],
    "train_sizes": [20, 60],
    "seeds": 2,
    "recipes": {"adam": {"optimizer": "adam", "learning_rate": 0.02, "epochs": 100}},
    "measure": {"volume": {"directions": 12, "thresholds": [0.1, 0.5]}},
}
BINARY = {"optimizer": "sgd", "learning_rate": 1, "epochs": 1, "loss": "binary_cross_entropy"}
STEPS = {
    "optimizer": "sgd",
    "learning_rate": 1,
    "epochs": 10,
    "schedule": "steps",
    "milestones": [0.5],
    "decay_factor": 0.1,
}
LBFGS = {"optimizer": "lbfgs", "learning_rate": 1, "epochs": 3}
POISON = {"kind": "reversed", "examples": 10, "factor": 0.5}
WARM = {
    "optimizer": "sgd",
    "learning_rate": 1,
    "epochs": 1,
    "warm_start": {"recipe": "adam", "epochs": 101},
}

BAD = [
    ("modles", [], "modles: unknown key (did you mean 'models'?)"),
    ("recipes.adam.epoch", 3, "recipes.adam.epoch: unknown key (did you mean 'epochs'?)"),
    ("measure.volume.bogus", 3, "measure.volume.bogus: unknown key; allowed are estimators"),
    ("recipes.other", {"optimizer": "sgd"}, "recipes.other.learning_rate: the key is missing"),
    ("seeds", "many", "seeds: 'many' is not allowed"),
    ("seeds", 0, "seeds: 0 is not allowed: a number of seeds above 0, or a list of seeds"),
    ("seeds", True, "seeds: True is not allowed: a number of seeds above 0"),
    ("seeds", [-1], "seeds.0: -1 is not allowed"),
    ("seeds", [1, 1], "seeds: 1 stands twice"),
    ("train_sizes", [60, 20], "train_sizes: 20 follows 60; values must be increasing"),
    ("train_sizes", [20, 20], "train_sizes: 20 follows 20"),
    ("train_sizes", [20, 99999], "train_sizes: 99999 is more than the 1437 training examples"),
    ("train_sizes", ["a"], "train_sizes.0: 'a' is not allowed"),
    ("train_sizes", [], "train_sizes: [] is not allowed"),
    ("landscape_sizes", [20], "landscape_sizes: 60 is missing"),
    ("landscape_sizes", [20, 60, 5000], "landscape_sizes: 5000 is more than the 1437"),
    ("datasets", ["digitz"], "datasets: 'digitz' is not known (did you mean 'digits'?)"),
    ("datasets", ["circles-0.5"], "datasets: 'circles-0.5' cannot be made; its margin must be a"),
    ("datasets", ["circles-0.050"], "datasets: 'circles-0.050' cannot be made; its margin must be"),
    ("datasets", ["circle-0.1"], "datasets: 'circle-0.1' is not known (did you mean 'circles"),
    ("models", ["sharp-ring"], "models: 'sharp-ring' is not known (did you mean 'sharp-rings'?)"),
    ("models", ["sharp-rings-3"], "models: 'sharp-rings-3' is not known"),
    ("models", ["mpl-8"], "models: 'mpl-8' is not known"),
    ("models", ["mlp-0"], "models: 'mlp-0' is not known"),
    ("models", ["resnet-9-noskip"], "models: 'resnet-9-noskip' cannot be built; the depth must"),
    ("models", ["resnet-2"], "models: 'resnet-2' cannot be built; the depth must be 6k + 2"),
    ("models", ["cnn:small", "cnn-small"], "models: 'cnn:small' and 'cnn-small' have one name in"),
    ("datasets", ["digits", "digits"], "datasets: 'digits' stands twice"),
    ("study", "A B", "study: 'A B' is not allowed"),
    ("threads", True, "threads: True is not allowed"),
    ("device", "tpu", "device: 'tpu' is not allowed: input should be 'auto', 'cpu' or 'cuda'"),
    ("recipes.adam.batch_size", 0, "recipes.adam.batch_size: 0 is not allowed"),
    ("recipes.adam.learning_rate", -1, "recipes.adam.learning_rate: -1 is not allowed"),
    ("recipes.adam.weight_decay", float("inf"), "recipes.adam.weight_decay: inf is not allowed"),
    ("recipes.list", 3, "recipes.list: 3 is not allowed"),
    ("recipes.A b", BINARY, "recipes.A b: 'A b' is not allowed"),
    ("recipes.adam.momentum", 0.9, "recipes.adam.momentum: optimizer adam has no momentum"),
    ("recipes.adam.betas", [0.9, 1.5], "recipes.adam.betas: [0.9, 1.5] must lie in [0, 1)"),
    ("recipes.sgd", BINARY | {"betas": [0.5, 0.5]}, "recipes.sgd.betas: optimizer sgd has"),
    ("recipes.adam.schedule", "stairs", "recipes.adam.schedule: 'stairs' is not allowed"),
    ("recipes.adam.schedule", "steps", "recipes.adam.milestones: the key is missing; schedule"),
    ("recipes.adam.milestones", [0.5], "recipes.adam.milestones: schedule constant has none"),
    ("recipes.adam.decay_factor", 0.5, "recipes.adam.decay_factor: schedule constant has none"),
    ("recipes.adam.decay_factor", 2.0, "recipes.adam.decay_factor: 2.0 is not allowed"),
    ("recipes.adam.milestones", [1.0], "recipes.adam.milestones.0: 1.0 is not allowed"),
    ("recipes.s", STEPS | {"decay_factor": None}, "recipes.s.decay_factor: the key is missing"),
    ("recipes.s", STEPS | {"milestones": [0.6, 0.5]}, "recipes.s.milestones: [0.6, 0.5] of 10"),
    ("recipes.s", STEPS | {"milestones": [0.01]}, "recipes.s.milestones: [0.01] of 10 epochs are"),
    ("recipes.s", STEPS | {"milestones": [0.5, 0.52]}, "recipes.s.milestones: [0.5, 0.52] of 10"),
    ("recipes.s", STEPS | {"schedule": "growing_batch"}, "recipes.s.batch_size: 'full' cannot"),
    *[
        (f"recipes.adam.{key}", value, f"recipes.adam.{sentence}")
        for key, value, sentence in [
            ("poison", {"kind": "reversed"}, "poison.examples: the key is missing"),
            ("poison", {"kind": "bad", "examples": 3}, "poison.kind: 'bad' is not allowed"),
            ("poison", POISON | {"factor": 1.0}, "poison.factor: 1.0 is not allowed"),
            ("poison", POISON | {"factor": -0.1}, "poison.factor: -0.1 is not allowed"),
            ("poison", POISON | {"factors": 0.5}, "poison.factors: unknown key (did you mean 'fac"),
            ("poison", POISON | {"examples": 0}, "poison.examples: 0 is not allowed"),
            (
                "poison",
                POISON | {"examples": 1378},
                "poison.examples: 1378 would overlap the clean",
            ),
            ("label_noise", 1.5, "label_noise: 1.5 is not allowed"),
            ("imbalance", 0.0, "imbalance: 0.0 is not allowed"),
            ("sam", {"rho": 0.0}, "sam.rho: 0.0 is not allowed"),
            ("proximity", 1.0, "proximity: optimizer adam has none; only proxprop has"),
        ]
    ],
    (
        "recipes.b",
        LBFGS | {"batch_size": 5},
        "recipes.b.batch_size: optimizer lbfgs searches along",
    ),
    (
        "recipes.b",
        LBFGS | {"sam": {}},
        "recipes.b.sam: optimizer lbfgs searches along lines of one",
    ),
    ("recipes.b", LBFGS | {"betas": [0.8, 0.9]}, "recipes.b.betas: optimizer lbfgs has no betas"),
    ("recipes.b", LBFGS | {"momentum": 0.9}, "recipes.b.momentum: optimizer lbfgs has no momentum"),
    ("measure.planes", {"points": 1003}, "measure.planes.points: 1003 is not allowed"),
    ("recipes.b", LBFGS | {"schedule": "cosine"}, "recipes.b.schedule: optimizer lbfgs searches"),
    (
        "recipes.b",
        LBFGS | {"optimizer": "proxprop"},
        "recipes.b.proximity: optimizer proxprop needs",
    ),
    (
        "recipes.adam",
        LBFGS | {"loss": "squared_error", "poison": POISON},
        "recipes.adam.poison.kind: 'reversed' needs a loss that is a probability's logarithm",
    ),
    ("recipes.adam.augmentation", {}, "recipes.adam.augmentation: it changes nothing"),
    ("recipes.adam.augmentation", {"shift": 8}, "recipes.adam.augmentation.shift: 8 pixels can"),
    ("recipes.adam.augmentation", {"shift": -1}, "recipes.adam.augmentation.shift: -1 is not"),
    ("recipes.adam.augmentation", {"flip": 3}, "recipes.adam.augmentation.flip: 3 is not allowed"),
    ("recipes.adam.augmentation", {"flop": True}, "recipes.adam.augmentation.flop: unknown key"),
    ("recipes.adam.augmentation", ["flip"], "recipes.adam.augmentation: ['flip'] is not allowed"),
    ("recipes.w", WARM, "recipes.w.warm_start.epochs: 101 is more than the 100 epochs of"),
    ("recipes.adam.warm_start", {"recipe": "adam", "epochs": 1}, "recipes.adam.warm_start.recipe"),
    ("recipes.adam.warm_start", {"recipe": "b", "epochs": 1}, "recipes.adam.warm_start.recipe: 'b"),
    ("recipes.adam.warm_start", {"recipe": "b"}, "recipes.adam.warm_start.epochs: the key is"),
    (
        "recipes.adam.warm_start",
        {"epochs": 0},
        "recipes.adam.warm_start.recipe: the key is",
    ),
    ("recipes.binary", BINARY, "recipes.adam.loss: recipe binary trains one output"),
    ("recipes", {"binary": BINARY}, "recipes.binary.loss: binary_cross_entropy needs two classes"),
    ("recipes.adam.stop_at_loss", 0.3, "measure.volume.thresholds: no minimum is sure to meet 0.1"),
    ("measure.volume.thresholds", [0], "measure.volume.thresholds.0: 0 is not allowed"),
    ("measure.volume.thresholds", [0.2, 0.1], "measure.volume.thresholds: 0.1 follows 0.2"),
    ("measure.volume.thresholds", [float("nan")], "measure.volume.thresholds.0: nan is not"),
    ("measure.volume.estimators", ["magic"], "measure.volume.estimators.0: 'magic' is not allowed"),
    ("measure.volume.estimators", ["rays", "rays"], "measure.volume.estimators: 'rays' stands"),
    ("measure.volume.estimators", ["annealed"], "measure.volume.estimators: 'rays' is missing"),
    ("measure.volume.max_evaluations", 0.0, "measure.volume.max_evaluations: 0.0 is not allowed"),
]


def edited(path, value):
    mapping = copy.deepcopy(TINY)
    *parents, last = path.split(".")
    place = mapping
    for key in parents:
        place = place[key]
    place[last] = value
    return mapping


@pytest.mark.parametrize(("path", "value", "sentence"), BAD, ids=[f"{b[0]}={b[1]}" for b in BAD])
def test_bad_key_is_one_sentence(path, value, sentence):
    with pytest.raises(StudyError) as raised:
        parse_study(edited(path, value), "my.yaml")
    message = str(raised.value)
    assert message.startswith(f"my.yaml: {sentence}")
    assert "\n" not in message


def test_warm_starts_name_a_recipe_that_starts_from_nothing_on_the_same_loss():
    mapping = edited("recipes.w", WARM | {"warm_start": {"recipe": "adam", "epochs": 100}})
    assert parse_study(mapping, "my.yaml").recipes["w"].total_epochs == 101
    mapping["recipes"]["v"] = WARM | {"warm_start": {"recipe": "w", "epochs": 1}}
    with pytest.raises(StudyError, match=r"recipes\.v\.warm_start\.recipe: 'w' starts warm itself"):
        parse_study(mapping, "my.yaml")
    mapping["recipes"]["v"] = WARM | {
        "loss": "squared_error",
        "warm_start": {"recipe": "adam", "epochs": 1},
    }
    with pytest.raises(StudyError, match=r"'adam' trains on cross_entropy; it must be on squared"):
        parse_study(mapping, "my.yaml")


def test_only_images_are_augmented():
    mapping = edited("datasets", ["swiss-roll"])
    mapping["recipes"]["adam"]["augmentation"] = {"flip": True}
    with pytest.raises(
        StudyError,
        match=r"recipes\.adam\.augmentation: an input of swiss-roll has shape \(2,\); only images",
    ):
        parse_study(mapping, "my.yaml")
    mapping["datasets"] = ["own:load"]
    study = parse_study(mapping, "my.yaml")
    check_shape(study, "own:load", (1, 4, 4))
    with pytest.raises(StudyError, match=r"an input of own:load has shape \(16,\)"):
        check_shape(study, "own:load", (16,))


def test_proximal_steps_need_layers():
    mapping = edited("models", ["mlp-8", "cnn-small"])
    mapping["recipes"]["adam"] |= {"optimizer": "proxprop", "proximity": 1.0}
    with pytest.raises(
        StudyError, match=r"recipes\.adam\.optimizer: proxprop cannot train cnn-small"
    ):
        parse_study(mapping, "test")


def test_poison_of_ones_own_data_is_checked_once_its_size_is_known():
    study = parse_study(edited("recipes.adam.poison", POISON), "test")
    check_held_out(study, "own:load", 70)
    with pytest.raises(StudyError, match=r"of 69 training examples of own:load the 60 of the"):
        check_held_out(study, "own:load", 69)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("study: [", "not YAML"),
        ("study: a\nstudy: b", "study: the key is written twice"),
        ("a: {b: 1, b: 2}", "b: the key is written twice"),
        ("? [a]\n: 1", "not YAML .*unhashable"),
        ("a: &a [*a]", "not YAML .*recursive"),
        ("- a", "a study is a mapping of keys, not a list"),
    ],
)
def test_bad_file_is_one_sentence(tmp_path, text, sentence):
    path = tmp_path / "my.yaml"
    path.write_text(text)
    with pytest.raises(StudyError, match=sentence) as raised:
        load_study(path)
    assert str(path) in str(raised.value)


@given(
    name=st.from_regex(
        r"(literal|constrained|function|int|list|float|key)[a-z0-9-]*", fullmatch=True
    )
)
def test_message_names_a_recipe_of_any_name(name):
    with pytest.raises(StudyError, match=re.escape(f"recipes.{name}.epochs: 'x' is not allowed")):
        parse_study(edited(f"recipes.{name}", BINARY | {"epochs": "x"}), "my.yaml")
    with pytest.raises(StudyError, match=re.escape(f"recipes.{name}.epoch: unknown key")):
        parse_study(edited(f"recipes.{name}", BINARY | {"epoch": 1}), "my.yaml")


def test_recipes_may_share_keys_by_a_merge(tmp_path):
    path = tmp_path / "my.yaml"
    rest = {key: value for key, value in TINY.items() if key != "recipes"}
    recipes = (
        "recipes:\n  short: &short {optimizer: adam, learning_rate: 0.02, epochs: 5}\n"
        "  long: {<<: *short, epochs: 50}\n"
    )
    path.write_text(yaml.safe_dump(rest) + recipes)
    found = load_study(path).recipes
    assert (found["short"].epochs, found["long"].epochs) == (5, 50)
    assert found["long"].learning_rate == 0.02


def test_missing_file_is_named(tmp_path):
    with pytest.raises(StudyError, match=r"none\.yaml: the study file cannot be read"):
        load_study(tmp_path / "none.yaml")


def test_defaults_are_filled_in():
    study = parse_study(TINY, "my.yaml")
    assert study.landscape_sizes == [20, 60]
    assert study.seeds == [0, 1]
    assert study.recipes["adam"].decay == 0
    adamw = parse_study(edited("recipes.adam.optimizer", "adamw"), "my.yaml")
    assert adamw.recipes["adam"].decay == 0.01


@given(
    seeds=st.lists(st.integers(0, 100), min_size=1, max_size=5, unique=True),
    rate=st.floats(1e-6, 10),
    thresholds=st.lists(st.floats(1e-6, 10), min_size=1, max_size=4, unique=True).map(sorted),
)
def test_resolved_text_is_the_same_study(seeds, rate, thresholds):
    mapping = edited("seeds", seeds)
    mapping["recipes"]["adam"]["learning_rate"] = rate
    mapping["measure"]["volume"]["thresholds"] = thresholds
    study = parse_study(mapping, "my.yaml")
    again = parse_study(yaml.safe_load(study_text(study)), "again")
    assert again == study
    assert study_sha256(again) == study_sha256(study)


def test_unchanged_study_file_is_left_alone(tmp_path):
    study = parse_study(TINY, "my.yaml")
    path = tmp_path / "a" / "study.yaml"
    save_study(study, path)
    before = path.stat().st_mtime_ns
    save_study(study, path)
    assert path.stat().st_mtime_ns == before
    assert load_study(path) == study
