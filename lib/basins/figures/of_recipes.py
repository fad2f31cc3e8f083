"""What recipes are, read from a cube: batch size, learning rate, order of noise."""

from dataclasses import dataclass

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
    optimizer, epochs, steps, stop_at_loss
        As the study says; it gives epochs or steps.
    others
        All its keys but the batch size, as text.
    num_added
        Examples of poison, which batches are drawn from, too.
    """

    name: str
    batch_size: int | None
    learning_rate: float
    is_plain: bool
    optimizer: str
    epochs: int | None
    steps: int | None
    stop_at_loss: float | None
    others: str
    num_added: int

    @property
    def line(self) -> str:
        """Return what it shares with the recipes that differ in the batch alone."""
        end = "" if self.stop_at_loss is None else f", until {self.stop_at_loss:g}"
        long = f"{self.steps} steps" if self.epochs is None else f"{self.epochs} epochs"
        return f"{self.optimizer}, rate {self.learning_rate:g}, {long}{end}"


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
            epochs=keys.get("epochs"),
            steps=keys.get("steps"),
            stop_at_loss=keys.get("stop_at_loss"),
            others=repr(sorted((key, keys[key]) for key in keys if key != "batch_size")),
            num_added=(keys.get("poison") or {}).get("examples", 0),
        )
        for name, keys in study.get("recipes", {}).items()
        if name in cube.recipe.values
    ]


def by_noise(cube: xr.Dataset) -> list[list[str]]:
    """Return recipes that differ in the batch alone together, the largest noise scale first.

    Those that augment, start warm or have milestones stand alone, at the end.
    """
    known = recipe_facts(cube)
    lines: dict[str, list[str]] = {}
    for facts in known:
        if facts.is_plain:
            lines.setdefault(facts.others, []).append(facts.name)
    groups = [*lines.values(), *([facts.name] for facts in known if not facts.is_plain)]
    if not known:
        groups = [[str(name)] for name in cube.recipe.values]
    if "noise_scale" in cube:
        scale = cube.noise_scale.mean([dim for dim in cube.noise_scale.dims if dim != "recipe"])
        for group in groups:
            group.sort(key=lambda name: -float(scale.sel(recipe=name).item()))
    return groups
