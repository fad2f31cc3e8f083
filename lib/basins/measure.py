"""Measure any torch module: the basin around it, without a study and without Snakemake."""

import copy
from collections.abc import Sequence

import numpy as np
import torch
import xarray as xr
from numpy.typing import ArrayLike
from torch import Tensor, nn

from basins import device as devices
from basins.cube import schema
from basins.cube.variable import PROJECT
from basins.directions.coordinates import default_r_max, scaling
from basins.losses import LossFunction
from basins.models.functional import Network
from basins.rays.evaluators import evaluator_of
from basins.rays.landscapes import Landscapes
from basins.rays.measure_rays import Examined, measure_rays
from basins.volume.from_rays import volumes
from basins.volume.of_minimum import (
    BY_BASIN,
    ESTIMATORS,
    Request,
    check_size,
    estimate_minimum,
    nothing_yet,
)

SCAN_POINTS = 12
RADIUS = {
    "long_name": "radius",
    "units": "unit of coordinates",
    "formula": "r(u): distance along u where the loss first reaches the threshold, at most r_max",
    "references": PROJECT,
}


@devices.full_precision()
def measure_model(
    model: nn.Module,
    inputs: Tensor | ArrayLike,
    targets: Tensor | ArrayLike,
    loss: str | LossFunction = "cross_entropy",
    thresholds: Sequence[float] = (0.1,),
    landscape_sizes: Sequence[int] | None = None,
    directions: int = 100,
    coordinates: str = "filter",
    bias_scale: str = "one",
    estimators: Sequence[str] = ("rays",),
    r_max: float | None = None,
    stderr: float = 1.0,
    max_evaluations: float = 1e6,
    seed: int = 0,
) -> xr.Dataset:
    """Measure the basin around a trained network.

    The model is copied and the copy runs in evaluation mode, in float64 if its parameters are and
    in float32 otherwise, on the device where they are.

    Parameters
    ----------
    model
        A module that maps inputs (examples, ...) to outputs (examples, ...).
    inputs, targets
        The examples that define the loss, first axis (examples,), in the order of nested subsets.
    loss
        ``cross_entropy``, ``binary_cross_entropy``, ``squared_error``, or a function of outputs
        and targets that returns the loss of each example, shape (examples,).
    thresholds
        Losses that bound the basin, positive and increasing.
    landscape_sizes
        Landscape m is the mean loss of the first m examples; increasing. Default: all examples.
    directions
        Number of random directions.
    coordinates
        ``filter``: each output filter in units of its own norm; ``weight``: as they are.
    bias_scale
        Unit of one-dimensional parameters in filter coordinates: ``one``, or their ``norm``.
    estimators
        Any of ``rays``, ``annealed`` (calibrated), ``importance`` and ``laplace``; see
        `basins.volume.estimate`.
    r_max
        Distance, in the coordinates, at which basins end and rays are censored. Default: ten times
        the minimum's own norm.
    stderr, max_evaluations
        Of ``annealed``: nats that it goes on for, and losses of one basin after which it stops.
    seed
        Fixes all random numbers.

    Returns
    -------
    xr.Dataset
        The cube's variables over landscape_size, threshold and estimator, and `radius` and
        `num_crossings` over landscape_size, threshold and direction. Volumes and radii are NaN
        where the model's own loss is not below the threshold; `volume_status` says so.

    Raises
    ------
    ValueError
        If an argument cannot be used; the message opens with its name.

    Examples
    --------
    >>> model = nn.Linear(2, 2)
    >>> inputs, targets = torch.randn(20, 2), torch.zeros(20, dtype=torch.int64)
    >>> measured = measure_model(model, inputs, targets, thresholds=[2.0, 4.0], directions=10)
    >>> dict(measured.log_volume.sizes)
    {'landscape_size': 1, 'threshold': 2, 'estimator': 1}
    >>> dict(measured.radius.sizes)
    {'landscape_size': 1, 'threshold': 2, 'direction': 10}
    """
    network, theta = as_network(model)
    examples = as_landscapes(network, theta, inputs, targets, loss, landscape_sizes)
    bounds = _increasing("thresholds", thresholds)
    if not isinstance(directions, int) or directions < 1:
        raise ValueError(f"directions: {directions!r} must be a whole number of at least 1")
    if not isinstance(seed, int) or seed < 0:
        raise ValueError(f"seed: {seed!r} must be a whole number of at least 0")
    if isinstance(estimators, str) or not estimators:
        raise ValueError(f"estimators: {estimators!r} must be a list of at least one name")
    limits = {"r_max": r_max, "stderr": stderr, "max_evaluations": max_evaluations}
    for key, number in limits.items():
        if number is not None and not 0 < number < np.inf:
            raise ValueError(f"{key}: {number!r} must be a number above 0")
    check_estimators(list(estimators))
    check_size(estimators, network.num_parameters)
    anchor = theta.to("cpu", torch.float64).numpy()
    scale, log_det = scaling(network.layout, anchor, coordinates, bias_scale)
    farthest = r_max or default_r_max(anchor, scale)
    minimum = Examined(
        evaluator_of(network, theta, examples), ("measure_model", seed), scale, farthest
    )
    (rays,) = measure_rays([minimum], range(directions), bounds, "loss", SCAN_POINTS)
    measured = volumes(
        rays.log_radius,
        rays.num_crossings,
        rays.log_direction_norm,
        network.num_parameters,
        coordinates == "filter",
    )
    others = sorted(name for name in estimators if name != "rays")
    request = Request(others, bounds, "loss", farthest, directions, stderr, max_evaluations)
    arrays = nothing_yet(len(examples.sizes), request)
    if others:
        words = ("measure_model", seed)
        estimate_minimum(network, theta, examples, scale, request, words, arrays)
    basin = ("landscape_size", "threshold")
    evaluations = rays.num_evaluations.astype(np.float64)[:, None, None]
    shape = measured.by_estimator["log_volume"].shape
    by_rays = measured.by_estimator | {"num_evaluations": np.broadcast_to(evaluations, shape)}
    labels = [*others, "rays"]
    chosen = [labels.index(name) for name in estimators]
    dataset = xr.Dataset(
        {
            name: (
                (*basin, "estimator"),
                np.concatenate([arrays[name], values], axis=-1)[..., chosen],
            )
            for name, values in by_rays.items()
        }
        | {name: (basin, v) for name, v in measured.by_basin.items()}
        | {name: (basin, arrays[name]) for name in BY_BASIN}
        | {
            "landscape_loss": (basin[:1], rays.landscape_loss),
            "num_parameters": ((), network.num_parameters),
            "log_det_coordinates": ((), log_det),
            "r_max": ((), rays.r_max),
            "radius": ((*basin, "direction"), np.exp(rays.log_radius)),
            "num_crossings": ((*basin, "direction"), rays.num_crossings),
        },
        coords={
            "landscape_size": list(examples.sizes),
            "threshold": bounds,
            "estimator": list(estimators),
            "measure": "lebesgue",
            "volume_coordinates": coordinates,
            "threshold_kind": "loss",
            "interval_probability": 0.9,
        },
    )
    described = schema.ROOT | schema.RAYS
    for name, variable in dataset.data_vars.items():
        variable.attrs = RADIUS if name == "radius" else described[str(name)].attributes()
    for name in dataset.coords:
        long_name, units, formula = schema.COORDINATES[str(name)]
        dataset[name].attrs = {"long_name": long_name, "units": units, "formula": formula}
    return dataset


