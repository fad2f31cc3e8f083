"""Verbs that look at all minima of one model and data set together."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from basins import device as devices
from basins.cube import read
from basins.cube.axes import axes
from basins.cube.minefield_table import MINEFIELD, POINT_OF_PATH
from basins.cube.provenance import Clock
from basins.cube.schema import TRAINING_STATUS
from basins.cube.variable import MINIMUM
from basins.datasets import load as datasets
from basins.datasets.subsets import Data
from basins.landscape.minefield import Minefield
from basins.landscape.minefield import minefield as embedded
from basins.models.functional import Network
from basins.progress import progress
from basins.study import fingerprints, jobs
from basins.study.load import load_study
from basins.study.measure_keys import FEWEST_PLACED
from basins.study.schema import Study
from basins.training.ends import evaluate
from basins.verbs.job_data import load, network_of
from basins.verbs.job_file import cell_file, publish

IN_CELL = MINIMUM[2:]  # dims of a minimum within a cell


@dataclass(frozen=True)
class Gathered:
    """The trained minima of one job, and the path to them if it was kept.

    Attributes
    ----------
    job
        Whose they are.
    where
        Their place in a cell: recipe, train size, seeds.
    parameters
        Float32, shape (seeds, n); NaN where training diverged.
    path, epochs
        On the way, and after how many epochs, shapes (seeds, points, n) and (points,); NaN
        after a seed's last epoch.
    """

    job: jobs.Job
    where: tuple[Any, ...]
    parameters: NDArray[np.float32]
    path: NDArray[np.float32]
    epochs: NDArray[np.int32]


def gathered(study: Study, cell: jobs.Cell) -> list[Gathered]:
    """Return all trained minima of a cell; ValueError, naming the file, if one is not there."""
    labels = axes(study)
    found = []
    for job in jobs.minima_of_cell(study, cell):
        first = labels["seed"].index(job.seeds[0])
        where = (
            labels["recipe"].index(job.label),
            labels["train_size"].index(job.train_size),
            slice(first, first + len(job.seeds)),
        )
        path = jobs.minima_file(study, job.id)
        with read.open_job(path, "minima", fingerprints.of_job(study, job, "train")) as file:
            parameters, kept = file["parameters"][()], np.empty(0, dtype=np.int32)
            way = np.empty((len(parameters), 0, parameters.shape[1]), dtype=np.float32)
            is_diverged = file["training_status"][()] == TRAINING_STATUS.index("diverged")
            if study.recipes[job.recipe].keep_every and "path" in file:
                kept, way = file["path/epoch"][()], file["path/parameters"][()]
                # A seed that stopped stays where it is: its path has ended.
                way[kept >= file["epochs"][()][:, None]] = np.nan
        # A training that diverged ends nowhere.
        parameters[is_diverged], way[is_diverged] = np.nan, np.nan
        found.append(Gathered(job, where, parameters, way, kept))
    return found


def minefield(study: Path, cell: str, receipt: Path, output: Path) -> None:
    """Place all minima of a cell, and the paths to them, in a plane."""
    found = load_study(study)
    here = jobs.find_cell(found, cell)
    if found.measure.minefield is None:
        raise ValueError("measure.minefield: the study asks for none, so there is nothing to do")
    device = devices.set_up(found.device, found.threads)
    clock = Clock("minefield", device, "float64")
    data = load(found, here.dataset)
    datasets.check_receipt(data, receipt)
    minima = gathered(found, here)
    rows = [np.concatenate([one.parameters[:, None], one.path], axis=1) for one in minima]
    points = np.concatenate([part.reshape(-1, part.shape[-1]) for part in rows])
    is_there = np.isfinite(points).all(1)
    nowhere = np.full((int(is_there.sum()), 2), np.nan)
    placed = Minefield(nowhere, nowhere, np.full(2, np.nan))
    with progress(f"minefield of {cell}", len(points), "points") as advance:
        # Of too few that did not diverge none has a place.
        if is_there.sum() >= FEWEST_PLACED:
            placed = embedded(
                points[is_there].astype(np.float64),
                found.measure.minefield.perplexity,
                found.study,
                here.model,
                here.dataset,
                "minefield",
            )
        advance(len(points))
    places = np.full((len(points), 4), np.nan)
    places[is_there] = np.concatenate([placed.neighbors, placed.components], axis=1)
    variables = _empty(found, max(len(one.epochs) for one in minima))
    start = 0
    for one, part in zip(minima, rows, strict=True):
        stop = start + part.shape[0] * part.shape[1]
        mine = places[start:stop].reshape(*part.shape[:2], 4)
        start = stop
        for index, name in enumerate(("neighbor_x", "neighbor_y", "component_x", "component_y")):
            variables[name][one.where] = mine[:, 0, index]
            variables[f"path_{name}"][one.where][:, : len(one.epochs)] = mine[:, 1:, index]
        has_ended = np.isnan(one.path).any(2)
        variables["path_epochs"][one.where][:, : len(one.epochs)] = np.where(
            has_ended, np.nan, one.epochs
        )
        if len(one.epochs):
            network = network_of(one.job, data, found.recipes[one.job.recipe].loss)
            variables["path_accuracy"][one.where][:, : len(one.epochs)] = _test_accuracy(
                network.to(device, torch.float32), found, one, data, device
            )
    variables["explained_x"], variables["explained_y"] = placed.explained.astype(np.float32)
    dims = {name: MINEFIELD[name].dims[2:] for name in variables}
    root = cell_file(
        found,
        "minefield",
        here,
        fingerprints.of_job(found, here, "minefield"),
        {name: (dims[name], values) for name, values in variables.items()},
    )
    publish(study, here, "minefield", output, {"/": root, "/provenance": clock.record()})


def _empty(study: Study, num_points: int) -> dict[str, Any]:
    """Return the variables of a cell's minefield, nothing in them."""
    sizes = {dim: len(values) for dim, values in axes(study).items() if dim in IN_CELL}
    sizes[POINT_OF_PATH] = num_points
    return {
        name: np.full([sizes[dim] for dim in variable.dims[2:]], np.nan, dtype=np.float32)
        for name, variable in MINEFIELD.items()
    }


def _test_accuracy(
    network: Network, study: Study, one: Gathered, data: Data, device: torch.device
) -> NDArray[np.float32]:
    """Return the accuracy on the test set along the paths of a job, shape (seeds, points)."""
    loss = study.recipes[one.job.recipe].loss
    inputs = torch.from_numpy(data.test_inputs).to(device)
    targets = torch.from_numpy(data.test_targets).to(device)
    found = []
    for point in range(len(one.epochs)):
        theta = torch.from_numpy(one.path[:, point]).to(device)
        shared = (len(theta),) + (-1,) * inputs.ndim
        _, accuracy = evaluate(
            network, loss, theta, inputs.expand(*shared), targets.expand(len(theta), -1)
        )
        found.append(accuracy.cpu().numpy())
    rates = np.stack(found, axis=1).astype(np.float32)
    return np.where(np.isnan(one.path).any(2), np.float32(np.nan), rates)
