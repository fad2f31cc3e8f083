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
    ("simplex", 1000),
)
# Faces of these lie along the axes of the shape given.
ALONG_AXES = ("box", "simplex")
MOST_LOSSES = {("simplex", 1000): 4e7}


def measured(
    basin: Basin, estimator: str, moves: str | None, max_evaluations: float = 1e7
) -> tuple[Volume, float]:
    """Return a volume and the wall time it took."""
    found: list[Volume] = []

    def work() -> None:
        found.append(
            estimate(basin, estimator, seed=SEED, moves=moves, max_evaluations=max_evaluations)
        )

    wall = seconds(work)
    return found[0], wall


def main() -> None:
    """Print the table."""
    asked = options(__doc__ or "").parse_args()
    # Corners are no minima to a gradient, which `estimate` says each time.
    warnings.filterwarnings("ignore", message="minimum: its gradient is not zero")
    rows: list[dict[str, object]] = []
    with threadpool_limits(asked.threads):
        for kind, n in BODIES:
            runs: list[tuple[str, str | None]] = [
                (name, None) for name in ("rays", "importance", "annealed")
            ]
            if kind in ALONG_AXES:
                runs.append(("annealed", "axes"))
            for estimator, moves in runs:
                # Every estimator compiles or caches something the first time.
                measured(cases.mapped(kind, 10, np.random.default_rng(SEED))[0], estimator, moves)
                basin, truth = cases.mapped(kind, n, np.random.default_rng(SEED))
                most = MOST_LOSSES.get((kind, n), 1e7) if moves else 1e7
                volume, wall = measured(basin, estimator, moves, most)
                rows.append(
                    {
                        "body": kind,
                        "n": n,
                        "estimator": f"{estimator}, along axes" if moves else estimator,
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
