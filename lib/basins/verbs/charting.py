"""Verbs that compute what is drawn of one job's minima: losses in planes, decision boundaries."""

import itertools
from pathlib import Path

import numpy as np
import torch

from basins import device as devices
from basins.cube.axes import grid_axis
from basins.cube.boundary_table import INPUTS, POINT
from basins.cube.plane_table import PLANE
from basins.cube.provenance import Clock
from basins.landscape.boundaries import class_lead
from basins.landscape.grid import losses_on_grid
from basins.landscape.li2018planes import filter_normalized
from basins.progress import progress
from basins.rays.evaluators import evaluator_of
from basins.study import fingerprints, jobs
from basins.study.load import check_plane_of_inputs
from basins.training import checkpoint
from basins.verbs.job_data import diverged, find, minima_of, orders, trained
from basins.verbs.job_file import job_file, publish


def planes(study: Path, job: str, receipt: Path, minima: Path, output: Path) -> None:
    """Compute losses in a random plane through each of one job's minima, resuming a killed run."""
    found, block = find(study, job)
    if found.measure.planes is None:
        raise ValueError("measure.planes: the study asks for no planes, so there is nothing to do")
    device = devices.set_up(found.device, found.threads)
    clock = Clock("planes", device, found.measure.volume.dtype)
    data, network, parameters = trained(found, block, receipt, minima)
    is_diverged = diverged(found, block, minima)
    fingerprint = fingerprints.of(found, block.id, "planes")
    saved = jobs.checkpoint_file(found, block.id, "planes")
    # A data set changed and fetched again between kill and resume starts over.
    key = f"{fingerprint} {data.sha256()}"
    axis = grid_axis(found.measure.planes.points, found.measure.planes.extent)
    shape = len(found.landscape_sizes), len(axis), len(axis)
    done = [row["plane_loss"] for row in checkpoint.load_rows(saved, key)]
    with progress(f"planes of {block.id}", len(block.seeds) * len(axis), "lines") as advance:
        advance(len(done) * len(axis))
        ready = minima_of(found, block, data, network, parameters, device)
        for row, one in itertools.islice(enumerate(ready), len(done), None):
            if is_diverged[row]:
                done.append(np.full(shape, np.nan, dtype=np.float32))
                advance(len(axis))
                continue
            anchor = one.theta.double().cpu().numpy()
            directions = filter_normalized(network.layout, anchor, found.study, one.name, "plane")
            evaluator = evaluator_of(network, one.theta, one.landscapes)
            losses = losses_on_grid(evaluator, anchor, directions, axis, axis, advance)
            # What is beyond single precision is infinite.
            with np.errstate(over="ignore"):
                done.append(losses.astype(np.float32))
            checkpoint.save_rows(saved, key, [{"plane_loss": each} for each in done])
    dims = ("seed", "landscape_size", *PLANE)
    root = job_file("planes", block, fingerprint, {"plane_loss": (dims, np.stack(done))})
    root = root.assign_coords(dict.fromkeys(PLANE, axis))
    publish(study, block, "planes", output, {"/": root, "/provenance": clock.record()})
    checkpoint.discard(saved)


def boundaries(study: Path, job: str, receipt: Path, minima: Path, output: Path) -> None:
    """Compute the decision boundaries of one job's minima, and keep their examples beside them."""
    found, block = find(study, job)
    if found.measure.boundaries is None:
        raise ValueError("measure.boundaries: the study asks for none, so there is nothing to do")
    device = devices.set_up(found.device, found.threads)
    clock = Clock("boundaries", device, "float32")
    data, network, parameters = trained(found, block, receipt, minima)
    check_plane_of_inputs(block.dataset, data.input_shape, data.num_classes)
    axis = grid_axis(found.measure.boundaries.points, found.measure.boundaries.extent)
    places = np.array(axis)
    is_diverged = diverged(found, block, minima)
    network.to(device, torch.float32)
    leads = [
        np.full((len(axis), len(axis)), np.nan)
        if has_none
        else class_lead(network, torch.from_numpy(theta).to(device), places, places)
        for theta, has_none in zip(parameters, is_diverged, strict=True)
    ]
    order = orders(found, data, block)[:, : block.train_size]
    points = {
        "point_x": data.inputs[order, 0],
        "point_y": data.inputs[order, 1],
        "point_class": data.targets[order].astype(np.float32),
    }
    root = job_file(
        "boundaries",
        block,
        fingerprints.of(found, block.id, "boundaries"),
        {"class_lead": (("seed", *INPUTS), np.stack(leads).astype(np.float32))}
        | {name: (("seed", POINT), values) for name, values in points.items()},
    )
    root = root.assign_coords(dict.fromkeys(INPUTS, axis))
    publish(study, block, "boundaries", output, {"/": root, "/provenance": clock.record()})
