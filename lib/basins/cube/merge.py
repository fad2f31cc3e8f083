"""Job files to one cube, streaming: never more than one job's rays or spectra in memory."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import h5netcdf
import h5py
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from basins.cube import schema
from basins.cube.flatness_table import FLATNESS, FLATNESS_BY_MEASURE
from basins.cube.provenance import source_revision
from basins.cube.read import open_job
from basins.cube.spectrum_table import NODE, SPECTRUM_BY_MEASURE
from basins.cube.variable import MINIMUM, VOLUME, Variable
from basins.cube.write import whole_hdf5
from basins.study import jobs
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
    "training_status",
)
FROM_RAYS = ("r_max", "log_det_coordinates", "landscape_loss")
FROM_ESTIMATES = tuple(BY_BASIN)
BY_ESTIMATOR = tuple(name for name, one in schema.ROOT.items() if one.dims == VOLUME)
FROM_VOLUMES = tuple(
    name
    for name in schema.ROOT
    if name not in (*FROM_MINIMA, *FROM_RAYS, *FROM_ESTIMATES, *BY_ESTIMATOR, "num_parameters")
)
VERBS = {
    "minima": "train",
    "rays": "rays",
    "volumes": "volume",
    "estimates": "estimate",
    "flatness": "flatness",
}


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
        _write_rays(study, partial, advance)
        if spectrum_table(study):
            _write_spectra(study, tables.num_nodes, partial, advance)
        _history(study, tables).to_netcdf(partial, mode="a", group="/history", engine="h5netcdf")
        _provenance(tables).to_netcdf(partial, mode="a", group="/provenance", engine="h5netcdf")


def axes(study: Study) -> dict[str, list[Any]]:
    """Return the labels of every dimension of the root, sorted and unique."""
    volume = study.measure.volume
    labels: dict[str, list[Any]] = {
        "model": sorted(study.models),
        "dataset": sorted(study.datasets),
        "recipe": sorted(jobs.recipe_labels(study)),
        "train_size": study.train_sizes,
        "seed": sorted(study.seeds),
        "landscape_size": study.landscape_sizes,
        "threshold": volume.thresholds,
        "estimator": sorted(volume.estimators),
    }
    return labels | _flatness_axes(study)


def _flatness_axes(study: Study) -> dict[str, list[Any]]:
    """Return the labels of the dimensions that only measures of flatness have."""
    options = study.measure.flatness_options
    found: dict[str, list[Any]] = {}
    if "sharpness" in study.measure.flatness:
        found["box_size"] = options.box_sizes
    if "spectrum" in study.measure.flatness:
        found["eigenvalue"] = list(range(options.num_eigenvalues))
    if "robustness" in study.measure.flatness:
        found["perturbation"] = options.perturbations
    return found


def flatness_table(study: Study) -> dict[str, Variable]:
    """Return the variables of the measures of flatness that a study asks for."""
    named = sorted(study.measure.flatness)
    return {k: v for name in named for k, v in FLATNESS_BY_MEASURE[name].items()}


def spectrum_table(study: Study) -> dict[str, Variable]:
    """Return the variables of the spectra that a study asks for, none if for none."""
    named = [name for name in SPECTRUM_BY_MEASURE if name in study.measure.flatness]
    return {k: v for name in named for k, v in SPECTRUM_BY_MEASURE[name].items()}


def _place(study: Study, job: jobs.Job) -> tuple[Any, ...]:
    labels = axes(study)
    values = (job.model, job.dataset, job.label, job.train_size)
    place = [labels[dim].index(value) for dim, value in zip(labels, values, strict=False)]
    # Seeds of a job are neighbours in the sorted list.
    first = labels["seed"].index(job.seeds[0])
    return (*place, slice(first, first + len(job.seeds)))


def _open(study: Study, job: jobs.Job, kind: str) -> h5py.File:
    verb = VERBS[kind]
    return open_job(jobs.job_file(study, job.id, verb), kind, jobs.fingerprint(study, job.id, verb))


def _first_pass(study: Study, advance: Callable[[int], None]) -> _Tables:
    labels = axes(study)
    sizes = {dim: len(values) for dim, values in labels.items()}
    sizes["step"] = min(200, max(recipe.total_epochs for recipe in study.recipes.values()))
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
        place = _place(study, job)
        with _open(study, job, "minima") as file:
            for name in FROM_MINIMA:
                tables.root[name][place] = file[name][()]
            tables.root["num_parameters"][place[:2]] = file.attrs["num_parameters"].item()
            tables.normalization[place[1]] = str(file.attrs["input_normalization"])
            curve = file["history/train_loss"][()]
            steps = curve.shape[1]
            tables.history["train_loss"][place][:, :steps] = curve
            tables.history["epoch"][place][:, :steps] = file["history/epoch"][()]
            _note(tables, job, file)
        with _open(study, job, "rays") as file:
            for name in FROM_RAYS:
                tables.root[name][place] = file[name][()]
            _note(tables, job, file)
        with _open(study, job, "volumes") as file:
            for name in FROM_VOLUMES:
                tables.root[name][place] = file[name][()]
            _put_estimators(tables, place, labels["estimator"], ["rays"], file)
            _note(tables, job, file)
        advance(3)
        if others := jobs.asking_estimators(study):
            with _open(study, job, "estimates") as file:
                for name in FROM_ESTIMATES:
                    tables.root[name][place] = file[name][()]
                _put_estimators(tables, place, labels["estimator"], others, file)
                _note(tables, job, file)
            advance(1)
        if study.measure.flatness:
            with _open(study, job, "flatness") as file:
                for name in flatness_table(study):
                    tables.root[name][place] = file[name][()]
                for name in spectrum_table(study):
                    tables.num_nodes = max(tables.num_nodes, _spectra(file)[name].shape[-1])
                _note(tables, job, file)
            advance(1)
    if above.threshold_kind == "loss":
        status = tables.root["training_status"]
        is_above = tables.root["train_loss"] >= above.thresholds[-1]
        status[is_above & (status == 1)] = schema.TRAINING_STATUS.index("above_threshold")
    return tables


def _put_estimators(
    tables: _Tables, place: tuple[Any, ...], labels: list[str], found: list[str], file: h5py.File
) -> None:
    """Put what a job file holds of the estimators `found` beside what others found."""
    for name in BY_ESTIMATOR:
        values = file[name][()]
        for index, estimator in enumerate(found):
            tables.root[name][(*place, ..., labels.index(estimator))] = values[..., index]


def _empty(variable: Variable, sizes: dict[str, int]) -> NDArray[Any]:
    shape = [sizes[dim] for dim in variable.dims]
    return np.full(shape, variable.missing, dtype=variable.dtype)


def _note(tables: _Tables, job: jobs.Job, file: h5py.File) -> None:
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
        "basins_version": version("basins"),
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


def _write_rays(study: Study, path: Path, advance: Callable[[int], None]) -> None:
    dims = {dim for variable in schema.RAYS.values() for dim in variable.dims}
    labels = {dim: values for dim, values in axes(study).items() if dim in dims}
    labels["direction"] = list(range(study.measure.volume.directions))
    with h5netcdf.File(path, "a") as file:
        group = _create_group(file, "rays", schema.RAYS, labels)
        for job in jobs.expand(study):
            place = _place(study, job)
            with _open(study, job, "rays") as rays:
                for name in schema.RAYS:
                    group[name][place] = rays[name][()]
            advance(1)


def _write_spectra(
    study: Study, num_nodes: int, path: Path, advance: Callable[[int], None]
) -> None:
    table = spectrum_table(study)
    dims = {dim for variable in table.values() for dim in variable.dims}
    labels = {dim: values for dim, values in axes(study).items() if dim in dims}
    with h5netcdf.File(path, "a") as file:
        # Nodes have no labels: the first of one minimum and of another have nothing in common.
        group = _create_group(file, "spectrum", table, labels, **{NODE: num_nodes})
        for job in jobs.expand(study):
            place = _place(study, job)
            with _open(study, job, "flatness") as found:
                for name in table:
                    values = _spectra(found)[name][()]
                    # Fewer than other models have: the rest stays NaN.
                    group[name][(*place, ..., slice(values.shape[-1]))] = values
            advance(1)


def _spectra(file: h5py.File) -> h5py.Group:
    """Return the group of a flatness file that holds spectra."""
    if "spectrum" not in file:
        raise ValueError(
            f"{file.filename}: holds no spectra, as older versions wrote it; remove the file and "
            "run again"
        )
    return file["spectrum"]


def _create_group(
    file: h5netcdf.File,
    name: str,
    table: Mapping[str, Variable],
    labels: dict[str, list[Any]],
    **unlabeled: int,
) -> Any:
    """Return a new group with all its variables, empty."""
    group = file.create_group(name)
    sizes = {dim: len(values) for dim, values in labels.items()} | unlabeled
    group.dimensions = sizes
    for dim, values in labels.items():
        _write_axis(group, dim, values)
    for variable_name, variable in table.items():
        _create(group, variable_name, variable, sizes)
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
