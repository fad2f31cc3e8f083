"""Rays of networks whose first layer is linear: its products once a ray, one batch for all minima.

The same as `mlp_rays` does compiled, for any network that `linear_start` can take apart.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import vmap

from basins import device as devices
from basins.directions.on_gpu import Steps
from basins.models.functional import is_batched, over_rows
from basins.models.linear_start import LinearStart
from basins.models.passes import chunks
from basins.rays import dense_layers
from basins.rays.landscapes import Landscapes, prefix_means
from basins.rays.launches import blend

Array = NDArray[np.float64]
Rows = NDArray[np.int64]

ROUNDED_NATS = 0.01  # of n d(ln r) that may be lost where a radius is rounded


@dataclass
class Kept:
    """A minimum and the outputs of its first layer.

    Attributes
    ----------
    start, theta, landscapes
        The network taken apart, the minimum, shape (n,), and its examples, N of them.
    chunk, points_together
        Examples and points of one pass.
    widths
        Of a fully connected network and examples of classes, see `basins.models.mlp.layer_widths`.
    outputs
        Of the first layer, shape (N, ...), as far as they are filled in.
    num_filled
        Of how many examples.
    """

    start: LinearStart
    theta: Tensor
    landscapes: Landscapes
    chunk: int
    points_together: int
    widths: list[int] | None = None
    outputs: Tensor = field(init=False)
    num_filled: int = 0

    def __post_init__(self) -> None:
        self.outputs = self._empty(self.landscapes.sizes[-1])

    @property
    def example_bytes(self) -> int:
        """Memory that the first layer's outputs take for one example."""
        return self._empty(1).nbytes

    def _empty(self, count: int) -> Tensor:
        with torch.no_grad():
            one = self.start.layer_outputs(self.theta, self.landscapes.inputs[:1])
        return one.new_empty(count, *one.shape[1:])

    def fill(self, count: int) -> None:
        """Fill in the outputs of the first `count` examples."""
        for run in chunks(count, self.chunk, self.num_filled):
            self.outputs[run] = self.start.layer_outputs(self.theta, self.landscapes.inputs[run])
        self.num_filled = max(self.num_filled, count)


class RaysTogether:
    """Losses along the rays of minima of one network, in landscapes of the same sizes.

    Parameters
    ----------
    minima
        Which, S of them.
    steps
        Of a unit of radius along the rays of each, shape (its rays, n).
    """

    def __init__(self, minima: Sequence[Kept], steps: Sequence[Steps]) -> None:
        one = minima[0]
        self.minima, self.start, self.landscapes = minima, one.start, one.landscapes
        self.theta, self.chunk, self.points_together = one.theta, one.chunk, one.points_together
        self.device, sizes = one.theta.device, one.landscapes.sizes
        self.is_compiled = devices.compiles_kernels(self.device)
        given = [torch.as_tensor(part, device=self.device) for part in steps]
        counts = torch.tensor([len(part) for part in steps], device=self.device)
        self.owners = torch.arange(len(minima), device=self.device).repeat_interleave(counts)
        self.steps = [part.to(self.theta) for part in given]
        self.rest = torch.stack([self.start.parameters_of_rest(each.theta) for each in minima])
        self.rest_steps = torch.cat([self.start.parameters_of_rest(part) for part in given])
        self.targets = torch.stack([each.landscapes.targets[: sizes[-1]] for each in minima])
        self.outputs = one.outputs.new_empty(len(self.owners), *one.outputs.shape)
        self.num_filled = 0
        # Rounding a radius moves all outputs alike, where roundings of the outputs cancel.
        self.splits_radii = len(one.theta) * torch.finfo(one.theta.dtype).eps > ROUNDED_NATS

    def losses(self, rows: Rows, radii: Array, num_landscapes: int, limits: Array) -> Array:
        """Return mean losses, float64 (B, num_landscapes); see `basins.rays.solve.Evaluate`."""
        sizes = self.landscapes.sizes[:num_landscapes]
        most = most_of(limits, sizes, self.device)
        on_rays, at = sent(rows, self.device), sent(radii, self.device)
        means = [at.new_empty(0, num_landscapes)]
        with torch.no_grad():
            self._fill(sizes[-1])
            for begin in range(0, len(rows), self.points_together):
                part = slice(begin, begin + self.points_together)
                points = _Points(self, on_rays[part], at[part])
                limit = None if most is None else most[part]
                means.append(prefix_means(points.losses, sizes, self.chunk, limit))
        return torch.cat(means).cpu().numpy()

    def _fill(self, count: int) -> None:
        """Make the first layer's products along all rays with the first `count` examples."""
        if count <= self.num_filled:
            return
        in_one = is_batched(self.start.layer, self.device)
        products = over_rows(self.start.layer_outputs, (0, None), in_one)
        row = 0
        for each, steps in zip(self.minima, self.steps, strict=True):
            each.fill(count)
            for some in torch.split(steps, self.points_together):
                for run in chunks(count, self.chunk, self.num_filled):
                    made = products(some, each.landscapes.inputs[run])
                    self.outputs[row : row + len(some), run] = made
                row += len(some)
        self.num_filled = count

    def outputs_at(
        self, rows: Tensor, radii: Tensor, run: slice, is_rectified: bool = False
    ) -> Tensor:
        """Return the first layer's outputs at points of rays by index, shape (B, run, ...)."""
        if len(self.minima) == 1:
            at_minima = self.minima[0].outputs[run][None]
        else:
            at_minima = torch.stack([each.outputs[run] for each in self.minima])
        if self.is_compiled:
            return blend(at_minima, self.outputs[:, run], self.owners, rows, radii, is_rectified)
        if len(self.minima) > 1:
            at_minima = at_minima[self.owners[rows]]
        along = self.outputs[rows, run]
        shape = -1, *[1] * (along.ndim - 1)
        rounded = radii.to(along.dtype)
        outputs = torch.addcmul(at_minima, along, rounded.view(shape))
        if self.splits_radii:
            rest = (radii - rounded.double()).to(along.dtype)
            outputs.addcmul_(along, rest.view(shape))
        return outputs.relu_() if is_rectified else outputs

    @functools.cached_property
    def example_losses(self) -> Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]:
        """Losses of examples (B, examples) from parameters behind the first layer and its outputs.

        Inputs are the same for all points, since nothing looks at their numbers.
        """
        loss = self.landscapes.loss_function

        def losses(rest: Tensor, outputs: Tensor, inputs: Tensor, targets: Tensor) -> Tensor:
            return loss(self.start.outputs_from(rest, outputs, inputs), targets).double()

        batched: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor] = vmap(
            losses, in_dims=(0, 0, None, 0)
        )
        return batched


