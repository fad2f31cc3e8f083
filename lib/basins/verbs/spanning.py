"""Verbs that compute losses in planes that minima span: with their paths, or three at a time."""

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from basins import device as devices
from basins.cube import read
from basins.cube.axes import axes, grid_axis
from basins.cube.minefield_table import POINT_OF_PATH
from basins.cube.plane_table import GRID
from basins.cube.provenance import Clock
from basins.cube.size_plane_table import CORNER, SIZE_PLANES
from basins.cube.trajectory_table import TRAJECTORIES
from basins.cube.variable import MINIMUM
from basins.datasets import load as datasets
from basins.landscape.plane import Charted, charted, through
from basins.landscape.trajectory import principal_plane
from basins.models.functional import Network
from basins.progress import progress
from basins.rays.evaluators import evaluator_of
from basins.study import fingerprints, jobs
from basins.study.load import load_study
from basins.study.schema import Study
from basins.training import checkpoint
from basins.verbs.gathering import gathered
from basins.verbs.job_data import Minimum, diverged, find, load, minima_of, network_of, trained
from basins.verbs.job_file import cell_file, job_file, publish

Array = NDArray[np.float64]
Row = dict[str, NDArray[np.float32]]


def trajectories(study: Path, job: str, receipt: Path, minima: Path, output: Path) -> None:
    """Compute losses in the principal planes of one job's paths, resuming a killed run."""
    found, block = find(study, job)
    if "trajectories" not in jobs.verbs_of(found, block) or not found.measure.trajectories:
        raise ValueError(
            f"--job: {job} keeps no path (`keep_every`), or the study asks for none "
            "(`measure.trajectories`), so there is nothing to do"
        )
    device = devices.set_up(found.device, found.threads)
    clock = Clock("trajectories", device, found.measure.volume.dtype)
    data, network, parameters = trained(found, block, receipt, minima)
    with read.open_job(minima, "minima", fingerprints.of(found, block.id, "train")) as file:
        kept, way = file["path/epoch"][()], file["path/parameters"][()]
        ended = file["epochs"][()]
    parameters[diverged(found, block, minima)] = np.nan
    fingerprint = fingerprints.of(found, block.id, "trajectories")
    saved = jobs.checkpoint_file(found, block.id, "trajectories")
    # A data set changed and fetched again between kill and resume starts over.
    key = f"{fingerprint} {data.sha256()}"
    axis, margin = grid_axis(found.measure.trajectories.points), found.measure.trajectories.margin
    done = checkpoint.load_rows(saved, key)
    with progress(f"trajectories of {block.id}", len(block.seeds) * len(axis), "lines") as advance:
        advance(len(done) * len(axis))
        ready = minima_of(found, block, data, network, parameters, device)
        for row, one in itertools.islice(enumerate(ready), len(done), None):
            # A seed that stopped stays where it is: its path has ended.
            is_on_way = kept < ended[row]
            points = np.concatenate([way[row, is_on_way], parameters[row : row + 1]])
            epochs = np.append(kept[is_on_way], ended[row]).astype(np.float64)
            size = found.landscape_sizes.index(block.train_size)
            drawn = _path(network, one, points.astype(np.float64), size, axis, margin, advance)
            done.append(_filled(drawn | {"trajectory_epochs": epochs}, 1 + len(kept)))
            checkpoint.save_rows(saved, key, done)
    variables = {
        name: (variable.dims[len(MINIMUM) - 1 :], np.stack([one[name] for one in done]))
        for name, variable in TRAJECTORIES.items()
    }
    root = job_file("trajectories", block, fingerprint, variables)
    root = root.assign_coords(dict.fromkeys(GRID, axis))
    publish(study, block, "trajectories", output, {"/": root, "/provenance": clock.record()})
    checkpoint.discard(saved)


def _path(
    network: Network,
    one: Minimum,
    points: Array,
    own: int,
    axis: Sequence[float],
    margin: float,
    advance: Callable[[int], None],
) -> dict[str, Any]:
    """Return what is drawn of one path.

    Parameters
    ----------
    network, one
        The minimum.
    points
        Its path with its end, shape (K, n).
    own
        Index of its own landscape.
    axis, margin, advance
        As of `charted`.
    """
    shape = len(one.landscapes.sizes), len(axis), len(axis)
    found: dict[str, Any] = {"trajectory_loss": np.full(shape, np.nan)}
    try:
        plane, explained = principal_plane(points[:-1], points[-1])
    except (ValueError, np.linalg.LinAlgError):
        # One that never moved, or diverged and is NaN, is in no plane.
        advance(len(axis))
        return found
    evaluator = evaluator_of(network, one.theta, one.landscapes)
    places = plane.coordinates(points)
    drawn = charted(evaluator, plane, places, margin, axis, advance)
    losses = evaluator.losses(points - points[-1], np.ones(len(points)), own + 1)[:, own]
    return {
        "trajectory_loss": drawn.losses,
        "trajectory_half_width": drawn.half_width,
        "trajectory_residual": plane.distances(points),
        "trajectory_point_loss": losses,
        **_by_axis("trajectory_{}", places),
        **_by_axis("trajectory_center_{}", drawn.center),
        **_by_axis("trajectory_explained_{}", explained),
    }


