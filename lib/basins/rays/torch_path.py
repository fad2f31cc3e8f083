"""The evaluator for any network, on CPU and CUDA: many points of many rays in one batch."""

import copy
import functools
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from basins import device as devices
from basins.directions.on_gpu import Steps
from basins.models.cnn import stack_of
from basins.models.functional import Network, is_batched, over_rows
from basins.models.linear_start import linear_start
from basins.models.mlp import layer_widths
from basins.models.passes import ALIVE, activations, chunks
from basins.rays.convolutional_layers import outputs_of
from basins.rays.dense_layers import example_losses
from basins.rays.landscapes import Landscapes, prefix_means
from basins.rays.solve import Evaluate
from basins.rays.torch_rays import Kept, RaysTogether, most_of, moved, sent

Array = NDArray[np.float64]
Rows = NDArray[np.int64]

# (parameters (B, n), inputs, targets) -> losses (B, examples)
Losses = Callable[[Tensor, Tensor, Tensor], Tensor]

CHUNK = 2048  # examples of one pass; more gain nothing on a CPU
GPU_CHUNK = 16384  # of those behind a kept first layer, where a launch lasts as long as 2,048 do
LEAST_TOGETHER = 4  # rays whose first layer's outputs must fit, or they are made anew every time


class TorchEvaluator:
    """Mean losses of all landscapes at points along rays.

    Exploits: points are stacked and run as one batched network; the losses of all landscapes come
    from one pass over the largest; a first layer that is linear in its parameters is multiplied
    once a ray, as long as its outputs fit in memory; and points far out are given up early. Forward
    passes run in the precision of `theta`, losses are summed in float64, and a point is always
    computed from the anchor, never from another point.

    Parameters
    ----------
    network
        The architecture.
    theta
        The minimum, shape (n,); its device and precision are where and how passes run.
    landscapes
        The examples.
    max_bytes
        Bound on the activations and perturbed parameters of a pass, and another on the rays; by
        default what `basins.device.pass_room` and `basins.device.room` give.
    """

    def __init__(
        self,
        network: Network,
        theta: Tensor,
        landscapes: Landscapes,
        max_bytes: int | None = None,
    ) -> None:
        self.network = network.to(theta.device, theta.dtype)
        self.theta = theta
        self.landscapes = landscapes.to(theta.device, theta.dtype)
        room, self._most_together = devices.room(theta.device)
        self.max_bytes = max_bytes or room
        self._pass_bytes = max_bytes or devices.pass_room(theta.device)
        self._gradient_bytes = max_bytes or devices.pass_room(theta.device, with_gradient=True)
        loss = self.landscapes.loss_function

        def losses(theta: Tensor, inputs: Tensor, targets: Tensor) -> Tensor:
            return loss(network.apply(theta, inputs), targets).double()

        in_dims = (0, None, None)
        self._has_rules = self._can_batch(over_rows(losses, in_dims, in_one=True))
        in_one = self._has_rules and is_batched(network.module, theta.device)
        self.losses_of_points: Losses = over_rows(losses, in_dims, in_one)
        self._pass = self._compiled_pass() or self.losses_of_points
        self._held = activations(network, theta, self.landscapes.inputs)
        self.chunk, self.points_together = self._batch(CHUNK, self._held.alive())

    def _compiled_pass(self) -> Losses | None:
        """Return what gives losses, and no gradients, of a plain convolutional network on a GPU."""
        examples = self.landscapes
        if not devices.compiles_kernels(self.device) or not examples.is_of_classes:
            return None
        stack = stack_of(self.network.module, tuple(examples.inputs.shape[1:]))
        if stack is None:
            return None

        def losses(points: Tensor, inputs: Tensor, targets: Tensor) -> Tensor:
            outputs = outputs_of(stack, points, inputs)
            return example_losses(examples.loss_function, outputs, targets.expand(len(points), -1))

        return losses

    def _batch(self, most: int, alive: int, with_gradient: bool = False) -> tuple[int, int]:
        """Return how many examples, at most so many, and how many points one pass is over.

        `alive` is how many numbers are alive at once for one example.
        """
        size = self.theta.element_size()
        room = self._gradient_bytes if with_gradient else self._pass_bytes
        return pass_sizes(room, most, alive * size, 2 * self.theta.numel() * size)

    def _can_batch(self, batched: Losses) -> bool:
        """Tell whether every module has a batching rule; recurrent ones, say, have none."""
        examples = self.landscapes
        try:
            with torch.no_grad():
                batched(self.theta.expand(2, -1), examples.inputs[:1], examples.targets[:1])
        except RuntimeError:
            return False
        return True

    def at(self, theta: Array) -> "TorchEvaluator":
        """Return an evaluator of the same network and examples at other parameters, shape (n,)."""
        moved = copy.copy(self)
        moved.theta = torch.from_numpy(theta).to(self.theta)
        moved.__dict__.pop("kept", None)
        return moved

    @property
    def device(self) -> torch.device:
        """Where passes run."""
        return self.theta.device

    @property
    def num_landscapes(self) -> int:
        """How many landscapes there are."""
        return len(self.landscapes.sizes)

    @property
    def rays_together(self) -> int:
        """How many rays are solved at once; of their float64 steps there may be two copies."""
        outputs = self.kept.outputs.nbytes if self.kept is not None else 0
        taken = outputs + 2 * 8 * self.theta.numel()
        return max(1, min(self._most_together, self.max_bytes // taken))

    def losses(self, steps: Array, radii: Array, num_landscapes: int) -> Array:
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
        given = torch.from_numpy(np.ascontiguousarray(steps)).to(self.theta.device)
        rows = torch.arange(len(radii), device=self.theta.device)
        at = torch.from_numpy(radii).to(self.theta.device)
        return self._losses_at(given, rows, at, num_landscapes, None)

    def _losses_at(
        self, steps: Tensor, rows: Tensor, radii: Tensor, num_landscapes: int, most: Tensor | None
    ) -> Array:
        """Return mean losses at points on rays, by passes of the whole network.

        Parameters
        ----------
        steps
            Of rays, float64 on the device, shape (rays, n).
        rows, radii
            Of each point its ray and how far along it, shape (B,).
        num_landscapes
            As in `losses`.
        most
            See `landscapes.prefix_means`, shape (B,).
        """
        inputs, targets = self.landscapes.inputs, self.landscapes.targets
        found = [radii.new_empty(0, num_landscapes)]
        for begin in range(0, len(rows), self.points_together):
            part = slice(begin, begin + self.points_together)
            points = moved(self.theta, steps[rows[part]], radii[part])

            def chunk_losses(run: slice, kept: Tensor | None, points: Tensor = points) -> Tensor:
                chosen = points if kept is None else points[kept]
                return self._pass(chosen, inputs[run], targets[run])

            with torch.no_grad():
                means = prefix_means(
                    chunk_losses,
                    self.landscapes.sizes[:num_landscapes],
                    self.chunk,
                    None if most is None else most[part],
                )
            found.append(means)
        return torch.cat(found).cpu().numpy()

    def along(self, steps: Steps) -> Evaluate:
        """Return a function that gives losses along rays.

        Parameters
        ----------
        steps
            Of a unit of radius along each ray, shape (rays, n).

        Returns
        -------
        Callable
            (rays by index (B,), radii (B,), number of landscapes, limits) -> losses, see `losses`;
            limits, see `basins.rays.solve.Evaluate`.
        """
        if self.kept is not None:
            return RaysTogether([self.kept], [steps]).losses
        device = self.theta.device
        given = torch.as_tensor(steps, device=device)

        def losses(rows: Rows, radii: Array, count: int, limits: Array) -> Array:
            at = sent(rows, device), sent(radii, device)
            most = most_of(limits, self.landscapes.sizes[:count], device)
            return self._losses_at(given, *at, count, most)

        return losses

    @functools.cached_property
    def kept(self) -> Kept | None:
        """The minimum with its first layer's outputs.

        None where the network has no linear first layer that is worth it, or too few rays would
        fit with theirs.
        """
        examples = self.landscapes.inputs[:2]
        start = linear_start(self.network, self.theta, examples) if self._has_rules else None
        if start is None or not start.is_worth_keeping:
            return None
        if not is_batched(start.rest, self.theta.device):
            return None
        one = start.layer_outputs(self.theta, examples[:1])
        if not is_kept(self.landscapes.sizes[-1] * one.nbytes, self.max_bytes):
            return None
        widths = layer_widths(self.network.module) if self.landscapes.is_of_classes else None
        behind = ALIVE * max(widths[1:]) if widths else self._held.alive()
        most = GPU_CHUNK if self.theta.device.type == "cuda" else CHUNK
        chunk, points = self._batch(most, behind)
        return Kept(start, self.theta, self.landscapes, chunk, points, widths)

    def gradients(self, steps: Array, landscape: int = -1) -> Array:
        """Return the gradients of a landscape's mean loss at ``theta + step``.

        Parameters
        ----------
        steps
            In weight space, shape (B, n).
        landscape
            By index, the largest by default.

        Returns
        -------
        NDArray
            Float64, shape (B, n); not finite where the network's outputs are not.
        """
        result = np.empty(steps.shape)
        inputs, targets = self.landscapes.inputs, self.landscapes.targets
        count = self.landscapes.sizes[landscape]
        chunk, together = self._batch(CHUNK, self._held.alive(with_gradient=True), True)
        for start in range(0, len(steps), together):
            rows = slice(start, start + together)
            points = (self.theta + torch.from_numpy(steps[rows]).to(self.theta)).requires_grad_()
            total = torch.zeros_like(points)
            for part in chunks(count, chunk):
                losses = self.losses_of_points(points, inputs[part], targets[part])
                total += torch.autograd.grad(losses.sum(), points)[0]
            result[rows] = (total.double() / count).cpu().numpy()
        return result


def is_kept(num_bytes: int, max_bytes: int = devices.MAX_BYTES) -> bool:
    """Tell whether a first layer's outputs, so large for each ray, are kept along rays."""
    return LEAST_TOGETHER * num_bytes <= max_bytes


def pass_sizes(room: int, most: int, example_bytes: int, point_bytes: int) -> tuple[int, int]:
    """Return how many examples, at most so many, and how many points one pass is over.

    Examples
    --------
    >>> pass_sizes(room=1000, most=2048, example_bytes=10, point_bytes=100)
    (50, 1)
    """
    chunk = max(1, min(most, room // (2 * example_bytes)))
    return chunk, max(1, room // (point_bytes + chunk * example_bytes))
