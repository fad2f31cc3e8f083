"""Operations and evaluations of a job, from the study alone.

A job's cost is a vector of counts (`TRAIN`, `RAYS`, `VOLUME`, `ESTIMATE`), each the number of times
something of known price happens; `basins.plan.calibration` holds the prices of a machine.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from basins.flatness.ascent import RESTARTS, STEPS
from basins.flatness.keskar2017sharpness import ITERATIONS
from basins.flatness.kwon2021sharpness import NUM_DRAWS
from basins.flatness.of_minima import FULL_SPECTRUM
from basins.flatness.robustness import STEPS as PGD_STEPS
from basins.plan.networks import NO_LAYER, NetworkCost, job_network
from basins.rays.torch_path import CHUNK
from basins.study import jobs
from basins.study.controls import of_size, trained_on
from basins.study.recipe_keys import Recipe
from basins.study.schema import Study
from basins.training import schedules
from basins.training.objective import is_misled, is_weighted
from basins.volume.shapes import MAX_FULL, RANK

Array = NDArray[np.float64]

# What is counted. A pass is the forward pass of one example through one network.
TRAIN = (
    "layer_calls",
    "parameter_updates",
    "linear_operations",
    "convolution_operations",
    "numbers",
)
RAYS = (
    "layer_calls",
    "parameter_moves",
    "direction_numbers",
    "linear_operations",
    "convolution_operations",
    "numbers",
)
VOLUME = ("basins", "radii")
ESTIMATE = (
    "points",
    "parameter_moves",
    "shape_operations",
    "linear_operations",
    "convolution_operations",
    "numbers",
)
COUNTS = {"train": TRAIN, "rays": RAYS, "volume": VOLUME, "estimate": ESTIMATE}

LINE_TRIALS = 1.5  # of a line search, or so
BACKWARD = 3  # a training pass is a forward pass and a backward pass of twice its operations
DOUBLE = 2  # a polish computes in double precision
WEIGHTED = 3  # a weighted objective goes through torch where others are compiled
AUGMENTED = 10  # activations that take as long as one number of an augmented image
POINTS_PER_DIRECTION = 20  # that `importance` solves, the trial of shapes included
GRADIENT = 2  # losses that take as long
LBFGSB_LOSSES = 4  # of one iteration: a loss and a gradient, now and then twice
LANCZOS_STEPS = 100  # or so, until the ends of a spectrum have converged
VECTOR_OPERATIONS = 4  # a multiply-add of a matrix and a vector takes as long as so many of two


@dataclass(frozen=True)
class Asked:
    """What a measure of flatness asks for.

    Attributes
    ----------
    points
        Losses; a gradient counts as two, a product with the Hessian as four.
    operations
        Multiply-adds of dense matrices beside them.
    """

    points: float
    operations: float

    def __add__(self, other: "Asked") -> "Asked":
        """Return both."""
        return Asked(self.points + other.points, self.operations + other.operations)

    def __rmul__(self, count: int) -> "Asked":
        """Return that so many times."""
        return Asked(count * self.points, count * self.operations)


def train_counts(
    network: NetworkCost, seeds: int, size: int, tests: int, epochs: float, steps: float
) -> Array:
    """Return the counts of `TRAIN`: all seeds of a job in one stacked loop.

    Parameters
    ----------
    network
        One network.
    seeds
        Networks trained together.
    size, tests
        Examples trained on and tested on.
    epochs, steps
        Passes over the training examples, and steps in all of them.
    """
    # At the end: loss and accuracy on both sets, and the norm of the gradient.
    passes = seeds * (BACKWARD * epochs * size + (BACKWARD + 1) * size + tests)
    # Nobody asks for the gradient of the inputs.
    first = network.first or NO_LAYER
    spared = seeds * (epochs + 1) * size
    return np.array(
        [
            steps * network.num_layers,
            steps * seeds * network.num_parameters,
            passes * network.linear - spared * first.linear,
            passes * network.convolution - spared * first.convolution,
            passes * network.numbers,
        ],
        dtype=np.float64,
    )


def evaluations(landscapes: int, thresholds: int, per_ray: tuple[float, float]) -> Array:
    """Return the evaluations a ray needs in each landscape, smallest landscape first.

    A ray is scanned once for all landscapes, then each cell (landscape, threshold) is narrowed,
    from the largest landscape to the smallest; an evaluation in one serves all smaller ones.

    Parameters
    ----------
    landscapes, thresholds
        How many.
    per_ray
        Evaluations of the scan, and of one cell.
    """
    scan, cell = per_ray
    return np.asarray(scan + cell * thresholds * np.arange(landscapes, 0, -1.0))


def rays_counts(
    network: NetworkCost, rays: int, sizes: list[int], in_each: Array, minima: int
) -> Array:
    """Return the counts of `RAYS`.

    Parameters
    ----------
    network
        One network.
    rays
        Directions of one minimum.
    sizes
        Sizes of the landscapes, increasing.
    in_each
        Evaluations a ray in each landscape.
    minima
        How many minima.
    """
    steps = np.diff([0, *sizes])
    passes = minima * rays * float(in_each @ steps)
    largest = sizes[-1] if sizes else 0
    batch = network.rays_together(largest)
    # Rays of a batch go through the solver together until the last of them is done.
    chunks = np.ceil(np.array(sizes) / CHUNK)
    calls = math.ceil(minima * rays / batch) * float(in_each @ np.diff([0, *chunks]))
    # Of a first layer there are products once a ray, and no parameters that move.
    first, once = network.kept(largest), minima * rays * largest
    moved = network.num_parameters - first.parameters
    moves = minima * rays * float(in_each.max(initial=0)) * moved
    return np.array(
        [
            calls * network.num_layers,
            moves,
            minima * rays * network.num_parameters,
            passes * (network.linear - first.linear) + once * first.linear,
            passes * (network.convolution - first.convolution) + once * first.convolution,
            passes * network.numbers,
        ],
        dtype=np.float64,
    )


def estimate_counts(network: NetworkCost, points: float, examples: float) -> Array:
    """Return the counts of `ESTIMATE`.

    Parameters
    ----------
    network
        One network.
    points
        Losses asked for; a gradient is two.
    examples
        Passes of one example, all points together.
    """
    n = network.num_parameters
    # Shapes are whole matrices while Hessians are, and of low rank beyond.
    width = n if n <= MAX_FULL else RANK
    return np.array(
        [
            points,
            points * n,
            points * n * width,
            examples * network.linear,
            examples * network.convolution,
            examples * network.numbers,
        ],
        dtype=np.float64,
    )


def _gradients_a_step(recipe: Recipe) -> float:
    """Return how many gradients a step takes."""
    if recipe.optimizer == "lbfgs":
        return 1 + LINE_TRIALS
    return 2 if recipe.sam else 1


def _proximal(network: NetworkCost, batch: float) -> float:
    """Return the multiply-adds of a step of ProxProp: a matrix of each layer's inputs, solved."""
    return float(sum(n**2 * batch + n**3 / 3 for n in network.hidden_inputs))


