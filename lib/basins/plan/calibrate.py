"""Measure the prices of this machine by doing what jobs do, at sizes that differ widely."""

import math
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import torch
from scipy.optimize import nnls

from basins import device as devices
from basins import streams
from basins.datasets import digits
from basins.datasets.subsets import order
from basins.directions.preconditioner import Preconditioner
from basins.models.functional import Network, build
from basins.plan import cost, networks
from basins.plan.calibration import VERBS, VERSION, Calibration
from basins.plan.cost import Array
from basins.plan.starts import with_starts
from basins.rays.evaluators import evaluator_of
from basins.rays.landscapes import Landscapes
from basins.rays.measure_rays import Examined, RaySet, measure_rays
from basins.study.recipe_keys import Recipe
from basins.training.loop import train
from basins.volume import hmc
from basins.volume.from_rays import volumes
from basins.volume.measures import Lebesgue
from basins.volume.of_network import network_basin
from basins.volume.shapes import MAX_FULL
from basins.volume.stride import Stride

CLASSES = 10
GRAY, COLOR = (1, 28, 28), (3, 32, 32)
RECIPE = {"optimizer": "adam", "learning_rate": 1e-3}


@dataclass(frozen=True)
class TrainCase:
    """Networks trained together: epochs are chosen by the time there is."""

    model: str
    input_shape: tuple[int, ...]
    seeds: int
    size: int
    batch: int


@dataclass(frozen=True)
class RaysCase:
    """Directions measured in landscapes; their number is chosen by the time there is."""

    model: str
    input_shape: tuple[int, ...]
    sizes: tuple[int, ...]
    together: int = 16


# Small and large networks of each family, few and many examples: no two counts go together in all.
TRAIN_CASES = [
    TrainCase("mlp-8", (64,), 1, 20, 20),
    TrainCase("mlp-64-32", (64,), 5, 1200, 1200),
    TrainCase("mlp-64-32", (64,), 5, 200, 20),
    TrainCase("mlp-256-128", GRAY, 1, 60, 60),
    TrainCase("mlp-256-128", GRAY, 5, 60, 60),
    TrainCase("mlp-256-128", GRAY, 3, 2000, 2000),
    TrainCase("cnn-small", GRAY, 3, 60, 60),
    TrainCase("cnn-small", COLOR, 2, 64, 64),
    TrainCase("resnet-8", COLOR, 1, 64, 32),
]
RAYS_CASES = [
    RaysCase("mlp-8", (64,), (20, 60)),
    RaysCase("mlp-64-32", (64,), (20, 50, 100, 200, 500, 1200)),
    RaysCase("mlp-256-128", GRAY, (60,)),
    RaysCase("mlp-256-128", GRAY, (60, 600, 2000), 8),
    RaysCase("cnn-small", GRAY, (30, 60), 4),
    RaysCase("cnn-small", COLOR, (64,), 2),
    RaysCase("resnet-8", COLOR, (32,), 2),
]


# The compiled path and torch's, and shapes that are matrices.
ESTIMATE_CASES = [
    RaysCase("mlp-8", (64,), (20,), 32),
    RaysCase("mlp-8", (64,), (1200,), 32),
    RaysCase("mlp-24", (64,), (20,), 32),
    RaysCase("mlp-64-32", (64,), (20,), 32),
    RaysCase("mlp-64-32", (64,), (1200,), 32),
    RaysCase("mlp-256-128", GRAY, (60,), 32),
    RaysCase("cnn-small", GRAY, (60,), 32),
    RaysCase("resnet-8", COLOR, (32,), 8),
]


