"""Compiled losses of fully connected networks with rectified hidden layers.

Exploits: each point runs whole in one thread, examples in blocks that stay in its cache, features
first, so that matrix products go to BLAS as they are and everything else is over neighbours in
memory; exponentials are polynomials that vectorise, and 32 of their sums share one logarithm.
Callers share points out to threads, never the examples of one, so results do not depend on their
number. What other kernels call is inlined by force: else a process that compiles them links
other copies than one that finds them in Numba's cache, and their last bits differ.
"""

import itertools
from typing import Any, NamedTuple

import numpy as np
from numba import njit, types
from numba.extending import overload
from numpy.typing import NDArray

BLOCK = 128  # examples
CROSS_ENTROPY, BINARY_CROSS_ENTROPY, SQUARED_ERROR = range(3)
KINDS = {
    "cross_entropy": CROSS_ENTROPY,
    "binary_cross_entropy": BINARY_CROSS_ENTROPY,
    "squared_error": SQUARED_ERROR,
}
PRODUCTS = 32  # sums of exponentials under one logarithm: those of 1e9 classes stay finite
# Up to such sizes loops over rows by two and columns by four are quicker than BLAS, docs/speed.md.
THIN, SHORT = 16, 256  # rows and columns
FEW, SINGLE = 1536, 4  # weights, of so many bytes
# Nothing that would let the compiler forget infinities or numbers that are none.
FAST = {"contract", "reassoc", "nsz"}

Numbers = NDArray[Any]


class Problem(NamedTuple):
    """A network's architecture and the examples of its loss, as the kernels take them.

    Attributes
    ----------
    widths
        Of the input and of every layer; parameters are of each layer W row by row, then b.
    inputs
        Block after block, of each the features (widths[0], examples), all in one row.
    targets
        Classes, shape (examples,).
    edges
        Where blocks begin and the last one ends; every landscape ends at an edge.
    sizes
        Of the landscapes, increasing.
    kind
        Of the loss, one of `KINDS`.
    """

    widths: Numbers
    inputs: Numbers
    targets: Numbers
    edges: Numbers
    sizes: Numbers
    kind: int


def block_edges(num_examples: int, *others: int) -> NDArray[np.int64]:
    """Return where the blocks of so many examples begin and end; `others` are edges too."""
    return np.array(sorted({*range(0, num_examples, BLOCK), num_examples, *others}))


def blocked(inputs: Numbers, edges: Numbers) -> Numbers:
    """Return inputs (examples, features) as a `Problem` holds them."""
    blocks = [inputs[begin:end].T.ravel() for begin, end in itertools.pairwise(edges)]
    return np.concatenate(blocks)


@njit(cache=True, forceinline=True)
def block_inputs(problem: Problem, begin: int, end: int) -> Numbers:
    """Return the inputs of the block of these examples, shape (features, examples)."""
    features = problem.widths[0]
    return problem.inputs[features * begin : features * end].reshape(features, end - begin)


def exponential(x: Any) -> Any:
    """Return exp(x) for x of at most 0, to two units in the last place; 0 where it underflows."""
    return np.exp(x)


