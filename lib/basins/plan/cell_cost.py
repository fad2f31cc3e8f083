"""Operations of what is done with all minima of a model and data set together."""

from basins.plan.cost import TRAIN, Array, train_counts
from basins.plan.networks import job_network
from basins.study import jobs
from basins.study.recipes import kept_epochs
from basins.study.schema import Study

SVD = 4  # products of all pairs that its singular values take
NEIGHBOR_OPERATIONS = 5e8  # of t-SNE, a point; seen with 60 to 600 points


def points_placed(study: Study) -> int:
    """Return how many points a cell's minefield has."""
    minima = len(study.train_sizes) * len(study.seeds)
    return minima * sum(1 + len(kept_epochs(recipe)) for recipe in study.recipes.values())


def counts(study: Study, cell: jobs.Cell) -> Array:
    """Return what the minefield of a cell does, in the counts `TRAIN`."""
    network, facts = job_network(study, cell)
    points = points_placed(study)
    counted = train_counts(network, 1, 0, points * facts.num_test, 0, 1)
    turned = SVD * points**2 * network.num_parameters
    counted[TRAIN.index("linear_operations")] += turned + NEIGHBOR_OPERATIONS * points
    return counted
