"""Step size and trajectory length of moves that follow gradients, and how they are tuned."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

MAX_STEPS = 1000  # of one trajectory, where the budget allows
MAX_LENGTH = 12.0  # two turns or so in a round basin of unit variances
STEP_RATE, LENGTH_RATE = 1.2, 0.1  # of change of ln(step) and ln(length) while tuned
SMALL_STEPS, SMALLNESS = 0.1, 0.2  # share of moves with steps so much smaller
MEMORY = 0.95  # of the running square of the length's slope


@dataclass
class Stride:
    """How far a move goes.

    Attributes
    ----------
    step, length
        Of one step and of the longest trajectory, in units of z.
    most_steps
        Of one trajectory.
    num_tuned
        Moves that tuned it so far.
    slope_square
        Running mean square of the slope by which the length is tuned.
    """

    step: float
    length: float
    most_steps: int = MAX_STEPS
    num_tuned: int = 0
    slope_square: float = 0.0

    def draw(self, rng: np.random.Generator, is_tuned: bool) -> tuple[float, float, int]:
        """Return a share of the length, at random against resonance, a step, and how many of it.

        Now and then steps are small, unless they are being tuned, to free chains that stand where
        the loss is steep.
        """
        share = rng.uniform(0.2, 1.0)
        count = min(max(1, int(np.ceil(share * self.length / self.step))), self.most_steps)
        is_small = not is_tuned and rng.random() < SMALL_STEPS
        return share, self.step * (SMALLNESS if is_small else 1.0), count

    def again(self) -> "Stride":
        """Return the same stride, to be tuned anew."""
        return Stride(self.step, self.length, self.most_steps)

    def tune(
        self, surplus: float, share: float, start: Array, end: Array, velocity: Array, trust: Array
    ) -> None:
        """Bring step and length nearer to what they should be, after one move.

        The length follows the gradient of the expected change of |z|^2 (ChEES; Hoffman, Radul,
        Sountsov 2021, AISTATS, equations 2 and 3): of the quantity whose means are integrated.

        Parameters
        ----------
        surplus
            How much better than wanted the steps were; the step grows with it.
        share
            Of the length, taken by this move.
        start, end, velocity
            Of every chain before the move and as proposed, shape (k, n).
        trust
            Weight of every chain: its probability of acceptance, shape (k,).
        """
        self.num_tuned += 1
        self.step *= float(np.exp(STEP_RATE * surplus / np.sqrt(self.num_tuned)))
        is_good = (trust > 0) & np.isfinite(end).all(axis=1) & np.isfinite(velocity).all(axis=1)
        if is_good.any():
            before = start[is_good] - start.mean(axis=0)
            after = end[is_good] - end[is_good].mean(axis=0)
            change = (after**2).sum(axis=1) - (before**2).sum(axis=1)
            slopes = share * change * (after * velocity[is_good]).sum(axis=1)
            slope = float(np.average(slopes, weights=trust[is_good]))
            self.slope_square = MEMORY * self.slope_square + (1 - MEMORY) * slope**2
            scale = np.sqrt(self.slope_square / (1 - MEMORY**self.num_tuned))
            if scale > 0:
                self.length *= float(np.exp(LENGTH_RATE * np.clip(slope / scale, -3, 3)))
        self.length = float(
            np.clip(self.length, self.step, min(self.most_steps * self.step, MAX_LENGTH))
        )
