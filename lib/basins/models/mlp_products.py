"""Compiled products of a fully connected network's Hessian and Gauss-Newton matrix with vectors.

The derivative along v of the forward and of the backward pass (Pearlmutter 1994, *Fast Exact
Multiplication by the Hessian*, Neural Computation 6, 147, section 4): nothing is differenced.
Rectifiers are taken as linear on either side of their kink, where their second derivative is 0.

Exploits what `mlp_kernels` does, and that many vectors share a block's forward and backward pass.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from basins.models.mlp_gradients import add_outer, add_slopes, output_slopes
from basins.models.mlp_kernels import (
    BINARY_CROSS_ENTROPY,
    BLOCK,
    CROSS_ENTROPY,
    FAST,
    Numbers,
    Problem,
    add_bias,
    block_inputs,
    product,
    run_layers,
)


class ProductRoom(NamedTuple):
    """Memory for products: of a block's activations and slopes, and of how both move along v."""

    activations: Numbers
    slopes: Numbers
    moved: Numbers
    moved_slopes: Numbers
    behind: Numbers
    layer: Numbers
    shares: Numbers
    top: Numbers
    sums: Numbers


@njit(cache=True, forceinline=True)
def product_room(problem: Problem, theta: Numbers) -> ProductRoom:
    """Return memory for products at points like `theta`."""
    widths, dtype = problem.widths, theta.dtype
    size = widths[1:].sum() * BLOCK
    return ProductRoom(
        np.empty(size, dtype),
        np.empty(size, dtype),
        np.empty(size, dtype),
        np.empty(widths.max() * BLOCK, dtype),
        np.empty(widths.max() * BLOCK, dtype),
        np.empty(len(theta), dtype),
        np.empty(widths[-1] * BLOCK, dtype),
        np.empty(BLOCK, dtype),
        np.empty(BLOCK, dtype),
    )


@njit(cache=True, forceinline=True, fastmath=FAST)
def put_shares(kind: int, slopes: Numbers, targets: Numbers, shares: Numbers) -> None:
    """Put the probabilities of classes into `shares`, from the slopes of their losses."""
    for c in range(slopes.shape[0]):
        for e in range(slopes.shape[1]):
            if kind == CROSS_ENTROPY:
                shares[c, e] = slopes[c, e] + (1 if targets[e] == c else 0)
            elif kind == BINARY_CROSS_ENTROPY:
                shares[c, e] = slopes[c, e] + targets[e]


@njit(cache=True, forceinline=True, fastmath=FAST)
def bend(kind: int, shares: Numbers, sums: Numbers, moved: Numbers) -> None:
    """Replace how outputs move by how the slopes of their losses do: B y', B the loss's Hessian."""
    if kind == CROSS_ENTROPY:
        # diag(p) - p p^T.
        sums[: moved.shape[1]] = 0
        for c in range(moved.shape[0]):
            for e in range(moved.shape[1]):
                moved[c, e] *= shares[c, e]
                sums[e] += moved[c, e]
        for c in range(moved.shape[0]):
            for e in range(moved.shape[1]):
                moved[c, e] -= shares[c, e] * sums[e]
    else:
        for c in range(moved.shape[0]):
            for e in range(moved.shape[1]):
                if kind == BINARY_CROSS_ENTROPY:
                    moved[c, e] *= shares[c, e] * (1 - shares[c, e])
                else:
                    moved[c, e] *= moved.dtype.type(2) / moved.shape[0]


@njit(cache=True, forceinline=True, fastmath=FAST)
def keep_active(activations: Numbers, numbers: Numbers) -> None:
    """Put 0 where the rectified `activations` are at rest."""
    for j in range(numbers.shape[0]):
        for e in range(numbers.shape[1]):
            numbers[j, e] = numbers[j, e] if activations[j, e] > 0 else 0 * numbers[j, e]


@njit(cache=True, forceinline=True, fastmath=FAST)
def add_to(numbers: Numbers, result: Numbers) -> None:
    """Add `numbers` to `result`, both two-dimensional."""
    for j in range(numbers.shape[0]):
        for e in range(numbers.shape[1]):
            result[j, e] += numbers[j, e]


@njit(cache=True, forceinline=True)
def put_slopes(theta: Numbers, problem: Problem, begin: int, end: int, room: ProductRoom) -> None:
    """Put the activations of a block and the slopes of its loss, layer by layer, into `room`."""
    widths, count = problem.widths, end - begin
    outputs = run_layers(theta, widths, 0, block_inputs(problem, begin, end), room.activations)
    at, used = len(theta), (widths[1:].sum() - widths[-1]) * count
    slopes = room.slopes[used : used + widths[-1] * count].reshape(widths[-1], count)
    slopes[:] = outputs
    targets = problem.targets[begin:end]
    output_slopes(problem.kind, slopes, targets, room.top, room.sums)
    shares = room.shares[: widths[-1] * count].reshape(widths[-1], count)
    put_shares(problem.kind, slopes, targets, shares)
    for layer in range(len(widths) - 2, 0, -1):
        fan_in, fan_out = widths[layer], widths[layer + 1]
        at -= fan_out * fan_in + fan_out
        used -= fan_in * count
        below = room.slopes[used : used + fan_in * count].reshape(fan_in, count)
        product(theta[at : at + fan_out * fan_in].reshape(fan_out, fan_in).T, slopes, below)
        keep_active(room.activations[used : used + fan_in * count].reshape(fan_in, count), below)
        slopes = below


