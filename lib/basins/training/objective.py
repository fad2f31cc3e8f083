"""What training lowers: the mean loss of the clean subset, or one that poison and noise mislead."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from basins.datasets import poison
from basins.study.recipe_keys import Recipe

Examples = tuple[Tensor, Tensor]  # inputs and targets
# (labels (m,), names of random numbers) -> labels (m,)
Relabel = Callable[..., poison.Labels]
# Kinds of poison whose labels are not their own.
RELABELED: dict[str, Relabel] = {
    "wrong_labels": poison.wrong_labels,
    "random_labels": poison.random_labels,
}


@dataclass(frozen=True)
class Objective:
    """The mean of ``weight * loss`` over every seed's examples.

    Attributes
    ----------
    inputs, targets
        Shapes (seeds, m, *input_shape) and (seeds, m).
    weights
        Shape (seeds, m), of mean about 1; None where all are 1.
    is_reversed
        Which examples have the loss -ln(1 - p), shape (seeds, m); None where none has.
    """

    inputs: Tensor
    targets: Tensor
    weights: Tensor | None = None
    is_reversed: Tensor | None = None

    @property
    def is_weighted(self) -> bool:
        """Whether it is more than a mean of ordinary losses."""
        return self.weights is not None or self.is_reversed is not None

    def to(self, device: torch.device) -> "Objective":
        """Return the same on a device."""
        return Objective(
            self.inputs.to(device),
            self.targets.to(device),
            None if self.weights is None else self.weights.to(device),
            None if self.is_reversed is None else self.is_reversed.to(device),
        )


def is_misled(recipe: Recipe) -> bool:
    """Tell whether a recipe trains on anything but the mean loss of its clean subset."""
    return recipe.poison is not None or recipe.label_noise > 0 or recipe.imbalance < 1


def is_weighted(recipe: Recipe) -> bool:
    """Tell whether what a recipe lowers is more than a mean of ordinary losses."""
    poisoned = recipe.poison
    has_factor = poisoned is not None and (
        poisoned.factor is not None or poisoned.kind == "reversed"
    )
    return recipe.imbalance < 1 or has_factor


def objective_of(
    recipe: Recipe,
    clean: Examples,
    held_out: Examples,
    num_classes: int,
    seeds: tuple[int, ...],
) -> Objective:
    """Return what a recipe lowers.

    With poison it is ``(1 - factor) * mean over clean + factor * mean over poison`` (Huang et al.
    2020, arXiv 1906.03291), as a mean over all examples, each weighted by its mean's
    factor over its mean's share: so any batch of them has it as its expectation.

    Parameters
    ----------
    recipe
        How to train.
    clean
        Inputs and targets of each seed's subset, shapes (seeds, m, *input_shape) and (seeds, m).
    held_out
        The same of examples that are in no landscape; the recipe's poison takes the first.
    num_classes
        Number of classes.
    seeds
        Key of the random labels.
    """
    targets, weights = _labels(recipe, clean[1], num_classes, seeds)
    if recipe.poison is None:
        return Objective(clean[0], targets, weights)
    count = recipe.poison.examples
    poisoned, kind = held_out[1][:, :count], recipe.poison.kind
    if kind in RELABELED:
        poisoned = _each(poisoned, seeds, partial(RELABELED[kind], num_classes=num_classes))
    size, factor = targets.shape[1], recipe.poison.factor
    total = size + count
    if factor is not None or weights is not None:
        factor = count / total if factor is None else factor
        ones = torch.ones(len(targets), size) if weights is None else weights
        added = torch.full((len(targets), count), factor * total / count)
        weights = torch.cat([ones * ((1 - factor) * total / size), added], dim=1)
    is_reversed = None
    if kind == "reversed":
        is_reversed = (torch.arange(total) >= size).expand(len(targets), -1)
    return Objective(
        torch.cat([clean[0], held_out[0][:, :count]], dim=1),
        torch.cat([targets, poisoned], dim=1),
        weights,
        is_reversed,
    )


def _labels(
    recipe: Recipe, targets: Tensor, num_classes: int, seeds: tuple[int, ...]
) -> tuple[Tensor, Tensor | None]:
    """Return the labels that the clean subset is trained on, and weights if classes get rarer."""
    weights = None
    if recipe.imbalance < 1:
        rows = [
            poison.imbalanced(row.numpy(), recipe.imbalance, num_classes) for row in targets.cpu()
        ]
        stays = torch.from_numpy(np.stack(rows)).to(torch.float32)
        # What is left out weighs nothing, and the rest more: batches stay as large.
        weights = stays / stays.mean(dim=1, keepdim=True)
    if recipe.label_noise:
        noisy = partial(poison.noisy_labels, share=recipe.label_noise, num_classes=num_classes)
        targets = _each(targets, seeds, noisy)
    return targets, weights


def _each(targets: Tensor, seeds: tuple[int, ...], relabel: Relabel) -> Tensor:
    """Return new labels of every seed, each by its own random numbers."""
    rows = [
        relabel(row.numpy(), "poison", seed) for row, seed in zip(targets.cpu(), seeds, strict=True)
    ]
    return torch.from_numpy(np.stack(rows))
