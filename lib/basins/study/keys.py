"""What keys of a study file are made of: records of fixed keys, and kinds of numbers and names."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[int, Field(gt=0)]
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]


class Strict(BaseModel):
    """A record whose keys are fixed: unknown keys and wrong types are errors."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")
