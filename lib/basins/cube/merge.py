"""Job files to one cube, streaming: never more than one job's bulk in memory."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from basins.cube import schema
from basins.cube.axes import axes, flatness_table, open_file, place, spectrum_table
from basins.cube.bulk import bulk_of, bulk_variables, write_bulk
from basins.cube.flatness_table import FLATNESS
from basins.cube.provenance import basins_version, source_revision
from basins.cube.variable import MINIMUM, VOLUME, Variable
from basins.cube.write import whole_hdf5
from basins.study import jobs
from basins.study.controls import recipes_of_sizes
from basins.study.load import study_sha256, study_text
from basins.study.schema import Study
from basins.volume.intervals import PROBABILITY
from basins.volume.of_minimum import BY_BASIN

FROM_MINIMA = (
    "train_loss",
    "test_loss",
    "train_accuracy",
    "test_accuracy",
    "weight_norm",
    "gradient_norm",
    "epochs",
    "noise_scale",
    "log_copies",
    "training_status",
)
FROM_RAYS = ("r_max", "log_det_coordinates", "landscape_loss")
FROM_ESTIMATES = tuple(BY_BASIN)
BY_ESTIMATOR = tuple(name for name, one in schema.ROOT.items() if one.dims == VOLUME)
OTHERS = ("num_parameters", "generalization_gap")  # an attribute, and a difference
ADDED = ("log_copies", "log_mean_radius")  # since the first version; NaN where a file has none
FROM_VOLUMES = tuple(
    name
    for name in schema.ROOT
    if name not in (*FROM_MINIMA, *FROM_RAYS, *FROM_ESTIMATES, *BY_ESTIMATOR, *OTHERS)
)


@dataclass
class _Tables:
    """What the first pass over the job files gathers."""

    root: dict[str, NDArray[Any]]
    history: dict[str, NDArray[Any]]
    normalization: list[str]
    num_nodes: int = 0
    provenance: list[dict[str, Any]] = field(default_factory=list)


def merge(study: Study, output: Path, advance: Callable[[int], None] = lambda _: None) -> None:
    """Write the cube of a study from its job files.

    Parameters
    ----------
    study
        The study, whose job files lie where `basins.study.jobs` says.
    output
        The cube, written whole or not at all.
    advance
        Called with the number of job files read since the last call.

    Raises
    ------
    ValueError
        Naming the file, if a job file is missing, damaged, foreign or of another study.
    """
    tables = _first_pass(study, advance)
    with whole_hdf5(output) as partial:
        _root(study, tables).to_netcdf(partial, mode="w", engine="h5netcdf")
        for bulk in bulk_of(study, tables.num_nodes):
            write_bulk(study, bulk, partial, advance)
        _history(study, tables).to_netcdf(partial, mode="a", group="/history", engine="h5netcdf")
        _provenance(tables).to_netcdf(partial, mode="a", group="/provenance", engine="h5netcdf")


def _first_pass(study: Study, advance: Callable[[int], None]) -> _Tables:
    labels = axes(study)
    sizes = {dim: len(values) for dim, values in labels.items()}
    sizes["step"] = min(200, max(recipe.total_epochs for recipe in recipes_of_sizes(study)))
    tables = _Tables(
        root={
            name: _empty(variable, sizes)
            for name, variable in (schema.ROOT | flatness_table(study)).items()
        },
        history={name: _empty(variable, sizes) for name, variable in schema.HISTORY.items()},
        normalization=[""] * len(study.datasets),
    )
    above = study.measure.volume
    for job in jobs.expand(study):
        where = place(study, job)
        with open_file(study, job, "minima") as file:
            _put(tables, where, FROM_MINIMA, file)
            tables.root["num_parameters"][where[:2]] = file.attrs["num_parameters"].item()
            tables.normalization[where[1]] = str(file.attrs["input_normalization"])
            curve = file["history/train_loss"][()]
            steps = curve.shape[1]
            tables.history["train_loss"][where][:, :steps] = curve
            tables.history["epoch"][where][:, :steps] = file["history/epoch"][()]
            _note(tables, job, file)
        with open_file(study, job, "rays") as file:
            for name in FROM_RAYS:
                tables.root[name][where] = file[name][()]
            _note(tables, job, file)
        with open_file(study, job, "volumes") as file:
            _put(tables, where, FROM_VOLUMES, file)
            _put_estimators(tables, where, labels["estimator"], ["rays"], file)
            _note(tables, job, file)
        advance(3)
        if others := jobs.asking_estimators(study):
            with open_file(study, job, "estimates") as file:
                for name in FROM_ESTIMATES:
                    tables.root[name][where] = file[name][()]
                _put_estimators(tables, where, labels["estimator"], others, file)
                _note(tables, job, file)
            advance(1)
        if study.measure.flatness:
            with open_file(study, job, "flatness") as file:
                for name in flatness_table(study):
                    tables.root[name][where] = file[name][()]
                for name in spectrum_table(study):
                    tables.num_nodes = max(
                        tables.num_nodes, bulk_variables(file, "spectrum")[name].shape[-1]
                    )
                _note(tables, job, file)
            advance(1)
        for kind in ("planes", "boundaries", "trajectories"):
            if kind in jobs.verbs_of(study, job):
                with open_file(study, job, kind) as file:
                    _note(tables, job, file)
                advance(1)
    for verb in jobs.cell_verbs(study):
        for cell in jobs.cells(study):
            with open_file(study, cell, jobs.FOLDERS.get(verb, verb)) as file:
                _note(tables, cell, file)
            advance(1)
    tables.root["generalization_gap"] = tables.root["train_accuracy"] - tables.root["test_accuracy"]
    if above.threshold_kind == "loss":
        status = tables.root["training_status"]
        is_above = tables.root["train_loss"] >= above.thresholds[-1]
        diverged = schema.TRAINING_STATUS.index("diverged")
        status[is_above & (status > 0) & (status != diverged)] = schema.TRAINING_STATUS.index(
            "above_threshold"
        )
    return tables


def _put(tables: _Tables, where: tuple[Any, ...], names: Iterable[str], file: h5py.File) -> None:
    """Put variables of a job file where they belong; those of `ADDED` may not be in an old one."""
    for name in names:
        if name in file or name not in ADDED:
            tables.root[name][where] = file[name][()]


def _put_estimators(
    tables: _Tables, where: tuple[Any, ...], labels: list[str], found: list[str], file: h5py.File
) -> None:
    """Put what a job file holds of the estimators `found` beside what others found."""
    for name in BY_ESTIMATOR:
        values = file[name][()]
        for index, estimator in enumerate(found):
            tables.root[name][(*where, ..., labels.index(estimator))] = values[..., index]


def _empty(variable: Variable, sizes: dict[str, int]) -> NDArray[Any]:
    shape = [sizes[dim] for dim in variable.dims]
    return np.full(shape, variable.missing, dtype=variable.dtype)


def _note(tables: _Tables, job: jobs.Job | jobs.Cell, file: h5py.File) -> None:
    group = file["provenance"]
    entry = {name: group[name][()] for name in group if isinstance(group[name], h5py.Dataset)}
    texts = {k: v.decode() if isinstance(v, bytes) else float(v) for k, v in entry.items()}
    tables.provenance.append({"job": f"{texts['verb']} {job.id}"} | texts)


def _root(study: Study, tables: _Tables) -> xr.Dataset:
    volume = study.measure.volume
    labels, described = axes(study), schema.ROOT | FLATNESS
    dataset = xr.Dataset(
        {name: (described[name].dims, values) for name, values in tables.root.items()},
        coords=labels
        | {
            "input_normalization": ("dataset", tables.normalization),
            "measure": volume.measure,
            "volume_coordinates": volume.coordinates,
            "threshold_kind": volume.threshold_kind,
            "interval_probability": PROBABILITY,
        },
    )
    dataset = schema.describe(dataset, "/")
    dataset.attrs = {
        "Conventions": schema.CONVENTIONS,
        "kind": "cube",
        "title": study.title or study.study,
        "study": study_text(study),
        "study_sha256": study_sha256(study),
        "basins_version": basins_version(),
        "source_revision": source_revision(),
        "references": "each variable names its own",
    }
    return dataset


def _history(study: Study, tables: _Tables) -> xr.Dataset:
    labels = {dim: values for dim, values in axes(study).items() if dim in MINIMUM}
    dataset = xr.Dataset(
        {name: (schema.HISTORY[name].dims, values) for name, values in tables.history.items()},
        coords=labels,
    )
    return schema.describe(dataset, "/history")


def _provenance(tables: _Tables) -> xr.Dataset:
    names = [name for name in tables.provenance[0] if name != "job"]
    dataset = xr.Dataset(
        {name: ("job", [entry[name] for entry in tables.provenance]) for name in names},
        coords={"job": [entry["job"] for entry in tables.provenance]},
    )
    dataset["wall_seconds"].attrs = {"long_name": "wall time of the job", "units": "s"}
    dataset["peak_bytes"].attrs = {"long_name": "largest resident memory", "units": "byte"}
    return dataset
