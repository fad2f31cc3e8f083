"""The loss around a minimum, as measures of sharpness ask it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Neighborhood:
    """A loss around a minimum; offsets are from the minimum.

    Attributes
    ----------
    minimum
        Parameters, float64, shape (n,).
    loss
        Maps offsets (k, n) to losses (k,).
    gradient
        Maps offsets (k, n) to gradients (k, n).
    """

    minimum: Array
    loss: Callable[[Array], Array]
    gradient: Callable[[Array], Array]

    @property
    def num_parameters(self) -> int:
        """The dimension n."""
        return len(self.minimum)

    @cached_property
    def own_loss(self) -> float:
        """The loss at the minimum."""
        return float(self.loss(np.zeros((1, self.num_parameters)))[0])

    def rise(self, offsets: Array) -> Array:
        """Return how far the loss is above the minimum's, infinite where it is no number, (k,)."""
        rises = self.loss(offsets) - self.own_loss
        return np.where(np.isnan(rises), np.inf, rises)


def check_radius(name: str, value: float) -> None:
    """Raise ValueError unless a radius is a finite number above 0."""
    if not 0 < value < np.inf:
        raise ValueError(f"{name}: {value!r} must be a finite number above 0")
