"""Path `tempered`: from a Gaussian to exp(-beta L), then exactly to the basin's volume.

The laws exp(-U_s) of `hmc.Tempered`, with d ln Z / ds = E_s[|z|^2 / 2 - beta (L - L_0) - gamma
|x|^2 / 2]. The last one is reweighted to the basin, along rays (`radial`):

    V = Z_1 E_1[exp(beta (L - L_0) + gamma |x|^2 / 2) 1(L < threshold, |x| < r_max)].

beta is chosen so that the mean loss is the threshold, gamma so that the mean square distance is at
most r_max^2: then the draws near the edge, where the volume is, are the likeliest.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from basins.directions.preconditioner import Preconditioner
from basins.volume import hmc
from basins.volume.basin import Basin
from basins.volume.integration import FIRST_NODES, Seen, walk
from basins.volume.measures import Measure, Reference
from basins.volume.path import NUM_CHAINS, LastDraws, Passage, look_out, mean_ratio, relative
from basins.volume.radial import RayWeights, ray_weights
from basins.volume.rounding import fit_scale, learn_shape
from basins.volume.stride import MAX_STEPS, Stride

Array = NDArray[np.float64]

BLOCK = 15  # sweeps of the pilot between two looks at whether it has settled
MAX_BLOCKS = 12
MOST_CHANGE = 1.2  # of beta and gamma by one sweep, so that chains keep up
STEADY = 1.3  # ratio of the mean squares of z late and early in a block that is no drift
FIRST_MOVES = 650  # or so, of the pilot and of the first round
LEAST_STEPS = 8  # of a trajectory, however small the budget
CLOSE = 0.5  # standard deviations of the loss that its mean may be off the threshold


def first_stride(num_parameters: int, most_steps: int) -> Stride:
    """Return a stride for a Gaussian of unit variances: n^(-1/4) keeps its acceptance."""
    return Stride(0.5 * num_parameters**-0.25, 1.5, most_steps)


def aimed(law: hmc.Tempered, rise: float, square: float, rate: float) -> hmc.Tempered:
    """Return the law whose mean loss and square distance are nearer to threshold and r_max^2.

    Parameters
    ----------
    rise, square
        Means under `law`.
    rate
        Power of the ratios by which beta and gamma change, within `MOST_CHANGE`.
    """

    def change(ratio: float) -> float:
        return float(np.clip(max(ratio, 0.0) ** rate, 1 / MOST_CHANGE, MOST_CHANGE))

    basin = law.basin
    beta = law.beta * change(rise / basin.height)
    gamma = law.gamma * change(square / basin.r_max**2) if law.gamma else 0.0
    return replace(law, beta=beta, gamma=gamma)


class Walker:
    """Walks along this path, and what they have learned of the basin.

    Attributes
    ----------
    num_evaluations
        Losses evaluated so far.
    first_nodes
        Of the first passage's rule.
    """

    first_nodes = FIRST_NODES

    def __init__(
        self, basin: Basin, measure: Measure, shape: Preconditioner, max_evaluations: float
    ) -> None:
        n = basin.num_parameters
        # The pilot and the first round are made in any case, and should fit into the budget.
        affordable = max_evaluations / (2 * NUM_CHAINS * FIRST_MOVES)
        self.most_steps = int(np.clip(affordable, LEAST_STEPS, MAX_STEPS))
        gamma = n / basin.r_max**2 if np.isfinite(basin.r_max) else 0.0
        self.law = hmc.Tempered(basin, measure, shape, n / (2 * basin.height), gamma)
        self.num_evaluations = 0

    def pilot(self, rng: np.random.Generator) -> None:
        """Learn beta, gamma and the shape from chains under the last law."""
        basin = self.law.basin
        fit = fit_scale(basin, self.law.measure, self.law.shape, rng)
        self.law = replace(self.law, shape=fit.reference.shape)
        # Chains begin inside, twice at the same point perhaps: they part at once.
        start = fit.inside[np.arange(NUM_CHAINS) % len(fit.inside)]
        chains = hmc.place(basin, self.law.shape, start)
        stride = first_stride(basin.num_parameters, self.most_steps)
        num_sweeps = 0
        for _ in range(MAX_BLOCKS):
            block, rises, is_drifting = [], [], False
            for _ in range(BLOCK):
                num_sweeps += 1
                hmc.move(self.law, 1.0, chains, stride, rng, is_tuned=True)
                self._retune(chains, rate=1 / (1 + num_sweeps / BLOCK))
                square = float((chains.z**2).mean())
                if not 0.5 < square < 2:
                    self.law = replace(self.law, shape=self.law.shape.times(square**0.5))
                    chains.z = chains.z / square**0.5
                    is_drifting = True
                block.append(chains.z)
                rises.append(chains.rises)
            spread = float(np.std(rises))
            off = abs(float(np.mean(rises)) - basin.height)
            squares = [float((z**2).mean()) for z in block]
            is_drifting |= not 1 / STEADY < np.mean(squares[BLOCK // 2 :]) / squares[0] < STEADY
            self.law = replace(self.law, shape=learn_shape(self.law.shape, np.stack(block)))
            chains.z = self.law.shape.solve(chains.offsets)
            if not is_drifting and off <= CLOSE * spread:
                break
        self.num_evaluations += chains.num_evaluations + fit.num_evaluations

    def _retune(self, chains: hmc.Particles, rate: float) -> None:
        """Bring the mean loss nearer to the threshold, the mean square distance to r_max^2."""
        squares = hmc.squares(chains.offsets)
        self.law = aimed(self.law, float(chains.rises.mean()), float(squares.mean()), rate)

    def passage(self, num_nodes: int, num_sweeps: int, rng: np.random.Generator) -> Passage:
        """Walk along the path and back, with `num_sweeps` at each of `num_nodes`."""
        law, basin = self.law, self.law.basin
        reference = Reference(law.measure, law.shape, 1.0)
        start = reference.draw(rng.standard_normal((NUM_CHAINS, basin.num_parameters)))
        chains = hmc.place(basin, law.shape, start)
        strides: list[Stride] = []
        last = LastDraws(num_sweeps)

        weighed: list[RayWeights] = []

        def sweep(s: float, index: int, is_tuned: bool) -> Seen:
            if index == len(strides):
                # The reference is round, whatever the last law is like.
                first = first_stride(basin.num_parameters, self.most_steps)
                strides.append(strides[-1].again() if strides else first)
            hmc.move(law, s, chains, strides[index], rng, is_tuned)
            if index == num_nodes - 1 and not is_tuned:
                found = ray_weights(law, chains.offsets, rng)
                weighed.append(found)
                distances = np.linalg.norm(chains.offsets, axis=1)
                last.add(found.edges[:, None] * chains.offsets, chains.rises, distances)
                chains.num_evaluations += found.num_evaluations
            return Seen(
                hmc.squares(chains.z) / 2 - law.target(chains.offsets, chains.rises), chains.z
            )

        walked = walk(sweep, num_nodes, num_sweeps)
        self.num_evaluations += chains.num_evaluations + last.sight_evaluations
        heights, radii = np.stack(last.rises), np.stack(last.distances)
        log_weights = np.stack([found.log_weights for found in weighed])
        weights, _ = relative(log_weights)
        exponents = np.stack([found.exponents for found in weighed])
        radius_exponents = np.stack([found.radius_exponents for found in weighed])
        self.law = aimed(law, float(heights.mean()), float((radii**2).mean()), rate=1.0)
        self.law = replace(self.law, shape=learn_shape(law.shape, walked.draws))
        return Passage(
            log_volumes=reference.log_normalizer() + walked.integrals,
            log_weights=log_weights,
            rises=heights / basin.height,
            exponent=mean_ratio(weights * exponents, weights),
            radius_exponent=mean_ratio(weights * radius_exponents, weights),
            shared_stderr=abs(walked.rule_difference) / 3,
            rule_difference=walked.rule_difference,
            visible=look_out(basin, last.points),
            visible_rows=np.array(last.rows),
        )
