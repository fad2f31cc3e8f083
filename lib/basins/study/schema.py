"""The study schema: every key of a study file, described once."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from basins.study.keys import Name, Positive, Strict
from basins.study.measure_keys import Measure
from basins.study.recipe_keys import Recipe
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


Sizes = Annotated[list[Positive], Field(min_length=1)]
Names = Annotated[list[str], Field(min_length=1)]
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
        default=None,
        ge=0,
        description="one order of examples for all seeds, where a recipe names no other; default: "
        "each its own",
    )
    initialization_seed: int | None = Field(
        default=None,
        ge=0,
        description="one initialisation for all seeds, where a recipe names no other; default: "
        "each its own",
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
