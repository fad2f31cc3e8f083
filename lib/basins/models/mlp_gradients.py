"""Compiled gradients of fully connected networks with rectified hidden layers.

Exploits what `mlp_kernels` does: a point is one thread's, its examples come in blocks, and what is
called is inlined by force.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from basins.models.mlp_kernels import (
    BINARY_CROSS_ENTROPY,
    BLOCK,
    CROSS_ENTROPY,
    FAST,
    Numbers,
    Problem,
    add_losses,
    block_inputs,
    exponential,
    is_for_loops,
    product,
    put_largest,
    run_layers,
)


@njit(cache=True, forceinline=True, fastmath=FAST)
def output_slopes(
    kind: int, outputs: Numbers, targets: Numbers, top: Numbers, sums: Numbers
) -> None:
    """Replace outputs by the derivatives of their examples' losses; arguments as `add_losses`."""
    count = outputs.shape[1]
    if kind == CROSS_ENTROPY:
        put_largest(outputs, top)
        sums[:count] = 0
        for c in range(outputs.shape[0]):
            for e in range(count):
                # Exponentials lose what is no number; the product with 0 keeps it.
                y = outputs[c, e]
                outputs[c, e] = exponential(y - top[e]) + 0 * y
                sums[e] += outputs[c, e]
        for e in range(count):
            sums[e] = 1 / sums[e]
        for c in range(outputs.shape[0]):
            for e in range(count):
                outputs[c, e] = outputs[c, e] * sums[e] - (1 if targets[e] == c else 0)
    elif kind == BINARY_CROSS_ENTROPY:
        for e in range(count):
            y = outputs[0, e]
            small = exponential(-abs(y))
            outputs[0, e] = (1 if y > 0 else small) / (1 + small) - targets[e] + 0 * y
    else:
        for c in range(outputs.shape[0]):
            for e in range(count):
                error = outputs[c, e] - (1 if targets[e] == c else 0)
                outputs[c, e] = 2 * error / outputs.shape[0]


@njit(cache=True, forceinline=True, fastmath=FAST)
def add_eight(slopes: Numbers, x: Numbers, j: int, i: int, gradient: Numbers) -> None:
    """Add the products of two rows of slopes, from `j` on, with four of `x`, from `i` on."""
    v, w = slopes[j], slopes[j + 1]
    x0, x1, x2, x3 = x[i], x[i + 1], x[i + 2], x[i + 3]
    v0 = v1 = v2 = v3 = w0 = w1 = w2 = w3 = slopes.dtype.type(0)
    for e in range(x.shape[1]):
        v0 += v[e] * x0[e]
        v1 += v[e] * x1[e]
        v2 += v[e] * x2[e]
        v3 += v[e] * x3[e]
        w0 += w[e] * x0[e]
        w1 += w[e] * x1[e]
        w2 += w[e] * x2[e]
        w3 += w[e] * x3[e]
    at, below = j * len(x) + i, (j + 1) * len(x) + i
    for k, (of_v, of_w) in enumerate(((v0, w0), (v1, w1), (v2, w2), (v3, w3))):
        gradient[at + k] += of_v
        gradient[below + k] += of_w


@njit(cache=True, forceinline=True, fastmath=FAST)
def add_slopes(slopes: Numbers, x: Numbers, gradient: Numbers, room: Numbers) -> None:
    """Add what the weights and biases of one layer get from a block, whose input is `x`."""
    add_outer(slopes, x, gradient, room)
    fan_out, count = slopes.shape
    fan_in = x.shape[0]
    for j in range(fan_out):
        total = 0.0
        for e in range(count):
            total += slopes[j, e]
        gradient[fan_out * fan_in + j] += total


