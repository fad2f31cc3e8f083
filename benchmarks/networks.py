"""Chains in networks' basins: compiled against the same algorithm with torch, and their arithmetic.

Two floors: the matrix products of the losses or gradients asked for, bare, each of the shape that
it has in the network, as fast as compiled code does them and nothing else; and their multiply-adds
at the rate of one large product. A slice move makes the first layer's products once a curve, which
neither floor knows of.

    python benchmarks/networks.py --json benchmarks/records/networks.json
"""

from collections.abc import Callable

import numba
import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from table import options, report, seconds
from threadpoolctl import threadpool_limits

from basins.datasets.load import load
from basins.directions.preconditioner import Preconditioner
from basins.losses import num_outputs
from basins.models.functional import Network, build
from basins.rays.landscapes import Landscapes
from basins.rays.mlp_kernels import BLOCK, Numbers, product
from basins.rays.numba_path import layer_widths, share_out
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
LOSS = "cross_entropy"

Array = NDArray[np.float64]


def gemm_rate(dtype: type, size: int = 1024) -> float:
    """Return multiply-adds a second of a large matrix product."""
    matrix = np.random.default_rng(0).normal(size=(size, size)).astype(dtype)
    matrix @ matrix
    return size**3 / min(seconds(lambda: matrix @ matrix) for _ in range(5))


@njit(nogil=True)
def multiply(widths: Numbers, blocks: Numbers, passes: int, repeats: int, room: Numbers) -> None:
    """Make the products of a network's layers on blocks of examples, and in 3 passes those back.

    `room` holds three arrays large enough for any factor or product, in the networks' precision.
    """
    for _ in range(repeats):
        for count in blocks:
            for layer in range(len(widths) - 1):
                fan_in, fan_out = widths[layer], widths[layer + 1]
                for index in range(2 if passes == 3 and layer == 0 else passes):
                    a, b, c = fan_out, fan_in, count
                    if index == 1:
                        a, b, c = fan_out, count, fan_in
                    elif index == 2:
                        a, b, c = fan_in, fan_out, count
                    product(
                        room[0][: a * b].reshape(a, b),
                        room[1][: b * c].reshape(b, c),
                        room[2][: a * c].reshape(a, c),
                    )


def bare_products(name: str, dataset: str, num_examples: int, passes: int) -> float:
    """Return seconds of the products of a loss (1 pass) or gradient (3), all threads busy."""
    network = network_of(name, dataset)
    widths = layer_widths(network.module)
    assert widths is not None
    blocks = np.diff([*range(0, num_examples, BLOCK), num_examples])
    largest = max(network.num_parameters, max(widths) * BLOCK)
    repeats = max(1, int(1e8 / (passes * network.num_parameters * num_examples)))

    def work(_: slice) -> None:
        multiply(np.array(widths), blocks, passes, repeats, np.ones((3, largest), np.float32))

    threads = numba.get_num_threads()
    wall = min(seconds(lambda: share_out(work, threads, 10**9)) for _ in range(5))
    return wall / (repeats * threads)


def network_of(name: str, dataset: str) -> Network:
    """Return a network at its start."""
    data = load(dataset)
    return Network(build(name, data.input_shape, num_outputs(LOSS, data.num_classes), "benchmark"))


def basin_of(name: str, dataset: str, num_examples: int, is_compiled: bool) -> Basin:
    """Return the basin of a network at its start, below a third above its loss, within its norm."""
    data, network = load(dataset), network_of(name, dataset)
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
        bound, norm = own.loss_at_minimum * 4 / 3, float(np.linalg.norm(own.minimum))
        return of_network.network_basin(network, network.theta, landscapes, bound, ones, norm)
    finally:
        of_network.is_understood = understood


def start_of(basin: Basin) -> tuple[Preconditioner, Array]:
    """Return a round shape of which a good part lies in the basin, and points inside."""
    rng = np.random.default_rng(1)
    guess = Preconditioner.diagonal(np.ones(basin.num_parameters))
    fit = fit_scale(basin, Lebesgue(), guess, rng)
    return fit.reference.shape, fit.inside[np.arange(NUM_CHAINS) % len(fit.inside)]


def chord_moves(basin: Basin) -> tuple[Callable[[bool], None], chords.Chains]:
    """Return work: sweeps of every chain along its three curves, brackets tuned if so asked."""
    shape, z = start_of(basin)
    widths = chords.first_widths(basin.num_parameters)
    chains = chords.Chains(z, shape.apply(z), widths)
    law = chords.Law(basin, Lebesgue(), shape, 0.0)
    rng = np.random.default_rng(2)

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
    rng = np.random.default_rng(2)

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
        rate = gemm_rate(np.float32)
        for name, dataset, num_examples in NETWORKS:
            basins = [basin_of(name, dataset, num_examples, which) for which in (True, False)]
            n = basins[0].num_parameters
            for moves, passes in (("chords", 1), ("gradients", 3)):
                compiled, plain = (a_loss(moves, basin) for basin in basins)
                # A gradient counts as two losses.
                share = 1 if passes == 1 else 2
                bare = bare_products(name, dataset, num_examples, passes) / share
                floor = passes * n * num_examples / rate / share
                rows.append(
                    {
                        "network": f"{name}, {dataset}",
                        "n": n,
                        "examples": num_examples,
                        "moves": moves,
                        "us a loss, compiled": 1e6 * compiled,
                        "us a loss, torch": 1e6 * plain,
                        "ratio": plain / compiled,
                        "times bare products": compiled / bare,
                        "times a large product": compiled / floor,
                    }
                )
    report("Chains in networks' basins, float32", rows, asked.threads, asked.json)


if __name__ == "__main__":
    main()
