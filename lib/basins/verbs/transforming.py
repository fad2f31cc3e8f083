"""The verb that makes minima of the same function from those of another job."""

from pathlib import Path

import numpy as np
import torch

from basins import device as devices
from basins.cube import read
from basins.cube.provenance import Clock
from basins.flatness.transforms import in_coordinates, named_transform
from basins.study import jobs
from basins.training.loop import Minima, ends_of
from basins.verbs.job_data import diverged, find, orders, trained
from basins.verbs.job_file import minima_groups, publish


def transform(study: Path, job: str, receipt: Path, minima: Path, output: Path) -> None:
    """Transform the minima of the job that this one names, and keep them like any others."""
    found, block = find(study, job)
    if not block.transform:
        raise ValueError(f"--job: {job} names no transform; its minima are trained")
    device = devices.set_up(found.device, found.threads)
    clock = Clock("transform", device, "float32")
    parent = jobs.parent(found, block)
    data, network, parameters = trained(found, parent, receipt, minima)
    rows = [parent.seeds.index(seed) for seed in block.seeds]
    change = named_transform(block.transform)
    made = [
        change(network, data.input_shape, row.astype(np.float64), jobs.minimum_name(block, seed))
        for row, seed in zip(parameters[rows], block.seeds, strict=True)
    ]
    theta = torch.from_numpy(np.stack(made)).float().to(device)
    order = orders(found, data, block.seeds)[:, : block.train_size]
    ends = ends_of(
        in_coordinates(network, block.transform, theta[0].cpu()).to(device, torch.float32),
        found.recipes[block.recipe].loss,
        theta,
        torch.from_numpy(data.inputs[order]).to(device),
        torch.from_numpy(data.targets[order]).to(device),
        torch.from_numpy(data.test_inputs).to(device),
        torch.from_numpy(data.test_targets).to(device),
    )
    with read.open_job(minima, "minima", jobs.fingerprint(found, parent.id, "train")) as file:
        kept = Minima(
            parameters=theta.cpu().numpy(),
            **ends,
            epochs=file["epochs"][()][rows],
            is_diverged=diverged(found, parent, minima)[rows],
            history_epoch=file["history/epoch"][0].astype(np.int32),
            history_train_loss=file["history/train_loss"][()][rows],
        )
    groups = minima_groups(found, block, kept, data, network) | {"/provenance": clock.record()}
    publish(study, block, "transform", output, groups)