def _by_axis(name: str, values: Array) -> dict[str, Array]:
    """Return the two parts of values, shape (..., 2), by their names."""
    return {name.format(axis): values[..., k] for k, axis in enumerate("xy")}


def _filled(found: dict[str, Any], room: int) -> Row:
    """Return all of `TRAJECTORIES`, NaN where there is nothing, in single precision."""
    row: Row = {}
    for name, variable in TRAJECTORIES.items():
        is_path = variable.dims[len(MINIMUM) :] == (POINT_OF_PATH,)
        values = np.full(room if is_path else (), np.nan)
        if name == "trajectory_loss":
            values = found[name]
        elif name in found and is_path:
            values[: len(found[name])] = found[name]
        elif name in found:
            values[...] = found[name]
        row[name] = _single(values)
    return row


def _single(values: Array) -> NDArray[np.float32]:
    # What is beyond single precision is infinite.
    with np.errstate(over="ignore"):
        return np.asarray(values, dtype=np.float32)


def size_planes(study: Path, cell: str, receipt: Path, output: Path) -> None:
    """Compute losses in planes through minima of three train sizes, resuming a killed run."""
    found = load_study(study)
    here = jobs.find_cell(found, cell)
    if found.measure.size_planes is None:
        raise ValueError("measure.size_planes: the study asks for none, so there is nothing to do")
    device = devices.set_up(found.device, found.threads)
    clock = Clock("size_planes", device, found.measure.volume.dtype)
    data = load(found, here.dataset)
    datasets.check_receipt(data, receipt)
    fingerprint = fingerprints.of_job(found, here, "size_planes")
    saved = jobs.checkpoint_file(found, here.id, "size_planes")
    key = f"{fingerprint} {data.sha256()}"
    sizes, asked = jobs.plane_sizes(found), found.measure.size_planes
    axis = grid_axis(asked.points)
    minima = {
        (one.job.recipe, one.job.train_size, one.job.seeds): one for one in gathered(found, here)
    }
    blocks = sorted({(recipe, seeds) for recipe, _, seeds in minima})
    done, labels = checkpoint.load_rows(saved, key), axes(found)
    where: list[tuple[int, int]] = []
    total = sum(len(seeds) for _, seeds in blocks) * len(axis)
    with progress(f"size planes of {cell}", total, "lines") as advance:
        advance(len(done) * len(axis))
        for recipe, seeds in blocks:
            corners = np.stack([minima[recipe, size, seeds].parameters for size in sizes], axis=1)
            job = minima[recipe, sizes[-1], seeds].job
            network = network_of(job, data, found.recipes[recipe].loss)
            ready = minima_of(found, job, data, network, corners[:, -1], device)
            for row, one in enumerate(ready):
                where.append((labels["recipe"].index(recipe), labels["seed"].index(seeds[row])))
                if len(where) <= len(done):
                    continue
                three = corners[row].astype(np.float64)
                done.append(_triple(network, one, three, axis, asked.margin, advance))
                checkpoint.save_rows(saved, key, done)
    root = cell_file(found, "size_planes", here, fingerprint, _in_place(found, done, where))
    root = root.assign_coords(dict.fromkeys(GRID, axis) | {CORNER: sizes})
    publish(study, here, "size_planes", output, {"/": root, "/provenance": clock.record()})
    checkpoint.discard(saved)


def _triple(
    network: Network,
    one: Minimum,
    corners: Array,
    axis: Sequence[float],
    margin: float,
    advance: Callable[[int], None],
) -> Row:
    """Return what is drawn of the plane through three minima, shape (3, n)."""
    shape = len(one.landscapes.sizes), len(axis), len(axis)
    places, drawn = (
        np.full((3, 2), np.nan),
        Charted(np.full(2, np.nan), np.nan, np.full(shape, np.nan)),
    )
    try:
        plane = through(corners)
    except ValueError:
        # Three that did not move, or one that diverged and is NaN, span none.
        advance(len(axis))
    else:
        places = plane.coordinates(corners)
        evaluator = evaluator_of(network, one.theta, one.landscapes)
        drawn = charted(evaluator, plane, places, margin, axis, advance)
    found = {
        "size_plane_loss": drawn.losses,
        "size_plane_half_width": np.float64(drawn.half_width),
        **_by_axis("size_plane_center_{}", drawn.center),
        **_by_axis("size_plane_corner_{}", places),
    }
    return {name: _single(np.asarray(values)) for name, values in found.items()}


def _in_place(study: Study, rows: list[Row], where: list[tuple[int, int]]) -> dict[str, Any]:
    """Return the variables of a cell from those of its triples, each at its recipe and seed."""
    labels = axes(study)
    sizes = len(labels["recipe"]), len(labels["seed"])
    variables = {}
    for name, variable in SIZE_PLANES.items():
        values = np.full((*sizes, *rows[0][name].shape), np.nan, dtype=np.float32)
        for row, place in zip(rows, where, strict=True):
            values[place] = row[name]
        variables[name] = (variable.dims[2:], values)
    return variables
