"""Chains in networks' basins: compiled against the same algorithm with torch, and their arithmetic.

Two floors: the losses and gradients asked for, by the same compiled code without any chain; and
their multiply-adds, three times a loss's for a gradient, at the rate of a large matrix product of
the same precision.

    python benchmarks/networks.py --json benchmarks/records/networks.json
"""

from collections.abc import Callable

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from table import options, product_rate, report, seconds
from threadpoolctl import threadpool_limits

from basins import streams
from basins.datasets.load import load
from basins.directions.preconditioner import Preconditioner
from basins.losses import num_outputs
from basins.models.functional import Network, build
from basins.models.mlp_gradients import mean_gradients
from basins.models.mlp_kernels import mean_losses
from basins.rays.landscapes import Landscapes
from basins.rays.numba_path import NumbaEvaluator
from basins.rays.torch_path import TorchEvaluator
from basins.threads import share_out
from basins.volume import chords, hmc, of_network
from basins.volume.basin import Basin
from basins.volume.measures import Lebesgue
from basins.volume.rounding import fit_scale
from basins.volume.stride import MAX_STEPS
from basins.volume.tempered import first_stride

NETWORKS = (
    ("mlp-3", "swiss-roll", 10),
    ("mlp-32x5", "swiss-roll", 200),
    ("mlp-8", "digits", 20),
    ("mlp-32", "digits", 200),
    ("mlp-64-32", "digits", 1200),
)
NUM_CHAINS, NUM_MOVES, WARM_UP = 32, 10, 6
POINTS = 256  # of losses alone
LOSS = "cross_entropy"

Array = NDArray[np.float64]


def network_of(name: str, dataset: str) -> Network:
    """Return a network at its start."""
    data = load(dataset)
    return Network(build(name, data.input_shape, num_outputs(LOSS, data.num_classes), "benchmark"))


def landscape_of(dataset: str, num_examples: int) -> Landscapes:
    """Return the first examples of a data set."""
    data = load(dataset)
    inputs, targets = (torch.tensor(part[:num_examples]) for part in (data.inputs, data.targets))
    return Landscapes(inputs, targets, (num_examples,), LOSS)


def basin_of(name: str, dataset: str, num_examples: int, is_compiled: bool) -> Basin:
    """Return the basin of a network at its start, below a third above its loss, within its norm."""
    network, landscapes = network_of(name, dataset), landscape_of(dataset, num_examples)
    ones = np.ones(network.num_parameters)
    chosen = of_network.evaluator_of
    if not is_compiled:
        of_network.evaluator_of = TorchEvaluator
    try:
        own = of_network.network_basin(network, network.theta, landscapes, 1e6, ones)
        bound, norm = own.loss_at_minimum * 4 / 3, float(np.linalg.norm(own.minimum))
        return of_network.network_basin(network, network.theta, landscapes, bound, ones, norm)
    finally:
        of_network.evaluator_of = chosen


def losses_alone(name: str, dataset: str, num_examples: int, moves: str) -> float:
    """Return the seconds that compiled code takes for a loss, or half a gradient, and no moves."""
    network, landscapes = network_of(name, dataset), landscape_of(dataset, num_examples)
    evaluator = NumbaEvaluator(network, network.theta, landscapes)
    shape = (POINTS, network.num_parameters)
    points = evaluator.points(np.random.default_rng(0).normal(size=shape) / 100, np.ones(POINTS))
    room = np.empty(shape if moves == "gradients" else (POINTS, 1))
    kernel = mean_gradients if moves == "gradients" else mean_losses

    def work(rows: slice) -> None:
        kernel(points[rows], evaluator.problem, room[rows])

    operations = 3 * points.size * num_examples
    wall = min(seconds(lambda: share_out(work, POINTS, operations)) for _ in range(5))
    return wall / POINTS / (2 if moves == "gradients" else 1)


def start_of(basin: Basin) -> tuple[Preconditioner, Array]:
    """Return a round shape of which a good part lies in the basin, and points inside."""
    rng = streams.generator("benchmark", "start")
    guess = Preconditioner.diagonal(np.ones(basin.num_parameters))
    fit = fit_scale(basin, Lebesgue(), guess, rng)
    return fit.reference.shape, fit.inside[np.arange(NUM_CHAINS) % len(fit.inside)]


def chord_moves(basin: Basin) -> tuple[Callable[[bool], None], chords.Chains]:
    """Return work: sweeps of every chain along its three curves, brackets tuned if so asked."""
    shape, z = start_of(basin)
    widths = chords.first_widths(basin.num_parameters)
    chains = chords.Chains(z, shape.apply(z), widths)
    law = chords.Law(basin, Lebesgue(), shape, 0.0)
    rng = streams.generator("benchmark")

    def work(is_tuned: bool) -> None:
        for _ in range(NUM_MOVES):
            chords.sweep(law, chains, rng, is_tuned)

    return work, chains


def gradient_moves(basin: Basin) -> tuple[Callable[[bool], None], hmc.Particles]:
    """Return work: Hamiltonian trajectories of every chain, steps tuned if so asked."""
    shape, z = start_of(basin)
    n = basin.num_parameters
    law = hmc.Tempered(basin, Lebesgue(), shape, n / (2 * basin.height), n / basin.r_max**2)
    chains, stride = hmc.place(basin, shape, z), first_stride(n, MAX_STEPS)
    rng = streams.generator("benchmark")

    def work(is_tuned: bool) -> None:
        for _ in range(NUM_MOVES):
            hmc.move(law, 1.0, chains, stride, rng, is_tuned)

    return work, chains


def a_loss(name: str, basin: Basin) -> float:
    """Return the seconds a loss takes in the moves of this name, a gradient being two."""
    work, chains = (chord_moves if name == "chords" else gradient_moves)(basin)
    for _ in range(WARM_UP):
        work(True)
    before = chains.num_evaluations
    wall = seconds(lambda: work(False))
    return wall / (chains.num_evaluations - before)


def main() -> None:
    """Print the table."""
    asked = options(__doc__ or "").parse_args()
    numba.set_num_threads(min(asked.threads, numba.config.NUMBA_NUM_THREADS))
    torch.set_num_threads(asked.threads)
    rows: list[dict[str, object]] = []
    with threadpool_limits(asked.threads, user_api="blas"):
        rate = product_rate(torch.float32)
        for name, dataset, num_examples in NETWORKS:
            basins = [basin_of(name, dataset, num_examples, which) for which in (True, False)]
            n = basins[0].num_parameters
            for moves, passes in (("chords", 1), ("gradients", 3)):
                compiled, plain = (a_loss(moves, basin) for basin in basins)
                alone = losses_alone(name, dataset, num_examples, moves)
                # A gradient counts as two losses.
                floor = passes * n * num_examples / rate / (2 if moves == "gradients" else 1)
                rows.append(
                    {
                        "network": f"{name}, {dataset}",
                        "n": n,
                        "examples": num_examples,
                        "moves": moves,
                        "us a loss, compiled": 1e6 * compiled,
                        "us a loss, torch": 1e6 * plain,
                        "ratio": plain / compiled,
                        "times its losses alone": compiled / alone,
                        "times a large product": compiled / floor,
                    }
                )
    report("Chains in networks' basins, float32", rows, asked.threads, asked.json)


if __name__ == "__main__":
    main()
