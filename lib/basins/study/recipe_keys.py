"""Keys of a recipe: every choice in training, described once."""

from typing import Annotated, Literal

from pydantic import Field

from basins.study.keys import Name, Positive, PositiveFloat, Strict

Loss = Literal["cross_entropy", "binary_cross_entropy", "squared_error"]


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


class Polish(Strict):
    """How near the bottom of its training loss a minimum is brought once it is trained."""

    gradient_norm: PositiveFloat = Field(
        default=1e-4,
        description="norm of the training loss's gradient to get below; parameters are rounded to "
        "single precision, which leaves about 1e-7 in small networks, and where rectified units "
        "have kinks there may be no such place: `training_status` marks what stays above",
    )
    iterations: Positive = Field(default=1000, description="iterations at most")


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
    epochs: Positive | None = Field(
        default=None, description="passes over the training subset; this or `steps` is given"
    )
    steps: Positive | None = Field(
        default=None,
        description="steps at least, the same at every train size, in place of `epochs`: as many "
        "whole epochs as hold them",
    )
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
    measure_at: list[Annotated[int, Field(ge=0)]] = Field(
        default=[],
        description="numbers of epochs, increasing, after which parameters are minima of their "
        "own: measured like any other, as recipe `<recipe>@epoch:<number>`; 0 is the start",
    )
    keep_every: Positive | None = Field(
        default=None,
        description="epochs between parameters that are kept to draw the path of training; "
        "default: none are",
    )
    warm_start: WarmStart | None = Field(
        default=None, description="begin with some epochs by another recipe of the study"
    )
    polish: Polish | None = Field(
        default=None,
        description="after training, whatever ended it, full-batch L-BFGS on the mean loss of the "
        "clean subset, without decay or noise of any kind, in double precision",
    )
    weight_norm: PositiveFloat | None = Field(
        default=None,
        description="hold the norm of all parameters at this: the start and what every step leads "
        "to are scaled to it",
    )
    subset_seed: int | None = Field(
        default=None,
        ge=0,
        description="one order of examples for all seeds of this recipe; default: the study's",
    )
    initialization_seed: int | None = Field(
        default=None,
        ge=0,
        description="one initialisation for all seeds of this recipe; default: the study's",
    )

    @property
    def own_epochs(self) -> int:
        """Epochs by this recipe, which must have been counted where it gives steps."""
        assert self.epochs is not None
        return self.epochs

    @property
    def total_epochs(self) -> int:
        """Epochs by this recipe and by the one it starts warm from."""
        return self.own_epochs + (self.warm_start.epochs if self.warm_start else 0)

    @property
    def decay(self) -> float:
        """Weight decay with the optimizer's own default filled in."""
        if self.weight_decay is not None:
            return self.weight_decay
        return 0.01 if self.optimizer == "adamw" else 0.0
