"""The function-level entry: the volume of the basin of any loss function."""

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from basins.directions.preconditioner import Preconditioner
from basins.volume import minimality
from basins.volume.annealed import FEW_PARAMETERS, MOVES, annealed
from basins.volume.basin import Basin, Volume
from basins.volume.importance import importance, rays
from basins.volume.laplace import laplace
from basins.volume.measures import Gaussian, Lebesgue, Measure
from basins.volume.shapes import PRECONDITIONERS, guess, known_curvature

Array = NDArray[np.float64]

ESTIMATORS = ("rays", "importance", "annealed", "laplace")
MEASURES = ("lebesgue", "gaussian")


def estimate(
    basin: Basin,
    estimator: str = "annealed",
    measure: str = "lebesgue",
    seed: int = 0,
    *,
    sigma: float | None = None,
    center: ArrayLike | None = None,
    directions: int = 1000,
    stderr: float = 0.3,
    max_evaluations: float = 1e7,
    moves: str | None = None,
    preconditioner: str | None = None,
) -> Volume:
    """Return the log volume of a basin, with its error bar.

    Parameters
    ----------
    basin
        Loss, minimum, threshold, and what else is known.
    estimator
        `rays`: mean of r^n over isotropic directions, the published baseline, a lower bound.
        `importance`: directions drawn after the basin's curvature and weighted.
        `annealed`: thermodynamic integration, calibrated, of the whole connected set.
        `laplace`: the quadratic answer.
    measure
        `lebesgue`: volume in the parameters' units. `gaussian`: probability under a normal law.
    seed
        Of all random numbers; the same seed gives the same result.
    sigma, center
        Of the Gaussian measure: standard deviation of every coordinate, and mean (0 if not given).
    directions
        How many, for `rays` and `importance`.
    stderr
        Nats that `annealed` goes on for.
    max_evaluations
        Losses after which `annealed` stops in any case.
    moves
        Of `annealed`: `chords`, which need no gradient; `axes`, the same with chords along each
        axis of the shape in turn, for losses with kinks along them; or `hmc`, which follow the
        gradient. By default the last where there is a gradient and more than 10 parameters, and
        the first again where no draw of `hmc` ended inside the basin.
    preconditioner
        Where the shape to start from comes from: `diagonal` (Hutchinson), `low_rank` (Lanczos) or
        `full` curvature, each from the gradient; the diagonal of `gauss_newton`, which networks'
        basins have; or `none`. By default the curvature given, else what the gradient or the chords
        along the axes tell.

    Returns
    -------
    Volume
        Of `annealed` 90 % of the intervals hold the truth. Diagnostics name what each estimator
        checks, see its module; of all: what `minimality.check` tells of the minimum.

    Raises
    ------
    ValueError
        If an argument cannot be used; the message opens with its name.

    Examples
    --------
    >>> disc = Basin(lambda x: (x**2).sum(axis=1), np.zeros(2), 1.0)
    >>> v = estimate(disc, estimator="importance")
    >>> round(float(np.exp(v.log_volume)), 2)
    3.14
    """
    one_of("estimator", estimator, ESTIMATORS)
    one_of("measure", measure, MEASURES)
    if moves is not None:
        one_of("moves", moves, MOVES)
    if preconditioner is not None:
        one_of("preconditioner", preconditioner, PRECONDITIONERS)
    if not (isinstance(directions, int | np.integer) and directions >= 1):
        raise ValueError(f"directions: {directions!r} must be a whole number, 1 or more")
    if not stderr > 0:
        raise ValueError(f"stderr: {stderr!r} must be above 0")
    if not max_evaluations >= 1:
        raise ValueError(f"max_evaluations: {max_evaluations!r} must be 1 or more")
    if moves == "hmc" and basin.gradient is None:
        raise ValueError("moves: 'hmc' needs the basin's gradient")
    law = _measure(basin, measure, sigma, center)
    names = ("volume", estimator, int(seed))
    if estimator == "rays":
        return _checked(basin, None, rays(basin, law, directions, *names))
    if estimator == "laplace":
        return _checked(basin, None, laplace(basin, law, known_curvature(basin)))
    shapes = guess(basin, law, preconditioner, *names)
    shape = next(iter(shapes.values()))
    if estimator == "importance":
        return _checked(basin, shape, importance(basin, law, shapes, directions, *names))
    is_large = basin.num_parameters > FEW_PARAMETERS
    chosen = moves or ("hmc" if basin.gradient is not None and is_large else "chords")
    budget = (float(stderr), max_evaluations)
    volume = annealed(basin, law, shape, chosen, *budget, *names)
    if moves is None and not np.isfinite(volume.log_volume):
        # No draw of the tempered loss was inside the basin: chords never leave it.
        spent = volume.num_evaluations
        volume = annealed(basin, law, shape, "chords", *budget, *names)
        volume = replace(volume, num_evaluations=volume.num_evaluations + spent)
    return _checked(basin, shape, volume)


def one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    """Raise ValueError unless `value` is allowed."""
    if value not in allowed:
        raise ValueError(f"{name}: {value!r} is not known; allowed are {', '.join(allowed)}")


def _measure(basin: Basin, measure: str, sigma: float | None, center: ArrayLike | None) -> Measure:
    if measure == "lebesgue":
        for name, value in (("sigma", sigma), ("center", center)):
            if value is not None:
                raise ValueError(f"{name}: only measure 'gaussian' takes it")
        return Lebesgue()
    if sigma is None or not (np.isfinite(sigma) and sigma > 0):
        raise ValueError(f"sigma: {sigma!r} must be a number above 0 for measure 'gaussian'")
    middle = np.zeros(basin.num_parameters)
    if center is not None:
        middle = np.asarray(center, dtype=np.float64)
        if middle.shape != basin.minimum.shape or not np.isfinite(middle).all():
            raise ValueError(
                f"center: shape {middle.shape} must be that of the minimum, "
                f"{basin.minimum.shape}, and finite"
            )
    return Gaussian(basin.minimum - middle, float(sigma))


def _checked(basin: Basin, shape: Preconditioner | None, volume: Volume) -> Volume:
    """Add what tells whether the minimum is one, and warn where it is not."""
    return replace(volume, diagnostics={**volume.diagnostics, **minimality.check(basin, shape)})