def phases_of(study: Study, job: jobs.Job) -> list[tuple[Recipe, int]]:
    """Return the recipes that a job trains by, and the epochs of each."""
    recipe = of_size(study.recipes[job.recipe], job.train_size)
    warm = recipe.warm_start
    before = of_size(study.recipes[warm.recipe], job.train_size) if warm else None
    return schedules.phases(recipe, before)


def points_asked(study: Study, num_parameters: int) -> tuple[float, float]:
    """Return the losses that estimators ask for at most: of each basin, and of each landscape."""
    volume, named = study.measure.volume, jobs.asking_estimators(study)
    basin = 0.0
    if "annealed" in named:
        basin += volume.max_evaluations
    if "importance" in named:
        basin += POINTS_PER_DIRECTION * volume.directions
    # A Hessian is 2 n gradients, of which each counts as two losses.
    has_hessian = num_parameters <= MAX_FULL or "laplace" in named
    return basin, 4.0 * num_parameters if has_hessian else 0.0


def survey_asked(study: Study, num_parameters: int) -> tuple[Asked, Asked]:
    """Return what measures of flatness ask for: in each landscape, and of the test set."""
    measures, n = study.measure.flatness, num_parameters
    whole, matrix = _whole_spectrum(study, n), _matrix(study, n)
    num_matrices = len({"spectrum", "gauss_newton"} & set(measures))
    tested = num_matrices * matrix
    in_each = tested
    if "evidence" in measures:
        in_each += Asked(1.0, 0.0)
        # The Hessian's spectrum is computed once for both measures.
        if "spectrum" not in measures:
            in_each += whole
    if "sharpness" in measures:
        in_each += Asked(_sharpness_points(len(study.measure.flatness_options.box_sizes)), 0.0)
    if "margins" in measures:
        # One pass over the largest landscape serves all.
        in_each += Asked(1.0 / len(study.landscape_sizes), 0.0)
    if "robustness" in measures:
        tested += Asked(_attacks(len(study.measure.flatness_options.perturbations)), 0.0)
    return in_each, tested


def _attacks(num_perturbations: int) -> float:
    """Return the losses of the test set that attacks ask for, if no example falls on the way."""
    fgsm = GRADIENT + num_perturbations
    pgd = 1 + num_perturbations * (GRADIENT * PGD_STEPS + 1)
    return float(fgsm + pgd)


def _sharpness_points(num_boxes: int) -> float:
    """Return the losses that all kinds of sharpness ask for in one landscape."""
    ascent = RESTARTS * (1 + 3 * STEPS)
    # In the full space and in a subspace, which has a loss of its own at the minimum.
    boxes = 2 * num_boxes * (LBFGSB_LOSSES * ITERATIONS + ascent + 1)
    one_step, own = 3, 1
    return boxes + 2 * (ascent + one_step) + own + 2 * 2 * NUM_DRAWS


