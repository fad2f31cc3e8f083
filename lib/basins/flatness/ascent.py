"""The largest loss in a convex set about a minimum, by conditional gradients with restarts.

Frank and Wolfe (1956): a step goes toward the point of the set that lies farthest along the
gradient. With steps that go all the way a convex loss never falls; later, shorter steps settle what
is not convex. The best point seen counts, so more steps and starts only ever find more.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from basins.flatness.neighborhood import Neighborhood

Array = NDArray[np.float64]
# gradients or any vectors (k, n) -> the points (k, n) of the set farthest along each
Farthest = Callable[[Array], Array]

STEPS = 40
WHOLE_STEPS = 20  # that go all the way
RESTARTS = 5


def largest_rise(
    around: Neighborhood, farthest: Farthest, starts: Array, steps: int = STEPS
) -> float:
    """Return the largest rise of the loss found in a set, at least 0.

    Parameters
    ----------
    around
        The loss.
    farthest
        The set, as what it answers.
    starts
        Points of the set, shape (k, n).
    steps
        Of each start.
    """
    points = starts
    best = max(0.0, float(around.rise(points).max()))
    for step in range(steps):
        slopes = around.gradient(points)
        # Where a gradient is no number the loss is beyond all bounds, and known already.
        slopes = np.nan_to_num(slopes, nan=0.0, posinf=1.0, neginf=-1.0)
        share = 1.0 if step < WHOLE_STEPS else 2 / (2 + step - WHOLE_STEPS)
        points = (1 - share) * points + share * farthest(slopes)
        best = max(best, float(around.rise(points).max()))
    return best


def in_box(half_widths: Array) -> Farthest:
    """Return the box |x_i| <= half width (n,) as a set."""
    return lambda vectors: half_widths * np.where(vectors < 0, -1.0, 1.0)


def in_ball(radius: float, scale: Array | float = 1.0) -> Farthest:
    """Return the ellipsoid |x / scale| <= radius as a set; scale 1 makes it a ball.

    Farthest along g is radius T^2 g / |T g|, T the scale (Kwon et al. 2021, equation 6).
    """

    def farthest(vectors: Array) -> Array:
        scaled = scale * vectors
        lengths = np.linalg.norm(scaled, axis=1)[:, None]
        return np.asarray(radius * scale * scaled / np.where(lengths > 0, lengths, 1.0))

    return farthest
