"""The move that follows gradients: Hamiltonian Monte Carlo, many chains in step.

Leapfrog trajectories with an exact accept step (Neal 2011, *MCMC using Hamiltonian dynamics*,
section 3). All chains take equally many steps of one size, so that each gradient is one batch.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from basins.directions.preconditioner import Preconditioner
from basins.volume.basin import Basin
from basins.volume.forces import Forces
from basins.volume.measures import Measure
from basins.volume.stride import Stride
from basins.volume.trajectories import Phase

Array = NDArray[np.float64]

ACCEPTANCE = 0.8


def squares(rows: Array) -> Array:
    """Return |row|^2 of rows (k, n), without a temporary."""
    return np.asarray(np.einsum("ki,ki->k", rows, rows))


@dataclass(frozen=True)
class Tempered:
    """The laws exp(-U_s) from a Gaussian (s = 0) to the tempered loss (s = 1).

    U_s = (1 - s) |z|^2 / 2 + s (beta (L - L_0) + gamma |x|^2 / 2) + energy(x) with x = A z relative
    to the minimum, L_0 the minimum's loss, and the energy of the measure.

    Attributes
    ----------
    basin, measure
        What is measured.
    shape
        The matrix A.
    beta, gamma
        Weights of the loss and of the squared distance.
    """

    basin: Basin
    measure: Measure
    shape: Preconditioner
    beta: float
    gamma: float

    def target(self, offsets: Array, rises: Array) -> Array:
        """Return beta (L - L_0) + gamma |x|^2 / 2 at points with these rises of the loss."""
        value = self.beta * rises
        if self.gamma:
            value = value + self.gamma / 2 * squares(offsets)
        return value

    def potential(self, s: float, z: Array, offsets: Array, rises: Array) -> Array:
        """Return U_s, shape (k,)."""
        narrowed = (1 - s) / 2 * squares(z) if s < 1 else 0.0
        return np.asarray(narrowed + s * self.target(offsets, rises) + self.measure.energy(offsets))

    def forces(self, s: float) -> Forces:
        """Return what the gradient of U_s is made of."""
        return Forces(
            shape=self.shape,
            spring=1 - s,
            weight=s * self.beta,
            stiffness=s * self.gamma + self.measure.stiffness,
            constant=self.measure.force(np.zeros(self.basin.num_parameters)),
        )


@dataclass
class Particles:
    """Current points of independent chains, what is known there, and what it cost.

    Attributes
    ----------
    z, offsets, gradients
        Points, A z, and gradients of the loss there, shape (chains, n).
    rises
        Loss minus the minimum's loss, shape (chains,).
    num_evaluations
        Of losses; a gradient counts as two.
    """

    z: Array
    offsets: Array
    gradients: Array
    rises: Array
    num_evaluations: int


def place(basin: Basin, shape: Preconditioner, z: Array) -> Particles:
    """Put chains at `z`."""
    offsets = shape.apply(z)
    return Particles(z, offsets, basin.slope(offsets), basin.rise(offsets), 3 * len(z))


def move(
    law: Tempered,
    s: float,
    chains: Particles,
    stride: Stride,
    rng: np.random.Generator,
    is_tuned: bool,
) -> float:
    """Move every chain once under the law at `s`; return the mean probability of acceptance."""
    basin = law.basin
    share, step, count = stride.draw(rng, is_tuned)
    momentum = rng.standard_normal(chains.z.shape)
    start = Phase(chains.z, chains.offsets, chains.gradients, momentum, chains.rises)
    # A trajectory that leaves all bounds is rejected at its end.
    with np.errstate(over="ignore", invalid="ignore"):
        end = basin.leapfrog(law.forces(s), start, step, count)
        gain = (
            law.potential(s, chains.z, chains.offsets, chains.rises)
            - law.potential(s, end.z, end.offsets, end.rises)
            + (squares(momentum) - squares(end.momentum)) / 2
        )
    chains.num_evaluations += (2 * count + 1) * len(momentum)
    probability = np.exp(np.minimum(np.where(np.isfinite(gain), gain, -np.inf), 0))
    acceptance = float(probability.mean())
    if is_tuned:
        stride.tune(acceptance - ACCEPTANCE, share, chains.z, end.z, end.momentum, probability)
    # Most are accepted: the others get back what they had.
    yes = rng.random(len(momentum)) < probability
    for name in ("z", "offsets", "gradients", "rises"):
        reached = getattr(end, name)
        reached[~yes] = getattr(chains, name)[~yes]
        setattr(chains, name, reached)
    return acceptance
