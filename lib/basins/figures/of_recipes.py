"""What recipes are, read from a cube: batch size, learning rate, order of noise."""

from dataclasses import dataclass

import numpy as np
import xarray as xr
import yaml


@dataclass(frozen=True)
class RecipeFacts:
    """What figures tell recipes apart by.

    Attributes
    ----------
    name
        Of the recipe.
    batch_size
        Examples of the first step; None for all.
    learning_rate
        At the first step.
    is_plain
        Whether it neither augments, nor starts warm, nor has milestones.
    optimizer, epochs
        As the study says.
    """

    name: str
    batch_size: int | None
    learning_rate: float
    is_plain: bool
    optimizer: str
    epochs: int


def recipe_facts(cube: xr.Dataset) -> list[RecipeFacts]:
    """Return the recipes of a cube, as its study describes them; none if it holds no study."""
    study = yaml.safe_load(cube.attrs.get("study") or "{}")
    return [
        RecipeFacts(
            name=name,
            batch_size=None if keys["batch_size"] == "full" else int(keys["batch_size"]),
            learning_rate=float(keys["learning_rate"]),
            is_plain=not any(keys.get(key) for key in ("augmentation", "warm_start", "milestones")),
            optimizer=keys["optimizer"],
            epochs=int(keys["epochs"]),
        )
        for name, keys in study.get("recipes", {}).items()
        if name in cube.recipe.values
    ]


def by_noise(cube: xr.Dataset) -> list[str]:
    """Return the recipes from the largest noise scale to the smallest, as the study lists ties."""
    names = [facts.name for facts in recipe_facts(cube)] or list(map(str, cube.recipe.values))
    if "noise_scale" not in cube:
        return names
    over = [dim for dim in cube.noise_scale.dims if dim != "recipe"]
    scale = cube.noise_scale.mean(over)
    return sorted(names, key=lambda name: -float(np.nan_to_num(scale.sel(recipe=name).item())))
