"""Spectra of minima in landscapes: this library against curvlinops, SciPy and a loop; arithmetic.

Asked for are the ten largest eigenvalues, the smallest and the trace of the Hessian of every
minimum in every landscape, in float64. The plain way takes one minimum and one landscape at a time:
curvlinops' operator of all examples in one batch, SciPy's `eigsh` once for either end of the
spectrum, to the residuals that ours stop at, and curvlinops' `hutchpp_trace` of as many products.
Products alone are of as many vectors at once on both sides. The two ways take turns, and of each
the shortest time counts; "apart" is over the largest number. The arithmetic is what the products
need, two of the first layer's size and six of every other's (a pass forward and one back of the
examples, which vectors share, are left out), at the rate of a large product.

    python benchmarks/flatness.py --data digits --json benchmarks/records/flatness-digits.json
    BASINS_DATA=... python benchmarks/flatness.py --data mnist
"""

import copy
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from curvlinops import HessianLinearOperator, hutchpp_trace
from numpy.typing import NDArray
from scipy.sparse.linalg import eigsh
from table import options, product_rate, report, seconds
from threadpoolctl import threadpool_limits

from basins import device as devices
from basins.datasets.load import load
from basins.flatness import lanczos, meyer2020hutchpp
from basins.flatness.of_minima import Survey, Surveyed
from basins.models.functional import Network, build
from basins.models.mlp import layer_widths
from basins.rays.landscapes import Landscapes
from basins.study.recipe_keys import Recipe
from basins.training.loop import train

Array = NDArray[np.float64]

# Network, seeds, landscapes, epochs of a full batch of the largest.
CASES = {
    "digits": ("mlp-32", 5, (20, 200, 1200), 200),
    "mnist": ("mlp-256-128", 2, (60, 600), 40),
}
LOSS = "cross_entropy"
NUM_LARGEST, NUM_PRODUCTS = 10, meyer2020hutchpp.NUM_PRODUCTS


@dataclass(frozen=True)
class Found:
    """What was asked for, one row a minimum in a landscape, and how many products it took."""

    largest: Array
    smallest: Array
    traces: Array
    num_products: NDArray[np.int64]


def trained(data_name: str) -> tuple[Network, list[Surveyed]]:
    """Train one minimum a seed."""
    name, num_seeds, sizes, epochs = CASES[data_name]
    data, seeds = load(data_name), tuple(range(num_seeds))
    inputs, targets = (torch.tensor(part[: sizes[-1]]) for part in (data.inputs, data.targets))
    networks = [Network(build(name, data.input_shape, data.num_classes, seed)) for seed in seeds]
    recipe = Recipe(optimizer="adam", learning_rate=0.003, epochs=epochs)
    many = inputs.expand(num_seeds, *inputs.shape), targets.expand(num_seeds, -1)
    starts = torch.stack([network.theta for network in networks])
    minima = train(networks[0], recipe, starts, *many, inputs[:1], targets[:1], seeds)
    landscapes = Landscapes(inputs.double(), targets, sizes, LOSS)
    points = torch.from_numpy(minima.parameters).double()
    names = [("benchmark", seed) for seed in seeds]
    return networks[0], [
        Surveyed(one, point, landscapes, data.num_classes)
        for one, point in zip(names, points, strict=True)
    ]


def ours(network: Network, minima: list[Surveyed]) -> Found:
    """Measure all minima in all landscapes together."""
    survey = Survey(network, minima)
    ends = survey.extremes(NUM_LARGEST, is_gauss_newton=False)
    assert ends.is_converged.all()
    traces = [
        meyer2020hutchpp.trace(
            survey.hessian(int(minimum), int(landscape), False),
            network.num_parameters,
            *minima[minimum].names,
            int(landscape),
        ).value
        for minimum, landscape in zip(*survey.cells(), strict=True)
    ]
    return Found(ends.largest, ends.smallest, np.array(traces), ends.num_products + NUM_PRODUCTS)


def operator(network: Network, minimum: Surveyed, size: int) -> HessianLinearOperator:
    """Return curvlinops' operator of one minimum in one landscape."""
    module = copy.deepcopy(network.module).double().requires_grad_(True)
    torch.nn.utils.vector_to_parameters(minimum.theta, module.parameters())
    examples = minimum.landscapes.inputs[:size], minimum.landscapes.targets[:size]
    return HessianLinearOperator(
        module,
        torch.nn.CrossEntropyLoss(),
        list(module.parameters()),
        [examples],
        check_deterministic=False,
    )


def plain(network: Network, minima: list[Surveyed], known: Found) -> Found:
    """Measure one minimum in one landscape after another; `known` says how far `eigsh` has to go.

    Its tolerance is in units of each eigenvalue, ours in units of the largest.
    """
    largest, smallest, traces, counts = [], [], [], []
    for minimum in minima:
        for size in minimum.landscapes.sizes:
            row, count = len(traces), 0
            one = operator(network, minimum, size)
            other = one.to_scipy()

            def counted(vector: Array, other=other) -> Array:
                nonlocal count
                count += 1
                return other.matvec(vector)

            ends = np.append(known.largest[row], known.smallest[row])
            tolerances = lanczos.TOLERANCE * np.abs(ends).max() / np.abs(ends[-2:])
            matrix = type(other)(other.shape, matvec=counted, dtype=np.float64)
            keep = {"return_eigenvectors": False}
            upper = eigsh(matrix, NUM_LARGEST, which="LA", tol=tolerances[0], **keep)
            lower = eigsh(matrix, 1, which="SA", tol=tolerances[1], **keep)
            largest.append(np.sort(upper)[::-1])
            smallest.append(lower[0])
            traces.append(float(hutchpp_trace(one, NUM_PRODUCTS)))
            counts.append(count + NUM_PRODUCTS)
    return Found(np.stack(largest), np.array(smallest), np.array(traces), np.array(counts))


