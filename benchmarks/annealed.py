"""What a calibrated volume costs, in losses and seconds, against n, and what rays make of the same.

Ellipsoids with eigenvalues over four decades, started from curvature wrong by a log-spread of 1;
the loss itself costs next to nothing, so the seconds are the sampler's own.

    python benchmarks/annealed.py --json benchmarks/records/annealed.json
"""

import numpy as np
import torch
from table import options, report, seconds

from basins.directions.preconditioner import Preconditioner
from basins.volume import Basin, estimate, truths
from basins.volume.basin import Volume

SEED = 0


def ellipsoid(n: int) -> tuple[Basin, float]:
    """Return the basin and its log volume."""
    rng = np.random.default_rng(SEED)
    curvatures = 10 ** rng.uniform(-2, 2, n)
    wrong = curvatures * np.exp(rng.normal(size=n))
    basin = Basin(
        lambda x: x**2 @ curvatures / 2,
        np.zeros(n),
        1.0,
        gradient=lambda x: x * curvatures,
        curvature=Preconditioner.diagonal(np.sqrt(2 / wrong)),
    )
    return basin, truths.ellipsoid(curvatures, 1.0).log_volume


def main() -> None:
    """Print the table."""
    parser = options(__doc__ or "")
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 1000, 10_000])
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    rows: list[dict[str, object]] = []
    for n in asked.sizes:
        basin, truth = ellipsoid(n)
        for estimator in ("rays", "importance", "annealed"):
            found: list[Volume] = []
            # Every estimator compiles or caches something the first time.
            estimate(ellipsoid(10)[0], estimator)
            wall = seconds(
                lambda e=estimator, b=basin, f=found: f.append(
                    estimate(b, e, stderr=max(0.3, 1e-4 * len(b.minimum)))
                )
            )
            volume = found[0]
            rows.append(
                {
                    "n": n,
                    "estimator": estimator,
                    "error, nats": volume.log_volume - truth,
                    "stated error": volume.stderr,
                    "lower bound": volume.is_lower_bound,
                    "losses": volume.num_evaluations,
                    "seconds": wall,
                }
            )
    report("Volumes: error and cost", rows, asked.threads, asked.json)


if __name__ == "__main__":
    main()
