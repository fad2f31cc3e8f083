"""The verb that counts how many different minima the seeds of a cell find."""

import itertools
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from basins import device as devices
from basins.cube.axes import axes
from basins.cube.distinct_table import (
    BASIN,
    DISTINCT,
    DISTINCT_STATUS,
    FUNCTION,
    NOTIONS,
    SAMENESS,
    distinct_axes,
)
from basins.cube.provenance import Clock
from basins.datasets import load as datasets
from basins.datasets.subsets import Data
from basins.landscape.ainsworth2023matching import Units, matched, units_of
from basins.landscape.between_minima import line_barrier, predicted_classes
from basins.landscape.chao1984unseen import unseen_classes
from basins.landscape.sameness import disagreements, joined_classes
from basins.progress import progress
from basins.rays.evaluators import evaluator_of
from basins.rays.landscapes import Landscapes
from basins.study import fingerprints, jobs
from basins.study.load import load_study
from basins.study.measure_keys import FEWEST_COMPARED, DistinctMeasure
from basins.study.schema import Study
from basins.training import checkpoint
from basins.verbs.gathering import Gathered, gathered
from basins.verbs.job_data import load, network_of
from basins.verbs.job_file import cell_file, publish
from basins.volume.intervals import PROBABILITY

logger = logging.getLogger("basins")

Row = dict[str, NDArray[Any]]  # what is found of one recipe and train size, seeds first


@dataclass(frozen=True)
class Setting:
    """All minima of one recipe and train size.

    Attributes
    ----------
    job
        One of the jobs that trained them.
    where
        Their place in a cell: recipe, train size.
    parameters
        Float32, in order of seeds, shape (seeds, n); NaN where training diverged.
    """

    job: jobs.Job
    where: tuple[int, int]
    parameters: NDArray[np.float32]


def distinct(study: Path, cell: str, receipt: Path, output: Path) -> None:
    """Compare the minima of all seeds, two by two, and count classes, resuming a killed run."""
    found = load_study(study)
    here = jobs.find_cell(found, cell)
    asked = found.measure.distinct
    if asked is None:
        raise ValueError("measure.distinct: the study asks for none, so there is nothing to do")
    device = devices.set_up(found.device, found.threads)
    clock = Clock("distinct", device, found.measure.volume.dtype)
    data = load(found, here.dataset)
    datasets.check_receipt(data, receipt)
    fingerprint = fingerprints.of_job(found, here, "distinct")
    saved = jobs.checkpoint_file(found, here.id, "distinct")
    # A data set changed and fetched again between kill and resume starts over.
    key = f"{fingerprint} {data.sha256()}"
    listed, done = _settings(gathered(found, here)), checkpoint.load_rows(saved, key)
    pairs = len(here.seeds) * (len(here.seeds) - 1) // 2
    with progress(f"distinct minima of {cell}", len(listed) * pairs, "pairs") as advance:
        advance(len(done) * pairs)
        for setting in listed[len(done) :]:
            done.append(_compared(found, asked, setting, data, device, advance))
            checkpoint.save_rows(saved, key, done)
    root = cell_file(found, "distinct", here, fingerprint, _in_place(found, listed, done))
    root = root.assign_coords(distinct_axes(found))
    publish(study, here, "distinct", output, {"/": root, "/provenance": clock.record()})
    checkpoint.discard(saved)


def _settings(minima: list[Gathered]) -> list[Setting]:
    """Return the minima of a cell by recipe and train size."""
    by_place: dict[tuple[int, int], list[Gathered]] = {}
    for one in minima:
        by_place.setdefault((one.where[0], one.where[1]), []).append(one)
    found = []
    for where, parts in by_place.items():
        parts.sort(key=lambda one: one.job.seeds)
        parameters = np.concatenate([one.parameters for one in parts])
        found.append(Setting(parts[0].job, where, parameters))
    return found