def _whole_spectrum(study: Study, n: int) -> Asked:
    """Return what all eigenvalues of a matrix take, or what random vectors see of them."""
    options = study.measure.flatness_options
    if n <= FULL_SPECTRUM:
        return Asked(4.0 * n, float(n) ** 3)
    return options.num_probes * _krylov(min(n, options.num_steps), n)


def _matrix(study: Study, n: int) -> Asked:
    """Return what spectrum, trace and both ends of the spectrum of one matrix take."""
    num_products = study.measure.flatness_options.num_products if n > FULL_SPECTRUM else 0
    ends = _krylov(min(n, LANCZOS_STEPS), n)
    return _whole_spectrum(study, n) + ends + Asked(4.0 * num_products, 0.0)


def _krylov(num_steps: int, n: int) -> Asked:
    """Return what so many steps of Lanczos' method take: a product, made orthogonal twice, each."""
    return Asked(4.0 * num_steps, VECTOR_OPERATIONS * 2.0 * n * num_steps**2)


def inside_landscapes(study: Study, job: jobs.Job) -> list[int]:
    """Return the landscapes in which a minimum is expected to lie below the threshold.

    Those of the examples it was trained on. In larger ones it mostly lies above, and a minimum
    that does has no basin and takes no evaluation; measured as an excess every loss has one.
    """
    if study.measure.volume.threshold_kind == "excess":
        return study.landscape_sizes
    return [size for size in study.landscape_sizes if size <= job.train_size]


def counts(
    study: Study,
    job: jobs.Job,
    verb: str,
    per_ray: tuple[float, float],
    at_worst: bool = False,
) -> Array:
    """Return what a job of `verb` does, in the counts `COUNTS[verb]`.

    Parameters
    ----------
    study, job, verb
        The job.
    per_ray
        As in `evaluations`.
    at_worst
        Take every minimum to lie below the threshold in every landscape.
    """
    network, facts = job_network(study, job)
    volume = study.measure.volume
    if verb == "transform":
        return train_counts(network, len(job.seeds), job.train_size, facts.num_test, 0, 1)
    if verb == "train":
        parts, size = phases_of(study, job), job.train_size
        epochs, steps, solved, pixels = 0.0, 0.0, 0.0, 0.0
        for recipe, number in parts:
            count, each = trained_on(recipe, size), _gradients_a_step(recipe)
            taken = schedules.steps_before(recipe, number, count)
            # An epoch's worth of forward passes, where a loss that no step has tells when to stop.
            asked = recipe.stop_at_loss is not None and (taken > number or is_misled(recipe))
            slower = WEIGHTED if network.is_compiled and is_weighted(recipe) else 1
            # A polish comes last.
            is_double = recipe is parts[-1][0] and study.recipes[job.recipe].polish is not None
            slower *= DOUBLE if is_double else 1
            epochs += number * (slower * each * count / size + asked / BACKWARD)
            steps += each * taken
            if recipe.proximity is not None:
                solved += taken * _proximal(network, count * number / taken)
            if recipe.augmentation:
                pixels += number * count * math.prod(facts.input_shape)
        counted = train_counts(network, len(job.seeds), size, facts.num_test, epochs, steps)
        counted[TRAIN.index("numbers")] += AUGMENTED * len(job.seeds) * pixels
        counted[TRAIN.index("linear_operations")] += len(job.seeds) * solved
        return counted
    if verb == "rays":
        sizes = study.landscape_sizes if at_worst else inside_landscapes(study, job)
        in_each = evaluations(len(sizes), len(volume.thresholds), per_ray)
        return rays_counts(network, volume.directions, sizes, in_each, len(job.seeds))
    if verb == "estimate":
        sizes = study.landscape_sizes if at_worst else inside_landscapes(study, job)
        basin, landscape = points_asked(study, network.num_parameters)
        each = len(job.seeds) * (basin * len(volume.thresholds) + landscape)
        return estimate_counts(network, each * len(sizes), each * sum(sizes))
    if verb == "flatness":
        sizes, seeds = study.landscape_sizes, len(job.seeds)
        one, tested = survey_asked(study, network.num_parameters)
        total = seeds * (len(sizes) * one + tested)
        examples = seeds * (sum(sizes) * one.points + facts.num_test * tested.points)
        counted = estimate_counts(network, total.points, examples)
        # No point is moved by a shape; bases of Krylov spaces are.
        counted[ESTIMATE.index("shape_operations")] = total.operations
        return counted
    if verb == "boundaries":
        count = study.measure.boundaries.points**2 if study.measure.boundaries else 0
        return train_counts(network, len(job.seeds), 0, count, 0, 1)
    if verb in {"planes", "trajectories"}:
        grid = getattr(study.measure, verb)
        points = grid.points if grid else 0
        sizes = study.landscape_sizes
        # A line is an anchor and a ray, each with a first layer and half of the points.
        half = np.full(len(sizes), points / 2)
        return rays_counts(network, 2 * points, sizes, half, len(job.seeds))
    basins = len(job.seeds) * len(study.landscape_sizes) * len(volume.thresholds)
    return np.array([basins, basins * volume.directions], dtype=np.float64)
