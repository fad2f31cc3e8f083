"""What a job works on: its study, data, network and examples, as the study names them."""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from basins.cube import read
from basins.cube.schema import TRAINING_STATUS
from basins.datasets import images, subsets
from basins.datasets import load as datasets
from basins.datasets.scratch import local_root
from basins.datasets.subsets import Data
from basins.directions.coordinates import default_r_max, scaling
from basins.flatness.dinh2017radial import RadialNetwork
from basins.flatness.transforms import in_coordinates, named_transform
from basins.losses import num_outputs
from basins.models.functional import Network, build, initial_parameters
from basins.models.mlp import layer_widths
from basins.rays.landscapes import Landscapes
from basins.study import controls, fingerprints, jobs
from basins.study.load import load_study
from basins.study.measure_keys import VolumeMeasure
from basins.study.recipes import unlayered
from basins.study.schema import Study, StudyError
from basins.volume.measures import Gaussian
from basins.volume.polar import gaussian_reach


@dataclass(frozen=True)
class Minimum:
    """One minimum of a job, ready to be measured.

    Attributes
    ----------
    name
        Keys its random numbers.
    theta
        Parameters on the device and in the precision of passes, shape (n,).
    scale, log_det
        Unit of each parameter, shape (n,), and the sum of their logarithms.
    landscapes
        Its examples.
    r_max
        Where its basins end, in these units.
    """

    name: str
    theta: torch.Tensor
    scale: NDArray[np.float64]
    log_det: float
    landscapes: Landscapes
    r_max: float


def trained(
    study: Study, block: jobs.Job, receipt: Path, minima: Path
) -> tuple[Data, Network, NDArray[np.float32]]:
    """Return a job's data set, checked against its receipt, its network and trained parameters.

    These have a row a seed, shape (seeds, n).

    Raises
    ------
    ValueError
        If a file is missing, damaged, foreign, or of another study or data set.
    """
    with read.open_job(minima, "minima", fingerprints.of(study, block.id, "train")) as file:
        parameters = file["parameters"][()]
    data = load(study, block.dataset)
    datasets.check_receipt(data, receipt)
    network = network_of(block, data, study.recipes[block.recipe].loss)
    check_network(study, network, data.input_shape)
    network = in_coordinates(network, block.transform, torch.from_numpy(parameters[0]))
    return data, network, parameters


def diverged(study: Study, block: jobs.Job, minima: Path) -> NDArray[np.bool_]:
    """Return of which of a job's minima the training diverged, shape (seeds,)."""
    with read.open_job(minima, "minima", fingerprints.of(study, block.id, "train")) as file:
        status = file["training_status"][()]
    return np.asarray(status == TRAINING_STATUS.index("diverged"))


def minima_of(
    study: Study,
    block: jobs.Job,
    data: Data,
    network: Network,
    parameters: NDArray[np.float32],
    device: torch.device,
) -> Iterator[Minimum]:
    """Yield the minima of a job, ready to be measured; arguments as `trained` returns them."""
    settings = study.measure.volume
    chosen = orders(study, data, block)[:, : study.landscape_sizes[-1]]
    dtype = torch.float32 if settings.dtype == "float32" else torch.float64
    for row, seed in enumerate(block.seeds):
        anchor = parameters[row].astype(np.float64)
        scale, log_det = scaling(network.layout, anchor, settings.coordinates, settings.bias_scale)
        yield Minimum(
            name=jobs.minimum_name(block, seed),
            theta=torch.from_numpy(anchor).to(device=device, dtype=dtype),
            scale=scale,
            log_det=log_det,
            landscapes=Landscapes(
                torch.from_numpy(data.inputs[chosen[row]]),
                torch.from_numpy(data.targets[chosen[row]]),
                tuple(study.landscape_sizes),
                study.recipes[block.recipe].loss,
            ),
            r_max=settings.r_max or _default_r_max(settings, network, anchor, scale),
        )


