"""What is held the same across train sizes and seeds: steps, norms, orders, starts, polish."""

import math

from basins.study.recipe_keys import Recipe
from basins.study.schema import Study, StudyError


def of_size(recipe: Recipe, train_size: int) -> Recipe:
    """Return a recipe with its epochs counted, as it is for minima of one train size.

    Examples
    --------
    >>> recipe = Recipe(optimizer="sgd", learning_rate=1.0, steps=100, batch_size=32)
    >>> [of_size(recipe, train_size).epochs for train_size in (10, 100, 1000)]
    [100, 25, 4]
    """
    if recipe.steps is None:
        return recipe
    count = trained_on(recipe, train_size)
    batch_size = count if recipe.batch_size == "full" else recipe.batch_size
    epochs = math.ceil(recipe.steps / math.ceil(count / batch_size))
    return recipe.model_copy(update={"epochs": epochs, "steps": None})


def recipes_of_sizes(study: Study) -> list[Recipe]:
    """Return every recipe as it is at each train size, sizes within a recipe."""
    sizes = study.train_sizes
    return [of_size(recipe, size) for recipe in study.recipes.values() for size in sizes]


def trained_on(recipe: Recipe, train_size: int) -> int:
    """Return how many examples an epoch goes through: clean ones and poison."""
    return train_size + (recipe.poison.examples if recipe.poison else 0)


def subset_seed(study: Study, recipe: str) -> int | None:
    """Return the seed of a recipe's one order of examples; None if each seed has its own."""
    own = study.recipes[recipe].subset_seed
    return study.subset_seed if own is None else own


def initialization_seed(study: Study, recipe: str) -> int | None:
    """Return the seed of a recipe's one initialization; None if each seed has its own."""
    own = study.recipes[recipe].initialization_seed
    return study.initialization_seed if own is None else own


def check_controls(name: str, recipe: Recipe) -> None:
    """Raise StudyError, naming the key, if a recipe's length, norm or polish cannot be."""
    key = f"recipes.{name}"
    if recipe.epochs is None and recipe.steps is None:
        raise StudyError(
            f"{key}.epochs: the key is missing; a recipe is given epochs, or the steps that are to "
            "be the same at every train size"
        )
    if recipe.epochs is not None and recipe.steps is not None:
        raise StudyError(
            f"{key}.steps: the recipe has {recipe.epochs} epochs as well; one of the two is given, "
            "and the other left out or null"
        )
    if recipe.steps is not None and recipe.schedule == "growing_batch":
        raise StudyError(
            f"{key}.steps: schedule growing_batch changes how many steps an epoch has; give epochs"
        )
    if recipe.weight_norm is None:
        return
    if recipe.optimizer == "lbfgs":
        raise StudyError(
            f"{key}.weight_norm: optimizer lbfgs searches along straight lines, which leave the "
            "sphere; allowed are the other optimizers"
        )
    if recipe.polish is not None:
        raise StudyError(
            f"{key}.weight_norm: a polish changes the norm again; the recipe may have one of the "
            "two"
        )
    if recipe.decay:
        raise StudyError(
            f"{key}.weight_norm: weight decay of {recipe.decay:g} shrinks what is held at one "
            "norm; set weight_decay to 0"
        )


def check_same_start(study: Study, name: str, before: str) -> None:
    """Raise StudyError if a recipe cannot go on where the one it starts warm from stops."""
    key = f"recipes.{name}"
    asked = {"subset_seed": subset_seed, "initialization_seed": initialization_seed}
    for seed_key, of in asked.items():
        own, other = of(study, name), of(study, before)
        if own != other:
            raise StudyError(
                f"{key}.{seed_key}: {_in_words(own)}, and {_in_words(other)} for recipe {before}, "
                "by which this one starts warm; both must have the same"
            )
    own_norm, other_norm = (study.recipes[one].weight_norm for one in (name, before))
    if own_norm != other_norm:
        raise StudyError(
            f"{key}.weight_norm: {_in_words(own_norm)}, and {_in_words(other_norm)} for recipe "
            f"{before}, by which this one starts warm; both must have the same"
        )


def _in_words(value: float | None) -> str:
    return "none is given" if value is None else f"{value:g}"
