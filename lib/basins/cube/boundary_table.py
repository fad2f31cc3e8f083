"""The part of THE table that holds decision boundaries in the plane of inputs."""

from basins.cube.variable import MINIMUM, Variable

HUANG = "Huang et al. 2020, arXiv 1906.03291"
INPUTS = ("input_y", "input_x")
POINT = "point"

# In the group `/boundaries`, if the study asks for boundaries.
BOUNDARIES = {
    "class_lead": Variable(
        (*MINIMUM, *INPUTS),
        "float32",
        "how far class 1 leads class 0",
        "1",
        "difference of their outputs, or the one output; the boundary is at 0",
        HUANG,
    ),
    "point_x": Variable(
        (*MINIMUM, POINT), "float32", "first number of a training input", "1", "as normalised"
    ),
    "point_y": Variable(
        (*MINIMUM, POINT), "float32", "second number of a training input", "1", "as normalised"
    ),
    "point_class": Variable(
        (*MINIMUM, POINT),
        "float32",
        "class of a training example",
        "1",
        "0 or 1, NaN beyond the subset",
    ),
}
