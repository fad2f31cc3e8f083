"""The cube's groups of bulk, copied from job files one at a time: radii, spectra, planes."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5netcdf
import h5py
import numpy as np

from basins.cube import schema
from basins.cube.axes import VERBS, axes, grid_axis, open_file, place, place_of_cell, spectrum_table
from basins.cube.boundary_table import BOUNDARIES, INPUTS, POINT
from basins.cube.class_table import CLASSES, DRAW, NUM_DRAWS
from basins.cube.curve_table import curve_axes, curve_table
from basins.cube.distinct_table import DISTINCT, distinct_axes
from basins.cube.minefield_table import MINEFIELD, POINT_OF_PATH
from basins.cube.plane_table import GRID, PLANES
from basins.cube.size_plane_table import CORNER, SIZE_PLANES
from basins.cube.spectrum_table import NODE
from basins.cube.trajectory_table import TRAJECTORIES
from basins.cube.variable import MINIMUM, Variable
from basins.study import jobs
from basins.study.controls import recipes_of_sizes
from basins.study.recipes import kept_epochs
from basins.study.schema import Study


@dataclass(frozen=True)
class Bulk:
    """A group of the cube whose numbers are never in memory together.

    Attributes
    ----------
    group
        Its name in the cube.
    kind
        Of the job files it is copied from.
    table
        Its variables.
    labels
        Of dims that the root has not.
    unlabeled
        Sizes of dims without labels, of which a job may fill a part.
    inside
        Group of the job file that holds the variables, '' for its root.
    of_cells
        Whether a file holds all minima of a model and data set, and not those of one job.
    """

    group: str
    kind: str
    table: Mapping[str, Variable]
    labels: Mapping[str, list[Any]] = field(default_factory=dict)
    unlabeled: Mapping[str, int] = field(default_factory=dict)
    inside: str = ""
    of_cells: bool = False


def bulk_of(study: Study, num_nodes: int = 0) -> list[Bulk]:
    """Return the groups of bulk of a study's cube.

    Parameters
    ----------
    study
        The study.
    num_nodes
        Most nodes of a spectrum in any job file.
    """
    directions = list(range(study.measure.volume.directions))
    found = [Bulk("rays", "rays", schema.RAYS, {"direction": directions})]
    if spectrum_table(study):
        # Nodes have no labels: the first of one minimum and of another have nothing in common.
        nodes = {NODE: num_nodes}
        found.append(
            Bulk("spectrum", "flatness", spectrum_table(study), {}, nodes, inside="spectrum")
        )
    if study.measure.planes:
        axis = grid_axis(study.measure.planes.points, study.measure.planes.extent)
        found.append(Bulk("planes", "planes", PLANES, {"y": axis, "x": axis}))
    if study.measure.boundaries:
        grid = study.measure.boundaries
        labels = dict.fromkeys(INPUTS, grid_axis(grid.points, grid.extent))
        count = {POINT: study.train_sizes[-1]}
        found.append(Bulk("boundaries", "boundaries", BOUNDARIES, labels, count))
    if study.measure.minefield:
        count = {POINT_OF_PATH: longest_path(study)}
        found.append(Bulk("minefield", "minefield", MINEFIELD, {}, count, of_cells=True))
    if study.measure.trajectories:
        labels = dict.fromkeys(GRID, grid_axis(study.measure.trajectories.points))
        # The end is a point as well.
        count = {POINT_OF_PATH: 1 + longest_path(study)}
        found.append(Bulk("trajectories", "trajectories", TRAJECTORIES, labels, count))
    if study.measure.size_planes:
        places = grid_axis(study.measure.size_planes.points)
        corners: dict[str, list[Any]] = {CORNER: jobs.plane_sizes(study)}
        corners |= dict.fromkeys(GRID, places)
        found.append(Bulk("size_planes", "size_planes", SIZE_PLANES, corners, of_cells=True))
    if study.measure.curves:
        table, labels = curve_table(study), curve_axes(study)
        found.append(Bulk("curves", "curves", table, labels, of_cells=True))
    if study.measure.distinct:
        found.append(Bulk("distinct", "distinct", DISTINCT, distinct_axes(study), of_cells=True))
    if study.measure.guess_and_check:
        # Draws of one basin and of another have nothing in common.
        draws = {DRAW: NUM_DRAWS}
        found.append(Bulk("classes", "classes", CLASSES, {}, draws, of_cells=True))
    return found


def longest_path(study: Study) -> int:
    """Return the largest number of points that a recipe keeps of its path, at least 1."""
    # A dim of no size cannot be written in chunks.
    return max(1, *(len(kept_epochs(recipe)) for recipe in recipes_of_sizes(study)))


def write_bulk(study: Study, bulk: Bulk, path: Path, advance: Callable[[int], None]) -> None:
    """Add a group to the cube at `path`, copying from one job file after another."""
    dims = {dim for variable in bulk.table.values() for dim in variable.dims}
    labels = {dim: values for dim, values in axes(study).items() if dim in dims}
    labels |= bulk.labels
    with h5netcdf.File(path, "a") as cube:
        group = _create_group(cube, bulk, labels)
        for job, where in places(study, bulk):
            with open_file(study, job, bulk.kind) as file:
                variables = bulk_variables(file, bulk.inside)
                for name in bulk.table:
                    values = variables[name][()]
                    # Fewer than other models have: the rest stays missing.
                    sizes = values.shape if bulk.of_cells else values.shape[1:]
                    group[name][(*where, *map(slice, sizes))] = values
            advance(1)


def places(study: Study, bulk: Bulk) -> Iterator[tuple[jobs.Job | jobs.Cell, tuple[Any, ...]]]:
    """Yield the jobs or cells whose files a group is copied from, and their place in it."""
    if bulk.of_cells:
        yield from ((cell, place_of_cell(study, cell)) for cell in jobs.cells(study))
    else:
        verb = VERBS[bulk.kind]
        asked = (job for job in jobs.expand(study) if verb in jobs.verbs_of(study, job))
        yield from ((job, place(study, job)) for job in asked)


def bulk_variables(file: h5py.File, inside: str) -> h5py.Group:
    """Return the group of a job file that holds a bulk's variables.

    Raises
    ------
    ValueError
        If the file has no such group.
    """
    if inside and inside not in file:
        raise ValueError(
            f"{file.filename}: holds no group {inside}, as older versions wrote it; remove the "
            "file and run again"
        )
    return file[inside] if inside else file


def _create_group(file: h5netcdf.File, bulk: Bulk, labels: dict[str, list[Any]]) -> Any:
    """Return a new group with all its variables, empty."""
    group = file.create_group(bulk.group)
    sizes = {dim: len(values) for dim, values in labels.items()} | dict(bulk.unlabeled)
    group.dimensions = sizes
    for dim, values in labels.items():
        _write_axis(group, dim, values)
    for name, variable in bulk.table.items():
        _create(group, name, variable, sizes)
    return group


def _write_axis(group: Any, dim: str, values: list[Any]) -> None:
    if isinstance(values[0], str):
        data = np.array(values, dtype=object)
        variable = group.create_variable(dim, (dim,), h5py.string_dtype(), data=data)
    else:
        variable = group.create_variable(dim, (dim,), data=np.array(values))
    if dim in schema.COORDINATES:
        variable.attrs["long_name"], variable.attrs["units"], _ = schema.COORDINATES[dim]


def _create(group: Any, name: str, variable: Variable, sizes: dict[str, int]) -> None:
    # One minimum a chunk: read alone, written once.
    chunk = [1 if dim in MINIMUM else sizes[dim] for dim in variable.dims]
    is_float = variable.dtype.startswith("float")
    created = group.create_variable(
        name,
        variable.dims,
        variable.dtype,
        chunks=tuple(chunk),
        compression="gzip",
        compression_opts=4,
        shuffle=True,
        # A fill value on integers would turn them into floats on reading.
        fillvalue=np.nan if is_float else None,
    )
    for key, value in variable.attributes().items():
        created.attrs[key] = value