def _default_r_max(
    settings: VolumeMeasure,
    network: Network,
    anchor: NDArray[np.float64],
    scale: NDArray[np.float64],
) -> float:
    """Return where basins end if nobody says, in other coordinates about as far out as in these."""
    if settings.sigma is not None:
        return gaussian_reach(Gaussian(anchor, settings.sigma))
    r_max = default_r_max(anchor, scale)
    if not isinstance(network.module, RadialNetwork):
        return r_max
    unit = math.sqrt(float(np.square(scale).mean()))
    return network.module.reach(unit * r_max) / unit


def check_network(study: Study, network: Network, example_shape: tuple[int, ...]) -> None:
    """Raise StudyError if a study asks what its network cannot have, before anything is computed.

    That is a random subspace of more dimensions than the network, a transform that would change its
    function, or proximal steps of layers it has not.
    """
    subspace, n = study.measure.flatness_options.subspace, network.num_parameters
    if study.measure.flatness and subspace is not None and subspace > n:
        raise StudyError(
            f"measure.flatness_options.subspace: {subspace} is more than the {n} parameters of a "
            "model"
        )
    for name, recipe in study.recipes.items():
        if recipe.optimizer == "proxprop" and layer_widths(network.module) is None:
            raise StudyError(unlayered(name, "a model of this study"))
    for transform in study.transforms:
        try:
            named_transform(transform)(network, example_shape, np.ones(n), "check")
        except ValueError as error:
            raise StudyError(f"transforms: {transform!r} is not possible, {error}") from None


def batched(minima: Iterator[Minimum], size: int, skipped: int = 0) -> Iterator[list[Minimum]]:
    """Yield runs of at most so many minima, made when they are due, after the first `skipped`."""
    rest = itertools.islice(minima, skipped, None)
    while some := list(itertools.islice(rest, size)):
        yield some


def find(study: Path, job: str) -> tuple[Study, jobs.Job]:
    """Return the study in a file, and its job of that name."""
    found = load_study(study)
    return found, jobs.find(found, job)


def data_root(study: Study) -> Path | None:
    """Return the folder of real data sets that a study names."""
    return Path(study.data_root) if study.data_root else None


def load(study: Study, dataset: str) -> Data:
    """Return a data set, from the machine's own disk where the study says so.

    Raises
    ------
    StudyError
        If it has fewer examples than the study asks for.
    """
    root = data_root(study)
    if study.scratch and dataset in images.SETS:
        files = images.SETS[dataset].files
        root = local_root(dataset, files, images.data_root(root), study.scratch)
    data = datasets.load(dataset, root)
    for key, sizes in (("train", study.train_sizes), ("landscape", study.landscape_sizes)):
        # Built-in data sets were checked before; the size of a user's own is known only now.
        if sizes[-1] > len(data.targets):
            raise StudyError(
                f"{key}_sizes: {sizes[-1]} is more than the {len(data.targets)} training "
                f"examples of {dataset}"
            )
    return data


def network_of(block: jobs.Job | jobs.Cell, data: Data, loss: str) -> Network:
    """Return the network of a job or cell."""
    return Network(build(block.model, data.input_shape, num_outputs(loss, data.num_classes), 0))


def initial(study: Study, block: jobs.Job, data: Data, loss: str, seed: int) -> torch.Tensor:
    """Return the start of a seed, the same for all train sizes and recipes that name no other."""
    given = controls.initialization_seed(study, block.recipe)
    chosen = seed if given is None else given
    outputs = num_outputs(loss, data.num_classes)
    return initial_parameters(
        block.model, data.input_shape, outputs, block.model, block.dataset, chosen
    )


def orders(study: Study, data: Data, block: jobs.Job) -> NDArray[np.int64]:
    """Return the order of the training examples for each of a job's seeds, (seeds, examples)."""
    given = controls.subset_seed(study, block.recipe)
    chosen = [seed if given is None else given for seed in block.seeds]
    return np.stack([order(study, data, seed) for seed in chosen])


def order(study: Study, data: Data, seed: int) -> NDArray[np.int64]:
    """Return the order of the training examples that a seed fixes, shape (examples,)."""
    return subsets.order(data.name, data.targets, seed, study.class_balanced)
