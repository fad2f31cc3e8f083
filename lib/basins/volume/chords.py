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
from basins.volume.axes import move_along_axis
from basins.volume.basin import Basin
from basins.volume.curves import NUM_UNIFORMS, Moves
from basins.volume.forces import Forces
from basins.volume.measures import Measure

Array = NDArray[np.float64]

SETS = {"chords": ("circle", "ray", "chord"), "axes": ("circle", "ray", "axis")}
SPACING = 0.25  # of a bracket's width: how close the points are that a way leads over
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

    def tune(self, curve: str, steps: Array) -> None:
        """Let the width of later brackets follow the steps taken, three times their mean length.

        That is a segment's length where the law on it is uniform.
        """
        mean = 3 * float(np.abs(steps).mean())
        if mean > 0:
            self.widths[curve] = float(np.sqrt(self.widths[curve] * mean))


def first_widths(num_parameters: int, moves: str = "chords") -> dict[str, float]:
    """Return bracket widths to begin with, of the curves of `moves` there are in n dimensions."""
    if num_parameters == 1:
        return {"chord": 1.0}
    return {curve: 2.0 / num_parameters if curve == "ray" else 1.0 for curve in SETS[moves]}


def axes_at_once(num_parameters: int) -> int:
    """Return how many axes one sweep goes along."""
    return -(-num_parameters // NUM_PARTS)


def sweeps_of_round(num_parameters: int) -> int:
    """Return how many sweeps go along every axis once."""
    return -(-num_parameters // axes_at_once(num_parameters))


def sweep(law: Law, chains: Chains, rng: np.random.Generator, is_tuned: bool) -> None:
    """Move every chain once along each curve that it has a width for, along axes one in 16."""
    for curve in list(chains.widths):
        if curve == "axis":
            move_along_axes(law, chains, axes_at_once(chains.z.shape[1]), rng, is_tuned)
        else:
            move(law, chains, curve, rng, is_tuned)


def move(law: Law, chains: Chains, curve: str, rng: np.random.Generator, is_tuned: bool) -> None:
    """Move every chain once along `curve`, no axis."""
    count = len(chains.z)
    moves = Moves(
        kind=curve,
        forces=law.forces,
        z=chains.z,
        offsets=chains.offsets,
        w=chains.z if curve == "ray" else rng.standard_normal(chains.z.shape),
        exponentials=rng.exponential(size=count),
        uniforms=rng.random((count, NUM_UNIFORMS)),
        width=chains.widths[curve],
        spacing=SPACING * chains.widths[curve],
    )
    moved = law.basin.move(moves)
    chains.num_evaluations += moved.num_evaluations
    chains.z, chains.offsets = moved.z, moved.offsets
    if is_tuned:
        chains.tune(curve, moved.positions)


def move_along_axes(
    law: Law, chains: Chains, times: int, rng: np.random.Generator, is_tuned: bool
) -> None:
    """Move every chain along the next axes, as many as `times`; all come once before any again."""
    count, n = chains.z.shape
    # Others may keep the points there were: what is changed in place from here on are copies.
    chains.z, chains.offsets, forces = chains.z.copy(), chains.offsets.copy(), law.forces
    for _ in range(times):
        if not chains.axes:
            chains.axes = rng.permutation(n).tolist()
        steps, asked = move_along_axis(
            forces,
            chains.z,
            chains.offsets,
            chains.axes.pop(),
            np.asarray(rng.exponential(size=count)),
            rng.random((count, NUM_UNIFORMS)),
            chains.widths["axis"],
            SPACING * chains.widths["axis"],
            law.basin.is_inside,
        )
        chains.num_evaluations += asked
        if is_tuned:
            chains.tune("axis", steps)
