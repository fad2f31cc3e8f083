"""How cost grows: rays against directions, examples, landscapes and parameters; training, seeds.

Networks at their start on random examples of 64 features, thresholds 0.1 above their loss. The
exponent is the slope of ln(seconds) in ln(size) over the larger half of the sizes.

    python benchmarks/growth.py --figure docs/images/growth.png
"""

from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import numba
import numpy as np
import torch
from matplotlib import pyplot as plt
from matplotlib.ticker import NullFormatter
from table import options, report, seconds
from threadpoolctl import threadpool_limits

from basins.models.functional import Network, build
from basins.rays.evaluators import evaluator_of
from basins.rays.landscapes import Landscapes
from basins.rays.measure_rays import Examined, measure_rays
from basins.study.recipe_keys import Recipe
from basins.training.loop import train

FEATURES, CLASSES = 64, 10
DIRECTIONS, EXAMPLES, WIDTH, SEEDS = 64, 1200, 64, 8
REPEATS = 3


def random_data(examples: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return random inputs and classes."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(examples, FEATURES, generator=generator)
    return inputs, torch.randint(0, CLASSES, (examples,), generator=generator)


def rays(
    directions: int = DIRECTIONS,
    examples: int = EXAMPLES,
    landscapes: int = 1,
    width: int = WIDTH,
) -> Callable[[], object]:
    """Return work: the rays of one network with two hidden layers."""
    network = Network(build(f"mlp-{width}x2", (FEATURES,), CLASSES, 0))
    sizes = np.unique(np.linspace(examples / landscapes, examples, landscapes).astype(int))
    examined = Landscapes(*random_data(examples), tuple(sizes.tolist()), "cross_entropy")
    evaluator = evaluator_of(network, network.theta, examined)
    scale, r_max = np.ones(network.num_parameters), 10 * float(network.theta.norm())
    minimum = Examined(evaluator, ("growth",), scale, r_max)
    return lambda: measure_rays([minimum], range(directions), [0.1], "excess", 12)


def training(seeds: int = SEEDS) -> Callable[[], object]:
    """Return work: 30 epochs of Adam for some seeds."""
    network = Network(build(f"mlp-{WIDTH}x2", (FEATURES,), CLASSES, 0))
    inputs, targets = random_data(EXAMPLES)
    many = inputs.expand(seeds, *inputs.shape), targets.expand(seeds, -1)
    theta = network.theta.expand(seeds, -1).clone()
    recipe = Recipe(optimizer="adam", learning_rate=0.001, epochs=30)
    few = inputs[:10], targets[:10]
    return lambda: train(network, recipe, theta, *many, *few, tuple(range(seeds)))


def parameters(width: int) -> int:
    """Return how many parameters `rays` moves at this width."""
    return width * (FEATURES + 1) + width * (width + 1) + CLASSES * (width + 1)


SWEEPS: dict[str, tuple[list[int], Callable[[int], Callable[[], object]]]] = {
    "directions": ([16, 32, 64, 128, 256, 512], lambda size: rays(directions=size)),
    "examples": ([300, 600, 1200, 2400, 4800, 9600], lambda size: rays(examples=size)),
    "landscapes": ([1, 2, 4, 8, 16, 32], lambda size: rays(landscapes=size)),
    "width": ([16, 32, 64, 128, 256, 512], lambda size: rays(width=size)),
    "seeds": ([1, 2, 4, 8, 16, 32], lambda size: training(seeds=size)),
}


def exponent(sizes: list[int], taken: list[float]) -> float:
    """Return the slope over the larger half."""
    half = len(sizes) // 2
    return float(np.polyfit(np.log(sizes[half:]), np.log(taken[half:]), 1)[0])


def draw(measured: dict[str, tuple[list[int], list[float]]], path: Path) -> None:
    """Draw all sweeps, one panel each."""
    mpl.use("agg")
    figure, panels = plt.subplots(1, len(measured), figsize=(13, 2.8), sharey=True, layout="tight")
    for panel, (name, (sizes, taken)) in zip(panels, measured.items(), strict=True):
        panel.loglog(sizes, taken, "o-", color="tab:blue", markersize=4)
        panel.set_xticks([sizes[0], sizes[-1]], [f"{sizes[0]:,}", f"{sizes[-1]:,}"])
        panel.xaxis.set_minor_formatter(NullFormatter())
        panel.set_xlabel(name)
        panel.set_title(f"exponent {exponent(sizes, taken):.2f}", fontsize=10)
        panel.grid(visible=True, which="major", alpha=0.3)
    panels[0].set_ylabel("seconds")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Print the table, and draw it if asked."""
    parser = options(__doc__ or "")
    parser.add_argument("--figure", type=Path, help="PNG file to draw")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    numba.set_num_threads(min(asked.threads, numba.config.NUMBA_NUM_THREADS))
    measured: dict[str, tuple[list[int], list[float]]] = {}
    rows: list[dict[str, object]] = []
    with threadpool_limits(asked.threads, user_api="blas"):
        for name, (sizes, make) in SWEEPS.items():
            make(sizes[0])()
            taken = [min(seconds(work) for _ in range(REPEATS)) for work in map(make, sizes)]
            shown = [parameters(size) for size in sizes] if name == "width" else sizes
            label = "parameters" if name == "width" else name
            measured[label] = shown, taken
            rows.append(
                {
                    "against": label,
                    "from": shown[0],
                    "to": shown[-1],
                    "seconds at the first": taken[0],
                    "seconds at the last": taken[-1],
                    "exponent": exponent(shown, taken),
                }
            )
    report("Growth of cost", rows, asked.threads, asked.json)
    if asked.figure:
        draw(measured, asked.figure)


if __name__ == "__main__":
    main()
