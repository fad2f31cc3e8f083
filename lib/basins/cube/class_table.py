"""The part of THE table that holds whole classes of solutions: what share of the prior they are."""

from basins.cube.variable import Variable

CELL = ("model", "dataset", "seed", "landscape_size", "threshold")
DRAW = "class_draw"
NUM_DRAWS = 1024  # kept of each basin
AU = "Au and Beck 2001, Probabilistic Engineering Mechanics 16, 263, section 2"
CHIANG = "Chiang et al. 2023, Loss landscapes are all you need"
CLASS_STATUS = ("not_measured", "calibrated", "not_converged", "not_reached")


def _share(name: str, what: str, formula: str) -> dict[str, Variable]:
    """Return a log share and its error."""
    value = f"{name}_log_volume"
    errors = tuple(f"{value}_{end}" for end in ("stderr", "low", "high"))
    words = ("standard error", "lower end of the interval", "upper end of the interval")
    how = ("over populations", "nine of ten hold the truth", "nine of ten hold the truth")
    found = {value: Variable(CELL, "float64", what, "nat", formula, f"{AU}; {CHIANG}", (), errors)}
    for error, long_name, meaning in zip(errors, words, how, strict=True):
        found[error] = Variable(CELL, "float64", long_name, "nat", meaning, AU)
    return found


# In the group `/classes`, if the study asks for it.
CLASSES = {
    **_share(
        "class", "log prior volume of all solutions", "ln P(L_m < c), parameters ~ N(0, sigma^2)"
    ),
    **_share("good", "of those that generalize", "and test accuracy of at least good_accuracy"),
    **_share("bad", "of those that do not", "and test accuracy below good_accuracy"),
    "class_status": Variable(
        CELL,
        "int8",
        "what class_log_volume is",
        "1",
        "not_reached: the budget ended, or the loss has no lower values",
        flags=CLASS_STATUS,
    ),
    "class_num_evaluations": Variable(
        CELL[:-1], "float64", "losses evaluated", "1", "all rounds, shared by the thresholds"
    ),
    "class_test_accuracy": Variable(
        (*CELL, DRAW),
        "float32",
        "test accuracy of a solution drawn from the prior",
        "1",
        "the prior below the threshold; draws of one population are neighbours, of 16",
        CHIANG,
    ),
}
