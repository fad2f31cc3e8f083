"""The file that a job writes."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from basins.cube import schema, write
from basins.cube.axes import axes
from basins.cube.boundary_table import BOUNDARIES
from basins.cube.class_table import CLASSES
from basins.cube.curve_table import CURVES
from basins.cube.distinct_table import DISTINCT
from basins.cube.flatness_table import FLATNESS
from basins.cube.minefield_table import MINEFIELD
from basins.cube.plane_table import PLANES
from basins.cube.schema import TRAINING_STATUS
from basins.cube.size_plane_table import SIZE_PLANES
from basins.cube.spectrum_table import SPECTRUM
from basins.cube.trajectory_table import TRAJECTORIES
from basins.datasets.subsets import Data
from basins.flatness.symmetry import log_copies
from basins.models.functional import Network
from basins.study import fingerprints, jobs
from basins.study.controls import trained_on
from basins.study.load import load_study
from basins.study.recipe_keys import Recipe
from basins.study.schema import Study, StudyError
from basins.training import schedules
from basins.training.loop import Minima
from basins.training.objective import is_misled

logger = logging.getLogger("basins")


def job_file(kind: str, block: jobs.Job, fingerprint: str, variables: dict[str, Any]) -> xr.Dataset:
    """Return the root of a job's file, described as the cube's table says."""
    dataset = xr.Dataset(variables, coords={"seed": list(block.seeds)})
    return _root(dataset, kind, block.id, fingerprint)


def cell_file(
    study: Study, kind: str, cell: jobs.Cell, fingerprint: str, variables: dict[str, Any]
) -> xr.Dataset:
    """Return the root of a cell's file, described as the cube's table says."""
    dataset = xr.Dataset(variables)
    labels = {dim: values for dim, values in axes(study).items() if dim in dataset.dims}
    return _root(dataset.assign_coords(labels), kind, cell.id, fingerprint)


def _root(dataset: xr.Dataset, kind: str, name: str, fingerprint: str) -> xr.Dataset:
    described(dataset).attrs = {
        "Conventions": schema.CONVENTIONS,
        "kind": kind,
        "job": name,
        "fingerprint": fingerprint,
    }
    return dataset


def minima_groups(
    study: Study, block: jobs.Job, minima: Minima, data: Data, network: Network
) -> dict[str, xr.Dataset]:
    """Return the root of a job's minima and their training curves."""
    recipe = study.recipes[block.recipe]
    count = trained_on(recipe, block.train_size)
    noise_scale = recipe.learning_rate * (count / schedules.batch_size(recipe, 0, count) - 1)
    scalars = {
        "train_loss": minima.train_loss,
        "test_loss": minima.test_loss,
        "train_accuracy": minima.train_accuracy,
        "test_accuracy": minima.test_accuracy,
        "weight_norm": minima.weight_norm,
        "gradient_norm": minima.gradient_norm,
        "epochs": minima.epochs,
        "noise_scale": np.full(len(block.seeds), noise_scale),
        "log_copies": _log_copies(network, data.input_shape, minima.parameters),
        "training_status": _training_status(recipe, minima),
    }
    root = job_file(
        "minima",
        block,
        fingerprints.of(study, block.id, "train"),
        {"parameters": (("seed", "parameter"), minima.parameters)}
        | {name: (("seed",), values) for name, values in scalars.items()},
    )
    root.attrs["num_parameters"] = network.num_parameters
    root.attrs["input_normalization"] = data.input_normalization
    curve = np.tile(minima.history_epoch.astype(np.float64), (len(block.seeds), 1))
    history = xr.Dataset(
        {
            "train_loss": (("seed", "step"), minima.history_train_loss),
            "epoch": (("seed", "step"), curve),
        }
    )
    groups = {"/": root, "/history": history}
    if len(minima.path_epochs):
        groups["/path"] = xr.Dataset(
            {
                "parameters": (("seed", "point", "parameter"), minima.path),
                "epoch": (("point",), minima.path_epochs),
            }
        )
    return groups


def _log_copies(
    network: Network, example_shape: tuple[int, ...], parameters: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Return ln of how many copies each minimum has by symmetry; NaN where nobody can say."""
    try:
        return np.array([log_copies(network, example_shape, theta) for theta in parameters])
    except ValueError as error:
        logger.debug("log_copies: %s", error)
        return np.full(len(parameters), np.nan)


def _training_status(recipe: Recipe, minima: Minima) -> NDArray[np.int8]:
    """Return how each training ended, as the cube's flag says.

    What misleads is to leave the clean subset as it was; where it does not, that is said.
    """
    status = np.where(minima.is_unpolished, TRAINING_STATUS.index("not_polished"), 1)
    misses = (minima.train_accuracy < 1) & is_misled(recipe)
    status = np.where(misses, TRAINING_STATUS.index("misclassifies"), status)
    return np.where(minima.is_diverged, TRAINING_STATUS.index("diverged"), status).astype(np.int8)


def described(dataset: xr.Dataset) -> xr.Dataset:
    """Return a part of a job's file with the attributes of the cube's tables."""
    tables = schema.ROOT | schema.RAYS | FLATNESS | SPECTRUM | PLANES | BOUNDARIES | MINEFIELD
    tables |= TRAJECTORIES | SIZE_PLANES | CURVES | DISTINCT | CLASSES
    for name, variable in dataset.data_vars.items():
        if str(name) in tables:
            variable.attrs = tables[str(name)].attributes()
    return dataset


def publish(
    study: Path,
    block: jobs.Job | jobs.Cell,
    verb: str,
    output: Path,
    groups: dict[str, xr.Dataset],
) -> None:
    """Write the file of a job or cell that may not be the only one of its name.

    A killed submitter leaves jobs behind, and its successor starts the same ones again. The first
    to end writes; the last finds the same results and leaves them and their time stamp alone, or
    finds that the study has changed since it began and writes nothing.
    """
    fingerprint = groups["/"].attrs["fingerprint"]
    if fingerprints.of(load_study(study), block.id, verb) != fingerprint:
        raise StudyError(
            f"{study}: the study was changed while this job ran; its result is not written to "
            f"{output}"
        )
    if write.holds(output, groups):
        logger.info("%s: another process has written the same results; they stay", output)
        return
    write.write_netcdf(output, groups)