def calibrate(kind: str, threads: int, seconds: float) -> Calibration:
    """Measure this machine for about `seconds`.

    Parameters
    ----------
    kind
        ``cpu``, ``cuda``, or ``auto`` for a GPU if there is one.
    threads
        CPU threads of a job.
    seconds
        How long to measure; the rest, starting one job of each verb, takes half a minute more.

    Raises
    ------
    ValueError
        If a GPU was asked for and there is none, or `seconds` or `threads` is not positive.
    """
    if seconds <= 0 or threads <= 0:
        raise ValueError("--seconds and --threads must be above 0")
    device = devices.set_up(kind, threads)
    each = seconds / (len(TRAIN_CASES) + len(RAYS_CASES) + len(ESTIMATE_CASES) + 1)
    prices, misfit = {}, {}
    for verb, rows in (
        ("train", [_train_row(case, device, threads, each) for case in TRAIN_CASES]),
        ("rays", [_rays_row(case, device, threads, each) for case in RAYS_CASES]),
        ("volume", [_volume_row(directions) for directions in (100, 1000)]),
        ("estimate", [_estimate_row(case, device, threads, each) for case in ESTIMATE_CASES]),
    ):
        prices[verb], misfit[verb] = _fit(rows)
    partial = Calibration(
        version=VERSION,
        device=_device_name(device),
        kind=device.type,
        threads=threads,
        torch=torch.__version__,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=prices,
        start_seconds=dict.fromkeys(VERBS, 0.0),
        start_bytes=dict.fromkeys(VERBS, 0.0),
        data_seconds_per_byte=_data_price(),
        file_seconds=0.0,
        per_ray=_per_ray(device),
        misfit=misfit,
    )
    return with_starts(partial)


def _fit(rows: list[tuple[Array, float]]) -> tuple[list[float], float]:
    """Return prices, none below 0, that fit seconds in proportion, and the largest misfit."""
    counts = np.array([row for row, _ in rows])
    measured = np.array([seconds for _, seconds in rows])
    # Counts differ by many powers of ten: the solver sees columns of size 1.
    scale = np.maximum(counts.max(axis=0), 1)
    found, _ = nnls(counts / scale / measured[:, None], np.ones(len(rows)))
    ratio = (counts / scale) @ found / measured
    return (found / scale).tolist(), float(np.exp(np.abs(np.log(ratio)).max()))


def _seconds(work: Callable[[], object], device: torch.device, threads: int) -> float:
    """Return the time of `work`; on one CPU thread its own, whatever else the machine does."""
    clock = time.process_time if device.type == "cpu" and threads == 1 else time.perf_counter
    start = clock()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return clock() - start


def _long_enough(
    work: Callable[[int], object], device: torch.device, threads: int, seconds: float
) -> tuple[int, float]:
    """Return how often work was done and how long that took, warmed up, in about `seconds`."""
    work(1)
    once = _seconds(lambda: work(1), device, threads)
    times = max(1, int(seconds / max(once, 1e-4)))
    return times, _seconds(lambda: work(times), device, threads)


def _random_data(size: int, shape: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor]:
    inputs = streams.normals("calibration", count=size * int(np.prod(shape)))
    targets = torch.arange(size) % CLASSES
    return torch.from_numpy(inputs).float().reshape(size, *shape), targets


def _train_row(
    case: TrainCase, device: torch.device, threads: int, seconds: float
) -> tuple[Array, float]:
    network = Network(build(case.model, case.input_shape, CLASSES, 0)).to(device, torch.float32)
    one, labels = (part.to(device) for part in _random_data(case.size, case.input_shape))
    stacked = one.expand(case.seeds, *one.shape).contiguous()
    theta = network.theta.to(device).expand(case.seeds, -1).contiguous()

    def work(epochs: int) -> None:
        recipe = Recipe.model_validate(RECIPE | {"epochs": epochs, "batch_size": case.batch})
        many = labels.expand(case.seeds, -1)
        train(network, recipe, theta, stacked, many, one, labels, tuple(range(case.seeds)))

    epochs, taken = _long_enough(work, device, threads, seconds)
    counted = networks.module_cost(
        build(case.model, case.input_shape, CLASSES, 0), case.input_shape
    )
    steps = epochs * math.ceil(case.size / case.batch)
    row = cost.train_counts(counted, case.seeds, case.size, case.size, epochs, steps)
    return row, taken


def _measure(
    network: Network,
    theta: torch.Tensor,
    examples: Landscapes,
    directions: int,
    bounds: list[float],
) -> RaySet:
    scale = np.ones(network.num_parameters)
    evaluator = evaluator_of(network, theta, examples)
    minimum = Examined(evaluator, ("calibration",), scale, 10 * float(theta.norm()))
    return measure_rays([minimum], range(directions), bounds, "excess", 12)[0]


def _problem(case: RaysCase) -> tuple[Network, Landscapes, networks.NetworkCost]:
    network = Network(build(case.model, case.input_shape, CLASSES, 0))
    inputs, targets = _random_data(case.sizes[-1], case.input_shape)
    counted = networks.module_cost(network.module, case.input_shape)
    return network, Landscapes(inputs, targets, case.sizes, "cross_entropy"), counted