@overload(exponential)
def _exponential(x: Any) -> Any:
    if x == types.float32:
        # Cody and Waite's reduction by two parts of ln 2, then Taylor's polynomial.
        scale, half, least = np.float32(1.44269504), np.float32(0.5), np.float32(-87)
        high, low = np.float32(0.693359375), np.float32(-2.12194440e-4)
        bias, shift, one = np.int32(127), np.int32(23), np.float32(1)
        c7, c6, c5, c4, c3 = (np.float32(1 / f) for f in (5040, 720, 120, 24, 6))

        def single(x: Any) -> Any:
            z = max(x, least)
            k = np.floor(z * scale + half)
            r = z - k * high - k * low
            p = ((((c7 * r + c6) * r + c5) * r + c4) * r + c3) * r + half
            p = (p * r + one) * r + one
            power = np.int32((np.int32(k) + bias) << shift)
            return p * power.view(np.float32) if x >= least else np.float32(0)

        return single
    high64, low64 = 0.693145751953125, 1.42860682030941723212e-6
    bias64, shift64 = np.int64(1023), np.int64(52)
    coefficients = tuple(1 / float(np.prod(np.arange(1, k + 1.0))) for k in range(13, 1, -1))
    d13, d12, d11, d10, d9, d8, d7, d6, d5, d4, d3, d2 = coefficients

    def double(x: Any) -> Any:
        z = max(x, -708.0)
        k = np.floor(z * 1.4426950408889634 + 0.5)
        r = z - k * high64 - k * low64
        p = ((((d13 * r + d12) * r + d11) * r + d10) * r + d9) * r + d8
        p = (((((p * r + d7) * r + d6) * r + d5) * r + d4) * r + d3) * r + d2
        p = (p * r + 1.0) * r + 1.0
        power = np.int64((np.int64(k) + bias64) << shift64)
        return p * power.view(np.float64) if x >= -708.0 else 0.0

    return double


@njit(cache=True, forceinline=True)
def is_for_loops(rows: int, columns: int, x: Numbers) -> bool:
    """Tell whether a layer of this shape is multiplied with a block `x` by loops, not by BLAS."""
    is_small = x.itemsize == SINGLE and rows * columns <= FEW and x.shape[1] > BLOCK // 2
    return is_small or (rows <= THIN and columns <= SHORT)


@njit(cache=True, forceinline=True, fastmath=FAST)
def add_two_rows(v: Numbers, w: Numbers, x: Numbers, to_v: Numbers, to_w: Numbers) -> None:
    """Add v x and w x, two rows of a product, so that each number read serves two sums of four."""
    whole = len(v) - len(v) % 4
    for i in range(0, whole, 4):
        v0, v1, v2, v3 = v[i], v[i + 1], v[i + 2], v[i + 3]
        w0, w1, w2, w3 = w[i], w[i + 1], w[i + 2], w[i + 3]
        x0, x1, x2, x3 = x[i], x[i + 1], x[i + 2], x[i + 3]
        for e in range(x.shape[1]):
            to_v[e] += v0 * x0[e] + v1 * x1[e] + v2 * x2[e] + v3 * x3[e]
            to_w[e] += w0 * x0[e] + w1 * x1[e] + w2 * x2[e] + w3 * x3[e]
    for i in range(whole, len(v)):
        for e in range(x.shape[1]):
            to_v[e] += v[i] * x[i, e]
            to_w[e] += w[i] * x[i, e]


@njit(cache=True, forceinline=True, fastmath=FAST)
def product(weights: Numbers, x: Numbers, y: Numbers) -> None:
    """Put W x into `y`; shapes (out, in), (in, examples), (out, examples)."""
    rows, columns = weights.shape
    if not is_for_loops(rows, columns, x):
        np.dot(weights, x, y)
        return
    y[:] = 0
    paired = rows - rows % 2
    for j in range(0, paired, 2):
        add_two_rows(weights[j], weights[j + 1], x, y[j], y[j + 1])
    for j in range(paired, rows):
        for i in range(columns):
            for e in range(x.shape[1]):
                y[j, e] += weights[j, i] * x[i, e]


@njit(cache=True, forceinline=True, fastmath=FAST)
def add_bias(bias: Numbers, is_hidden: bool, y: Numbers) -> None:
    """Add a number to each row of `y` in place, and rectify if the layer is hidden."""
    for j in range(y.shape[0]):
        for e in range(y.shape[1]):
            value = y[j, e] + bias[j]
            # Written so that what is no number stays so.
            y[j, e] = 0 if is_hidden and value < 0 else value