def _compared(
    study: Study,
    asked: DistinctMeasure,
    setting: Setting,
    data: Data,
    device: torch.device,
    advance: Callable[[int], None],
) -> Row:
    """Return what is found of one setting."""
    seeds = len(setting.parameters)
    kept = np.flatnonzero(np.isfinite(setting.parameters).all(1))
    row = _empty(seeds, len(kept))
    names = ("seed_disagreement", "seed_barrier", "seed_matched_barrier")
    if len(kept):
        thetas = setting.parameters[kept].astype(np.float64)
        pairs = _differences(study, asked, setting.job, thetas, data, device, advance)
        for name, values in zip(names, pairs, strict=True):
            row[name][np.ix_(kept, kept)] = values
    advance(seeds * (seeds - 1) // 2 - len(kept) * (len(kept) - 1) // 2)
    for notion, name, largest in (
        (FUNCTION, "seed_disagreement", asked.tolerance),
        (BASIN, "seed_matched_barrier", asked.barrier),
    ):
        differences = row[name][np.ix_(kept, kept)]
        _count(row, NOTIONS.index(notion), kept, differences, largest)
    return row


def _differences(
    study: Study,
    asked: DistinctMeasure,
    job: jobs.Job,
    thetas: NDArray[np.float64],
    data: Data,
    device: torch.device,
    advance: Callable[[int], None],
) -> tuple[NDArray[np.float64], ...]:
    """Return disagreements, barriers and matched barriers of minima, (K, K) each.

    Both are of the test set, the examples that all seeds share, whatever each was trained on.
    """
    loss = study.recipes[job.recipe].loss
    network = network_of(job, data, loss)
    layers = _units(network_of(job, data, loss), data.input_shape)
    dtype = torch.float32 if study.measure.volume.dtype == "float32" else torch.float64
    points = torch.from_numpy(thetas).to(device, dtype)
    inputs, targets = torch.from_numpy(data.test_inputs), torch.from_numpy(data.test_targets)
    differ = disagreements(predicted_classes(network, points, inputs.to(device, dtype)))
    landscape = Landscapes(inputs, targets, (len(targets),), loss)
    evaluator = evaluator_of(network, points[0], landscape)
    plain, best = np.zeros_like(differ), np.zeros_like(differ)
    if layers is None:
        best[:] = np.nan
    for i, j in itertools.combinations(range(len(thetas)), 2):
        one, other = thetas[i], thetas[j]
        plain[i, j] = plain[j, i] = line_barrier(evaluator, one, other, asked.points)
        if layers is not None:
            name = jobs.minimum_name(job, i)
            moved = matched(layers, one, other, study.study, name, j, "matching").theta
            best[i, j] = best[j, i] = line_barrier(evaluator, one, moved, asked.points)
        advance(1)
    return differ, plain, best


def _units(network: Any, example_shape: tuple[int, ...]) -> tuple[Units, ...] | None:
    """Return the units of a network; None, said in the log, if they cannot be matched."""
    try:
        return units_of(network, example_shape)
    except ValueError as error:
        logger.warning("%s; only barriers between minima as trained are measured", error)
        return None


def _empty(seeds: int, num_compared: int) -> Row:
    """Return the variables of a setting, nothing found in them yet but how many there are."""
    sizes = {"seed": seeds, "other_seed": seeds, SAMENESS: len(NOTIONS)}
    row = {
        name: np.full([sizes[dim] for dim in one.dims[4:]], one.missing, dtype=one.dtype)
        for name, one in DISTINCT.items()
    }
    row["num_compared"][()], row["num_diverged"][()] = num_compared, seeds - num_compared
    return row


def _count(
    row: Row, notion: int, kept: NDArray[np.int64], differences: NDArray[Any], largest: float
) -> None:
    """Put into a row the classes that differences of its kept minima make."""
    status = row["distinct_status"]
    if len(kept) < FEWEST_COMPARED:
        status[notion] = DISTINCT_STATUS.index("too_few_minima")
        return
    if np.isnan(differences).any():
        status[notion] = DISTINCT_STATUS.index("not_matched")
        return
    labels = joined_classes(differences.astype(np.float64), largest)
    classes = unseen_classes(np.bincount(labels)[1:], PROBABILITY)
    is_estimated = np.isfinite(classes.estimate)
    status[notion] = DISTINCT_STATUS.index("estimated" if is_estimated else "none_seen_twice")
    row["class_of_minimum"][kept, notion] = labels
    row["class_width"][notion] = differences[labels[:, None] == labels].max()
    for name, value in (
        ("num_classes", classes.seen),
        ("num_seen_once", classes.once),
        ("num_seen_twice", classes.twice),
        ("estimated_classes", classes.estimate),
        ("estimated_classes_low", classes.low),
        ("estimated_classes_high", classes.high),
    ):
        row[name][notion] = value


def _in_place(study: Study, listed: list[Setting], rows: list[Row]) -> dict[str, Any]:
    """Return the variables of a cell from those of its settings, each at its place."""
    sizes = {dim: len(values) for dim, values in (axes(study) | distinct_axes(study)).items()}
    variables = {}
    for name, variable in DISTINCT.items():
        dims = variable.dims[2:]
        values = np.full([sizes[dim] for dim in dims], variable.missing, dtype=variable.dtype)
        for setting, row in zip(listed, rows, strict=True):
            values[setting.where] = row[name]
        variables[name] = (dims, values)
    return variables
