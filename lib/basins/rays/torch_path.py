"""The evaluator for any network, on CPU and CUDA: many points of many rays in one batch."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import vmap

from basins.models.functional import Network
from basins.rays.landscapes import Landscapes, chunks, prefix_means

CHUNK = 2048  # examples of one pass; larger gains nothing on a CPU and little on a GPU


class TorchEvaluator:
    """Mean losses of all landscapes at points along rays.

    Exploits: points are stacked and run as one batched network; the losses of all landscapes come
    from one pass over the largest. Forward passes run in the precision of `theta`, losses are
    summed in float64, and a point is always computed from the anchor, never from another point.

    Parameters
    ----------
    network
        The architecture.
    theta
        The minimum, shape (n,); its device and precision are where and how passes run.
    landscapes
        The examples.
    max_bytes
        Bound on the activations and perturbed parameters alive at once.
    """

    def __init__(
        self, network: Network, theta: Tensor, landscapes: Landscapes, max_bytes: int = 2**28
    ) -> None:
        self.network = network.to(theta.device, theta.dtype)
        self.theta = theta
        self.landscapes = landscapes.to(theta.device, theta.dtype)
        loss = self.landscapes.loss_function

        def example_losses(theta: Tensor, inputs: Tensor, targets: Tensor) -> Tensor:
            return loss(network.apply(theta, inputs), targets).double()

        def one_by_one(points: Tensor, inputs: Tensor, targets: Tensor) -> Tensor:
            return torch.stack([example_losses(point, inputs, targets) for point in points])

        batched = vmap(example_losses, in_dims=(0, None, None))
        self._losses = batched if self._can_batch(batched) else one_by_one
        width = widest_activation(network.module, self.landscapes.inputs[:1])
        # An activation, its nonlinearity and the next layer's input are alive together.
        example_bytes = 3 * width * theta.element_size()
        self._chunk = max(1, min(CHUNK, max_bytes // (2 * example_bytes)))
        point_bytes = 2 * theta.numel() * theta.element_size() + self._chunk * example_bytes
        self._points = max(1, max_bytes // point_bytes)

    def _can_batch(self, batched: Callable[[Tensor, Tensor, Tensor], Tensor]) -> bool:
        """Tell whether every module has a batching rule; recurrent ones, say, have none."""
        examples = self.landscapes
        try:
            with torch.no_grad():
                batched(self.theta.expand(2, -1), examples.inputs[:1], examples.targets[:1])
        except RuntimeError:
            return False
        return True

    def losses(
        self, steps: NDArray[np.float64], radii: NDArray[np.float64], num_landscapes: int
    ) -> NDArray[np.float64]:
        """Return the mean losses of the first landscapes at ``theta + radius * step``.

        Parameters
        ----------
        steps
            Directions in weight space, shape (B, n).
        radii
            Distances, shape (B,).
        num_landscapes
            How many landscapes, smallest first; only their examples are evaluated.

        Returns
        -------
        NDArray
            Float64, shape (B, num_landscapes); not finite where the network's outputs are not.
        """
        result = np.empty((len(radii), num_landscapes))
        for start in range(0, len(radii), self._points):
            part = slice(start, start + self._points)
            result[part] = self._points_losses(steps[part], radii[part], num_landscapes)
        return result

    def along(
        self, steps: NDArray[np.float64]
    ) -> Callable[[NDArray[np.int64], NDArray[np.float64], int, object], NDArray[np.float64]]:
        """Return a function that gives losses along rays.

        Parameters
        ----------
        steps
            Of a unit of radius along each ray, shape (rays, n).

        Returns
        -------
        Callable
            (rays by index (B,), radii (B,), number of landscapes, limits) -> losses, see `losses`;
            limits, see `basins.rays.solve.Evaluate`, save nothing here.
        """
        return lambda rows, radii, count, _limits: self.losses(steps[rows], radii, count)

    @property
    def ray_bytes(self) -> int:
        """Memory that a ray takes while its radii are solved."""
        return 2 * 8 * self.theta.numel()

    def gradients(self, steps: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the gradients of the mean loss over all examples at ``theta + step``.

        Parameters
        ----------
        steps
            In weight space, shape (B, n).

        Returns
        -------
        NDArray
            Float64, shape (B, n); not finite where the network's outputs are not.
        """
        result = np.empty(steps.shape)
        inputs, targets = self.landscapes.inputs, self.landscapes.targets
        count = self.landscapes.sizes[-1]
        # What the backward pass keeps is about as much again as the forward pass needs.
        size = max(1, self._points // 2)
        for start in range(0, len(steps), size):
            rows = slice(start, start + size)
            points = (self.theta + torch.from_numpy(steps[rows]).to(self.theta)).requires_grad_()
            total = torch.zeros_like(points)
            for part in chunks(count, self._chunk):
                losses = self._losses(points, inputs[part], targets[part])
                total += torch.autograd.grad(losses.sum(), points)[0]
            result[rows] = (total.double() / count).cpu().numpy()
        return result

    def _points_losses(
        self, steps: NDArray[np.float64], radii: NDArray[np.float64], num_landscapes: int
    ) -> NDArray[np.float64]:
        # Scaled in float64 and rounded once, so that a radius means the same in any precision.
        moves = torch.from_numpy(steps * radii[:, None]).to(self.theta)
        points = self.theta + moves
        inputs, targets = self.landscapes.inputs, self.landscapes.targets
        with torch.no_grad():
            means = prefix_means(
                lambda part: self._losses(points, inputs[part], targets[part]),
                self.landscapes.sizes[:num_landscapes],
                self._chunk,
            )
        return np.asarray(means.cpu().numpy())


def widest_activation(module: nn.Module, inputs: Tensor) -> int:
    """Return the most numbers that any layer holds for one example, inputs included."""
    sizes = [inputs[0].numel()]

    def record(_module: nn.Module, _inputs: object, outputs: object) -> None:
        if isinstance(outputs, Tensor):
            sizes.append(outputs.numel())

    hooks = [layer.register_forward_hook(record) for layer in module.modules()]
    try:
        with torch.no_grad():
            module(inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return max(sizes)
