"""Volumes of a network of 235,146 parameters: an MLP of 256 and 128 units in the landscape of 600.

Trained on 600 examples of MNIST to a loss of 1e-3 by Adam; filter coordinates, loss below 0.1,
basins end at `--norms` norms of the minimum. `annealed` stops after `--losses` and says what it
has, converged or not.

    BASINS_DATA=data python benchmarks/mnist.py --json benchmarks/records/mnist.json
"""

import functools

import numba
import numpy as np
import torch
from table import options, report, seconds
from threadpoolctl import threadpool_limits
from torch.nn.functional import cross_entropy

from basins.datasets.load import load
from basins.directions.coordinates import scaling
from basins.models.functional import Network, build
from basins.rays.landscapes import Landscapes
from basins.volume import Volume, estimate
from basins.volume.basin import Basin
from basins.volume.of_network import network_basin

NUM_EXAMPLES, THRESHOLD, ENOUGH = 600, 0.1, 1e-3
DIRECTIONS = 200


def trained_basin(norms: float) -> Basin:
    """Return the basin of a network trained here."""
    data = load("mnist")
    chosen = np.random.default_rng(0).permutation(len(data.inputs))[:NUM_EXAMPLES]
    inputs = torch.tensor(data.inputs[chosen], dtype=torch.float32)
    targets = torch.tensor(data.targets[chosen])
    module = build("mlp-256-128", data.input_shape, data.num_classes, "benchmark")
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-3)
    loss = torch.tensor(torch.inf)
    while loss > ENOUGH:
        optimizer.zero_grad()
        loss = cross_entropy(module(inputs), targets)
        loss.backward()
        optimizer.step()
    network = Network(module)
    landscapes = Landscapes(inputs, targets, (NUM_EXAMPLES,), "cross_entropy")
    anchor = network.theta.double().numpy()
    scale, _ = scaling(network.layout, anchor, "filter")
    r_max = norms * float(np.linalg.norm(anchor / scale))
    return network_basin(network, network.theta, landscapes, THRESHOLD, scale, r_max)


def measure(basin: Basin, estimator: str, losses: float, found: list[Volume]) -> None:
    """Add a volume to `found`."""
    found.append(
        estimate(basin, estimator, directions=DIRECTIONS, max_evaluations=losses, stderr=1.0)
    )


def main() -> None:
    """Print the table."""
    parser = options((__doc__ or "").splitlines()[0])
    parser.add_argument("--norms", type=float, default=1.5, help="where basins end (default 1.5)")
    parser.add_argument("--losses", type=float, default=4e5, help="of annealed (default 4e5)")
    asked = parser.parse_args()
    numba.set_num_threads(min(asked.threads, numba.config.NUMBA_NUM_THREADS))
    torch.set_num_threads(asked.threads)
    rows: list[dict[str, object]] = []
    found: list[Volume] = []
    with threadpool_limits(asked.threads, user_api="blas"):
        basin = trained_basin(asked.norms)
        for estimator in ("rays", "importance", "annealed"):
            wall = seconds(functools.partial(measure, basin, estimator, asked.losses, found))
            volume = found[-1]
            rows.append(
                {
                    "estimator": estimator,
                    "ln V, nats": f"{volume.log_volume:.2f}",
                    "stated error": volume.stderr,
                    "lower bound": volume.is_lower_bound,
                    "converged": volume.is_converged,
                    "losses": volume.num_evaluations,
                    "seconds": wall,
                }
            )
    title = f"Volumes of {basin.num_parameters:,} parameters, {asked.norms:g} norms"
    report(title, rows, asked.threads, asked.json)


if __name__ == "__main__":
    main()
