"""Recipes that make sense: what a study is told, in one sentence, about those that do not."""

import itertools

from basins.study import resolve
from basins.study.controls import check_controls, check_same_start, of_size, recipes_of_sizes
from basins.study.recipe_keys import Recipe
from basins.study.schema import Study, StudyError

WITH_MOMENTUM = ("sgd", "proxprop")
WITH_BETAS = ("adam", "adamw")
STAGED = ("steps", "growing_batch")  # schedules that change at milestones


def check_recipes(study: Study) -> None:
    """Raise StudyError, naming the key, for the first recipe that cannot be run."""
    for name, recipe in study.recipes.items():
        check_controls(name, recipe)
        _check_optimizer(name, recipe)
        _check_layers(study, name, recipe)
        _check_schedule(name, recipe)
        _check_augmentation(study, name, recipe)
        _check_poison(study, name, recipe)
    for name, recipe in study.recipes.items():
        _check_warm_start(study, name, recipe)
        for size in study.train_sizes:
            _check_milestones(name, of_size(recipe, size), _at_size(recipe, size))
            _check_path(name, of_size(recipe, size), _at_size(recipe, size))
    _check_binary(study)


def check_shape(study: Study, dataset: str, input_shape: tuple[int, ...]) -> None:
    """Raise StudyError if a recipe augments what is no image, or shifts it out of its frame."""
    for name, recipe in study.recipes.items():
        if recipe.augmentation is None:
            continue
        key = f"recipes.{name}.augmentation"
        if len(input_shape) != 3:
            raise StudyError(
                f"{key}: an input of {dataset} has shape {input_shape}; only images, of shape "
                "(channels, height, width), can be shifted and flipped"
            )
        if recipe.augmentation.shift >= min(input_shape[1:]):
            raise StudyError(
                f"{key}.shift: {recipe.augmentation.shift} pixels can move an image of {dataset} "
                f"out of its frame of {input_shape[1]} by {input_shape[2]}; it must be less"
            )


def milestone_epochs(recipe: Recipe) -> list[int]:
    """Return the first epoch after each milestone.

    Examples
    --------
    >>> milestone_epochs(Recipe(optimizer="sgd", learning_rate=1.0, epochs=9, milestones=[0.5]))
    [4]
    """
    return [round(milestone * recipe.own_epochs) for milestone in recipe.milestones]


def kept_epochs(recipe: Recipe) -> list[int]:
    """Return after how many epochs parameters are kept, increasing; those of the end always are.

    Examples
    --------
    >>> kept_epochs(Recipe(optimizer="sgd", learning_rate=1.0, epochs=9, measure_at=[1, 4]))
    [1, 4]
    >>> kept_epochs(Recipe(optimizer="sgd", learning_rate=1.0, epochs=9, keep_every=3))
    [0, 3, 6]
    """
    regular = range(0, recipe.total_epochs, recipe.keep_every) if recipe.keep_every else []
    return sorted({*recipe.measure_at, *regular})


def points_placed(study: Study) -> int:
    """Return how many minima and points on the way to them a model and data set has."""
    each = sum(1 + len(kept_epochs(recipe)) for recipe in recipes_of_sizes(study))
    return len(study.seeds) * each


def _check_optimizer(name: str, recipe: Recipe) -> None:
    given = recipe.model_fields_set
    if "momentum" in given and recipe.momentum and recipe.optimizer not in WITH_MOMENTUM:
        raise StudyError(
            f"recipes.{name}.momentum: optimizer {recipe.optimizer} has no momentum; allowed with "
            + " and ".join(WITH_MOMENTUM)
        )
    is_own = "betas" in given and recipe.betas != [0.9, 0.999]
    if is_own and recipe.optimizer not in WITH_BETAS:
        raise StudyError(
            f"recipes.{name}.betas: optimizer {recipe.optimizer} has no betas; allowed with "
            + " and ".join(WITH_BETAS)
        )
    if not all(0 <= beta < 1 for beta in recipe.betas):
        raise StudyError(f"recipes.{name}.betas: {recipe.betas} must lie in [0, 1)")

    if recipe.optimizer == "lbfgs":
        wanted = {"batch_size": "full", "schedule": "constant", "sam": None, "augmentation": None}
        for key, value in wanted.items():
            if getattr(recipe, key) != value:
                raise StudyError(
                    f"recipes.{name}.{key}: optimizer lbfgs searches along lines of one loss; it "
                    f"must be {value or 'left out'}"
                )
    if (recipe.proximity is None) == (recipe.optimizer == "proxprop"):
        raise StudyError(
            f"recipes.{name}.proximity: optimizer {recipe.optimizer} "
            + ("needs it" if recipe.proximity is None else "has none; only proxprop has")
        )


def _check_layers(study: Study, name: str, recipe: Recipe) -> None:
    if recipe.optimizer != "proxprop":
        return
    for model in study.models:
        # What a user's own model is made of is known once it is built.
        if not resolve.is_target(model) and model.split("-")[0] not in ("mlp", "linear"):
            raise StudyError(unlayered(name, model))


def unlayered(name: str, model: str) -> str:
    """Return what is said where ProxProp is to train what is no chain of connected layers."""
    return (
        f"recipes.{name}.optimizer: proxprop cannot train {model}; it takes fully connected "
        "networks with rectified hidden layers, mlp-<width>-<width>..."
    )


