"""What a study's cube has: the labels of its dims, the variables asked for, a job's place in it."""

from typing import Any

import h5py
import numpy as np

from basins.cube.flatness_table import FLATNESS_BY_MEASURE
from basins.cube.read import open_job
from basins.cube.spectrum_table import SPECTRUM_BY_MEASURE
from basins.cube.variable import Variable
from basins.study import fingerprints, jobs
from basins.study.schema import Study

VERBS = {
    "minima": "train",
    "rays": "rays",
    "volumes": "volume",
    "estimates": "estimate",
    "flatness": "flatness",
    "planes": "planes",
    "boundaries": "boundaries",
    "minefield": "minefield",
    "trajectories": "trajectories",
    "size_planes": "size_planes",
    "curves": "curves",
    "distinct": "distinct",
    "classes": "guess",
}


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


def grid_axis(points: int, extent: float = 1.0) -> list[float]:
    """Return the places along either axis of a grid, of an odd number exactly 0 in the middle."""
    steps = np.arange(points) - (points - 1) / 2
    return [float(at) for at in extent * (steps / steps[-1])]


def flatness_table(study: Study) -> dict[str, Variable]:
    """Return the variables of the measures of flatness that a study asks for."""
    named = sorted(study.measure.flatness)
    return {k: v for name in named for k, v in FLATNESS_BY_MEASURE[name].items()}


def spectrum_table(study: Study) -> dict[str, Variable]:
    """Return the variables of the spectra that a study asks for, none if for none."""
    named = [name for name in SPECTRUM_BY_MEASURE if name in study.measure.flatness]
    return {k: v for name in named for k, v in SPECTRUM_BY_MEASURE[name].items()}


def place(study: Study, job: jobs.Job) -> tuple[Any, ...]:
    """Return where the minima of a job are: an index of each dim of a minimum, a slice of seeds."""
    labels = axes(study)
    values = (job.model, job.dataset, job.label, job.train_size)
    found = [labels[dim].index(value) for dim, value in zip(labels, values, strict=False)]
    # Seeds of a job are neighbours in the sorted list.
    first = labels["seed"].index(job.seeds[0])
    return (*found, slice(first, first + len(job.seeds)))


def place_of_cell(study: Study, cell: jobs.Cell) -> tuple[int, int]:
    """Return where a cell is: an index of the model and of the data set."""
    labels = axes(study)
    return labels["model"].index(cell.model), labels["dataset"].index(cell.dataset)


def open_file(study: Study, job: jobs.Job | jobs.Cell, kind: str) -> h5py.File:
    """Open a job's or cell's file of a kind, one of `VERBS`; raises as `open_job` does."""
    verb = VERBS[kind]
    return open_job(jobs.job_file(study, job.id, verb), kind, fingerprints.of_job(study, job, verb))
