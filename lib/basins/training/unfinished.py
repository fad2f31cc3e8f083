"""A training on its way: where all seeds are, and what is kept of it to go on after a kill."""

import time
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from basins.study.recipe_keys import Recipe
from basins.training import checkpoint, optimizers


@dataclass
class Unfinished:
    """Where a training is.

    Attributes
    ----------
    theta
        Parameters, shape (seeds, n).
    state
        The optimizer's memory.
    active
        Which seeds still move, shape (seeds,).
    is_finite
        Whose losses were numbers so far, shape (seeds,).
    epochs
        Epochs trained, int32, shape (seeds,); iterations of a polish are none.
    history, path
        Mean losses of recorded epochs, shape (seeds,) each, and parameters that are kept, shape
        (seeds, n) each, on the CPU.
    epoch
        Epochs behind it, those that no seed took part in among them.
    """

    theta: Tensor
    state: optimizers.State
    active: Tensor
    is_finite: Tensor
    epochs: Tensor
    history: list[Tensor] = field(default_factory=list)
    path: list[Tensor] = field(default_factory=list)
    epoch: int = 0

    def hand_over(self, recipe: Recipe) -> None:
        """Let another recipe take over, of seeds that stopped as well, with a fresh optimizer."""
        self.active = self.is_finite.clone()
        self.state = optimizers.initial_state(recipe, self.theta)

    def move(self, moved: Tensor) -> None:
        """Go on to other parameters, where a seed still moves."""
        # A GPU would have to be waited for to know.
        is_whole = self.theta.device.type == "cpu" and bool(self.active.all())
        self.theta = moved if is_whole else torch.where(self.active[:, None], moved, self.theta)

    def end_path(self, num_points: int) -> None:
        """Fill the path up with where it ends: a seed that stopped stays there."""
        self.path += [self.theta.cpu().clone()] * (num_points - len(self.path))


def begun(recipe: Recipe, theta: Tensor) -> Unfinished:
    """Return a training by a recipe before its first step, from `theta`, shape (seeds, n)."""
    active = torch.ones(len(theta), dtype=torch.bool, device=theta.device)
    epochs = torch.zeros(len(theta), dtype=torch.int32, device=theta.device)
    state = optimizers.initial_state(recipe, theta)
    return Unfinished(theta, state, active, active.clone(), epochs)


class Keeper:
    """Keeps an unfinished training on disk, now and then.

    Parameters
    ----------
    path
        Where, or None for nowhere.
    fingerprint
        What it is a training of.
    seconds
        How long at least from one time to the next.
    """

    def __init__(self, path: Path | None, fingerprint: str, seconds: float) -> None:
        self.path, self.fingerprint, self.seconds = path, fingerprint, seconds
        self._last = time.monotonic()

    def resumed(self, device: torch.device) -> Unfinished | None:
        """Return what was kept, if anything was that can be used."""
        found = checkpoint.load(self.path, self.fingerprint) if self.path else None
        if found is None:
            return None
        return Unfinished(
            **{name: found[name].to(device) for name in ("theta", "active", "is_finite", "epochs")},
            state={name: tensor.to(device) for name, tensor in found["state"].items()},
            history=list(found["history"]),
            path=list(found["path"]),
            epoch=found["epoch"],
        )

    def keep(self, run: Unfinished) -> None:
        """Keep a training if it is time to."""
        if self.path is None or time.monotonic() - self._last < self.seconds:
            return
        progress = {
            "theta": run.theta.cpu(),
            "active": run.active.cpu(),
            "is_finite": run.is_finite.cpu(),
            "epochs": run.epochs.cpu(),
            "state": {name: tensor.cpu() for name, tensor in run.state.items()},
            "history": run.history,
            "path": run.path,
            "epoch": run.epoch,
        }
        checkpoint.save(self.path, self.fingerprint, progress)
        self._last = time.monotonic()
