"""Volumes from radii: compiled integration and bootstrap against NumPy and SciPy, and the floors.

The plain way: `scipy.special.logsumexp` over rows, and for the bootstrap over their resamples, a
basin at a time; it is timed on some of the basins. Floors: an exponential and 8 bytes a radius for
the integral, a multiply-add a radius and resample for the bootstrap, at the rates of `numpy.exp`,
of a copy, and of a large matrix product, all with the same threads.

    python benchmarks/integration.py --json benchmarks/records/integration.json
"""

from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import logsumexp
from table import options, product_rate, report, seconds

from basins.volume import diagnostics, intervals, kernels

DIRECTIONS = 500
PLAIN_BASINS = 100
SPREAD = 20.0  # nats of n ln r

Array = NDArray[np.float64]


def plain_bootstrap(rows: Array) -> Array:
    """Return the log-mean-exp of every resample of every row by the plain way."""
    draws = np.random.default_rng(0).integers(0, DIRECTIONS, (intervals.NUM_RESAMPLES, DIRECTIONS))
    return np.stack([logsumexp(row[draws], axis=1) for row in rows]) - np.log(DIRECTIONS)


def exp_rate(values: Array, threads: int) -> float:
    """Return exponentials a second of `numpy.exp`, in so many threads, from and to the cache."""
    pieces = np.array_split(values.ravel()[: 2**20], threads)

    def work(piece: Array) -> None:
        room = np.empty(4096)
        for start in range(0, len(piece) - 4096, 4096):
            np.exp(piece[start : start + 4096], out=room)

    with ThreadPoolExecutor(threads) as pool:
        wall = min(seconds(lambda: list(pool.map(work, pieces))) for _ in range(5))
    return sum(map(len, pieces)) / wall


def main() -> None:
    """Print the table."""
    parser = options(__doc__ or "")
    parser.add_argument("--radii", type=float, default=1e7)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    numba.set_num_threads(min(asked.threads, numba.config.NUMBA_NUM_THREADS))
    count = int(asked.radii) // DIRECTIONS
    rng = np.random.default_rng(1)
    rows = np.minimum(rng.normal(-3e5, SPREAD, (count, DIRECTIONS)), -3e5 + 2 * SPREAD)
    some = rows[:PLAIN_BASINS]
    products = product_rate(torch.float64)
    copy = np.empty_like(rows)
    copy_rate = rows.size / min(seconds(lambda: np.copyto(copy, rows)) for _ in range(3))
    exponentials = exp_rate(rows, asked.threads)
    rates = {"exp": exponentials, "copy": copy_rate, "product": products}
    work = (
        (
            "ln E[r^n]",
            lambda: kernels.log_mean_exp(rows),
            lambda: logsumexp(rows, axis=1),
            1,
            rows.size / min(exponentials, copy_rate),
        ),
        (
            "effective sample size",
            lambda: diagnostics.effective_sample_size(rows),
            lambda: np.exp(2 * logsumexp(rows, axis=1) - logsumexp(2 * rows, axis=1)),
            1,
            rows.size / min(exponentials, copy_rate),
        ),
        (
            "1,000 resamples",
            lambda: intervals.bootstrap(rows),
            lambda: plain_bootstrap(some),
            count / PLAIN_BASINS,
            rows.size * intervals.NUM_RESAMPLES / products,
        ),
    )
    table: list[dict[str, object]] = []
    for name, ours, plain, share, floor in work:
        once = seconds(ours)
        fast = min(seconds(ours) for _ in range(3))
        slow = share * min(seconds(plain) for _ in range(2))
        table.append(
            {
                "what": name,
                "radii": rows.size,
                "first call (s)": once,
                "ours (s)": fast,
                "NumPy and SciPy (s)": slow,
                "ratio": slow / fast,
                "floor (s)": floor,
                "times the floor": fast / floor,
            }
        )
    print({name: f"{rate:.3g} a second" for name, rate in rates.items()})
    report("Volumes from radii", table, asked.threads, asked.json)


if __name__ == "__main__":
    main()
