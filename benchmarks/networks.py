"""Chains in networks' basins: compiled against the same algorithm with torch, and their arithmetic.

The floor is the multiply-adds of the losses asked for, a gradient being three, at the rate of a
large matrix product of the same precision; a slice move makes the first layer's products once.

    python benchmarks/networks.py --json benchmarks/records/networks.json
"""

from collections.abc import Callable

import numba
import numpy as np
import torch
from table import options, report, seconds
from threadpoolctl import threadpool_limits

from basins.datasets.load import load
from basins.directions.preconditioner import Preconditioner
from basins.losses import num_outputs
from basins.models.functional import Network, build
from basins.rays.landscapes import Landscapes
from basins.volume import chords, hmc, of_network
from basins.volume.basin import Basin
from basins.volume.measures import Lebesgue
from basins.volume.stride import Stride

NETWORKS = (
    ("mlp-3", "swiss-roll", 10),
    ("mlp-32x5", "swiss-roll", 200),
    ("mlp-8", "digits", 20),
    ("mlp-32", "digits", 200),
    ("mlp-64-32", "digits", 1200),
)
NUM_CHAINS, NUM_MOVES = 32, 20
LOSS = "cross_entropy"


def gemm_rate(dtype: type, size: int = 1024) -> float:
    """Return multiply-adds a second of a large matrix product."""
    matrix = np.random.default_rng(0).normal(size=(size, size)).astype(dtype)
    matrix @ matrix
    return size**3 / min(seconds(lambda: matrix @ matrix) for _ in range(5))


def basin_of(name: str, dataset: str, num_examples: int, is_compiled: bool) -> Basin:
    """Return the ball around a network at its start, cut by a loss a third above its own."""
    data = load(dataset)
    outputs = num_outputs(LOSS, data.num_classes)
    network = Network(build(name, data.input_shape, outputs, "benchmark"))
    landscapes = Landscapes(
        torch.tensor(data.inputs[:num_examples]),
        torch.tensor(data.targets[:num_examples]),
        (num_examples,),
        LOSS,
    )
    ones = np.ones(network.num_parameters)
    understood = of_network.is_understood
    if not is_compiled:
        of_network.is_understood = lambda *_: False
    try:
        own = of_network.network_basin(network, network.theta, landscapes, 1e6, ones)
        bound = own.loss_at_minimum * 4 / 3
        return of_network.network_basin(network, network.theta, landscapes, bound, ones)
    finally:
        of_network.is_understood = understood


def chord_moves(basin: Basin) -> tuple[Callable[[], None], chords.Chains]:
    """Return work: sweeps of every chain along its three curves."""
    n = basin.num_parameters
    shape = Preconditioner.diagonal(np.full(n, 0.5 / np.sqrt(n)))
    z = np.random.default_rng(1).normal(size=(NUM_CHAINS, n)) * 0.3
    chains = chords.Chains(z, shape.apply(z), chords.first_widths(n))
    law = chords.Law(basin, Lebesgue(), shape, 0.0)
    rng = np.random.default_rng(2)

    def work() -> None:
        for _ in range(NUM_MOVES):
            chords.sweep(law, chains, rng, is_tuned=True)

    work()
    return work, chains


def gradient_moves(basin: Basin) -> tuple[Callable[[], None], hmc.Particles]:
    """Return work: Hamiltonian trajectories of ten steps of every chain."""
    n = basin.num_parameters
    shape = Preconditioner.diagonal(np.full(n, 0.5 / np.sqrt(n)))
    law = hmc.Tempered(basin, Lebesgue(), shape, n / (2 * basin.height), 1.0)
    z = np.random.default_rng(1).normal(size=(NUM_CHAINS, n)) * 0.3
    chains = hmc.place(basin, shape, z)
    rng = np.random.default_rng(2)

    def work() -> None:
        for _ in range(NUM_MOVES):
            hmc.move(law, 1.0, chains, Stride(0.1, 1.0), rng, is_tuned=False)

    work()
    return work, chains


def main() -> None:
    """Print the table."""
    asked = options(__doc__ or "").parse_args()
    numba.set_num_threads(min(asked.threads, numba.config.NUMBA_NUM_THREADS))
    torch.set_num_threads(asked.threads)
    rows: list[dict[str, object]] = []
    with threadpool_limits(asked.threads, user_api="blas"):
        rate = gemm_rate(np.float32)
        for name, dataset, num_examples in NETWORKS:
            for moves, start in (("chords", chord_moves), ("gradients", gradient_moves)):
                taken, losses = {}, 0
                for is_compiled in (True, False):
                    basin = basin_of(name, dataset, num_examples, is_compiled)
                    work, chains = start(basin)
                    before = chains.num_evaluations
                    wall = seconds(work)
                    losses = chains.num_evaluations - before
                    taken[is_compiled] = wall / losses
                passes = 1.5 if moves == "gradients" else 1.0
                floor = passes * basin.num_parameters * num_examples / rate
                rows.append(
                    {
                        "network": f"{name}, {dataset}",
                        "n": basin.num_parameters,
                        "examples": num_examples,
                        "moves": moves,
                        "us a loss, compiled": 1e6 * taken[True],
                        "us a loss, torch": 1e6 * taken[False],
                        "ratio": taken[False] / taken[True],
                        "times the floor": taken[True] / floor,
                    }
                )
    report("Chains in networks' basins, float32", rows, asked.threads, asked.json)


if __name__ == "__main__":
    main()
