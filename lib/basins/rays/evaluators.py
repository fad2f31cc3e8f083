"""Which evaluator measures a network, and how several serve the rays of their minima together."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from basins.directions.on_gpu import Steps
from basins.models.functional import Network
from basins.rays.landscapes import Landscapes
from basins.rays.numba_path import NumbaEvaluator, is_understood
from basins.rays.solve import Array, Evaluate
from basins.rays.torch_path import TorchEvaluator
from basins.rays.torch_rays import RaysTogether


class Evaluator(Protocol):
    """What an evaluator can do; see `basins.rays.torch_path.TorchEvaluator`."""

    @property
    def device(self) -> torch.device:
        """Where its rays are solved."""

    @property
    def num_landscapes(self) -> int:
        """How many landscapes it has."""

    @property
    def rays_together(self) -> int:
        """How many rays are solved at once."""

    def along(self, steps: Steps) -> Evaluate:
        """Return losses (B, num_landscapes) of rays by index (B,), at radii (B,), along steps."""


Measuring = TypeVar("Measuring", bound=Evaluator, covariant=True)


def evaluator_of(
    network: Network, theta: Tensor, landscapes: Landscapes
) -> NumbaEvaluator | TorchEvaluator:
    """Return compiled code for fully connected networks on a CPU, batched torch for all others."""
    if is_understood(network, theta, landscapes):
        return NumbaEvaluator(network, theta, landscapes)
    return TorchEvaluator(network, theta, landscapes)


def along_all(evaluators: Sequence[Evaluator], steps: Sequence[Steps]) -> Evaluate:
    """Return losses along the rays of several minima of one network.

    Those of a small network on a GPU go into one batch; a large one fills it by itself.

    Parameters
    ----------
    evaluators
        One of each minimum.
    steps
        Of a unit of radius along its rays, each of shape (its rays, n); rays count on from one
        minimum to the next.
    """
    kept = [one.kept for one in evaluators if isinstance(one, TorchEvaluator) and one.kept]
    if len(kept) == len(evaluators):
        return RaysTogether(kept, steps).losses
    each = [one.along(part) for one, part in zip(evaluators, steps, strict=True)]
    if len(each) == 1:
        return each[0]
    ends = np.cumsum([len(part) for part in steps])

    def losses(rows: NDArray[np.int64], radii: Array, count: int, limits: Array) -> Array:
        result = np.empty((len(rows), count))
        owners = np.searchsorted(ends, rows, side="right")
        for owner in np.unique(owners):
            mine = np.flatnonzero(owners == owner)
            first = ends[owner] - len(steps[owner])
            result[mine] = each[owner](rows[mine] - first, radii[mine], count, limits[mine])
        return result

    return losses
