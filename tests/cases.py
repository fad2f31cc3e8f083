"""Basins of known volume, seen through a random map: the table that every estimator is held to."""

from dataclasses import dataclass

import numpy as np
from numba import njit
from scipy.fft import dct, idct

from basins.directions.preconditioner import Preconditioner
from basins.volume import Basin, truths

DECADES = 4
MAX_MATRIX = 100  # parameters up to which the rotation is kept as a matrix


class Rotation:
    """A rotation that mixes all coordinates at the cost of a cosine transform, used like a matrix.

    Q = S C with signs S at random and C the orthonormal transform.
    """

    __array_ufunc__ = None

    def __init__(self, signs, is_transposed=False):
        self.signs, self.is_transposed = signs, is_transposed
        self.shape = (len(signs),) * 2

    @property
    def T(self):  # noqa: N802 - a matrix has it
        return Rotation(self.signs, not self.is_transposed)

    def __rmatmul__(self, rows):
        if self.is_transposed:
            return dct(rows, norm="ortho", axis=-1) * self.signs
        return idct(rows * self.signs, norm="ortho", axis=-1)


def rotation(n, rng):
    return Rotation(rng.choice([-1.0, 1.0], n))


def matrix_of(turn):
    """Return a rotation as a matrix where that is small, so that whole axes can be learned."""
    if turn is None or turn.shape[0] > MAX_MATRIX:
        return turn
    return np.eye(turn.shape[0]) @ turn


@dataclass(frozen=True)
class Case:
    """A loss in round coordinates y, its gradient, and ln V of {loss < 1} there."""

    loss: object
    gradient: object
    log_volume: float


def largest(y, values):
    """Return rows that hold `values` at the largest |y|, and 0 elsewhere."""
    result = np.zeros_like(y)
    rows = np.arange(len(y))
    chosen = np.abs(y).argmax(axis=1)
    result[rows, chosen] = values[rows, chosen]
    return result


def simplex_slope(y):
    result = np.zeros_like(y)
    rows, lowest = np.arange(len(y)), y.argmin(axis=1)
    is_slanted = y.sum(axis=1) > -y[rows, lowest]
    result[rows, lowest] = -1.0
    result[is_slanted] = 1.0
    return result


def round_case(kind, n):
    """Return a body by name; bodies of power p fill the same scale at every n."""
    if kind == "ellipsoid":
        body = truths.power_ball(n, 2)
        return Case(lambda y: (y**2).sum(1), lambda y: 2 * y, body.log_volume)
    if kind == "cross-polytope":
        body = truths.power_ball(n, 1)
        return Case(lambda y: np.abs(y).sum(1), np.sign, body.log_volume)
    if kind == "4-ball":
        body = truths.power_ball(n, 4)
        # Products: powers by library calls would take most of a test's time.
        return Case(lambda y: (y**2 * y**2).sum(1), lambda y: 4 * y * y**2, body.log_volume)
    if kind == "box":
        body = truths.box(np.ones(n))
        return Case(lambda y: np.abs(y).max(1), lambda y: largest(y, np.sign(y)), body.log_volume)
    body = truths.simplex(n)
    return Case(body.gauge, simplex_slope, body.log_volume)


def quartic(n, rng, bend=0.3):
    """Return the basin of sum lambda (x^2 / 2 + bend x^4), turned, and its ln V."""
    curvatures = 10 ** rng.uniform(-DECADES / 4, DECADES / 4, n)
    turn = rotation(n, rng)
    threshold = n / 2.0

    def loss(x):
        squares = (x @ turn) ** 2
        return (squares / 2 + bend * squares**2) @ curvatures

    def gradient(x):
        y = x @ turn
        return (curvatures * y * (1 + 4 * bend * y**2)) @ turn.T

    wrong = np.exp(rng.normal(size=n) / 2) * curvatures**-0.5
    basin = Basin(
        loss, np.zeros(n), threshold, gradient, Preconditioner(wrong, matrix_of(turn), 1.0, n)
    )
    return basin, truths.quartic(curvatures, bend, threshold)


def regression(n, rng, num_examples):
    """Return mean squared error / 2 of a linear fit to its own labels, and its curvatures."""
    inputs = rng.normal(size=(num_examples, n)) * 10 ** rng.uniform(-0.5, 0.5, n)
    weights = rng.normal(size=n)

    def loss(w):
        return (((w - weights) @ inputs.T) ** 2).mean(axis=1) / 2

    def gradient(w):
        return (w - weights) @ inputs.T @ inputs / num_examples

    hessian = inputs.T @ inputs / num_examples
    return loss, gradient, weights, hessian


def large_regression(n, rng, num_examples):
    """Return `regression` with inputs that are never a matrix, and the shape of its curvature.

    Inputs are R [S 0] Q with rotations of examples and of parameters, R and Q, and scales S.
    """
    rank = min(n, num_examples)
    scales = np.sqrt(num_examples) * 10 ** rng.uniform(-0.5, 0.5, rank)
    of_examples, turn = rotation(num_examples, rng), rotation(n, rng)
    weights = rng.normal(size=n)

    def outputs(rows):
        padded = np.zeros((len(rows), num_examples))
        padded[:, :rank] = (rows @ turn)[:, :rank] * scales
        return padded @ of_examples.T

    def pulled(residuals):
        padded = np.zeros((len(residuals), n))
        padded[:, :rank] = (residuals @ of_examples)[:, :rank] * scales
        return padded @ turn.T

    def loss(w):
        return (outputs(w - weights) ** 2).mean(axis=1) / 2

    def gradient(w):
        return pulled(outputs(w - weights)) / num_examples

    curvatures = np.zeros(n)
    curvatures[:rank] = scales**2 / num_examples
    return loss, gradient, weights, curvatures, turn


KINDS = ("ellipsoid", "cross-polytope", "4-ball", "box", "simplex")


@njit(cache=True, fastmath={"reassoc", "nsz"})
def kinked_losses(x, inverse_lengths, is_box):
    """Return the losses of a box or a simplex whose axes are those of x, in one pass over x."""
    losses = np.empty(len(x))
    for row in range(len(x)):
        lowest, highest, total = 0.0, 0.0, 0.0
        for i in range(x.shape[1]):
            y = x[row, i] * inverse_lengths[i]
            lowest, highest = min(lowest, y), max(highest, y)
            total += y
        losses[row] = max(-lowest, highest if is_box else total)
    return losses


def mapped(kind, n, rng, log_spread=1.0, has_gradient=True, has_rotation=True):
    """Return a basin, curvature wrong by `log_spread`, and its ln V.

    The map is a random rotation of lengths over two decades, so curvature runs over four; the
    preconditioner has these lengths with an error of log-spread 1/2, curvature's being 1.
    """
    case = round_case(kind, n)
    lengths = 10 ** rng.uniform(-DECADES / 4, DECADES / 4, n)
    turn = rotation(n, rng) if has_rotation else None
    wrong = lengths * np.exp(log_spread / 2 * rng.normal(size=n))

    def inward(x):
        return (x if turn is None else x @ turn) / lengths

    def gradient(x):
        slopes = case.gradient(inward(x)) / lengths
        return slopes if turn is None else slopes @ turn.T

    def loss(x):
        if turn is None and kind in ("box", "simplex"):
            return kinked_losses(x, 1 / lengths, kind == "box")
        return case.loss(inward(x))

    basin = Basin(
        loss,
        np.zeros(n),
        1.0,
        gradient=gradient if has_gradient else None,
        curvature=Preconditioner(wrong, matrix_of(turn), 1.0, n),
    )
    return basin, float(case.log_volume + np.log(lengths).sum())
