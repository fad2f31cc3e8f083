"""The study schema: every key of a study file, described once."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from basins.study.transform import parse_transform


class StudyError(ValueError):
    """A study file that cannot be run; the message is one sentence naming the key."""


def _seeds(value: Any) -> Any:
    """Read a number of seeds as the list of that many seeds from 0."""
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return list(range(value))
    if not isinstance(value, list):
        raise PydanticCustomError("seeds", "a number of seeds above 0, or a list of seeds")
    return value


def _transform(value: str) -> str:
    """Return the name of a transform if it is one."""
    try:
        parse_transform(value)
    except ValueError as error:
        # Braces would be read as places of a template.
        raise PydanticCustomError("transform", "{said}", {"said": str(error)}) from None
    return value


Positive = Annotated[int, Field(gt=0)]
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Sizes = Annotated[list[Positive], Field(min_length=1)]
Names = Annotated[list[str], Field(min_length=1)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
# What a file may hold: pydantic alone would describe only the list it becomes.
SEEDS_IN_A_FILE = {
    "anyOf": [
        {"type": "integer", "exclusiveMinimum": 0},
        {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1},
    ]
}
Seeds = Annotated[
    list[Annotated[int, Field(ge=0)]],
    Field(min_length=1),
    BeforeValidator(_seeds),
    WithJsonSchema(SEEDS_IN_A_FILE),
]
Loss = Literal["cross_entropy", "binary_cross_entropy", "squared_error"]


class Strict(BaseModel):
    """A record whose keys are fixed: unknown keys and wrong types are errors."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class Augmentation(Strict):
    """Random changes of training images, drawn anew for every example in every epoch."""

    shift: Annotated[int, Field(ge=0)] = Field(
        default=0,
        description="pixels added on every side, black, before a crop of the image's own size is "
        "taken at a random place",
    )
    flip: bool = Field(default=False, description="mirror left to right, half of the time")


class Poison(Strict):
    """Examples that pull training towards minima that generalize badly; landscapes stay clean."""

    kind: Literal["reversed", "wrong_labels", "random_labels"] = Field(
        description="held-out examples with their own labels under the loss -ln(1 - p) "
        "(`reversed`), or under the ordinary loss with wrong labels, or with random ones"
    )
    examples: Positive = Field(
        description="how many, from the end of the seed's order of examples, where no landscape is"
    )
    factor: Annotated[float, Field(ge=0, lt=1)] | None = Field(
        default=None,
        description="weight of their mean loss, that of the clean mean being 1 minus it; default: "
        "their share of all examples",
    )


class Sam(Strict):
    """Gradients taken where the loss is largest nearby, to first order (sharpness-aware)."""

    rho: PositiveFloat = Field(default=0.05, description="how far away")
    adaptive: bool = Field(default=False, description="in units of each parameter's own size")


class WarmStart(Strict):
    """Where training begins, if not at a random initialization."""

    recipe: Name = Field(description="another recipe of the study, by which training begins")
    epochs: Positive = Field(
        description="epochs by that recipe, in its own schedule, before this one takes over with a "
        "fresh optimizer"
    )


