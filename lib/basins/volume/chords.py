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
from basins.volume.curves import NUM_UNIFORMS, Curves, combined, square
from basins.volume.measures import Measure

Array = NDArray[np.float64]

SETS = {"chords": ("circle", "ray", "chord"), "axes": ("circle", "ray", "axis")}
FIRST_WIDTHS = {"circle": 1.0, "chord": 1.0, "axis": 1.0}  # a ray's is 2 / n
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

    def along(self, z: Array, w: Array, x: Array, y: Array) -> Array:
        """Return the coefficients of a^2, a b, b^2, a and b in minus the log density.

        At a z + b w, or a x + b y in offsets, inside the basin; all of shape (k, n), result (k, 5).
        """
        tilted = np.zeros((len(z), 5))
        tilted[:, :3] = self.tilt / 2 * square(z, w)
        return tilted + self.measure.along(x, y)


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
    return {curve: FIRST_WIDTHS.get(curve, 2.0 / num_parameters) for curve in SETS[moves]}


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
    if curve == "axis":
        if not chains.axes:
            chains.axes = rng.permutation(z.shape[1]).tolist()
        w = np.zeros_like(z)
        w[:, chains.axes.pop()] = 1
        return w
    w = rng.standard_normal(z.shape)
    if curve == "circle":
        squares = np.einsum("ki,ki->k", z, z)
        w -= (np.einsum("ki,ki->k", w, z) / squares)[:, None] * z
        w *= np.sqrt(squares / np.einsum("ki,ki->k", w, w))[:, None]
    return w


def move(law: Law, chains: Chains, curve: str, rng: np.random.Generator, is_tuned: bool) -> None:
    """Move every chain once along `curve`.

    With `is_tuned` the width of later brackets follows the steps taken, three times their mean
    length, which is a segment's length where the law on it is uniform.
    """
    z, x = chains.z, chains.offsets
    count, n = z.shape
    w = directions(chains, curve, rng)
    if curve == "axis":
        # All chains move along the same one, so it is mapped once.
        y = np.repeat(law.shape.apply(w[:1]), count, axis=0)
    else:
        y = x if curve == "ray" else law.shape.apply(w)
    energy = law.along(z, w, x, y)
    # At the start a = 1 and b = 0.
    levels = energy[:, 0] + energy[:, 3] + rng.exponential(size=count)
    width, widest = chains.widths[curve], np.inf
    if curve == "circle":
        widest = 2 * np.pi
        # A bracket that would close around the circle begins with all of it.
        width = width if width < widest / 4 else widest
    power = n if curve == "ray" else 0
    kind = "chord" if curve == "axis" else curve
    curves = Curves(kind, x, y, energy, square(x, y), power, levels, width, widest)
    t, asked = law.basin.slice_draw(curves, rng.random((count, NUM_UNIFORMS)))
    chains.num_evaluations += asked
    chains.z, chains.offsets = combined(curves, t, z, w), combined(curves, t, x, y)
    if is_tuned:
        mean = 3 * float(np.abs(t).mean())
        if mean > 0:
            chains.widths[curve] = float(np.sqrt(chains.widths[curve] * mean))
