"""Path `restricted`: from a Gaussian that fits into the basin to the measure restricted to it.

The laws p_s(z) in proportion to 1_B(x) mu(x) exp(-(1 - s) |z|^2 / 2), x = A z relative to the
minimum, with d ln Z / ds = E_s |z|^2 / 2. They ask only which points are inside, so losses with
kinks and jumps do.
"""

import numpy as np
from numpy.typing import NDArray

from basins.directions.preconditioner import Preconditioner
from basins.volume import chords
from basins.volume.basin import BATCH, Basin
from basins.volume.integration import FIRST_NODES, MIN_BURN_IN, Seen, walk
from basins.volume.measures import Measure, Reference
from basins.volume.path import NUM_CHAINS, LastDraws, Passage, local_exponent, look_out
from basins.volume.rounding import fit_scale, learn_shape

Array = NDArray[np.float64]

PILOT_SWEEPS = 60
PILOT_GROWTH = 2.0  # of the mean square of z, beyond which the scale follows in a pilot
MIN_MASS_DRAWS = 512
BURN_IN_ROUNDS = 3  # of all axes at every node
MANY_PARAMETERS = 1000


class Walker:
    """Walks along this path, and what they have learned of the basin's shape.

    Attributes
    ----------
    num_evaluations
        Losses evaluated so far.
    first_nodes, min_burn_in
        Of the first passage's rule; sweeps at a node that do not count.
    """

    def __init__(
        self, basin: Basin, measure: Measure, shape: Preconditioner, moves: str, stderr: float
    ) -> None:
        self.basin, self.measure, self.shape, self.moves = basin, measure, shape, moves
        self.num_mass_draws = max(MIN_MASS_DRAWS, int(np.ceil(24 / stderr**2)))
        self.num_evaluations = 0
        self.first_nodes, self.min_burn_in = FIRST_NODES, MIN_BURN_IN
        if moves == "axes":
            self.min_burn_in = BURN_IN_ROUNDS * chords.sweeps_of_round(basin.num_parameters)
            if basin.num_parameters >= MANY_PARAMETERS:
                # A passage is so dear here, and the rule's error so sure, that none is spent on it.
                self.first_nodes = 2 * FIRST_NODES - 1

    def pilot(self, rng: np.random.Generator) -> None:
        """Learn the shape from chains under the last law."""
        z, _, _ = self._start(rng)
        widths = chords.first_widths(self.basin.num_parameters, self.moves)
        chains = chords.Chains(z, self.shape.apply(z), widths)
        kept = []
        for index in range(PILOT_SWEEPS):
            is_early = index < PILOT_SWEEPS // 2
            law = chords.Law(self.basin, self.measure, self.shape, 0.0)
            chords.sweep(law, chains, rng, is_early)
            square = float((chains.z**2).mean())
            if is_early and not 1 / PILOT_GROWTH < square < PILOT_GROWTH:
                self.shape, chains.z = self.shape.times(square**0.5), chains.z / square**0.5
            elif not is_early:
                kept.append(chains.z)
        self.num_evaluations += chains.num_evaluations
        self._learn(np.stack(kept))

    def _learn(self, draws: Array) -> None:
        self.shape = learn_shape(self.shape, draws, may_turn=self.moves != "axes")

    def _start(self, rng: np.random.Generator) -> tuple[Array, Reference, float]:
        """Return draws of the reference inside the basin, the reference, and its mass inside."""
        fit = fit_scale(self.basin, self.measure, self.shape, rng)
        self.shape = fit.reference.shape
        n = self.basin.num_parameters
        found: list[Array] = []
        inside = drawn = num_found = 0
        while drawn < self.num_mass_draws or num_found < NUM_CHAINS:
            count = min(self.num_mass_draws, max(NUM_CHAINS, BATCH // n))
            z = fit.reference.draw(rng.standard_normal((count, n)))
            good = z[self.basin.is_inside(self.shape.apply(z))]
            inside, drawn = inside + len(good), drawn + count
            if num_found < NUM_CHAINS:
                found.append(good)
                num_found += len(good)
            if drawn > 100 * self.num_mass_draws:
                raise ValueError(
                    "minimum: no Gaussian around it lies inside the basin; it may be on the edge"
                )
        self.num_evaluations += drawn + fit.num_evaluations
        return np.concatenate(found)[:NUM_CHAINS], fit.reference, inside / drawn

    def passage(self, num_nodes: int, num_sweeps: int, rng: np.random.Generator) -> Passage:
        """Walk along the path and back, with `num_sweeps` at each of `num_nodes`."""
        z, reference, mass = self._start(rng)
        chains = chords.Chains(z, self.shape.apply(z), {})
        n = self.basin.num_parameters
        widths = [chords.first_widths(n, self.moves) for _ in range(num_nodes)]
        last = LastDraws(num_sweeps)

        def sweep(s: float, index: int, is_tuned: bool) -> Seen:
            law = chords.Law(self.basin, self.measure, self.shape, 1 - s)
            chains.widths = widths[index]
            chords.sweep(law, chains, rng, is_tuned)
            if index == num_nodes - 1 and not is_tuned:
                distances = np.linalg.norm(chains.offsets, axis=1)
                last.add(chains.offsets, self.basin.rise(chains.offsets), distances)
                chains.num_evaluations += len(chains.z)
            return Seen(np.einsum("ki,ki->k", chains.z, chains.z) / 2, chains.z)

        walked = walk(sweep, num_nodes, num_sweeps, self.min_burn_in)
        self.num_evaluations += chains.num_evaluations + last.sight_evaluations
        self._learn(walked.draws)
        mass_error = np.sqrt((1 - mass) / (mass * self.num_mass_draws))
        rises = np.stack(last.rises) / self.basin.height
        distances = np.stack(last.distances) / self.basin.r_max
        return Passage(
            log_volumes=reference.log_normalizer() + np.log(mass) + walked.integrals,
            log_weights=np.zeros_like(rises),
            rises=rises,
            exponent=local_exponent(rises),
            radius_exponent=local_exponent(distances),
            shared_stderr=float(np.hypot(mass_error, walked.rule_difference / 3)),
            rule_difference=walked.rule_difference,
            visible=look_out(self.basin, last.points),
            visible_rows=np.array(last.rows),
        )