def multiply_adds(network: Network, size: int) -> int:
    """Return what a product of the Hessian with one vector needs."""
    widths = layer_widths(network.module)
    layers = [fan_in * fan_out for fan_in, fan_out in itertools.pairwise(widths)]
    return size * (2 * layers[0] + 6 * sum(layers[1:]))


def in_turn(repeats: int, *actions: Callable[[], object]) -> list[float]:
    """Return the shortest time of each of several actions that take turns."""
    times = [[seconds(action) for action in actions] for _ in range(repeats)]
    return np.min(times, axis=0).tolist()


def products_row(
    network: Network, minimum: Surveyed, size: int, num_vectors: int, rate: float, repeats: int
) -> dict[str, object]:
    """Return a row of products alone."""
    survey, kept = Survey(network, [minimum]), {}
    landscape = minimum.landscapes.sizes.index(size)
    rows = np.random.default_rng(0).normal(size=(num_vectors, network.num_parameters))
    columns, one = torch.from_numpy(rows.T.copy()), operator(network, minimum, size)

    def fast() -> None:
        kept["ours"] = survey.hessian(0, landscape, False)(rows)

    def slow() -> None:
        kept["theirs"] = (one @ columns).numpy().T

    fast()
    slow()
    quick, slowly = in_turn(repeats, fast, slow)
    return {
        "what": f"{num_vectors} products",
        "minima": 1,
        "landscapes": str(size),
        "curvlinops (s)": slowly,
        "ours (s)": quick,
        "ratio": slowly / quick,
        "products, curvlinops": num_vectors,
        "products, ours": num_vectors,
        "products a second, curvlinops": num_vectors / slowly,
        "products a second, ours": num_vectors / quick,
        "times the arithmetic": quick * rate / (num_vectors * multiply_adds(network, size)),
        "apart": float(abs(kept["ours"] - kept["theirs"]).max() / abs(kept["theirs"]).max()),
    }


def spectra_row(
    network: Network, minima: list[Surveyed], sizes: tuple[int, ...], rate: float, repeats: int
) -> dict[str, object]:
    """Return a row of eigenvalues and traces of all minima in some landscapes."""
    kept: dict[str, Found] = {}
    largest = minima[0].landscapes
    chosen = [
        Surveyed(
            one.names,
            one.theta,
            Landscapes(largest.inputs, largest.targets, sizes, LOSS),
            one.num_classes,
        )
        for one in minima
    ]

    def fast() -> None:
        kept["ours"] = ours(network, chosen)

    def slow() -> None:
        kept["plain"] = plain(network, chosen, kept["ours"])

    quick, slowly = in_turn(repeats, fast, slow)
    one, other = kept["ours"], kept["plain"]
    work = [multiply_adds(network, size) for size in sizes] * len(minima)
    differences = (
        np.column_stack([one.largest - other.largest, one.smallest - other.smallest])
        / one.largest[:, :1]
    )
    return {
        "what": f"{NUM_LARGEST} + 1 eigenvalues, trace",
        "minima": len(minima),
        "landscapes": ", ".join(map(str, sizes)),
        "curvlinops (s)": slowly,
        "ours (s)": quick,
        "ratio": slowly / quick,
        "products, curvlinops": int(other.num_products.sum()),
        "products, ours": int(one.num_products.sum()),
        "products a second, curvlinops": float(other.num_products.sum() / slowly),
        "products a second, ours": float(one.num_products.sum() / quick),
        "times the arithmetic": quick * rate / float(one.num_products @ work),
        "apart": float(np.abs(differences).max()),
    }


def main() -> None:
    """Run and print the table."""
    parser = options((__doc__ or "").splitlines()[0])
    parser.add_argument("--data", choices=CASES, default="digits")
    parser.add_argument("--repeats", type=int, default=3, help="times that the two take turns")
    asked = parser.parse_args()
    devices.set_up("cpu", asked.threads)
    name, _, sizes, _ = CASES[asked.data]
    with threadpool_limits(asked.threads, user_api="blas"):
        network, minima = trained(asked.data)
        rate = product_rate(torch.float64)
        # Loads compiled code, or compiles it.
        ours(network, minima[:1])
        measure = partial(products_row, network, minima[0], rate=rate, repeats=asked.repeats)
        rows = [measure(size, count) for size in sizes for count in (1, 20)]
        rows += [
            spectra_row(network, minima, some, rate, asked.repeats)
            for some in (*((size,) for size in sizes), sizes)
        ]
    title = f"Spectra: {name} on {asked.data}, n = {network.num_parameters:,}"
    report(title, rows, asked.threads, asked.json)


if __name__ == "__main__":
    main()
