"""Products of a network's Hessian and Gauss-Newton matrix with directions, exact, in float64.

Differences of gradients in single precision are mostly noise, and their eigenvalues are its.
Nothing is differenced here: by compiled code for fully connected networks on a CPU, else by torch.
"""

import copy
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import grad, vjp, vmap

from basins.models.functional import Network
from basins.rays.landscapes import Landscapes, chunks
from basins.rays.numba_path import NumbaEvaluator, is_understood
from basins.rays.torch_path import CHUNK, widest_activation

Array = NDArray[np.float64]
# (direction (n,), inputs, targets) -> the matrix of their summed loss times the direction
Product = Callable[[Tensor, Tensor, Tensor], Tensor]


def products_of(
    network: Network, theta: Tensor, landscapes: Landscapes
) -> "CompiledProducts | CurvatureProducts":
    """Return the curvature of a network at its minimum; arguments as of `CurvatureProducts`."""
    if is_understood(network, theta, landscapes):
        return CompiledProducts(network, theta, landscapes)
    return CurvatureProducts(network, theta, landscapes)


class CompiledProducts:
    """What `CurvatureProducts` gives, of a network and examples that compiled code understands."""

    def __init__(self, network: Network, theta: Tensor, landscapes: Landscapes) -> None:
        exact = landscapes.to(theta.device, torch.float64)
        self._evaluator = NumbaEvaluator(network, theta.double(), exact)

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
        Bound on the activations alive at once.
    """

    def __init__(
        self, network: Network, theta: Tensor, landscapes: Landscapes, max_bytes: int = 2**28
    ) -> None:
        # A copy, so that the network's own buffers keep their precision.
        self.network = Network(copy.deepcopy(network.module)).to(theta.device, torch.float64)
        self.theta = theta.double()
        self.landscapes = replace(landscapes).to(theta.device, torch.float64)
        width = widest_activation(self.network.module, self.landscapes.inputs[:1])
        self._chunk = max(1, min(CHUNK, max_bytes // (8 * 8 * width)))
        self._rows = max(1, max_bytes // (8 * (8 * width * self._chunk + 4 * theta.numel())))

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
