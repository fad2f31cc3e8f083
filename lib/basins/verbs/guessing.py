"""The verb that measures whole classes of solutions: guess from a prior and check the loss."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from basins import device as devices
from basins.cube.class_table import CLASS_STATUS, CLASSES, NUM_DRAWS
from basins.cube.provenance import Clock
from basins.datasets import load as datasets
from basins.datasets.subsets import Data
from basins.models.functional import Network
from basins.progress import progress
from basins.rays.landscapes import Landscapes
from basins.study import fingerprints, jobs
from basins.study.load import load_study
from basins.study.measure_keys import GuessMeasure
from basins.study.schema import Study
from basins.training import checkpoint
from basins.training.ends import evaluate
from basins.verbs.job_data import load, network_of, order
from basins.verbs.job_file import cell_file, publish
from basins.volume.au2001subset import POPULATIONS, ClassVolume, class_volume, combined
from basins.volume.class_parts import part_of_class
from basins.volume.of_network import network_prior

Array = NDArray[np.float64]
Row = dict[str, NDArray[Any]]

TOGETHER = 64  # draws whose test accuracy is found at once
CALIBRATED, NOT_CONVERGED, NOT_REACHED = map(
    CLASS_STATUS.index, ("calibrated", "not_converged", "not_reached")
)


def guess(study: Path, cell: str, receipt: Path, output: Path) -> None:
    """Measure the class of all solutions of a cell in every landscape, resuming a killed run."""
    found = load_study(study)
    here = jobs.find_cell(found, cell)
    asked = found.measure.guess_and_check
    if asked is None:
        raise ValueError(
            "measure.guess_and_check: the study does not ask for it, so there is nothing to do"
        )
    device = devices.set_up(found.device, found.threads)
    clock = Clock("guess", device, found.measure.volume.dtype)
    data = load(found, here.dataset)
    datasets.check_receipt(data, receipt)
    fingerprint = fingerprints.of_job(found, here, "guess")
    saved = jobs.checkpoint_file(found, here.id, "guess")
    # A data set changed and fetched again between kill and resume starts over.
    key = f"{fingerprint} {data.sha256()}"
    done: list[Row] = checkpoint.load_rows(saved, key)
    places = [(seed, size) for seed in here.seeds for size in found.landscape_sizes]
    with progress(f"classes of {cell}", len(places), "landscapes") as advance:
        advance(len(done))
        for seed, size in places[len(done) :]:
            done.append(_guessed(found, asked, here, data, (seed, size), device))
            checkpoint.save_rows(saved, key, done)
            advance(1)
    shape = (len(here.seeds), len(found.landscape_sizes))
    variables = {}
    for name in done[0]:
        values = np.stack([row[name] for row in done])
        variables[name] = (CLASSES[name].dims[2:], values.reshape(*shape, *values.shape[1:]))
    root = cell_file(found, "classes", here, fingerprint, variables)
    publish(study, here, "guess", output, {"/": root, "/provenance": clock.record()})
    checkpoint.discard(saved)


def _guessed(
    study: Study,
    asked: GuessMeasure,
    cell: jobs.Cell,
    data: Data,
    place: tuple[int, int],
    device: torch.device,
) -> Row:
    """Return what is said of one landscape; `place` is its seed and size."""
    settings = study.measure.volume
    assert settings.sigma is not None
    seed, size = place
    loss = next(iter(study.recipes.values())).loss
    dtype = torch.float32 if settings.dtype == "float32" else torch.float64
    like = torch.empty(0, device=device, dtype=dtype)
    network = network_of(cell, data, loss).to(device, dtype)
    fixed = seed if study.subset_seed is None else study.subset_seed
    rows = order(study, data, fixed)[:size]
    examples = torch.from_numpy(data.inputs[rows]), torch.from_numpy(data.targets[rows])
    prior = network_prior(network, Landscapes(*examples, (size,), loss), settings.sigma, like)
    found = class_volume(
        prior,
        settings.thresholds,
        *(study.study, cell.model, cell.dataset, seed, size, "guess"),
        stderr=asked.stderr,
        max_evaluations=asked.max_evaluations,
    )
    accuracy = [
        None if points is None else _test_accuracy(network, loss, points, data, like)
        for points in found.points
    ]
    return _row(found, accuracy, asked.good_accuracy)


def _row(found: ClassVolume, accuracy: list[Array | None], good_accuracy: float) -> Row:
    """Return the variables of one landscape; `accuracy` is (populations, chains) by threshold."""
    count = len(accuracy)
    row: Row = {
        name: np.full(count, np.nan)
        for name, variable in CLASSES.items()
        if variable.dims[-1] == "threshold" and variable.dtype == "float64"
    }
    row["class_test_accuracy"] = np.full((count, NUM_DRAWS), np.nan, dtype=np.float32)
    row["class_status"] = np.where(
        found.is_reached, np.where(found.is_converged, CALIBRATED, NOT_CONVERGED), NOT_REACHED
    ).astype(np.int8)
    row["class_num_evaluations"] = np.array(float(found.num_evaluations))
    for index, value in enumerate(accuracy):
        if value is None:
            continue
        shares, is_good = found.log_shares[index], value >= good_accuracy
        parts: Mapping[str, tuple[Array, ...]] = {
            "class": combined(shares),
            "good": part_of_class(shares, is_good),
            "bad": part_of_class(shares, ~is_good),
        }
        for part, numbers in parts.items():
            for end, number in zip(("", "_stderr", "_low", "_high"), numbers, strict=True):
                row[f"{part}_log_volume{end}"][index] = number
        row["class_test_accuracy"][index] = value[:, : NUM_DRAWS // POPULATIONS].ravel()
    return row


def _test_accuracy(
    network: Network, loss: str, points: Array, data: Data, like: torch.Tensor
) -> Array:
    """Return the test accuracy at points (populations, chains, n), shape (populations, chains)."""
    rows = torch.from_numpy(points.reshape(-1, points.shape[-1])).to(like)
    inputs, targets = torch.from_numpy(data.test_inputs), torch.from_numpy(data.test_targets)
    inputs, targets = inputs.to(like), targets.to(like.device)
    found = []
    for start in range(0, len(rows), TOGETHER):
        part = rows[start : start + TOGETHER]
        shared = (len(part),) + (-1,) * inputs.ndim
        accuracy = evaluate(
            network, loss, part, inputs.expand(*shared), targets.expand(len(part), -1)
        )[1]
        found.append(accuracy.cpu().numpy())
    return np.concatenate(found).reshape(points.shape[:2])