def _check_schedule(name: str, recipe: Recipe) -> None:
    for key in ("milestones", "decay_factor"):
        is_given = bool(getattr(recipe, key))
        if is_given and recipe.schedule not in STAGED:
            raise StudyError(
                f"recipes.{name}.{key}: schedule {recipe.schedule} has none; allowed with "
                + " and ".join(STAGED)
            )
        if not is_given and recipe.schedule in STAGED:
            raise StudyError(
                f"recipes.{name}.{key}: the key is missing; schedule {recipe.schedule} needs it"
            )
    if recipe.schedule == "growing_batch" and recipe.batch_size == "full":
        raise StudyError(
            f"recipes.{name}.batch_size: 'full' cannot grow; schedule growing_batch needs a number"
        )


def _at_size(recipe: Recipe, train_size: int) -> str:
    """Return the words that name a train size where a recipe's epochs depend on it."""
    return "" if recipe.steps is None else f" of {train_size} examples"


def _check_milestones(name: str, recipe: Recipe, at_size: str) -> None:
    epochs = [0, *milestone_epochs(recipe), recipe.own_epochs]
    is_increasing = all(first < second for first, second in itertools.pairwise(epochs))
    if recipe.milestones and not is_increasing:
        raise StudyError(
            f"recipes.{name}.milestones: {recipe.milestones} of {recipe.epochs} epochs{at_size} "
            f"are epochs {epochs[1:-1]}; they must be increasing and lie between the first and the "
            "last"
        )


def _check_augmentation(study: Study, name: str, recipe: Recipe) -> None:
    augmentation = recipe.augmentation
    if augmentation is None:
        return
    if not augmentation.shift and not augmentation.flip:
        raise StudyError(
            f"recipes.{name}.augmentation: it changes nothing; allowed are shift above 0, flip, or "
            "both"
        )
    for dataset in study.datasets:
        entry = resolve.dataset_entry(dataset)
        if entry:
            check_shape(study, dataset, entry.input_shape)


def check_held_out(study: Study, dataset: str, num_train: int) -> None:
    """Raise StudyError if a recipe's poison needs more examples than landscapes leave over."""
    taken = max(study.train_sizes[-1], study.landscape_sizes[-1])
    for name, recipe in study.recipes.items():
        if recipe.poison and taken + recipe.poison.examples > num_train:
            raise StudyError(
                f"recipes.{name}.poison.examples: {recipe.poison.examples} would overlap the clean "
                f"examples; of {num_train} training examples of {dataset} the {taken} of the "
                f"largest landscape leave {max(0, num_train - taken)} to poison with"
            )


def _check_poison(study: Study, name: str, recipe: Recipe) -> None:
    poison = recipe.poison
    if poison is None:
        return
    if poison.kind == "reversed" and recipe.loss == "squared_error":
        raise StudyError(
            f"recipes.{name}.poison.kind: 'reversed' needs a loss that is a probability's "
            "logarithm, and squared_error is none; allowed are wrong_labels and random_labels"
        )
    for dataset in study.datasets:
        entry = resolve.dataset_entry(dataset)
        if entry:
            check_held_out(study, dataset, entry.num_train)


def _check_warm_start(study: Study, name: str, recipe: Recipe) -> None:
    warm = recipe.warm_start
    if warm is None:
        return
    key = f"recipes.{name}.warm_start"
    before = study.recipes.get(warm.recipe)
    if before is None:
        raise StudyError(
            f"{key}.recipe: {warm.recipe!r} is not in the study; allowed are its other recipes, "
            + ", ".join(other for other in study.recipes if other != name)
        )
    if before.warm_start is not None:
        raise StudyError(
            f"{key}.recipe: {warm.recipe!r} starts warm itself; allowed are recipes that do not"
        )
    for size in study.train_sizes:
        there = of_size(before, size).own_epochs
        if warm.epochs > there:
            raise StudyError(
                f"{key}.epochs: {warm.epochs} is more than the {there} epochs of recipe "
                f"{warm.recipe}{_at_size(before, size)}"
            )
    if before.loss != recipe.loss:
        raise StudyError(
            f"{key}.recipe: {warm.recipe!r} trains on {before.loss}; it must be on {recipe.loss} "
            "too"
        )
    check_same_start(study, name, warm.recipe)


def _check_path(name: str, recipe: Recipe, at_size: str) -> None:
    asked = recipe.measure_at
    is_increasing = all(first < second for first, second in itertools.pairwise(asked))
    if not is_increasing or (asked and asked[-1] >= recipe.total_epochs):
        raise StudyError(
            f"recipes.{name}.measure_at: {asked} must be increasing and below the recipe's "
            f"{recipe.total_epochs} epochs{at_size}, whose end is measured in any case"
        )
    if recipe.keep_every and recipe.keep_every >= recipe.total_epochs:
        raise StudyError(
            f"recipes.{name}.keep_every: {recipe.keep_every} must be below the recipe's "
            f"{recipe.total_epochs} epochs{at_size}, or its path has no point but the start"
        )


def _check_binary(study: Study) -> None:
    binary = [name for name, r in study.recipes.items() if r.loss == "binary_cross_entropy"]
    if not binary:
        return
    other = [name for name in study.recipes if name not in binary]
    if other:
        raise StudyError(
            f"recipes.{other[0]}.loss: recipe {binary[0]} trains one output with "
            "binary_cross_entropy, so every recipe of the study must"
        )
    for name in study.datasets:
        entry = resolve.dataset_entry(name)
        if entry and entry.num_classes != 2:
            raise StudyError(
                f"recipes.{binary[0]}.loss: binary_cross_entropy needs two classes, "
                f"{name} has {entry.num_classes}"
            )
