"""Spectra and traces of several minima in several landscapes, against curvlinops one at a time.

Both sides in float64 and with the same threads: the ten largest eigenvalues and the smallest, by
our Lanczos for all cells together, and by SciPy's eigsh of curvlinops' operator cell after cell,
both to a residual of 1e-6; traces by Hutch++ with the same number of products; and a block of
products with the largest landscape's Hessian alone. Minima after a few epochs of training.

    python benchmarks/flatness.py --json benchmarks/records/flatness.json
"""

from collections.abc import Callable

import numpy as np
import torch
from curvlinops import HessianLinearOperator, hutchpp_trace
from numpy.typing import NDArray
from scipy.sparse.linalg import eigsh
from table import least_seconds, options, product_rate, report, seconds
from threadpoolctl import threadpool_limits
from torch import nn

from basins.datasets.load import load
from basins.datasets.subsets import order
from basins.flatness import lanczos, meyer2020hutchpp
from basins.flatness.of_minima import Survey, Surveyed
from basins.losses import num_outputs
from basins.models.functional import Network, build, initial_parameters
from basins.rays.landscapes import Landscapes
from basins.study.schema import Recipe
from basins.training.loop import train

CASES = (
    ("mlp-32", "digits", (20, 200, 1200), 3),
    ("mlp-64-32", "digits", (20, 200, 1200), 3),
    ("mlp-256-128", "mnist", (60, 600), 2),
)
NUM_LARGEST, NUM_PRODUCTS, BLOCK = 10, 60, 32
LOSS = "cross_entropy"

Array = NDArray[np.float64]


def minima_of(
    name: str, dataset: str, sizes: tuple[int, ...], seeds: int
) -> tuple[Network, list[Surveyed]]:
    """Return a network and minima trained a little on the largest landscape."""
    data = load(dataset)
    outputs = num_outputs(LOSS, data.num_classes)
    network = Network(build(name, data.input_shape, outputs, 0)).to(
        torch.device("cpu"), torch.float32
    )
    listed = np.stack(
        [order(data.name, data.targets, seed, False)[: sizes[-1]] for seed in range(seeds)]
    )
    start = torch.stack(
        [
            initial_parameters(name, data.input_shape, outputs, name, dataset, k)
            for k in range(seeds)
        ]
    )
    inputs, targets = torch.from_numpy(data.inputs[listed]), torch.from_numpy(data.targets[listed])
    tests = torch.from_numpy(data.test_inputs[:100]), torch.from_numpy(data.test_targets[:100])
    recipe = Recipe(optimizer="adam", learning_rate=1e-3, epochs=30)
    found = train(network, recipe, start, inputs, targets, *tests, tuple(range(seeds)))
    return network, [
        Surveyed(
            ("benchmark", k),
            torch.from_numpy(found.parameters[k]).double(),
            Landscapes(inputs[k], targets[k], sizes, LOSS),
            data.num_classes,
        )
        for k in range(seeds)
    ]


def operator_of(network: Network, one: Surveyed, size: int) -> HessianLinearOperator:
    """Return curvlinops' Hessian of a minimum in a landscape, its examples in one batch."""
    module = Network(network.module).to(torch.device("cpu"), torch.float64).module
    module.requires_grad_(True)
    nn.utils.vector_to_parameters(one.theta, module.parameters())
    examples = one.landscapes.inputs[:size].double(), one.landscapes.targets[:size]
    parameters = list(module.parameters())
    loss = nn.CrossEntropyLoss()
    return HessianLinearOperator(module, loss, parameters, [examples], check_deterministic=False)


def one_at_a_time(
    network: Network, minima: list[Surveyed], measure: Callable[[HessianLinearOperator], object]
) -> list[object]:
    """Return a measure of every minimum in every landscape, by a plain loop."""
    return [
        measure(operator_of(network, one, size)) for one in minima for size in one.landscapes.sizes
    ]


def eigenvalues(operator: HessianLinearOperator) -> Array:
    """Return the largest eigenvalues, descending, and the smallest."""
    given = {"return_eigenvectors": False, "tol": lanczos.TOLERANCE}
    matrix = operator.to_scipy(dtype=np.float64)
    largest = eigsh(matrix, k=NUM_LARGEST, which="LA", **given)
    smallest = eigsh(matrix, k=1, which="SA", **given)
    return np.append(np.sort(largest)[::-1], smallest)


def row_of(name: str, dataset: str, sizes: tuple[int, ...], seeds: int) -> dict[str, object]:
    """Return one line of the table."""
    network, minima = minima_of(name, dataset, sizes, seeds)
    n = network.num_parameters
    survey = Survey(network, minima)
    survey.extremes(1, is_gauss_newton=False)  # compiles
    found: list[lanczos.Extremes] = []
    ours = seconds(lambda: found.append(survey.extremes(NUM_LARGEST, is_gauss_newton=False)))
    theirs: list[Array] = []
    plain = seconds(lambda: theirs.extend(one_at_a_time(network, minima, eigenvalues)))
    mine = np.column_stack([found[0].largest, found[0].smallest])
    apart = float((abs(mine - np.stack(theirs)) / abs(mine).max(axis=1, keepdims=True)).max())

    def traces() -> None:
        for one in range(seeds):
            for landscape in range(len(sizes)):
                product = survey.hessian(one, landscape, False)
                meyer2020hutchpp.trace(product, n, one, landscape, num_products=NUM_PRODUCTS)

    def plain_traces() -> None:
        one_at_a_time(network, minima, lambda matrix: hutchpp_trace(matrix, NUM_PRODUCTS))

    trace, plain_trace = seconds(traces), seconds(plain_traces)
    block = np.random.default_rng(0).normal(size=(BLOCK, n))
    product, operator = survey.hessian(0, -1, False), operator_of(network, minima[0], sizes[-1])
    columns = torch.from_numpy(block.T.copy())
    alone = least_seconds(lambda: product(block))
    plain_alone = least_seconds(lambda: operator @ columns)
    # Two products forth, two back, two for the gradient; of the first layer one forth and one then.
    weights = [part.numel() for part in network.module.parameters() if part.ndim > 1]
    operations = BLOCK * sizes[-1] * (2 * weights[0] + 6 * sum(weights[1:]))
    floor = operations / product_rate(torch.float64)
    return {
        "network": f"{name}, {dataset}",
        "n": n,
        "landscapes": "/".join(map(str, sizes)),
        "minima": seeds,
        "eigenvalues: ours (s)": ours,
        "curvlinops (s)": plain,
        "ratio": plain / ours,
        "apart": apart,
        "traces: ours (s)": trace,
        "curvlinops (s) ": plain_trace,
        "ratio ": plain_trace / trace,
        "32 products: ours (s)": alone,
        "curvlinops (s)  ": plain_alone,
        "ratio  ": plain_alone / alone,
        "times the arithmetic": alone / floor,
    }


def main() -> None:
    """Print the table."""
    asked = options(__doc__ or "").parse_args()
    torch.set_num_threads(asked.threads)
    with threadpool_limits(asked.threads):
        rows = [row_of(*case) for case in CASES]
    title = "Flatness: spectra and traces of minima in their landscapes, against curvlinops"
    report(title, rows, asked.threads, asked.json)


if __name__ == "__main__":
    main()
