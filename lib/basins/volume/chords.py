"""Moves that need no gradient: along chords, circles and rays, by slice sampling.

Three curves, in coordinates z in which the basin is nearly round:

- `circle` around the minimum: |z| stays, every coordinate changes at once. For a body whose log
  radius varies by tau / n over the sphere it takes about tau^2 moves to forget; a straight chord
  takes n, since in high dimension all volume lies near the boundary.
- `ray` from the minimum through the point.
- `chord`, straight and in a random direction (hit-and-run: Smith 1984), for sets that circles and
  rays cannot walk through.

Or in place of the chord along each `axis` of z in turn (Gibbs): n moves for one, but where faces
and edges lie along the axes each is as long as the body is wide, where a chord ends at the first of
n faces. A simplex of n = 1,000 is forgotten in a few rounds of its axes; by chords, or by gradients
that see one face at a time, it never was.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from basins.directions.preconditioner import Preconditioner
from basins.volume.basin import Basin
from basins.volume.curves import NUM_UNIFORMS, Moves
from basins.volume.forces import Forces
from basins.volume.measures import Measure

Array = NDArray[np.float64]

SETS = {"chords": ("circle", "ray", "chord"), "axes": ("circle", "ray", "axis")}
NUM_PARTS = 16  # sweeps that together go along all axes once


@dataclass(frozen=True)
class Law:
    """The uniform law on a basin, or the measure restricted to it, narrowed by exp(-tilt |z|^2/2).

    Attributes
    ----------
    basin, measure
        What is measured.
    shape
        The matrix A of x = A z, x relative to the minimum.
    tilt
        Weight of |z|^2 / 2.
    """

    basin: Basin
    measure: Measure
    shape: Preconditioner
    tilt: float

    @property
    def forces(self) -> Forces:
        """What minus the log density is made of."""
        constant = self.measure.force(np.zeros(self.basin.num_parameters))
        return Forces(self.shape, self.tilt, 0.0, self.measure.stiffness, constant)


@dataclass
class Chains:
    """Current points of independent chains, and what it cost to get there.

    Attributes
    ----------
    z, offsets
        Points and A z, shape (chains, n).
    widths
        Bracket width by curve.
    num_evaluations
        Points at which the basin was asked.
    axes
        Axes that are still to come before all are due again.
    """

    z: Array
    offsets: Array
    widths: dict[str, float]
    num_evaluations: int = 0
    axes: list[int] = field(default_factory=list)


def first_widths(num_parameters: int, moves: str = "chords") -> dict[str, float]:
    """Return bracket widths to begin with, of the curves of `moves` there are in n dimensions."""
    if num_parameters == 1:
        return {"chord": 1.0}
    return {curve: 2.0 / num_parameters if curve == "ray" else 1.0 for curve in SETS[moves]}


def sweep(law: Law, chains: Chains, rng: np.random.Generator, is_tuned: bool) -> None:
    """Move every chain once along each curve that it has a width for, along axes one in 16."""
    for curve in list(chains.widths):
        times = -(-chains.z.shape[1] // NUM_PARTS) if curve == "axis" else 1
        for _ in range(times):
            move(law, chains, curve, rng, is_tuned)


def directions(chains: Chains, curve: str, rng: np.random.Generator) -> Array:
    """Return what every chain moves along in z, shape (chains, n)."""
    z = chains.z
    if curve == "ray":
        return z
    if curve != "axis":
        return rng.standard_normal(z.shape)
    if not chains.axes:
        chains.axes = rng.permutation(z.shape[1]).tolist()
    w = np.zeros_like(z)
    w[:, chains.axes.pop()] = 1
    return w


def move(law: Law, chains: Chains, curve: str, rng: np.random.Generator, is_tuned: bool) -> None:
    """Move every chain once along `curve`.

    With `is_tuned` the width of later brackets follows the steps taken, three times their mean
    length, which is a segment's length where the law on it is uniform.
    """
    count = len(chains.z)
    width = chains.widths[curve]
    moves = Moves(
        kind="chord" if curve == "axis" else curve,
        forces=law.forces,
        z=chains.z,
        offsets=chains.offsets,
        w=directions(chains, curve, rng),
        exponentials=rng.exponential(size=count),
        uniforms=rng.random((count, NUM_UNIFORMS)),
        width=width,
    )
    moved = law.basin.move(moves)
    chains.num_evaluations += moved.num_evaluations
    chains.z, chains.offsets = moved.z, moved.offsets
    if is_tuned:
        mean = 3 * float(np.abs(moved.positions).mean())
        if mean > 0:
            chains.widths[curve] = float(np.sqrt(width * mean))
