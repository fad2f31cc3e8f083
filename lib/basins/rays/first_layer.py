"""Compiled sums of a fully connected network's first layer, which is linear in its parameters."""

import numpy as np
from numba import njit

from basins.models.mlp_kernels import Numbers, Problem, block_inputs, product


@njit(cache=True, forceinline=True)
def put_first_sums(theta: Numbers, problem: Problem, first: int, last: int, sums: Numbers) -> None:
    """Put W x + b of the first layer into `sums`, for the blocks from `first` up to `last`.

    Block after block, of each the outputs (widths[1], examples), all in one row.
    """
    fan_in, fan_out = problem.widths[0], problem.widths[1]
    weights = theta[: fan_out * fan_in].reshape(fan_out, fan_in)
    for block in range(first, last):
        begin, end = problem.edges[block], problem.edges[block + 1]
        y = sums[fan_out * begin : fan_out * end].reshape(fan_out, end - begin)
        product(weights, block_inputs(problem, begin, end), y)
        for j in range(fan_out):
            y[j] += theta[fan_out * fan_in + j]


@njit(cache=True, forceinline=True)
def first_sums(theta: Numbers, problem: Problem) -> Numbers:
    """Return W x + b of the first layer for all examples, see `put_first_sums`."""
    sums = np.empty(problem.widths[1] * problem.edges[-1], theta.dtype)
    put_first_sums(theta, problem, 0, len(problem.edges) - 1, sums)
    return sums
