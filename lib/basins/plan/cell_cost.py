"""Operations of what is done with all minima of a model and data set together."""

import numpy as np

from basins.cube.class_table import NUM_DRAWS
from basins.plan.cost import (
    ESTIMATE,
    GRADIENT,
    TRAIN,
    Array,
    estimate_counts,
    evaluations,
    rays_counts,
    train_counts,
)
from basins.plan.networks import job_network
from basins.study import jobs
from basins.study.curves import KINDS, TRAINED, joins
from basins.study.recipes import points_placed
from basins.study.schema import Study

SVD = 4  # products of all pairs that its singular values take
MATCHINGS = 16  # of each hidden layer with another's, until no order improves, from two starts
# Losses of one landscape. Three data sets took 4e5 to 5e6 on average, but with what moves between
# losses 158 CPU seconds, where this foretells 183.
GUESSES = 2e7
NEIGHBOR_OPERATIONS = 2e8  # of t-SNE, a point: CPU time of 60 to 600 points took 1e8 to 1.9e8


def planes_charted(study: Study) -> int:
    """Return how many planes through three minima a cell has."""
    return len(study.recipes) * len(study.seeds)


def basins_of_curves(study: Study) -> int:
    """Return around how many points of two minima's curves volumes are measured, ends once."""
    asked = study.measure.curves
    return len(KINDS) * (asked.volume_points - 2) + 2 if asked and asked.volume_points else 0


def counts(
    study: Study,
    cell: jobs.Cell,
    verb: str,
    per_ray: tuple[float, float] = (0.0, 0.0),
    at_worst: bool = False,
) -> Array:
    """Return what a verb does with a cell, in the counts of what it is priced as.

    Parameters
    ----------
    study, cell, verb
        The cell.
    per_ray, at_worst
        As of `basins.plan.cost.counts`, of verbs that solve radii.
    """
    network, facts = job_network(study, cell)
    if verb == "curves":
        return _curve_counts(study, cell, per_ray, at_worst)
    if verb == "distinct":
        return _distinct_counts(study, cell)
    if verb == "guess":
        return _guess_counts(study, cell, at_worst)
    if verb == "size_planes":
        points = study.measure.size_planes.points if study.measure.size_planes else 0
        # As of any plane: a line is an anchor and a ray, each with half of the points.
        half = np.full(len(study.landscape_sizes), points / 2)
        return rays_counts(network, 2 * points, study.landscape_sizes, half, planes_charted(study))
    points = points_placed(study)
    counted = train_counts(network, 1, 0, points * facts.num_test, 0, 1)
    turned = SVD * points**2 * network.num_parameters
    counted[TRAIN.index("linear_operations")] += turned + NEIGHBOR_OPERATIONS * points
    return counted


def _guess_counts(study: Study, cell: jobs.Cell, at_worst: bool) -> Array:
    """Return the counts of `ESTIMATE` that guessing takes in all landscapes of a cell."""
    network, facts = job_network(study, cell)
    asked = study.measure.guess_and_check
    assert asked is not None
    each = asked.max_evaluations
    if not at_worst:
        each = min(each, GUESSES)
    sizes, seeds = study.landscape_sizes, len(cell.seeds)
    tested = NUM_DRAWS * len(study.measure.volume.thresholds) * len(sizes) * seeds
    points = each * len(sizes) * seeds + tested
    examples = each * sum(sizes) * seeds + tested * facts.num_test
    counted = estimate_counts(network, points, examples)
    # The prior is as wide along every parameter.
    counted[ESTIMATE.index("shape_operations")] = 0
    return counted


def _curve_counts(
    study: Study, cell: jobs.Cell, per_ray: tuple[float, float], at_worst: bool
) -> Array:
    """Return the counts of `ESTIMATE` that training and measuring along curves takes."""
    network, facts = job_network(study, cell)
    asked, volume = study.measure.curves, study.measure.volume
    assert asked is not None
    points, examples = 0.0, 0.0
    for join in joins(study, cell):
        size = join.train_size
        trained = GRADIENT * len(TRAINED) * asked.epochs * asked.draws
        along = len(KINDS) * asked.points
        # Losses once, and errors on both sets.
        points += trained + 3 * along
        examples += trained * size + along * (study.landscape_sizes[-1] + size + facts.num_test)
        is_everywhere = at_worst or volume.threshold_kind == "excess"
        sizes = [m for m in study.landscape_sizes if is_everywhere or m <= size]
        in_each = evaluations(len(sizes), len(volume.thresholds), per_ray)
        rays = basins_of_curves(study) * asked.directions
        points += rays * float(in_each.max(initial=0))
        examples += rays * float(in_each @ np.diff([0, *sizes]))
    counted = estimate_counts(network, points, examples)
    # No point is moved by a shape.
    counted[ESTIMATE.index("shape_operations")] = 0
    return counted


def _distinct_counts(study: Study, cell: jobs.Cell) -> Array:
    """Return the counts of `ESTIMATE` that comparing minima two by two takes."""
    network, facts = job_network(study, cell)
    asked, seeds = study.measure.distinct, len(study.seeds)
    assert asked is not None
    settings = len(study.recipes) * len(study.train_sizes)
    pairs = settings * seeds * (seeds - 1) // 2
    # The answers of each minimum; and two lines a pair, units matched and as they are.
    points = settings * seeds + 2 * asked.points * pairs
    counted = estimate_counts(network, points, points * facts.num_test)
    counted[ESTIMATE.index("shape_operations")] = 0
    products = MATCHINGS * network.num_parameters * network.held.widest
    counted[ESTIMATE.index("linear_operations")] += pairs * products
    return counted
