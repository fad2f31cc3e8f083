"""One variable of the cube, and the dims that variables have."""

from dataclasses import dataclass
from typing import Any

import numpy as np

PROJECT = "this project, docs/numerics.md"
FAN = "Fan, Sandlund, Ko 2025, arXiv 2511.04808"

MINIMUM = ("model", "dataset", "recipe", "train_size", "seed")
LANDSCAPE = (*MINIMUM, "landscape_size")
BASIN = (*LANDSCAPE, "threshold")
VOLUME = (*BASIN, "estimator")
RAY = (*BASIN, "direction")

VOLUME_STATUS = (
    "not_measured",
    "calibrated",
    "lower_bound",
    "not_converged",
    "minimum_above_threshold",
)


@dataclass(frozen=True)
class Variable:
    """One variable of the cube.

    Attributes
    ----------
    dims
        Its dimensions, in order.
    dtype
        NumPy name of its type; floats are NaN and flags 0 where something is missing.
    long_name, units, formula, references
        As written into the file.
    flags
        Meanings of the values 0, 1, ... of a flag.
    ancillary
        Variables that hold its error.
    """

    dims: tuple[str, ...]
    dtype: str
    long_name: str
    units: str
    formula: str
    references: str = PROJECT
    flags: tuple[str, ...] = ()
    ancillary: tuple[str, ...] = ()

    def attributes(self) -> dict[str, Any]:
        """Return the attributes the variable is written with."""
        attributes: dict[str, Any] = {
            "long_name": self.long_name,
            "units": self.units,
            "formula": self.formula,
            "references": self.references,
        }
        if self.flags:
            attributes["flag_values"] = np.arange(len(self.flags), dtype=np.int8)
            attributes["flag_meanings"] = " ".join(self.flags)
        if self.ancillary:
            attributes["ancillary_variables"] = " ".join(self.ancillary)
        return attributes

    @property
    def missing(self) -> Any:
        """What stands where nothing was measured."""
        return np.nan if self.dtype.startswith("float") else np.zeros((), self.dtype)[()]
