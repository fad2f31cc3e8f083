"""Keys of `measure`: what is measured at every minimum, described once."""

from typing import Annotated, Literal

from pydantic import Field

from basins.study.keys import Positive, PositiveFloat, Strict


class VolumeMeasure(Strict):
    """How volumes are measured."""

    estimators: list[Literal["rays", "importance", "annealed", "laplace"]] = Field(
        default=["rays"],
        min_length=1,
        description="how volumes are measured: `rays`, and beside it any of the others",
    )
    directions: Positive = Field(default=500, description="random directions a minimum")
    thresholds: list[PositiveFloat] = Field(
        min_length=1, description="losses that bound the basin, increasing"
    )
    threshold_kind: Literal["loss", "excess"] = Field(
        default="loss", description="threshold on the loss, or on its rise above the minimum's own"
    )
    coordinates: Literal["weight", "filter"] = Field(
        default="filter", description="units of the radius: as trained, or each filter's norm"
    )
    bias_scale: Literal["one", "norm"] = Field(
        default="one",
        description="unit of one-dimensional parameters in filter coordinates: 1, or their norm",
    )
    measure: Literal["lebesgue", "gaussian"] = Field(
        default="lebesgue",
        description="what volume means: Lebesgue's inside the ball of `r_max`, or the probability "
        "that parameters drawn from a Gaussian around 0 lie in the basin (`coordinates: weight`)",
    )
    sigma: PositiveFloat | None = Field(
        default=None,
        description="`gaussian`: standard deviation of every parameter; required there",
    )
    r_max: PositiveFloat | None = Field(
        default=None,
        description="largest radius; default ten times the minimum's own norm in the coordinates, "
        "or beyond all that a Gaussian reaches",
    )
    dtype: Literal["float32", "float64"] = Field(
        default="float32", description="precision of forward passes; sums are always float64"
    )
    stderr: PositiveFloat = Field(
        default=1.0, description="error in nats that `annealed` goes on for"
    )
    max_evaluations: PositiveFloat = Field(
        default=1_000_000.0,
        description="losses of one basin after which `annealed` stops in any case",
    )
    scan_points: Annotated[int, Field(ge=4, le=64)] = Field(
        default=12, description="points of the coarse scan along a ray, a factor 2 apart"
    )


class FlatnessOptions(Strict):
    """Sizes and efforts of the measures of flatness; all in float64 and weight coordinates."""

    box_sizes: list[PositiveFloat] = Field(
        default=[5e-4, 1e-3],
        min_length=1,
        description="`sharpness`: epsilons of boxes, increasing; half widths are "
        "epsilon (|theta| + 1)",
    )
    subspace: Positive | None = Field(
        default=None,
        description="`sharpness`: dimensions of the random subspace, at most n; default 100, or n",
    )
    ball_radius: PositiveFloat = Field(
        default=0.05, description="`sharpness`: radius of the Euclidean ball"
    )
    rho: PositiveFloat = Field(
        default=0.05, description="`sharpness`: radius of adaptive sharpness and length of a step"
    )
    sigma: PositiveFloat = Field(
        default=0.01, description="`sharpness`: standard deviation of average sharpness"
    )
    num_eigenvalues: Positive = Field(
        default=10, description="`spectrum`: how many of the largest eigenvalues"
    )
    num_products: Annotated[int, Field(ge=9)] = Field(
        default=60, description="products with the matrix that a trace takes"
    )
    num_probes: Annotated[int, Field(ge=2)] = Field(
        default=10, description="random vectors of a log-determinant beyond 1,000 parameters"
    )
    num_steps: Annotated[int, Field(ge=2)] = Field(
        default=80, description="steps of Lanczos' method for each of them"
    )
    damping: PositiveFloat = Field(
        default=1e-3, description="added to the eigenvalues of a log-determinant"
    )
    prior_precision: PositiveFloat = Field(
        default=1.0, description="`evidence`: precision of the Gaussian prior on parameters"
    )
    perturbations: list[PositiveFloat] = Field(
        default=[0.01, 0.03, 0.1],
        min_length=1,
        description="`robustness`: largest changes of an input's numbers, normalised as the data "
        "are, increasing",
    )


class PlaneMeasure(Strict):
    """Losses on a square grid in a random plane through each minimum, in every landscape."""

    points: Annotated[int, Field(ge=3, le=1001)] = Field(
        default=51, description="points along either axis; odd, so that the minimum is one of them"
    )
    extent: PositiveFloat = Field(
        default=1.0,
        description="how far the plane reaches on every side, in norms of the minimum's filters",
    )


class BoundaryMeasure(Strict):
    """Outputs on a grid of inputs, of data sets whose inputs are two numbers."""

    points: Annotated[int, Field(ge=2, le=2001)] = Field(
        default=201, description="points along either axis"
    )
    extent: PositiveFloat = Field(
        default=1.1,
        description="how far the grid reaches on every side, in units of inputs as normalised",
    )


FEWEST_PLACED = 5  # points of a minefield; of fewer there is no neighbourhood to keep


class MinefieldMeasure(Strict):
    """Minima of one model and data set as points of a plane, with the paths of training kept."""

    perplexity: PositiveFloat = Field(
        default=30.0,
        description="how many neighbours a point of the t-SNE minds, at most a third of all others",
    )


