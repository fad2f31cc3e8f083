"""The verb that joins minima of one model and data set by curves, and measures along these."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from basins import device as devices
from basins.cube import read
from basins.cube.axes import axes
from basins.cube.curve_table import curve_axes, curve_table
from basins.cube.provenance import Clock
from basins.cube.schema import TRAINING_STATUS
from basins.datasets import load as datasets
from basins.datasets.subsets import Data
from basins.landscape.along_curves import (
    Basins,
    barrier,
    errors_along,
    length,
    losses_along,
    volumes_along,
)
from basins.landscape.garipov2018curves import checked_ends, points, trained_bends
from basins.models.functional import Network
from basins.progress import progress
from basins.rays.evaluators import evaluator_of
from basins.study import fingerprints, jobs
from basins.study.curves import KINDS, LINE, TRAINED, Join, evenly_spread, joins
from basins.study.load import load_study
from basins.study.measure_keys import CurveMeasure, VolumeMeasure
from basins.study.schema import Study
from basins.training import checkpoint
from basins.verbs.job_data import Minimum, load, minima_of, network_of
from basins.verbs.job_file import cell_file, publish

Array = NDArray[np.float64]
Row = dict[str, NDArray[Any]]  # what is measured of one join, kinds of curves first
Bends = dict[str, Array]


def curves(study: Path, cell: str, receipt: Path, output: Path) -> None:
    """Train curves between minima of a cell, and measure along them, resuming a killed run."""
    found = load_study(study)
    here = jobs.find_cell(found, cell)
    asked = found.measure.curves
    if asked is None:
        raise ValueError("measure.curves: the study asks for none, so there is nothing to do")
    device = devices.set_up(found.device, found.threads)
    clock = Clock("curves", device, found.measure.volume.dtype)
    data = load(found, here.dataset)
    datasets.check_receipt(data, receipt)
    fingerprint = fingerprints.of_job(found, here, "curves")
    saved = jobs.checkpoint_file(found, here.id, "curves")
    # A data set changed and fetched again between kill and resume starts over.
    key = f"{fingerprint} {data.sha256()}"
    listed, done = joins(found, here), checkpoint.load_rows(saved, key)
    with progress(f"curves of {cell}", len(listed) * asked.epochs, "epochs") as advance:
        advance(len(done) * asked.epochs)
        for join in listed[len(done) :]:
            done.append(_joined(found, asked, join, data, device, advance))
            checkpoint.save_rows(saved, key, done)
    root = cell_file(found, "curves", here, fingerprint, _in_place(found, listed, done))
    root = root.assign_coords(curve_axes(found))
    publish(study, here, "curves", output, {"/": root, "/provenance": clock.record()})
    checkpoint.discard(saved)


def _joined(
    study: Study,
    asked: CurveMeasure,
    join: Join,
    data: Data,
    device: torch.device,
    advance: Callable[[int], None],
) -> Row:
    """Return what is measured along the curves of one join; nothing where a training diverged."""
    first, last = (
        _minimum(study, job, seed)
        for job, seed in ((join.first, join.seed), (join.last, join.last_seed))
    )
    if first is None or last is None:
        advance(asked.epochs)
        return {}
    ends = checked_ends(first, last)
    loss = study.recipes[join.first.recipe].loss
    network = network_of(join.first, data, loss)
    alone = replace(join.first, seeds=(join.seed,))
    one = next(minima_of(study, alone, data, network, first[None], device))
    own = study.landscape_sizes.index(join.train_size)
    evaluator = evaluator_of(network, one.theta.float(), one.landscapes)
    trained = trained_bends(
        lambda at: evaluator.gradients(at - ends[0], own),
        ends,
        TRAINED,
        *(study.study, one.name, join.pair, "curve"),
        epochs=asked.epochs,
        learning_rate=asked.learning_rate,
        draws=asked.draws,
        advance=advance,
    )
    # A line has no bend; its middle stands for it.
    bends = dict(zip(TRAINED, trained, strict=True)) | {LINE: ends.mean(0)}
    row = _along(network, one, ends, bends, asked.points, data, join.train_size)
    if asked.volume_points:
        row |= _around(study.measure.volume, asked, network, one, ends, bends, study.study)
    return row


def _minimum(study: Study, job: jobs.Job, seed: int) -> NDArray[np.float32] | None:
    """Return the parameters of one minimum, shape (n,); None where its training diverged."""
    path, row = jobs.minima_file(study, job.id), job.seeds.index(seed)
    with read.open_job(path, "minima", fingerprints.of_job(study, job, "train")) as file:
        if file["training_status"][row] == TRAINING_STATUS.index("diverged"):
            return None
        return np.asarray(file["parameters"][row])


def _along(
    network: Network,
    one: Minimum,
    ends: Array,
    bends: Bends,
    num_points: int,
    data: Data,
    train_size: int,
) -> Row:
    """Return losses, errors, barriers and lengths along the curves of a join."""
    positions = np.array(evenly_spread(num_points))
    examples = one.landscapes.to(one.theta.device, torch.float32)
    train = examples.inputs[:train_size], examples.targets[:train_size]
    test = tuple(
        torch.from_numpy(part).to(one.theta.device)
        for part in (data.test_inputs, data.test_targets)
    )
    at = {kind: points(kind, ends, bends[kind], positions) for kind in KINDS}
    errors = {
        name: np.stack(
            [errors_along(network, str(one.landscapes.loss), at[kind], *chosen) for kind in KINDS]
        )
        for name, chosen in (("curve_train_error", train), ("curve_test_error", test))
    }
    evaluator = evaluator_of(network, one.theta, one.landscapes)
    losses = [losses_along(evaluator, kind, ends, bends[kind], positions) for kind in KINDS]
    return errors | {
        "curve_loss": np.stack([each.T for each in losses]),
        "curve_barrier": np.stack([barrier(each, positions) for each in losses]),
        "curve_length": np.array([length(at[kind]) for kind in KINDS]),
    }


def _around(
    volume: VolumeMeasure,
    asked: CurveMeasure,
    network: Network,
    one: Minimum,
    ends: Array,
    bends: Bends,
    study_name: str,
) -> Row:
    """Return volumes of the basins around points of a join's curves, ends measured once."""
    assert asked.volume_points is not None
    how = Basins(
        directions=asked.directions,
        thresholds=tuple(volume.thresholds),
        threshold_kind=volume.threshold_kind,
        coordinates=volume.coordinates,
        bias_scale=volume.bias_scale,
        r_max=volume.r_max,
        scan_points=volume.scan_points,
    )
    places = np.array(evenly_spread(asked.volume_points)[1:-1])
    between = [points(kind, ends, bends[kind], places) for kind in KINDS]
    evaluator = evaluator_of(network, one.theta, one.landscapes)
    found, log_dets = volumes_along(
        evaluator, network.layout, np.concatenate([ends, *between]), how, study_name, one.name
    )

    def by_kind(values: NDArray[Any]) -> NDArray[Any]:
        """Return values of all points, points first, as (kinds, ..., positions)."""
        inner = np.split(values[2:], len(KINDS))
        whole = [np.concatenate([values[:1], part, values[1:2]]) for part in inner]
        return np.stack([np.moveaxis(each, 0, -1) for each in whole])

    names = {
        "curve_log_volume": "log_volume",
        "curve_log_volume_low": "log_volume_low",
        "curve_log_volume_high": "log_volume_high",
        "curve_volume_status": "volume_status",
    }
    row = {
        name: by_kind(np.stack([each.by_estimator[which][..., 0] for each in found]))
        for name, which in names.items()
    }
    return row | {"curve_log_det_coordinates": by_kind(log_dets)}


def _in_place(study: Study, listed: list[Join], rows: list[Row]) -> dict[str, Any]:
    """Return the variables of a cell from those of its joins, each at its place."""
    labels = axes(study) | curve_axes(study)
    sizes = {dim: len(values) for dim, values in labels.items()}
    variables = {}
    for name, variable in curve_table(study).items():
        dims = variable.dims[2:]
        values = np.full([sizes[dim] for dim in dims], variable.missing, dtype=variable.dtype)
        for join, row in zip(listed, rows, strict=True):
            place = (join.train_size, join.pair, join.seed)
            where = tuple(labels[dim].index(at) for dim, at in zip(dims, place, strict=False))
            if name in row:
                # What is beyond single precision is infinite.
                with np.errstate(over="ignore"):
                    values[where] = row[name]
        variables[name] = (dims, values)
    return variables
