"""Products of a network's Hessian and Gauss-Newton matrix with directions, exact, in float64.

Differences of gradients in single precision are mostly noise, and their eigenvalues are its.
Nothing is differenced here: by compiled code for fully connected networks on a CPU, else by torch.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import grad, vjp, vmap

from basins import device as devices
from basins.models.functional import Network
from basins.models.passes import activations, chunks
from basins.rays.landscapes import Landscapes
from basins.rays.numba_path import NumbaEvaluator, is_understood
from basins.rays.torch_path import CHUNK
from basins.threads import share_out

LEAST_TOGETHER = 4  # directions in one pass, if there are as many; fewer take longer each

Array = NDArray[np.float64]
Rows = NDArray[np.int64]
# (direction (n,), inputs, targets) -> the matrix of their summed loss times the direction
Product = Callable[[Tensor, Tensor, Tensor], Tensor]


def products_of(
    network: Network, theta: Tensor, landscapes: Landscapes
) -> "CompiledProducts | CurvatureProducts":
    """Return the curvature of a network at its minimum; arguments as of `CurvatureProducts`."""
    if is_understood(network, theta, landscapes):
        return CompiledProducts(network, theta, landscapes)
    return CurvatureProducts(network, theta, landscapes)


class Cells(NamedTuple):
    """Which matrices are multiplied: of each row its minimum and its landscape, by index (k,)."""

    minima: Rows
    landscapes: Rows


def products_together(
    each: Sequence["CompiledProducts | CurvatureProducts"],
    cells: Cells,
    directions: Array,
    is_gauss_newton: bool = False,
) -> Array:
    """Return products of many matrices, each with some rows.

    Parameters
    ----------
    each
        The curvature at each minimum.
    cells
        Of each row which matrix.
    directions
        Float64, shape (k, n).
    is_gauss_newton
        Gauss-Newton matrices, else Hessians.

    Returns
    -------
    NDArray
        Float64, shape (k, n).
    """
    order = np.lexsort((cells.landscapes, cells.minima))
    result = np.empty(directions.shape)
    compiled = [one for one in each if isinstance(one, CompiledProducts)]
    if len(compiled) < len(each):
        for minimum, landscape, rows in _runs(cells, order):
            one = each[minimum]
            product = one.gauss_newton if is_gauss_newton else one.hessian
            result[rows] = product(directions[rows], landscape)
        return result

    def work(part: slice) -> None:
        for minimum, landscape, rows in _runs(cells, order[part]):
            one = compiled[minimum]
            result[rows] = one.in_this_thread(directions[rows], landscape, is_gauss_newton)

    # All rows are shared out at once, whichever minimum they are of.
    count = max(one.num_examples(-1) for one in compiled)
    share_out(work, len(order), 5 * directions.size * count)
    return result


def _runs(cells: Cells, order: Rows) -> Iterator[tuple[int, int, Rows]]:
    """Yield each minimum and landscape with its rows, from rows in their order."""
    keys = np.stack([cells.minima[order], cells.landscapes[order]])
    ends = np.flatnonzero((np.diff(keys, axis=1) != 0).any(axis=0)) + 1
    for rows in np.split(order, ends):
        if len(rows):
            yield int(cells.minima[rows[0]]), int(cells.landscapes[rows[0]]), rows


class CompiledProducts:
    """What `CurvatureProducts` gives, of a network and examples that compiled code understands."""

    def __init__(self, network: Network, theta: Tensor, landscapes: Landscapes) -> None:
        exact = landscapes.to(theta.device, torch.float64)
        self._evaluator = NumbaEvaluator(network, theta.double(), exact)

    def num_examples(self, landscape: int) -> int:
        """Return how many examples a landscape has."""
        return int(self._evaluator.problem.sizes[landscape])

    def in_this_thread(self, directions: Array, landscape: int, is_gauss_newton: bool) -> Array:
        """Return products with rows, shape (k, n), without other threads."""
        return self._evaluator.products_of(directions, landscape, is_gauss_newton)

    def hessian(self, directions: Array, landscape: int = -1) -> Array:
        """Return H v for rows v, shape (k, n); see `CurvatureProducts.hessian`."""
        return self._evaluator.products(directions, landscape, is_gauss_newton=False)

    def gauss_newton(self, directions: Array, landscape: int = -1) -> Array:
        """Return G v for rows v, shape (k, n); see `CurvatureProducts.gauss_newton`."""
        return self._evaluator.products(directions, landscape, is_gauss_newton=True)


class CurvatureProducts:
    """Curvature of a network's mean loss at its minimum.

    Parameters
    ----------
    network, theta
        The architecture and the minimum, shape (n,).
    landscapes
        The examples.
    max_bytes
        Bound on the activations alive at once; by default what `basins.device.pass_room` gives.
    """

    def __init__(
        self,
        network: Network,
        theta: Tensor,
        landscapes: Landscapes,
        max_bytes: int | None = None,
    ) -> None:
        # A copy, so that the network's own buffers keep their precision.
        self.network = Network(copy.deepcopy(network.module)).to(theta.device, torch.float64)
        self.theta = theta.double()
        self.landscapes = replace(landscapes).to(theta.device, torch.float64)
        room = max_bytes or devices.pass_room(theta.device, with_gradient=True)
        each = activations(self.network, self.theta, self.landscapes.inputs).of_product
        self._chunk = max(1, min(CHUNK, room // (LEAST_TOGETHER * 8 * each)))
        self._rows = max(1, room // (8 * (each * self._chunk + 4 * theta.numel())))

    def hessian(self, directions: Array, landscape: int = -1) -> Array:
        """Return H v for rows v, shape (k, n): the gradient of the gradient's part along v.

        H is of the mean loss of a landscape by index, the largest by default.
        """
        loss = self.landscapes.loss_function

        def product(direction: Tensor, inputs: Tensor, targets: Tensor) -> Tensor:
            def summed(theta: Tensor) -> Tensor:
                return loss(self.network.apply(theta, inputs), targets).sum()

            moved: Tensor = grad(lambda theta: grad(summed)(theta) @ direction)(self.theta)
            return moved

        return self._all(product, directions, landscape)

    def gauss_newton(self, directions: Array, landscape: int = -1) -> Array:
        """Return G v for rows v, shape (k, n): G = mean of J^T B J, never negative for our losses.

        J is the Jacobian of an example's outputs, B the Hessian of its loss in them (Schraudolph
        2002, Neural Computation 14, 1723, equation 9).
        """
        loss = self.landscapes.loss_function

        def product(direction: Tensor, inputs: Tensor, targets: Tensor) -> Tensor:
            def outputs_of(theta: Tensor) -> Tensor:
                return self.network.apply(theta, inputs)

            at_minimum = vjp(outputs_of, self.theta)
            outputs, pull = at_minimum[0], at_minimum[1]
            # J^T u is linear in u, so its part along v has the gradient J v.
            moved = grad(lambda values: pull(values)[0] @ direction)(torch.zeros_like(outputs))
            slope = grad(lambda values: loss(values, targets).sum())
            bent = grad(lambda values: (slope(values) * moved).sum())(outputs)
            pulled: Tensor = pull(bent)[0]
            return pulled

        return self._all(product, directions, landscape)

    def _all(self, product: Product, directions: Array, landscape: int) -> Array:
        """Return the means of a product over the examples, a batch of directions at a time."""
        inputs, targets = self.landscapes.inputs, self.landscapes.targets
        count = self.landscapes.sizes[landscape]
        result = np.empty(directions.shape)
        batched = vmap(product, in_dims=(0, None, None))
        for begin in range(0, len(directions), self._rows):
            rows = slice(begin, begin + self._rows)
            some = torch.from_numpy(np.ascontiguousarray(directions[rows])).to(self.theta)
            total = torch.zeros_like(some)
            with torch.no_grad():
                for part in chunks(count, self._chunk):
                    total += batched(some, inputs[part], targets[part])
            result[rows] = (total / count).cpu().numpy()
        return result
