"""The verb that trains the minima of one job."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from basins import device as devices
from basins.cube.provenance import Clock
from basins.datasets import load as datasets
from basins.datasets.subsets import Data
from basins.progress import progress
from basins.study import fingerprints, jobs
from basins.study.controls import of_size
from basins.study.recipe_keys import Recipe
from basins.study.recipes import check_held_out, check_shape
from basins.training import checkpoint
from basins.training.gradients import gradients_of, torch_gradients
from basins.training.loop import train as train_minima
from basins.training.objective import Objective, is_misled, objective_of
from basins.training.schedules import phases
from basins.verbs.job_data import check_network, find, initial, load, network_of, orders
from basins.verbs.job_file import minima_groups, publish

ARITHMETIC = 2  # of unfinished trainings: another number where bits change


def train(study: Path, job: str, receipt: Path, output: Path, slow_path: bool = False) -> None:
    """Train the minima of one job, resuming where a killed run stopped; by torch alone if asked."""
    found, block = find(study, job)
    device = devices.set_up(found.device, found.threads)
    clock = Clock("train --slow-path" if slow_path else "train", device, "float32")
    data = load(found, block.dataset)
    datasets.check_receipt(data, receipt)
    recipe = of_size(found.recipes[block.recipe], block.train_size)
    warm = recipe.warm_start
    before = of_size(found.recipes[warm.recipe], block.train_size) if warm else None
    check_held_out(found, block.dataset, len(data.targets))
    check_shape(found, block.dataset, data.input_shape)
    # The darkest pixel of all examples: 0 before images were normalized.
    black = torch.from_numpy(data.inputs.min(axis=(0, 2, 3))) if data.inputs.ndim == 4 else None
    network = network_of(block, data, recipe.loss).to(device, torch.float32)
    check_network(found, network, data.input_shape)
    whole = orders(found, data, block)
    order = whole[:, : block.train_size]
    theta = torch.stack([initial(found, block, data, recipe.loss, seed) for seed in block.seeds])
    fingerprint = fingerprints.of(found, block.id, "train")
    saved = jobs.checkpoint_file(found, block.id)
    path = "torch" if slow_path else "compiled"
    num_epochs = sum(count for _, count in phases(recipe, before))
    with progress(f"training {block.id}", num_epochs, "epochs") as advance:
        minima = train_minima(
            network,
            recipe,
            theta.to(device),
            torch.from_numpy(data.inputs[order]).to(device),
            torch.from_numpy(data.targets[order]).to(device),
            torch.from_numpy(data.test_inputs).to(device),
            torch.from_numpy(data.test_targets).to(device),
            block.seeds,
            before=before,
            objective=_lowered(recipe, data, whole, block, device),
            objective_before=_lowered(before, data, whole, block, device) if before else None,
            black=black,
            saved=saved,
            # Other data, fetched again between kill and resume, or other arithmetic starts over.
            fingerprint=f"{fingerprint} {data.sha256()} {path} {ARITHMETIC}",
            advance=advance,
            find_gradients=torch_gradients if slow_path else gradients_of,
        )
    groups = minima_groups(found, block, minima, data, network) | {"/provenance": clock.record()}
    publish(study, block, "train", output, groups)
    checkpoint.discard(saved)


def _lowered(
    recipe: Recipe, data: Data, order: NDArray[np.int64], block: jobs.Job, device: torch.device
) -> Objective | None:
    """Return what a recipe lowers if it is not the mean loss of the training subset."""
    if not is_misled(recipe):
        return None
    count = recipe.poison.examples if recipe.poison else 0
    # From the end, where no landscape is; the more, the same ones and others.
    rows = order[:, : block.train_size], order[:, ::-1][:, :count]
    clean, held = (
        (torch.from_numpy(data.inputs[chosen]), torch.from_numpy(data.targets[chosen]))
        for chosen in rows
    )
    return objective_of(recipe, clean, held, data.num_classes, block.seeds).to(device)