def check_estimators(estimators: list[str]) -> None:
    """Raise ValueError unless all `estimators` are known and each is named once."""
    allowed = ("rays", *ESTIMATORS)
    for name in estimators:
        if name not in allowed:
            raise ValueError(f"estimators: {name!r} is not known; allowed are {', '.join(allowed)}")
        if estimators.count(name) > 1:
            raise ValueError(f"estimators: {name!r} is named more than once; once is allowed")


def as_network(model: nn.Module) -> tuple[Network, Tensor]:
    """Return a copy of the model as a network, and its parameters in the precision of passes."""
    if not isinstance(model, nn.Module):
        raise ValueError(f"model: {type(model).__name__} is not a torch Module")
    network = Network(copy.deepcopy(model))
    theta = network.theta
    if not torch.isfinite(theta).all():
        raise ValueError("model: some of its parameters are not finite")
    return network, theta if theta.dtype == torch.float64 else theta.to(torch.float32)


def as_landscapes(
    network: Network,
    theta: Tensor,
    inputs: Tensor | ArrayLike,
    targets: Tensor | ArrayLike,
    loss: str | LossFunction,
    landscape_sizes: Sequence[int] | None,
) -> Landscapes:
    """Return the landscapes, checked against the network and the loss."""
    features, labels = torch.as_tensor(inputs), torch.as_tensor(targets)
    num_examples = len(features) if features.ndim else 0
    if not num_examples:
        raise ValueError(f"inputs: shape {tuple(features.shape)} holds no examples")
    if features.is_floating_point() and not torch.isfinite(features).all():
        raise ValueError("inputs: some are not finite")
    if not labels.ndim or len(labels) != num_examples:
        raise ValueError(
            f"targets: shape {tuple(labels.shape)} does not match {num_examples} inputs"
        )
    sizes = [num_examples] if landscape_sizes is None else landscape_sizes
    checked = tuple(int(size) for size in _increasing("landscape_sizes", sizes))
    if list(checked) != list(sizes) or checked[-1] > num_examples:
        raise ValueError(
            f"landscape_sizes: {list(sizes)} must be whole numbers up to {num_examples}, "
            "the number of examples"
        )
    if not isinstance(loss, str) and not callable(loss):
        raise ValueError(f"loss: {loss!r} is neither a name nor a function")
    # By its name, where it has one: compiled code knows these.
    examples = Landscapes(features, labels, checked, loss).to(theta.device, theta.dtype)
    function = examples.loss_function
    network.to(theta.device, theta.dtype)
    try:
        outputs = network.apply(theta, examples.inputs[:1])
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        raise ValueError(f"inputs: the model cannot take them: {error}") from error
    try:
        # The outputs of one example stand for all, so that every target is looked at.
        losses = function(outputs.expand(num_examples, *outputs.shape[1:]), examples.targets)
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        raise ValueError(f"targets: the loss cannot take them: {error}") from error
    if tuple(losses.shape) != (num_examples,):
        raise ValueError(
            f"loss: it must return one number an example, shape ({num_examples},), "
            f"not shape {tuple(losses.shape)}"
        )
    return examples


def _increasing(name: str, values: Sequence[float]) -> list[float]:
    """Return `values` as a list; ValueError unless they are positive, finite and increasing."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: {values!r} must be a list of numbers") from error
    is_usable = array.ndim == 1 and array.size and np.isfinite(array).all() and array[0] > 0
    if not is_usable or (np.diff(array) <= 0).any():
        raise ValueError(f"{name}: {values!r} must be positive and strictly increasing")
    return [float(value) for value in array]