class TrajectoryMeasure(Strict):
    """Losses in the plane along which the path of training is longest."""

    points: Annotated[int, Field(ge=3, le=1001)] = Field(
        default=51, description="points along either axis"
    )
    margin: Annotated[float, Field(ge=0, le=10)] = Field(
        default=0.2,
        description="what is left free around the path, as a share of its longest extent",
    )


class SizePlaneMeasure(Strict):
    """Losses in the plane through three minima of one recipe and seed, in every landscape."""

    train_sizes: Annotated[list[Positive], Field(min_length=3, max_length=3)] | None = Field(
        default=None,
        description="train sizes of the three minima, increasing; default: the smallest, the "
        "middle and the largest",
    )
    points: Annotated[int, Field(ge=3, le=1001)] = Field(
        default=51, description="points along either axis"
    )
    margin: Annotated[float, Field(ge=0, le=10)] = Field(
        default=0.3,
        description="what is left free around the minima, as a share of their longest extent",
    )


class CurveMeasure(Strict):
    """Curves between two minima of one model, data set and train size."""

    pairs: Annotated[
        list[Annotated[list[str], Field(min_length=2, max_length=2)]], Field(min_length=1)
    ] = Field(
        description="recipes whose minima are joined, such as `[[clean, clean], [clean, bad]]`: of "
        "two recipes, or of transforms of theirs, minima of one seed; of one, those of a seed and "
        "the next, trained on the same examples (`subset_seed`)"
    )
    points: Annotated[int, Field(ge=3, le=1001)] = Field(
        default=61, description="positions on a curve, odd, so that a corner is one of them"
    )
    epochs: Positive = Field(
        default=200, description="steps of Adam on a bend, each on the whole training subset"
    )
    learning_rate: PositiveFloat = Field(
        default=0.01, description="of the first step; it falls to 0 as a cosine"
    )
    draws: Positive = Field(
        default=4, description="random positions of a step, one in each of as many equal parts"
    )
    volume_points: Annotated[int, Field(ge=2, le=1001)] | None = Field(
        default=7,
        description="positions around which volumes are measured, by rays, with the thresholds and "
        "coordinates of `measure.volume`; null: none",
    )
    directions: Positive = Field(default=100, description="rays of each of these volumes")


FEWEST_COMPARED = 3  # minima among which classes are counted; of fewer nothing can be said


class DistinctMeasure(Strict):
    """How many different minima the seeds of one model, data set, recipe and train size find."""

    tolerance: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.01,
        description="minima are one function if they put at most this share of the test examples "
        "into different classes",
    )
    barrier: PositiveFloat = Field(
        default=0.1,
        description="minima are in one basin if, their units matched, the test loss on the "
        "straight line between them rises by at most so many nats above that line of losses",
    )
    points: Annotated[int, Field(ge=3, le=1001)] = Field(
        default=25, description="positions on each of these lines, ends included"
    )


class GuessMeasure(Strict):
    """All parameters with a loss below the thresholds, not those around a minimum alone."""

    good_accuracy: Annotated[float, Field(gt=0, le=1)] = Field(
        description="test accuracy from which a solution counts as good; all others are bad"
    )
    stderr: PositiveFloat = Field(default=0.3, description="error in nats to go on for")
    max_evaluations: PositiveFloat = Field(
        default=2e8,
        description="losses of one landscape after which nothing more is begun; thresholds not "
        "reached by then are marked, and have no number",
    )


class Measure(Strict):
    """What is measured at every minimum."""

    volume: VolumeMeasure = Field(description="volumes")
    flatness: list[
        Literal[
            "sharpness", "spectrum", "gauss_newton", "evidence", "norms", "margins", "robustness"
        ]
    ] = Field(
        default=[],
        description="sharpness and curvature in every landscape: `sharpness` (in boxes, balls, one "
        "step, on average), `spectrum` (eigenvalues, trace, log-determinant of the Hessian), "
        "`gauss_newton` (the same of that matrix), `evidence`; and what they must beat: `norms`, "
        "`margins`, `robustness` (accuracy under attack)",
    )
    flatness_options: FlatnessOptions = Field(
        default=FlatnessOptions(), description="sizes and efforts of these measures"
    )
    planes: PlaneMeasure | None = Field(
        default=None, description="losses in a random plane through each minimum; default: none"
    )
    boundaries: BoundaryMeasure | None = Field(
        default=None,
        description="decision boundaries of two classes in the plane of inputs; default: none",
    )
    minefield: MinefieldMeasure | None = Field(
        default=None,
        description="all minima of a model and data set, and the paths that recipes keep "
        "(`keep_every`), as points of a plane: by t-SNE and by principal components",
    )
    trajectories: TrajectoryMeasure | None = Field(
        default=None,
        description="losses in the principal plane of each path that a recipe keeps "
        "(`keep_every`), and how far from that plane it runs; default: none",
    )
    size_planes: SizePlaneMeasure | None = Field(
        default=None,
        description="losses in the plane through minima of three train sizes; default: none",
    )
    curves: CurveMeasure | None = Field(
        default=None,
        description="losses, errors and volumes along curves between minima: the straight line, a "
        "Bezier curve and a polygon of one bend, trained; default: none",
    )
    distinct: DistinctMeasure | None = Field(
        default=None,
        description="how many different functions and basins seeds find, by disagreement and by "
        "the barrier after matching units, and how many are unseen; default: none",
    )
    guess_and_check: GuessMeasure | None = Field(
        default=None,
        description="the share of the Gaussian measure (`measure.volume.measure`) that every "
        "solution together has, found by training or not, in every landscape; default: none",
    )