@njit(cache=True, forceinline=True, fastmath=FAST)
def run_layers(theta: Numbers, widths: Numbers, first: int, x: Numbers, memory: Numbers) -> Numbers:
    """Return the outputs of a block, shape (outputs, examples).

    Parameters
    ----------
    theta
        Parameters of the layers from `first` on: of each W row by row, then b.
    widths
        Of the input and of every layer.
    first
        Which layer `x` goes into.
    x
        Shape (widths[first], examples).
    memory
        For the activations of all these layers, one after the other.
    """
    at, used, count = 0, 0, x.shape[1]
    for layer in range(first, len(widths) - 1):
        fan_in, fan_out = widths[layer], widths[layer + 1]
        y = memory[used : used + fan_out * count].reshape(fan_out, count)
        bias = at + fan_in * fan_out
        product(theta[at:bias].reshape(fan_out, fan_in), x, y)
        add_bias(theta[bias : bias + fan_out], layer < len(widths) - 2, y)
        x, at, used = y, bias + fan_out, used + fan_out * count
    return x


@njit(cache=True, forceinline=True, fastmath=FAST)
def put_largest(outputs: Numbers, top: Numbers) -> None:
    """Put the largest output of each example into `top`."""
    for e in range(outputs.shape[1]):
        top[e] = outputs[0, e]
    for c in range(1, outputs.shape[0]):
        for e in range(outputs.shape[1]):
            top[e] = max(top[e], outputs[c, e])


@njit(cache=True, forceinline=True, fastmath=FAST)
def add_losses(kind: int, outputs: Numbers, targets: Numbers, top: Numbers, sums: Numbers) -> float:
    """Return the sum of the losses of a block; not finite where an output is not.

    A cross-entropy below the rounding of 1 is 0.

    Parameters
    ----------
    outputs
        Shape (outputs, examples).
    targets
        Classes, shape (examples,).
    top, sums
        Room for a number of each example, at least (examples,).
    """
    count = outputs.shape[1]
    total = 0.0
    if kind == SQUARED_ERROR:
        for c in range(outputs.shape[0]):
            for e in range(count):
                error = outputs[c, e] - (1 if targets[e] == c else 0)
                total += error * error
        return float(total / outputs.shape[0])
    if kind == BINARY_CROSS_ENTROPY:
        for e in range(count):
            y = outputs[0, e]
            # A product with an infinite or undefined output is undefined, and so is the sum.
            total += max(y, 0) - y * targets[e]
            sums[e] = 1 + exponential(-abs(y))
    else:
        put_largest(outputs, top)
        sums[:count] = 0
        for c in range(outputs.shape[0]):
            for e in range(count):
                y = outputs[c, e]
                sums[e] += exponential(y - top[e])
                total += (top[e] - y if targets[e] == c else 0) + 0 * y
    for begin in range(0, count, PRODUCTS):
        together = 1.0
        for e in range(begin, min(begin + PRODUCTS, count)):
            together *= sums[e]
        total += np.log(together)
    return total


@njit(cache=True, forceinline=True)
def sum_losses(theta: Numbers, problem: Problem, means: Numbers) -> None:
    """Put the mean losses of one point in each landscape into `means`, shape (landscapes,)."""
    widths, edges = problem.widths, problem.edges
    memory = np.empty(widths[1:].sum() * BLOCK, theta.dtype)
    top, sums = np.empty(BLOCK, theta.dtype), np.empty(BLOCK, theta.dtype)
    total, landscape = 0.0, 0
    for block in range(len(edges) - 1):
        begin, end = edges[block], edges[block + 1]
        outputs = run_layers(theta, widths, 0, block_inputs(problem, begin, end), memory)
        total += add_losses(problem.kind, outputs, problem.targets[begin:end], top, sums)
        if end == problem.sizes[landscape]:
            means[landscape] = total / end
            landscape += 1


@njit(cache=True, nogil=True)
def mean_losses(points: Numbers, problem: Problem, means: Numbers) -> None:
    """Put the mean losses of points (k, n) into `means`, float64, shape (k, landscapes)."""
    for p in range(len(points)):
        sum_losses(points[p], problem, means[p])
