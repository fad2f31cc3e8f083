"""Radii of an MNIST or digits network: this library against the published way.

The published way (arXiv 2511.04808): one direction, one landscape at a time, the loss at each of
100 coefficients x^2 with x in [0, 1], the first one above the threshold. Both sides measure the
same network along the same directions with the same threads.

    python benchmarks/rays.py --data digits
    BASINS_DATA=... python benchmarks/rays.py --data mnist --examples 6000
"""

from functools import partial

import numba
import numpy as np
import torch
from table import options, report, seconds

from basins.datasets.load import load
from basins.directions.coordinates import scaling
from basins.directions.isotropic import directions
from basins.models.functional import Network, build
from basins.rays.evaluators import evaluator_of
from basins.rays.landscapes import Landscapes
from basins.rays.measure_rays import measure_rays
from basins.study.schema import Recipe
from basins.training.loop import train

MODELS = {"digits": "mlp-64-32", "mnist": "mlp-256-128", "swiss-roll": "mlp-32x5"}
GRID = np.linspace(0, 1, 100) ** 2
THRESHOLD = 0.1


def minimum(data, name: str, examples: int) -> tuple[Network, torch.Tensor]:
    """Train one minimum on the first `examples` examples."""
    network = Network(build(name, data.input_shape, 10, 0))
    inputs = torch.from_numpy(data.inputs[:examples])[None]
    targets = torch.from_numpy(data.targets[:examples])[None]
    recipe = Recipe(optimizer="adam", learning_rate=0.003, epochs=150)
    found = train(
        network, recipe, network.theta[None], inputs, targets, inputs[0], targets[0], (0,)
    )
    return network, torch.from_numpy(found.parameters[0])


def published(network: Network, theta: torch.Tensor, data, sizes, steps, log_norms) -> np.ndarray:
    """Return radii (landscapes, directions) by the loop over the grid."""
    radii = np.full((len(sizes), len(steps)), np.nan)
    for row, size in enumerate(sizes):
        inputs = torch.from_numpy(data.inputs[:size])
        targets = torch.from_numpy(data.targets[:size])
        for index, step in enumerate(steps):
            direction = torch.from_numpy(step * np.exp(log_norms[index])).float()
            losses = np.empty(100)
            with torch.no_grad():
                for k, coefficient in enumerate(GRID):
                    outputs = network.apply(theta + coefficient * direction, inputs)
                    losses[k] = torch.nn.functional.cross_entropy(outputs, targets)
            above = np.flatnonzero(losses > THRESHOLD)
            if len(above):
                radii[row, index] = GRID[above[0]] * np.exp(log_norms[index])
    return radii


def main() -> None:
    """Run and print the table."""
    parser = options(__doc__.splitlines()[0])
    parser.add_argument("--data", choices=MODELS, default="digits")
    parser.add_argument("--examples", type=int, default=1200)
    parser.add_argument("--directions", type=int, default=16)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    numba.set_num_threads(min(arguments.threads, numba.config.NUMBA_NUM_THREADS))
    data = load(arguments.data)
    network, theta = minimum(data, MODELS[arguments.data], arguments.examples)
    scale, _ = scaling(network.layout, theta.double().numpy(), "filter")
    r_max = 10 * float(np.linalg.norm(theta.double().numpy() / scale))
    n = network.num_parameters
    rows = []
    for sizes in (
        [arguments.examples],
        [arguments.examples // 60, arguments.examples // 10, arguments.examples],
    ):
        examples = Landscapes(
            torch.from_numpy(data.inputs),
            torch.from_numpy(data.targets),
            tuple(sizes),
            "cross_entropy",
        )
        names = ("benchmark", arguments.data)
        unit, log_norms = directions(names, range(arguments.directions), n)
        kept = {}

        def ours(
            count=arguments.directions, sizes=sizes, examples=examples, names=names, kept=kept
        ) -> None:
            evaluator = evaluator_of(network, theta, examples)
            kept["rays"] = measure_rays(
                evaluator,
                names,
                range(count),
                scale,
                len(sizes),
                [THRESHOLD],
                "loss",
                r_max,
                12,
            )

        def theirs(sizes=sizes, unit=unit, log_norms=log_norms, kept=kept) -> None:
            kept["grid"] = published(network, theta, data, sizes, unit * scale, log_norms)

        # Loads compiled code, or compiles it; what one ray takes beyond its share.
        once, fast, slow = seconds(partial(ours, 1)), seconds(ours), seconds(theirs)
        solved = np.exp(kept["rays"].log_radius[:, 0])
        cell = np.nanmedian(np.log(kept["grid"] / solved))
        rows.append(
            {
                "landscapes": len(sizes),
                "directions": arguments.directions,
                "published (s)": slow,
                "ours (s)": fast,
                "first call, one ray (s)": once,
                "ratio": slow / fast,
                "passes a ray, largest landscape": kept["rays"].num_evaluations[-1]
                / arguments.directions,
                "published error n d(ln r) (nat)": n * cell,
                "our tolerance n d(ln r) (nat)": n * float(kept["rays"].log_radius_tolerance.max()),
            }
        )
    name = MODELS[arguments.data]
    title = f"Rays: {name} on {arguments.data}, n = {n:,}, {arguments.examples:,} examples"
    report(title, rows, arguments.threads, arguments.json)


if __name__ == "__main__":
    main()