@njit(cache=True, forceinline=True, fastmath=FAST)
def add_outer(slopes: Numbers, x: Numbers, gradient: Numbers, room: Numbers) -> None:
    """Add slopes x^T, shapes (out, examples) and (in, examples), to the first out * in numbers."""
    fan_out, fan_in = slopes.shape[0], x.shape[0]
    if not is_for_loops(fan_out, fan_in, x):
        block = room[: fan_out * fan_in].reshape(fan_out, fan_in)
        np.dot(slopes, x.T, block)
        for i in range(fan_out * fan_in):
            gradient[i] += room[i]
        return
    by_two, by_four = fan_out - fan_out % 2, fan_in - fan_in % 4
    for j in range(0, by_two, 2):
        for i in range(0, by_four, 4):
            add_eight(slopes, x, j, i, gradient)
    for j in range(fan_out):
        for i in range(by_four if j < by_two else 0, fan_in):
            # In the arrays' precision: in another every term would be converted.
            total = slopes.dtype.type(0)
            for e in range(x.shape[1]):
                total += slopes[j, e] * x[i, e]
            gradient[j * fan_in + i] += total


@njit(cache=True, forceinline=True, fastmath=FAST)
def pass_back(weights: Numbers, slopes: Numbers, back: Numbers, x: Numbers) -> None:
    """Replace rectified activations `x` by their slopes, 0 where a unit is at rest.

    Parameters
    ----------
    weights, slopes
        Of the layer above, and of its outputs.
    back
        Room for the slopes of all activations, shape of `x`.
    """
    product(weights.T, slopes, back)
    for i in range(x.shape[0]):
        for e in range(x.shape[1]):
            x[i, e] = back[i, e] if x[i, e] > 0 else 0 * x[i, e]


class GradientRoom(NamedTuple):
    """Memory for a gradient: of activations, slopes, a layer's sums, two numbers an example."""

    memory: Numbers
    behind: Numbers
    layer: Numbers
    top: Numbers
    sums: Numbers


@njit(cache=True, forceinline=True)
def gradient_room(problem: Problem, theta: Numbers) -> GradientRoom:
    """Return memory for gradients at points like `theta`."""
    widths = problem.widths
    return GradientRoom(
        np.empty(widths[1:].sum() * BLOCK, theta.dtype),
        np.empty(widths.max() * BLOCK, theta.dtype),
        np.empty(len(theta), theta.dtype),
        np.empty(BLOCK, theta.dtype),
        np.empty(BLOCK, theta.dtype),
    )


@njit(cache=True, forceinline=True)
def sum_gradient(
    theta: Numbers, problem: Problem, gradient: Numbers, room: GradientRoom, has_loss: bool
) -> float:
    """Add the gradient of the summed loss at one point to `gradient`, float64, shape (n,).

    Returns the summed loss if asked, else 0.
    """
    widths, edges = problem.widths, problem.edges
    memory, behind, layer_room, top, sums = room
    total = 0.0
    for block in range(len(edges) - 1):
        begin, end = edges[block], edges[block + 1]
        count = end - begin
        first = block_inputs(problem, begin, end)
        slopes = run_layers(theta, widths, 0, first, memory)
        targets = problem.targets[begin:end]
        if has_loss:
            total += add_losses(problem.kind, slopes, targets, top, sums)
        output_slopes(problem.kind, slopes, targets, top, sums)
        # Where the parameters and the activations of the layer above begin.
        at, used = len(theta), (widths[1:].sum() - widths[-1]) * count
        for layer in range(len(widths) - 2, -1, -1):
            fan_in, fan_out = widths[layer], widths[layer + 1]
            stop = at
            at -= fan_out * fan_in + fan_out
            if layer == 0:
                add_slopes(slopes, first, gradient[:stop], layer_room)
                break
            used -= fan_in * count
            x = memory[used : used + fan_in * count].reshape(fan_in, count)
            add_slopes(slopes, x, gradient[at:stop], layer_room)
            weights = theta[at : at + fan_out * fan_in].reshape(fan_out, fan_in)
            back = behind[: fan_in * count].reshape(fan_in, count)
            pass_back(weights, slopes, back, x)
            slopes = x
    return total


@njit(cache=True, nogil=True)
def mean_gradients(points: Numbers, problem: Problem, gradients: Numbers) -> None:
    """Put the gradients of the mean loss over all examples into `gradients`, float64, shape (k, n).

    Sums over a block run in the precision of `points`, those over blocks in float64.
    """
    if not len(points):
        return
    room = gradient_room(problem, points[0])
    for p in range(len(points)):
        gradients[p] = 0
        sum_gradient(points[p], problem, gradients[p], room, False)
        gradients[p] /= problem.edges[-1]
