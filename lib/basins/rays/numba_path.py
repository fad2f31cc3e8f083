"""The evaluator for fully connected networks on a CPU: compiled, for any number of examples."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController
from torch import Tensor, nn

from basins.models.functional import Network
from basins.rays import mlp_kernels
from basins.rays.landscapes import Landscapes

Array = NDArray[np.float64]


def layer_widths(module: nn.Module) -> list[int] | None:
    """Return the widths of the input and of every layer, None for any other architecture.

    A network is understood if it is a sequence of fully connected layers with biases and a
    rectifier between each two, after a `Flatten` or none.

    Examples
    --------
    >>> layer_widths(nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)))
    [4, 3, 2]
    """
    parts = list(module) if type(module) is nn.Sequential else [module]
    if parts and type(parts[0]) is nn.Flatten and parts[0].start_dim == 1:
        parts = parts[1:]
    if len(parts) % 2 == 0 or any(type(part) is not nn.ReLU for part in parts[1::2]):
        return None
    widths: list[int] = []
    for layer in parts[::2]:
        if type(layer) is not nn.Linear or layer.bias is None:
            return None
        widths = widths or [layer.in_features]
        widths.append(layer.out_features)
    return widths


def is_understood(network: Network, theta: Tensor, landscapes: Landscapes) -> bool:
    """Tell whether `NumbaEvaluator` can take the place of the evaluator for any network."""
    return (
        theta.device.type == "cpu"
        and theta.dtype in (torch.float32, torch.float64)
        and landscapes.loss in mlp_kernels.KINDS
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
        edges = sorted({*range(0, count, mlp_kernels.BLOCK), *landscapes.sizes})
        blocks = [inputs[begin:end].T.ravel() for begin, end in itertools.pairwise(edges)]
        self.problem = mlp_kernels.Problem(
            np.array(widths),
            np.concatenate(blocks),
            landscapes.targets[:count].numpy().astype(np.int32),
            np.array(edges),
            np.array(landscapes.sizes),
            mlp_kernels.KINDS[str(landscapes.loss)],
        )

    def losses(self, steps: Array, radii: Array, num_landscapes: int) -> Array:
        """Return mean losses, float64 (B, num_landscapes); see `TorchEvaluator.losses`."""
        sizes = self.problem.sizes[:num_landscapes]
        edges = self.problem.edges[: np.searchsorted(self.problem.edges, sizes[-1]) + 1]
        problem = self.problem._replace(sizes=sizes, edges=edges)
        with one_blas_thread():
            return np.asarray(mlp_kernels.mean_losses(self.points(steps, radii), problem))

    def gradients(self, steps: Array) -> Array:
        """Return gradients, float64 (B, n); see `TorchEvaluator.gradients`."""
        points = self.points(steps, np.ones(len(steps)))
        with one_blas_thread():
            return np.asarray(mlp_kernels.mean_gradients(points, self.problem))

    def points(self, steps: Array, radii: Array) -> NDArray[np.floating]:
        """Return theta + radius * step in the precision of theta, shape (B, n)."""
        # Scaled in float64 and rounded once, so that a radius means the same in any precision.
        return np.asarray(self.theta + (steps * radii[:, None]).astype(self.theta.dtype))


_pools = ThreadpoolController().select(user_api="blas")


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Keep BLAS to the thread it is called from: the kernels' threads are enough."""
    with _pools.limit(limits=1):
        yield
