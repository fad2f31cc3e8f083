"""Means of independent draws, with standard errors and 90 % intervals."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from basins.volume.intervals import PROBABILITY

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A number with its error.

    Attributes
    ----------
    value
        The estimate.
    stderr
        Its standard error; 0 where it is exact.
    low, high
        Ends of the 90 % interval.
    """

    value: float
    stderr: float
    low: float
    high: float

    @classmethod
    def exact(cls, value: float) -> "Estimate":
        """Return a number without an error."""
        return cls(value, 0.0, value, value)


def mean(draws: Array, known: float = 0.0, other_stderr: float = 0.0) -> Estimate:
    """Return `known` + the mean of independent draws (k,), by Student's law of k - 1 degrees.

    Parameters
    ----------
    draws
        At least 2, shape (k,).
    known
        What is added exactly.
    other_stderr
        Of another error, independent of the draws.

    Examples
    --------
    >>> estimate = mean(np.array([1.0, 3.0]), known=10.0)
    >>> estimate.value, estimate.stderr
    (12.0, 1.0)
    """
    stderr = float(np.hypot(draws.std(ddof=1) / np.sqrt(len(draws)), other_stderr))
    value = known + float(draws.mean())
    width = float(student.ppf((1 + PROBABILITY) / 2, len(draws) - 1)) * stderr
    return Estimate(value, stderr, value - width, value + width)
