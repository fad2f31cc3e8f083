"""Training ten seeds: in one job, one after another, and by plain torch.

Plain torch is what one would write for one seed: the module, `torch.optim.Adam`, one run after
another. All sides have the same threads, the same starts, the same full batches; no side counts the
start of a process. The floor is the multiply-adds, three times a loss's but twice in the first
layer, at the rate of a large product.

    python benchmarks/training.py --json benchmarks/records/training.json
"""

from collections.abc import Callable
from functools import partial

import numba
import numpy as np
import torch
from table import options, product_rate, report, seconds
from threadpoolctl import threadpool_limits
from torch.nn.functional import cross_entropy

from basins.datasets.load import load
from basins.models.functional import Network, build
from basins.study.recipe_keys import Recipe
from basins.training.loop import train

CASES = (("mlp-32", 20), ("mlp-32", 200), ("mlp-32", 1200), ("mlp-64-32", 20), ("mlp-64-32", 1200))
SEEDS, EPOCHS, RATE = 10, 300, 0.003


def best(work: Callable[[], None]) -> float:
    """Return the shorter of two times that the work takes."""
    return min(seconds(work) for _ in range(2))


def plain_torch(name: str, inputs: torch.Tensor, targets: torch.Tensor) -> list[float]:
    """Train one seed after another, and return their losses."""
    ends = []
    for seed in range(SEEDS):
        module = build(name, tuple(inputs.shape[1:]), 10, seed).train()
        optimizer = torch.optim.Adam(module.parameters(), lr=RATE)
        for _ in range(EPOCHS):
            optimizer.zero_grad()
            loss = cross_entropy(module(inputs), targets)
            loss.backward()
            optimizer.step()
        ends.append(loss.item())
    return ends


def ours(
    name: str, inputs: torch.Tensor, targets: torch.Tensor, seeds: tuple[int, ...]
) -> list[float]:
    """Train these seeds together, and return their losses before the last step."""
    shape = tuple(inputs.shape[1:])
    network = Network(build(name, shape, 10, 0))
    theta = torch.stack([Network(build(name, shape, 10, seed)).theta for seed in seeds])
    many = inputs.expand(len(seeds), *inputs.shape), targets.expand(len(seeds), -1)
    recipe = Recipe(optimizer="adam", learning_rate=RATE, epochs=EPOCHS)
    found = train(network, recipe, theta, *many, inputs[:1], targets[:1], seeds)
    return list(found.history_train_loss[:, -1])


def main() -> None:
    """Print the table."""
    asked = options(__doc__ or "").parse_args()
    torch.set_num_threads(asked.threads)
    numba.set_num_threads(min(asked.threads, numba.config.NUMBA_NUM_THREADS))
    data = load("digits")
    rows: list[dict[str, object]] = []
    with threadpool_limits(asked.threads, user_api="blas"):
        rate = product_rate(torch.float32)
        for name, size in CASES:
            examples = torch.tensor(data.inputs[:size]), torch.tensor(data.targets[:size])
            ends: dict[str, list[float]] = {}

            def together(name: str = name, examples=examples, ends=ends) -> None:
                ends["together"] = ours(name, *examples, tuple(range(SEEDS)))

            def alone(name: str = name, examples=examples) -> None:
                for seed in range(SEEDS):
                    ours(name, *examples, (seed,))

            def plain(name: str = name, examples=examples, ends=ends) -> None:
                ends["plain"] = plain_torch(name, *examples)

            first = seconds(partial(ours, name, *examples, (0,)))
            fast, one_by_one, slow = best(together), best(alone), best(plain)
            network = Network(build(name, data.input_shape, 10, 0))
            n, first_layer = network.num_parameters, network.layout[0].stop
            floor = (3 * n - first_layer) * size * EPOCHS * SEEDS / rate
            rows.append(
                {
                    "network": name,
                    "n": n,
                    "examples": size,
                    "first call, one seed (s)": first,
                    "ten seeds in one job (s)": fast,
                    "ten jobs' loops (s)": one_by_one,
                    "ten runs of plain torch (s)": slow,
                    "ratio to ten jobs": one_by_one / fast,
                    "ratio to plain torch": slow / fast,
                    "times the arithmetic": fast / floor,
                    "losses apart": float(
                        np.abs(np.log(np.divide(ends["together"], ends["plain"]))).max()
                    ),
                }
            )
    title = f"Training: digits, {SEEDS} seeds, {EPOCHS} full-batch epochs of Adam"
    report(title, rows, asked.threads, asked.json)


if __name__ == "__main__":
    main()
