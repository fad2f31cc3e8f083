"""The obvious evaluator, one point at a time: the reference of the tests."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from basins.models.functional import Network
from basins.rays.landscapes import Landscapes


class SlowEvaluator:
    """Mean losses at points along rays, without batching and without sharing between landscapes."""

    def __init__(self, network: Network, theta: Tensor, landscapes: Landscapes) -> None:
        self.network = network
        self.theta = theta
        self.landscapes = landscapes

    @property
    def ray_bytes(self) -> int:
        """Memory that a ray takes while its radii are solved."""
        return 2 * 8 * self.theta.numel()

    def along(
        self, steps: NDArray[np.float64]
    ) -> Callable[[NDArray[np.int64], NDArray[np.float64], int, object], NDArray[np.float64]]:
        """Return losses along rays, as `TorchEvaluator.along` does."""
        return lambda rows, radii, count, _limits: self.losses(steps[rows], radii, count)

    def losses(
        self, steps: NDArray[np.float64], radii: NDArray[np.float64], num_landscapes: int
    ) -> NDArray[np.float64]:
        """Return what `TorchEvaluator.losses` does, by the plainest loop."""
        examples = self.landscapes
        result = np.empty((len(radii), num_landscapes))
        for i, (step, radius) in enumerate(zip(steps, radii, strict=True)):
            theta = self.theta + radius * torch.from_numpy(step).to(self.theta)
            for k, size in enumerate(examples.sizes[:num_landscapes]):
                outputs = self.network.apply(theta, examples.inputs[:size])
                losses = examples.loss_function(outputs, examples.targets[:size])
                result[i, k] = losses.double().mean().item()
        return result
