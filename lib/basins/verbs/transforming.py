"""The verb that makes minima of those of another job: the same function, or an earlier epoch's."""

from pathlib import Path

import numpy as np
import torch

from basins import device as devices
from basins.cube import read
from basins.cube.provenance import Clock
from basins.cube.schema import TRAINING_STATUS
from basins.flatness.transforms import in_coordinates, named_transform
from basins.study import fingerprints, jobs
from basins.study.transform import epoch_of
from basins.training.ends import ends_of
from basins.training.loop import Minima
from basins.verbs.job_data import diverged, find, orders, trained
from basins.verbs.job_file import minima_groups, publish


def transform(study: Path, job: str, receipt: Path, minima: Path, output: Path) -> None:
    """Transform the minima of the job that this one names, or take where they were at an epoch."""
    found, block = find(study, job)
    if not block.transform:
        raise ValueError(f"--job: {job} names no transform; its minima are trained")
    device = devices.set_up(found.device, found.threads)
    clock = Clock("transform", device, "float32")
    parent = jobs.parent(found, block)
    data, network, parameters = trained(found, parent, receipt, minima)
    rows = [parent.seeds.index(seed) for seed in block.seeds]
    epoch = epoch_of(block.transform)
    with read.open_job(minima, "minima", fingerprints.of(found, parent.id, "train")) as file:
        known_of = ("epochs", "history/train_loss", "training_status")
        before = {name: file[name][()][rows] for name in known_of}
        steps = file["history/epoch"][0].astype(np.int32)
        if epoch is not None:
            point = list(file["path/epoch"][()]).index(epoch)
            made = file["path/parameters"][:, point][rows]
    is_diverged = diverged(found, parent, minima)[rows]
    if epoch is None:
        change = named_transform(block.transform)
        names = [jobs.minimum_name(block, seed) for seed in block.seeds]
        made = np.stack(
            [
                change(network, data.input_shape, row.astype(np.float64), name)
                for row, name in zip(parameters[rows], names, strict=True)
            ]
        )
    theta = torch.from_numpy(made).float().to(device)
    order = orders(found, data, block)[:, : block.train_size]
    ends = ends_of(
        in_coordinates(network, block.transform, theta[0].cpu()).to(device, torch.float32),
        found.recipes[block.recipe].loss,
        theta,
        torch.from_numpy(data.inputs[order]).to(device),
        torch.from_numpy(data.targets[order]).to(device),
        torch.from_numpy(data.test_inputs).to(device),
        torch.from_numpy(data.test_targets).to(device),
    )
    epochs, known = before["epochs"], len(steps)
    is_unpolished = before["training_status"] == TRAINING_STATUS.index("not_polished")
    if epoch is not None:
        # What becomes of a training later says nothing of where it was.
        is_diverged, is_unpolished = ~np.isfinite(ends["train_loss"]), np.zeros_like(is_diverged)
        epochs, known = np.minimum(epochs, epoch), int((steps < epoch).sum())
    kept = Minima(
        parameters=theta.cpu().numpy(),
        **ends,
        epochs=epochs,
        is_diverged=is_diverged,
        is_unpolished=is_unpolished,
        history_epoch=steps[:known],
        history_train_loss=before["history/train_loss"][:, :known],
        path=np.empty((len(rows), 0, theta.shape[1]), dtype=np.float32),
        path_epochs=np.empty(0, dtype=np.int32),
    )
    groups = minima_groups(found, block, kept, data, network) | {"/provenance": clock.record()}
    publish(study, block, "transform", output, groups)