def _rays_row(
    case: RaysCase, device: torch.device, threads: int, seconds: float
) -> tuple[Array, float]:
    network, examples, counted = _problem(case)
    theta = network.theta.to(device)
    last: list[RaySet] = []

    def work(batches: int) -> None:
        last[:] = [_measure(network, theta, examples, case.together * batches, [0.1])]

    batches, taken = _long_enough(work, device, threads, seconds)
    rays = case.together * batches
    in_each = last[0].num_evaluations / rays
    return cost.rays_counts(counted, rays, list(case.sizes), in_each, 1), taken


def _volume_row(directions: int) -> tuple[Array, float]:
    cells = (20, 20)
    noise = streams.normals("calibration", "radii", count=math.prod(cells) * directions)
    log_radius = noise.reshape(*cells, directions) / 100
    crossings = np.ones(log_radius.shape, dtype=np.int16)

    def work(_times: int = 1) -> None:
        for _ in range(_times):
            volumes(log_radius, crossings, np.zeros(directions), 1000, False)

    times, taken = _long_enough(work, torch.device("cpu"), 1, 1.0)
    return np.array([float(times * math.prod(cells)), float(times * log_radius.size)]), taken


def _estimate_row(
    case: RaysCase, device: torch.device, threads: int, seconds: float
) -> tuple[Array, float]:
    """Return the counts and the time of chains that follow gradients, ten steps a move."""
    network, examples, counted = _problem(case)
    n = network.num_parameters
    basin = network_basin(network, network.theta.to(device), examples, 1e6, np.ones(n))
    shape = Preconditioner.diagonal(np.full(n, 0.01))
    if n <= MAX_FULL:
        shape = Preconditioner(shape.values, np.eye(n), 1.0, n)
    law = hmc.Tempered(basin, Lebesgue(), shape, 1.0, 1.0)
    rng = streams.generator("calibration", "chains")
    chains = hmc.place(basin, shape, rng.standard_normal((case.together, n)))
    asked = 0

    def work(times: int) -> None:
        nonlocal asked
        before = chains.num_evaluations
        for _ in range(times):
            hmc.move(law, 1.0, chains, Stride(0.1, 1.0), rng, is_tuned=False)
        asked = chains.num_evaluations - before

    _, taken = _long_enough(work, device, threads, seconds)
    return cost.estimate_counts(counted, asked, asked * case.sizes[-1]), taken


def _data_price() -> float:
    """Return the seconds that reading and checking a byte of a data set takes."""
    data = digits.load()
    many = np.tile(data.inputs, (50, 1, 1, 1))

    def work() -> None:
        standardized = (many.astype(np.float32) / 255 - many.mean()) / 2
        type(data)(
            data.name, standardized, data.targets, data.test_inputs, data.test_targets, 10, ""
        ).sha256()

    return _seconds(work, torch.device("cpu"), 1) / many.nbytes


def _per_ray(device: torch.device) -> tuple[float, float]:
    """Return the evaluations of a scan and of one cell, on a minimum of the handwritten digits."""
    data = digits.load()
    chosen = order(data.name, data.targets, 0)[:1200]
    inputs = torch.from_numpy(data.inputs[chosen]).to(device)
    targets = torch.from_numpy(data.targets[chosen]).to(device)
    network = Network(build("mlp-32", data.input_shape, CLASSES, 0)).to(device, torch.float32)
    recipe = Recipe(epochs=300, optimizer="adam", learning_rate=3e-3)
    theta = network.theta.to(device)[None]
    minima = train(network, recipe, theta, inputs[None], targets[None], inputs, targets, (0,))
    minimum = torch.from_numpy(minima.parameters[0]).to(device)
    rows, found = [], []
    for thresholds in ([0.1], [0.02, 0.1]):
        examples = Landscapes(inputs, targets, (20, 100, 400, 1200), "cross_entropy")
        rays = _measure(network, minimum, examples, 32, thresholds)
        for index, count in enumerate(rays.num_evaluations / 32):
            rows.append([1.0, len(thresholds) * (4.0 - index)])
            found.append(count)
    (scan, cell), _ = nnls(np.array(rows), np.array(found))
    return float(scan), float(cell)


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name()
    return f"{platform.machine()}, {os.cpu_count()} CPUs"
