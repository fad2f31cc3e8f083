"""What a calibrated volume costs, in losses and seconds, and what rays make of the same.

The tests' own bodies: under a rotation and lengths over two decades, so curvature over four,
started from curvature wrong by a log-spread of 1. The loss costs little: the seconds are the
sampler's own.

    python benchmarks/annealed.py --json benchmarks/records/annealed.json
"""

import sys
import warnings
from pathlib import Path

import numpy as np
from table import options, report, seconds
from threadpoolctl import threadpool_limits

from basins.volume import Basin, Volume, estimate

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import cases

SEED = 0
BODIES = (
    ("ellipsoid", 100),
    ("ellipsoid", 1000),
    ("ellipsoid", 10_000),
    ("cross-polytope", 100),
    ("box", 100),
    ("simplex", 100),
)


def measured(basin: Basin, estimator: str) -> tuple[Volume, float]:
    """Return a volume and the wall time it took."""
    found: list[Volume] = []
    wall = seconds(lambda: found.append(estimate(basin, estimator, seed=SEED)))
    return found[0], wall


def main() -> None:
    """Print the table."""
    asked = options(__doc__ or "").parse_args()
    # Corners are no minima to a gradient, which `estimate` says each time.
    warnings.filterwarnings("ignore", message="minimum: its gradient is not zero")
    rows: list[dict[str, object]] = []
    with threadpool_limits(asked.threads):
        for kind, n in BODIES:
            for estimator in ("rays", "importance", "annealed"):
                # Every estimator compiles or caches something the first time.
                measured(cases.mapped(kind, 10, np.random.default_rng(SEED))[0], estimator)
                basin, truth = cases.mapped(kind, n, np.random.default_rng(SEED))
                volume, wall = measured(basin, estimator)
                rows.append(
                    {
                        "body": kind,
                        "n": n,
                        "estimator": estimator,
                        "error, nats": volume.log_volume - truth,
                        "stated error": volume.stderr,
                        "lower bound": volume.is_lower_bound,
                        "converged": volume.is_converged,
                        "losses": volume.num_evaluations,
                        "seconds": wall,
                    }
                )
    report("Volumes: error and cost", rows, asked.threads, asked.json)


if __name__ == "__main__":
    main()
