"""The evaluator for fully connected networks on a CPU: compiled, for any number of examples."""

import copy
import functools
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from basins import device as devices
from basins.directions.on_gpu import Steps
from basins.models import mlp_gradients, mlp_kernels, mlp_products
from basins.models.functional import Network
from basins.models.mlp import layer_widths
from basins.rays import first_layer, mlp_rays
from basins.rays.landscapes import Landscapes
from basins.threads import share_out

Array = NDArray[np.float64]
Rows = NDArray[np.int64]


def is_understood(network: Network, theta: Tensor, landscapes: Landscapes) -> bool:
    """Tell whether `NumbaEvaluator` can take the place of the evaluator for any network."""
    return (
        theta.device.type == "cpu"
        and theta.dtype in (torch.float32, torch.float64)
        and isinstance(landscapes.loss, str)
        and landscapes.loss in mlp_kernels.KINDS
        and landscapes.inputs.is_floating_point()
        and not landscapes.targets.is_floating_point()
        # Torch leaves out examples of class -100.
        and bool((landscapes.targets >= 0).all())
        and layer_widths(network.module) is not None
    )


class NumbaEvaluator:
    """Mean losses of all landscapes at points along rays; the same calls as `TorchEvaluator`.

    Parameters
    ----------
    network, theta, landscapes
        As of `TorchEvaluator`; `is_understood` must hold of them.

    Attributes
    ----------
    problem
        Network and examples as the kernels take them.
    """

    def __init__(self, network: Network, theta: Tensor, landscapes: Landscapes) -> None:
        widths = layer_widths(network.module)
        assert widths is not None
        self.theta = np.ascontiguousarray(theta.numpy())
        inputs = landscapes.inputs.to(theta.dtype).flatten(1).numpy()
        count = landscapes.sizes[-1]
        edges = mlp_kernels.block_edges(count, *landscapes.sizes)
        self.problem = mlp_kernels.Problem(
            np.array(widths),
            mlp_kernels.blocked(inputs, edges),
            landscapes.targets[:count].numpy().astype(np.int32),
            edges,
            np.array(landscapes.sizes),
            mlp_kernels.KINDS[str(landscapes.loss)],
        )

    def at(self, theta: Array) -> "NumbaEvaluator":
        """Return an evaluator of the same network and examples at other parameters, shape (n,)."""
        moved = copy.copy(self)
        moved.theta = np.ascontiguousarray(theta, dtype=self.theta.dtype)
        moved.__dict__.pop("sums", None)
        return moved

    def losses(self, steps: Array, radii: Array, num_landscapes: int) -> Array:
        """Return mean losses, float64 (B, num_landscapes); see `TorchEvaluator.losses`."""
        problem = self._of_first(num_landscapes)
        points = self.points(steps, radii)
        result = np.empty((len(points), num_landscapes))

        def work(rows: slice) -> None:
            mlp_kernels.mean_losses(points[rows], problem, result[rows])

        share_out(work, len(points), points.size * int(problem.edges[-1]))
        return result

    def along(self, steps: Steps) -> Callable[[Rows, Array, int, Array], Array]:
        """Return losses along rays; see `TorchEvaluator.along`.

        The first layer's products are made once a ray, of examples when they are first asked for; a
        point is given up as soon as its examples so far bring the loss above all its limits.
        """
        whole = np.asarray(steps)
        single = whole.astype(self.theta.dtype)
        above = int(self.problem.widths[1] * (self.problem.widths[0] + 1))
        ray_sums = np.empty((len(steps), len(self.sums)), self.theta.dtype)
        num_blocks = 0

        def prepare(last: int) -> None:
            nonlocal num_blocks
            first = num_blocks

            def work(rows: slice) -> None:
                mlp_rays.put_ray_sums(single[rows], self.problem, first, last, ray_sums[rows])

            count = int(self.problem.edges[last] - self.problem.edges[first])
            share_out(work, len(steps), len(steps) * above * count)
            num_blocks = last

        rest = np.ascontiguousarray(whole[:, above:])
        rays = mlp_rays.Rays(self.theta, self.sums, rest, ray_sums)

        def losses(rows: Rows, radii: Array, num_landscapes: int, limits: Array) -> Array:
            problem = self._of_first(num_landscapes)
            if len(problem.edges) - 1 > num_blocks:
                prepare(len(problem.edges) - 1)
            result = np.empty((len(rows), num_landscapes))
            most = np.broadcast_to(limits * problem.sizes, result.shape).max(axis=1)

            def work(part: slice) -> None:
                points = mlp_rays.Points(rows[part], radii[part], most[part])
                mlp_rays.ray_losses(rays, points, problem, result[part])

            operations = len(rows) * int(problem.edges[-1]) * (rest.shape[1] + problem.widths[1])
            share_out(work, len(rows), operations)
            return result

        return losses

    @property
    def device(self) -> torch.device:
        """Where rays are solved."""
        return torch.device("cpu")

    @property
    def num_landscapes(self) -> int:
        """How many landscapes there are."""
        return len(self.problem.sizes)

    @property
    def rays_together(self) -> int:
        """How many rays are solved at once."""
        return devices.rays_together(int(self.sums.nbytes) + 2 * 8 * len(self.theta))

    @functools.cached_property
    def sums(self) -> NDArray[np.floating]:
        """The first layer's sums at the minimum, of all examples; see `first_layer`."""
        sums = np.empty(int(self.problem.widths[1] * self.problem.edges[-1]), self.theta.dtype)

        def work(_: slice) -> None:
            first_layer.put_first_sums(
                self.theta, self.problem, 0, len(self.problem.edges) - 1, sums
            )

        # In one thread of BLAS like all that follows, so that bits do not depend on the machine.
        share_out(work, 1, 1)
        return sums

    def _of_first(self, num_landscapes: int) -> mlp_kernels.Problem:
        sizes = self.problem.sizes[:num_landscapes]
        edges = self.problem.edges[: np.searchsorted(self.problem.edges, sizes[-1]) + 1]
        return self.problem._replace(sizes=sizes, edges=edges)

    def gradients(self, steps: Array, landscape: int = -1) -> Array:
        """Return gradients, float64 (B, n); see `TorchEvaluator.gradients`."""
        problem = self._of_first(self._count(landscape))
        points = self.theta + steps.astype(self.theta.dtype)
        result = np.empty(points.shape)

        def work(rows: slice) -> None:
            mlp_gradients.mean_gradients(points[rows], problem, result[rows])

        share_out(work, len(points), 3 * points.size * int(problem.edges[-1]))
        return result

    def products(self, vectors: Array, landscape: int, is_gauss_newton: bool) -> Array:
        """Return products of the Hessian at the minimum, or the Gauss-Newton matrix, with rows.

        Parameters
        ----------
        vectors
            Shape (B, n).
        landscape
            Of whose mean loss, by index.
        is_gauss_newton
            See `mlp_products.mean_products`.

        Returns
        -------
        NDArray
            Float64, shape (B, n).
        """
        result = np.empty(vectors.shape)

        def work(rows: slice) -> None:
            result[rows] = self.products_of(vectors[rows], landscape, is_gauss_newton)

        count = int(self.problem.sizes[landscape])
        share_out(work, len(vectors), 5 * vectors.size * count)
        return result

    def products_of(self, vectors: Array, landscape: int, is_gauss_newton: bool) -> Array:
        """Return what `products` does, in the thread that asks."""
        problem = self._of_first(self._count(landscape))
        given = np.ascontiguousarray(vectors, dtype=self.theta.dtype)
        result = np.empty(given.shape)
        mlp_products.mean_products(self.theta, problem, given, is_gauss_newton, result)
        return result

    def _count(self, landscape: int) -> int:
        return range(1, self.num_landscapes + 1)[landscape]

    def points(self, steps: Array, radii: Array) -> NDArray[np.floating]:
        """Return theta + radius * step in the precision of theta, shape (B, n)."""
        # Scaled in float64 and rounded once, so that a radius means the same in any precision.
        return np.asarray(self.theta + (steps * radii[:, None]).astype(self.theta.dtype))
