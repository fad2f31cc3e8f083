"""The part of THE table that holds minima and paths of training as points of a plane."""

from basins.cube.variable import MINIMUM, Variable

POINT_OF_PATH = "path_point"
MAATEN = "van der Maaten and Hinton 2008, JMLR 9, 2579"
PEARSON = "Pearson 1901, Philosophical Magazine 2, 559"
PATH = (*MINIMUM, POINT_OF_PATH)


def _place(dims: tuple[str, ...], what: str) -> dict[str, Variable]:
    prefix = "path_" if dims == PATH else ""
    found = {}
    for axis, which in (("x", "first"), ("y", "second")):
        found[f"{prefix}neighbor_{axis}"] = Variable(
            dims, "float32", f"{which} axis of {what} by t-SNE", "1", "neighbours stay", MAATEN
        )
        found[f"{prefix}component_{axis}"] = Variable(
            dims,
            "float32",
            f"{which} axis of {what} by principal components",
            "1",
            "in the units of parameters, from the mean of all points",
            PEARSON,
        )
    return found


# In the group `/minefield`, if the study asks for it.
MINEFIELD = {
    **_place(MINIMUM, "a minimum"),
    **_place(PATH, "a point of a path"),
    "path_epochs": Variable(
        PATH, "float32", "epochs behind a point of a path", "1", "NaN beyond the last"
    ),
    "path_accuracy": Variable(
        PATH, "float32", "test accuracy at a point of a path", "1", "share classified correctly"
    ),
    "explained_x": Variable(
        ("model", "dataset"), "float32", "variance along the first component", "1", "share of all"
    ),
    "explained_y": Variable(
        ("model", "dataset"), "float32", "variance along the second component", "1", "share of all"
    ),
}
