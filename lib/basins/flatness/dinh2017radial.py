"""A smooth change of parameters that makes the curvature at a point what one likes.

Dinh et al. 2017, *Sharp minima can generalize for deep nets*, arXiv 1703.04933, section 5.
"""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call

from basins.directions.preconditioner import Preconditioner
from basins.flatness.linear_maps import checked_rows

Array = NDArray[np.float64]

NEWTON_STEPS = 12  # far more than it takes from anywhere


@dataclass(frozen=True)
class Radial:
    """eta = (|theta - center|^2 + b)^a (theta - center), Dinh et al. 2017, section 5.

    Attributes
    ----------
    center
        Where curvature is to change, shape (n,).
    a, b
        Above -1/2 and above 0, so that every eta is reached, and once.

    Examples
    --------
    >>> change = Radial(np.zeros(2), 1.0, 1.0)
    >>> change.forward(np.array([2.0, 0.0])), change.inverse(np.array([0.0, 10.0]))
    (array([10.,  0.]), array([0., 2.]))
    """

    center: Array
    a: float
    b: float

    def __post_init__(self) -> None:
        """Raise a ValueError if the map has no inverse."""
        if not -0.5 < self.a < np.inf:
            raise ValueError(f"a: must be a number above -1/2, not {self.a!r}")
        if not 0 < self.b < np.inf:
            raise ValueError(f"b: must be a finite number above 0, not {self.b!r}")
        if self.center.ndim != 1 or not np.isfinite(self.center).all():
            raise ValueError("center: must be finite, shape (n,)")

    def forward(self, theta: Array) -> Array:
        """Return eta of rows theta, shape (..., n)."""
        offset = checked_rows("theta", theta, len(self.center)) - self.center
        square = np.square(offset).sum(-1, keepdims=True)
        return np.asarray((square + self.b) ** self.a * offset)

    def inverse(self, eta: Array) -> Array:
        """Return theta of rows eta, shape (..., n)."""
        rows = torch.from_numpy(checked_rows("eta", eta, len(self.center)))
        return np.asarray(self.center + offsets(rows, self.a, self.b).numpy())

    def jacobian(self, theta: Array) -> Preconditioner:
        """Return d eta / d theta at one theta, shape (n,): one length along its ray, one across."""
        offset = checked_rows("theta", theta, len(self.center)) - self.center
        if offset.ndim != 1:
            raise ValueError(f"theta: must be one point, not of shape {offset.shape}")
        square = float(offset @ offset)
        across = (square + self.b) ** self.a
        along = across * (1 + 2 * self.a * square / (square + self.b))
        if square == 0 or len(offset) == 1:
            return Preconditioner.diagonal(np.full(len(offset), along))
        ray = offset[:, None] / np.sqrt(square)
        return Preconditioner(np.array([along]), ray, across, len(offset))

    def log_det(self, theta: Array) -> float:
        """Return ln |det d eta / d theta| at one theta, shape (n,), in nats."""
        return self.jacobian(theta).log_det()

    def pulled_back(self, loss: Callable[[Array], Array]) -> Callable[[Array], Array]:
        """Return the loss as a function of rows eta, shape (..., n)."""
        return lambda eta: loss(self.inverse(eta))

    def gradient_pulled_back(self, gradient: Callable[[Array], Array]) -> Callable[[Array], Array]:
        """Return the gradient in eta, rows of shape (k, n), of a loss with a gradient in theta."""

        def pulled(eta: Array) -> Array:
            theta = self.inverse(eta)
            offset = theta - self.center
            square = np.square(offset).sum(1, keepdims=True)
            across = (square + self.b) ** self.a
            stretch = 1 + 2 * self.a * square / (square + self.b)
            slope = gradient(theta) / across
            # Along the ray the map is steeper; the Jacobian is symmetric.
            part = (slope * offset).sum(1, keepdims=True) / np.where(square > 0, square, 1)
            return np.asarray(slope + (1 / stretch - 1) * part * offset)

        return pulled


def offsets(eta: Tensor, a: float, b: float) -> Tensor:
    """Return theta - center of eta, shape (..., n), with its first two derivatives.

    With u = |theta - center|^2 and q = |eta|^2, u solves u (u + b)^2a = q.
    """
    square = eta.square().sum(-1, keepdim=True)
    u = _root(square.detach(), a, b)
    # Each step of Newton's method from the root carries one more order of derivatives.
    for _ in range(2):
        power = (u + b) ** (2 * a)
        slope = power * (1 + 2 * a * u / (u + b))
        u = u - (u * power - square) / slope
    return eta * (u + b) ** -a


def _root(square: Tensor, a: float, b: float) -> Tensor:
    """Return u of q by Newton's method in ln u."""
    target = square.clamp_min(torch.finfo(square.dtype).tiny).log()
    # Convex or concave, with a slope from 1 to 1 + 2 a: it converges from anywhere.
    log_u = target
    for _ in range(NEWTON_STEPS):
        log_sum = torch.logaddexp(log_u, torch.full_like(log_u, math.log(b)))
        slope = 1 + 2 * a * (log_u - log_sum).exp()
        log_u = log_u - (log_u + 2 * a * log_sum - target) / slope
    return torch.where(square > 0, log_u.exp(), 0)


class RadialNetwork(nn.Module):
    """A network in other coordinates: its parameters are center + eta, the center its minimum.

    Every measure of a function of parameters can be taken of it; those of layers, such as norms,
    mean nothing here.

    Parameters
    ----------
    module
        The network, at its minimum.
    a, b
        As of `Radial`.

    Examples
    --------
    >>> changed = RadialNetwork(nn.Linear(1, 1, bias=False), a=1.0, b=1.0)
    >>> weight = changed.module.weight.item()
    >>> with torch.no_grad():
    ...     _ = changed.module.weight.add_(10.0)
    >>> round(changed(torch.ones(1)).item() - weight, 6)
    2.0
    """

    center: Tensor

    def __init__(self, module: nn.Module, a: float, b: float) -> None:
        super().__init__()
        self.module = copy.deepcopy(module)
        center = torch.cat([one.detach().flatten() for one in self.module.parameters()])
        Radial(center.double().cpu().numpy(), a, b)
        self.a, self.b = a, b
        self.register_buffer("center", center)

    def moved(self, theta: Tensor) -> Tensor:
        """Return where parameters of the network, shape (n,), lie in these coordinates."""
        change = Radial(self.center.double().cpu().numpy(), self.a, self.b)
        return torch.from_numpy(change.center + change.forward(theta.double().cpu().numpy()))

    def reach(self, distance: float) -> float:
        """Return how far from the centre lies in these coordinates what was at a distance."""
        return float((distance**2 + self.b) ** self.a * distance)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the outputs of the network at theta."""
        named = dict(self.module.named_parameters())
        eta = torch.cat([one.flatten() for one in named.values()]) - self.center
        theta = self.center + offsets(eta, self.a, self.b)
        parts = torch.split(theta, [one.numel() for one in named.values()])
        shaped = {
            k: part.view(one.shape) for (k, one), part in zip(named.items(), parts, strict=True)
        }
        outputs: Tensor = functional_call(self.module, shaped, (inputs,))
        return outputs
