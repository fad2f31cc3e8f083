"""Operations of what is done with all minima of a model and data set together."""

import numpy as np

from basins.plan.cost import TRAIN, Array, rays_counts, train_counts
from basins.plan.networks import job_network
from basins.study import jobs
from basins.study.recipes import kept_epochs
from basins.study.schema import Study

SVD = 4  # products of all pairs that its singular values take
NEIGHBOR_OPERATIONS = 5e8  # of t-SNE, a point; seen with 60 to 600 points


def planes_charted(study: Study) -> int:
    """Return how many planes through three minima a cell has."""
    return len(study.recipes) * len(study.seeds)


def points_placed(study: Study) -> int:
    """Return how many points a cell's minefield has."""
    minima = len(study.train_sizes) * len(study.seeds)
    return minima * sum(1 + len(kept_epochs(recipe)) for recipe in study.recipes.values())


def counts(study: Study, cell: jobs.Cell, verb: str) -> Array:
    """Return what a verb does with a cell, in the counts of what it is priced as."""
    network, facts = job_network(study, cell)
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
