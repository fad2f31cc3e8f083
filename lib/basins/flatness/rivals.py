"""What sharpness must beat as a predictor: norms, margins and robustness of minima."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from basins import streams
from basins.flatness import margins, norms, robustness
from basins.models.functional import Network
from basins.rays.landscapes import Landscapes

Arrays = dict[str, NDArray[np.float64]]

logger = logging.getLogger("basins")

MEASURES = ("norms", "margins", "robustness")
LOW, MEDIAN = 0.05, 0.5  # quantiles of margins


@dataclass(frozen=True)
class Compared:
    """A minimum whose norms, margins and robustness are measured.

    Attributes
    ----------
    names
        Key of its random numbers.
    theta, start
        Parameters and what training began from, shape (n,).
    landscapes
        Its training examples, M landscapes.
    test
        Examples that are attacked.
    is_diverged
        Whether its training did; nothing is measured then.
    """

    names: tuple[streams.Name, ...]
    theta: Tensor
    start: Tensor
    landscapes: Landscapes
    test: robustness.Examples
    is_diverged: bool


def measure_rivals(
    network: Network,
    minima: Sequence[Compared],
    measures: Sequence[str],
    perturbations: Sequence[float],
) -> Arrays:
    """Measure what is named of each minimum.

    Parameters
    ----------
    network, minima
        The architecture and S minima, with landscapes of the same sizes.
    measures
        Any of `MEASURES`; others are left out.
    perturbations
        Largest changes of an input's numbers.

    Returns
    -------
    dict
        Float64 arrays by the names of the cube's table, shape (S,) or with one more axis.
    """
    found: list[dict[str, NDArray[np.float64]]] = []
    for one in minima:
        numbers: dict[str, NDArray[np.float64]] = {}
        if "norms" in measures:
            numbers |= _norms(network, one)
        if "margins" in measures:
            numbers |= _margins(network, one)
        if "robustness" in measures:
            given = network, one.theta.double(), one.test, perturbations
            numbers["fgsm_accuracy"] = robustness.fgsm_accuracy(*given)
            numbers["pgd_accuracy"] = robustness.pgd_accuracy(*given, *one.names)
        found.append(numbers)
    stacked = {name: np.stack([one[name] for one in found]) for name in (found[0] if found else [])}
    for values in stacked.values():
        values[[one.is_diverged for one in minima]] = np.nan
    return stacked


def _norms(network: Network, one: Compared) -> dict[str, NDArray[np.float64]]:
    shape = tuple(one.landscapes.inputs.shape[1:])
    theta, start = one.theta, one.start
    numbers: dict[str, Callable[[], float]] = {
        "distance_from_start": lambda: norms.distance_from_start(theta, start),
        "path_norm": lambda: norms.path_norm(network, theta, shape),
        "log_frobenius_product": lambda: norms.log_frobenius_product(network, theta),
        "log_spectral_product": lambda: norms.log_spectral_product(network, theta, shape),
        "log_spectral_complexity": lambda: norms.log_spectral_complexity(
            network, theta, start, shape
        ),
    }
    return {name: np.array(_defined(name, number, one)) for name, number in numbers.items()}


def _defined(name: str, number: Callable[[], float], one: Compared) -> float:
    """Return a number, NaN where it has no meaning for the architecture; the log says why."""
    if one.is_diverged:
        return np.nan
    try:
        return number()
    except ValueError as error:
        logger.warning("%s: not measured, %s", name, error)
        return np.nan


def _margins(network: Network, one: Compared) -> dict[str, NDArray[np.float64]]:
    """Return quantiles of the margins in every landscape, raw and over the spectral complexity."""
    examples, names = one.landscapes, ("margin_low", "margin_median", "margin_mean")
    found = {name: np.full(len(examples.sizes), np.nan) for name in (*names, "margin_normalized")}
    if one.is_diverged:
        return found
    theta = one.theta.double()
    count = examples.sizes[-1]
    values = margins.network_margins(
        network, theta, examples.inputs[:count].double(), examples.targets[:count]
    )
    shape = tuple(examples.inputs.shape[1:])
    log_complexity = _defined(
        "margin_normalized",
        lambda: norms.log_spectral_complexity(network, one.theta, one.start, shape),
        one,
    )
    low, median = (margins.QUANTILES.index(share) for share in (LOW, MEDIAN))
    for index, size in enumerate(examples.sizes):
        seen = margins.summarize(values[:size])
        found["margin_low"][index] = seen.quantiles[low]
        found["margin_median"][index] = seen.quantiles[median]
        found["margin_mean"][index] = seen.mean
        found["margin_normalized"][index] = seen.quantiles[median] * np.exp(-log_complexity)
    return found