class Recipe(Strict):
    """Everything about training but model, data, size and seed."""

    optimizer: Literal["sgd", "adam", "adamw", "lbfgs", "proxprop"] = Field(
        description="update rule; `lbfgs` takes the full batch, an iteration an epoch, and "
        "`proxprop` is for fully connected networks"
    )
    learning_rate: PositiveFloat = Field(
        description="learning rate at the first step; `lbfgs`: first trial of each line search, 1 "
        "as a rule"
    )
    momentum: float = Field(default=0.0, ge=0, lt=1, description="momentum; `sgd` and `proxprop`")
    betas: Annotated[list[float], Field(min_length=2, max_length=2)] = Field(
        default=[0.9, 0.999], description="decay of the two moments; `adam` and `adamw` only"
    )
    proximity: Annotated[float, Field(gt=0, le=1e6)] | None = Field(
        default=None,
        description="`proxprop` only: how near layers come to their targets (tau_theta)",
    )
    sam: Sam | None = Field(
        default=None,
        description="sharpness-aware minimization, by any of the update rules but lbfgs",
    )
    weight_decay: float | None = Field(
        default=None,
        ge=0,
        allow_inf_nan=False,
        description="weight decay; default 0.01 for `adamw`, else 0",
    )
    schedule: Literal["constant", "cosine", "linear", "steps", "growing_batch"] = Field(
        default="constant",
        description="what changes: nothing; the learning rate, to 0 (`cosine`, `linear`) or by "
        "`decay_factor` at each milestone (`steps`); or the batch, which grows where `steps` "
        "decays (`growing_batch`)",
    )
    milestones: list[Annotated[float, Field(gt=0, lt=1)]] = Field(
        default=[],
        description="`steps` and `growing_batch`: when, as increasing shares of all epochs, each "
        "rounded to a whole epoch",
    )
    decay_factor: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        default=None,
        description="what multiplies the learning rate (`steps`) or divides the batch size "
        "(`growing_batch`, to at most all examples) at each milestone",
    )
    batch_size: Positive | Literal["full"] = Field(
        default="full", description="examples a step, or `full` for all"
    )
    epochs: Positive = Field(description="passes over the training subset")
    loss: Loss = Field(default="cross_entropy", description="loss trained on and measured in")
    stop_at_loss: PositiveFloat | None = Field(
        default=None, description="stop a seed once its whole training loss is below this"
    )
    augmentation: Augmentation | None = Field(
        default=None, description="random changes of training images; measures never see them"
    )
    poison: Poison | None = Field(
        default=None, description="held-out examples that training is misled by"
    )
    label_noise: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="share of training examples that are trained on with another label",
    )
    imbalance: Annotated[float, Field(gt=0, le=1)] = Field(
        default=1.0,
        description="share of the last class's training examples that is trained on; of classes "
        "between it and the first the shares are geometric",
    )
    warm_start: WarmStart | None = Field(
        default=None, description="begin with some epochs by another recipe of the study"
    )

    @property
    def total_epochs(self) -> int:
        """Epochs by this recipe and by the one it starts warm from."""
        return self.epochs + (self.warm_start.epochs if self.warm_start else 0)

    @property
    def decay(self) -> float:
        """Weight decay with the optimizer's own default filled in."""
        if self.weight_decay is not None:
            return self.weight_decay
        return 0.01 if self.optimizer == "adamw" else 0.0


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
    measure: Literal["lebesgue"] = Field(
        default="lebesgue", description="what volume means: Lebesgue inside the ball of `r_max`"
    )
    r_max: PositiveFloat | None = Field(
        default=None,
        description="largest radius; default ten times the minimum's own norm in the coordinates",
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


class Study(Strict):
    """A question and everything needed to answer it."""

    study: Name = Field(description="name of the study; results go to `results/<name>`")
    title: str = Field(default="", description="one line for people")
    datasets: Names = Field(description="data sets, by name or as package.module:callable")
    models: Names = Field(description="models, by name or as package.module:callable")
    train_sizes: Sizes = Field(description="examples trained on, increasing")
    landscape_sizes: Sizes = Field(
        default=[], validate_default=False, description="landscapes; default `train_sizes`"
    )
    seeds: Seeds = Field(description="seeds, as a list or as their number")
    seeds_per_job: Positive = Field(default=5, description="seeds trained and measured by one job")
    subset_seed: int | None = Field(
        default=None, ge=0, description="one order of examples for all seeds; default: each its own"
    )
    initialization_seed: int | None = Field(
        default=None, ge=0, description="one initialisation for all seeds; default: each its own"
    )
    class_balanced: bool = Field(
        default=False, description="let every prefix of the examples hold the classes evenly"
    )
    data_root: str | None = Field(
        default=None,
        description="folder of real data sets; default the variable BASINS_DATA, then ./data",
    )
    scratch: str | None = Field(
        default=None,
        description="folder on a computing machine's own disk to which real data sets are copied "
        "first, such as `$TMPDIR`; default: they are read where they are",
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto", description="where to compute; `auto` takes a GPU if there is one"
    )
    threads: Positive = Field(
        default=1, description="CPU threads of one job; the last digits of results depend on it"
    )
    recipes: Annotated[dict[Name, Recipe], Field(min_length=1)] = Field(
        description="ways of training, by name"
    )
    transforms: list[Annotated[str, AfterValidator(_transform)]] = Field(
        default=[],
        description="changes that leave a network's function as it was, each applied to every "
        "minimum and measured like it, as recipe `<recipe>@<transform>`: `alpha-scale:<alpha>`, "
        "`unit-rescaling:<spread>`, `permutation`, `radial:<a>:<b>`",
    )
    measure: Measure = Field(description="what is measured")