class _Points:
    """Points on rays, and the losses there."""

    def __init__(self, rays: RaysTogether, rows: Tensor, radii: Tensor) -> None:
        self.rays, self.rows, self.radii = rays, rows, radii
        anchors = rays.rest[rays.owners[self.rows]]
        self.rest = moved(anchors, rays.rest_steps[self.rows], self.radii)
        widths = rays.minima[0].widths
        self.layers = None if widths is None else dense_layers.taken_apart(self.rest, widths[1:])

    def losses(self, run: slice, kept: Tensor | None) -> Tensor:
        """Return the losses of a run of examples at all points, or those by index."""
        rays, rows, radii = self.rays, self.rows, self.radii
        if kept is not None:
            rows, radii = rows[kept], radii[kept]
        targets = rays.targets[rays.owners[rows], run]
        if self.layers is not None:
            layers = self.layers if kept is None else [each.of(kept) for each in self.layers]
            outputs = rays.outputs_at(rows, radii, run, is_rectified=len(layers) > 0)
            outputs = dense_layers.outputs_behind(layers, outputs, rays.is_compiled)
            return dense_layers.example_losses(rays.landscapes.loss_function, outputs, targets)
        rest = self.rest if kept is None else self.rest[kept]
        outputs = rays.outputs_at(rows, radii, run)
        inputs = rays.landscapes.inputs[:1]
        inputs = inputs.expand(outputs.shape[1], *inputs.shape[1:])
        losses: Tensor = rays.example_losses(rest, outputs, inputs, targets)
        return losses


def moved(anchors: Tensor, steps: Tensor, radii: Tensor) -> Tensor:
    """Return anchor + radius * step in the anchors' precision, shape (B, n).

    Scaled in float64 and rounded once, so that a radius means the same in any precision.
    """
    return anchors + (steps * radii[:, None]).to(anchors)


def most_of(limits: Array, sizes: tuple[int, ...], device: torch.device) -> Tensor | None:
    """Return the sums (B,) above which points are outside all `limits` (B, landscapes), if any."""
    sums = (limits * np.array(sizes)).max(axis=1)
    return sent(sums, device) if np.isfinite(sums).any() else None


def sent(array: NDArray[Any], device: torch.device) -> Tensor:
    """Return an array as a tensor on a device, without waiting for what runs there."""
    return torch.from_numpy(array).to(device, non_blocking=True)