@njit(cache=True, forceinline=True)
def move_forward(
    theta: Numbers, vector: Numbers, problem: Problem, begin: int, end: int, room: ProductRoom
) -> Numbers:
    """Put how a block's activations move along `vector` into `room`; return the outputs'."""
    widths, count = problem.widths, end - begin
    x = block_inputs(problem, begin, end)
    moved_x: Numbers = x
    at = used = 0
    for layer in range(len(widths) - 1):
        fan_in, fan_out = widths[layer], widths[layer + 1]
        bias = at + fan_out * fan_in
        moved = room.moved[used : used + fan_out * count].reshape(fan_out, count)
        product(vector[at:bias].reshape(fan_out, fan_in), x, moved)
        add_bias(vector[bias : bias + fan_out], False, moved)
        if layer > 0:
            more = room.behind[: fan_out * count].reshape(fan_out, count)
            product(theta[at:bias].reshape(fan_out, fan_in), moved_x, more)
            add_to(more, moved)
        x = room.activations[used : used + fan_out * count].reshape(fan_out, count)
        if layer < len(widths) - 2:
            keep_active(x, moved)
        moved_x = moved
        at, used = bias + fan_out, used + fan_out * count
    return moved_x


@njit(cache=True, forceinline=True)
def add_product(
    theta: Numbers,
    vector: Numbers,
    problem: Problem,
    begin: int,
    end: int,
    is_gauss_newton: bool,
    room: ProductRoom,
    result: Numbers,
) -> None:
    """Add what a block gives to the product with one vector, (n,); `put_slopes` came before."""
    widths, count = problem.widths, end - begin
    outputs = move_forward(theta, vector, problem, begin, end, room)
    shares = room.shares[: widths[-1] * count].reshape(widths[-1], count)
    bend(problem.kind, shares, room.sums, outputs)
    at, used = len(theta), widths[1:].sum() * count
    # How slopes move; two rooms in turn.
    moved = room.moved_slopes[: widths[-1] * count].reshape(widths[-1], count)
    moved[:] = outputs
    for layer in range(len(widths) - 2, -1, -1):
        fan_in, fan_out = widths[layer], widths[layer + 1]
        stop = at
        at -= fan_out * fan_in + fan_out
        used -= fan_out * count
        if layer == 0:
            add_slopes(moved, block_inputs(problem, begin, end), result[:stop], room.layer)
            return
        low = used - fan_in * count
        x = room.activations[low:used].reshape(fan_in, count)
        add_slopes(moved, x, result[at:stop], room.layer)
        slopes = room.slopes[used : used + fan_out * count].reshape(fan_out, count)
        below = room.behind[: fan_in * count].reshape(fan_in, count)
        product(theta[at : at + fan_out * fan_in].reshape(fan_out, fan_in).T, moved, below)
        if not is_gauss_newton:
            moved_x = room.moved[low:used].reshape(fan_in, count)
            add_outer(slopes, moved_x, result[at:stop], room.layer)
            # What moved has been read: its room takes V^T slopes.
            more = room.moved_slopes[: fan_in * count].reshape(fan_in, count)
            product(vector[at : at + fan_out * fan_in].reshape(fan_out, fan_in).T, slopes, more)
            add_to(more, below)
        keep_active(x, below)
        moved = room.moved_slopes[: fan_in * count].reshape(fan_in, count)
        moved[:] = below


@njit(cache=True, nogil=True)
def mean_products(
    theta: Numbers, problem: Problem, vectors: Numbers, is_gauss_newton: bool, products: Numbers
) -> None:
    """Put H v, or G v, of the mean loss over all examples into `products`, float64, shape (k, n).

    Parameters
    ----------
    theta
        The point, shape (n,).
    problem
        Network and examples.
    vectors
        Shape (k, n), in the precision of `theta`: sums over a block run in it, those over blocks in
        float64.
    is_gauss_newton
        Whether G = mean of J^T B J, J the outputs' Jacobian, B the Hessian of the loss in them.
    """
    room = product_room(problem, theta)
    products[:] = 0
    for block in range(len(problem.edges) - 1):
        begin, end = problem.edges[block], problem.edges[block + 1]
        put_slopes(theta, problem, begin, end, room)
        for p in range(len(vectors)):
            add_product(theta, vectors[p], problem, begin, end, is_gauss_newton, room, products[p])
    products /= problem.edges[-1]
