"""What is measured, and what a measurement says: frozen records."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from basins.directions import full
from basins.directions.diagonal import from_diagonal
from basins.directions.preconditioner import Preconditioner
from basins.volume.curves import Moved, Moves, move_along
from basins.volume.forces import Forces
from basins.volume.trajectories import Phase, leapfrog

Array = NDArray[np.float64]

BATCH = 2**22  # numbers of one block of points: 32 MB


@dataclass(frozen=True)
class Basin:
    """The connected set around a minimum where a loss is below a threshold.

    Attributes
    ----------
    loss
        Maps points (k, n), float64, to losses (k,). NaN and infinity count as outside.
    minimum
        Shape (n,).
    threshold
        Loss that bounds the basin.
    gradient
        Maps points (k, n) to gradients (k, n); None where there is none.
    curvature
        The Hessian at the minimum, or a guess at it: a diagonal (n,), a matrix (n, n), or a
        `Preconditioner` whose lengths reach the threshold; None where nothing is known.
    r_max
        The basin ends at this distance from the minimum, whatever the loss.
    hessian_products, gauss_newton_products
        Map directions (k, n) to products with the Hessian and the Gauss-Newton matrix at the
        minimum; None where they are to be had from differences of the gradient, or not at all.
    mover
        Moves chains as `curves.move_along` does, where a faster way is known; None where there is
        none.
    leaper
        Follows trajectories as `trajectories.leapfrog` does, (forces, start, step, count) -> end,
        where a faster way is known.

    Raises
    ------
    ValueError
        If an argument cannot be used; the message opens with its name.
    """

    loss: Callable[[Array], Array]
    minimum: Array
    threshold: float
    gradient: Callable[[Array], Array] | None = None
    curvature: Array | Preconditioner | None = None
    r_max: float = np.inf
    hessian_products: Callable[[Array], Array] | None = None
    gauss_newton_products: Callable[[Array], Array] | None = None
    mover: Callable[[Moves], Moved] | None = None
    leaper: Callable[[Forces, Phase, float, int], Phase] | None = None
    loss_at_minimum: float = field(init=False)

    def __post_init__(self) -> None:
        minimum = np.asarray(self.minimum, dtype=np.float64)
        if minimum.ndim != 1 or not len(minimum) or not np.isfinite(minimum).all():
            raise ValueError(f"minimum: it must be a finite vector, not shape {minimum.shape}")
        object.__setattr__(self, "minimum", minimum)
        if not np.isfinite(self.threshold):
            raise ValueError(f"threshold: {self.threshold!r} must be a finite number")
        if not self.r_max > 0:
            raise ValueError(f"r_max: {self.r_max!r} must be above 0")
        losses = self._checked("loss", self.loss, (2,))
        if not np.isfinite(losses[0]):
            raise ValueError(f"loss: it is {losses[0]} at the minimum")
        object.__setattr__(self, "loss_at_minimum", float(losses[0]))
        if self.height <= 0:
            raise ValueError(
                f"threshold: {self.threshold:g} must be above the minimum's loss, "
                f"{self.loss_at_minimum:g}"
            )
        if self.gradient is not None:
            slopes = self._checked("gradient", self.gradient, (2, self.num_parameters))
            if not np.isfinite(slopes).all():
                raise ValueError("gradient: it is not finite at the minimum")
        if isinstance(self.curvature, Preconditioner):
            if self.curvature.num_parameters != self.num_parameters:
                raise ValueError(
                    f"curvature: {self.curvature.num_parameters} parameters, "
                    f"not {self.num_parameters} as the minimum"
                )
        elif self.curvature is not None:
            curvature = np.asarray(self.curvature, dtype=np.float64)
            shapes = [(self.num_parameters,) * power for power in (1, 2)]
            if curvature.shape not in shapes or not np.isfinite(curvature).all():
                raise ValueError(
                    f"curvature: shape {curvature.shape} must be {shapes[0]} or {shapes[1]}, "
                    "and finite"
                )
            object.__setattr__(self, "curvature", curvature)

    def _checked(
        self, name: str, function: Callable[[Array], Array], shape: tuple[int, ...]
    ) -> Array:
        values = np.asarray(function(np.stack([self.minimum, self.minimum])))
        if values.shape != shape:
            raise ValueError(
                f"{name}: for points of shape (2, {self.num_parameters}) it must return shape "
                f"{shape}, not {values.shape}"
            )
        return values

    @property
    def num_parameters(self) -> int:
        """Dimension n."""
        return len(self.minimum)

    @property
    def height(self) -> float:
        """Threshold minus the minimum's own loss."""
        return self.threshold - self.loss_at_minimum

    def is_inside(self, offsets: Array) -> NDArray[np.bool_]:
        """Tell which points, given relative to the minimum (k, n), are below the threshold."""
        inside = self.rise(offsets) < self.height
        if np.isfinite(self.r_max):
            inside &= np.einsum("ki,ki->k", offsets, offsets) < self.r_max**2
        return np.asarray(inside, dtype=np.bool_)

    def move(self, moves: Moves) -> Moved:
        """Move chains along curves inside the basin; see `curves.move_along`."""
        if self.mover is not None:
            return self.mover(moves)
        return move_along(moves, self.is_inside)

    def leapfrog(self, forces: Forces, start: Phase, step: float, count: int) -> Phase:
        """Follow trajectories in the loss; see `trajectories.leapfrog`."""
        if self.leaper is not None:
            return self.leaper(forces, start, step, count)
        return leapfrog(forces, start, step, count, self.slope, self.rise)

    def rise(self, offsets: Array) -> Array:
        """Return the loss above the minimum's, shape (k,); infinite where it is no number."""
        with np.errstate(all="ignore"):
            rises = np.asarray(self.loss(self.minimum + offsets)) - self.loss_at_minimum
        return np.where(np.isnan(rises), np.inf, rises)

    def slope(self, offsets: Array) -> Array:
        """Return the gradient of the loss, shape (k, n); it must have been given."""
        assert self.gradient is not None
        with np.errstate(all="ignore"):
            # A copy: chains keep it and write into it, and its owner may hand it out again.
            return np.array(self.gradient(self.minimum + offsets))

    def preconditioner(self, longest: float = np.inf) -> Preconditioner | None:
        """Return what `curvature` says of the basin's shape, no length beyond `longest`."""
        if self.curvature is None or isinstance(self.curvature, Preconditioner):
            return self.curvature
        if self.curvature.ndim == 1:
            return from_diagonal(self.curvature, self.height, longest)
        return full.from_hessian(self.curvature, self.height, longest)


@dataclass(frozen=True)
class Volume:
    """A log volume and how far to trust it.

    Attributes
    ----------
    estimator, measure
        What was asked for.
    log_volume, stderr, low, high
        In nats; ends of the 90 % interval.
    is_lower_bound
        Mass is missed that the interval knows nothing of; the truth lies above.
    is_converged
        The estimator's own checks agree.
    num_evaluations
        Losses evaluated; a gradient counts as two.
    diagnostics
        Numbers by name; each estimator's docstring says which.
    """

    estimator: str
    measure: str
    log_volume: float
    stderr: float
    low: float
    high: float
    is_lower_bound: bool
    is_converged: bool
    num_evaluations: int
    diagnostics: Mapping[str, float]
