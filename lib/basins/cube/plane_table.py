"""The part of THE table that holds losses in planes."""

from basins.cube.variable import LANDSCAPE, Variable

PLANE = ("y", "x")
GRID = ("grid_y", "grid_x")  # of planes whose window is their own
LI = "Li et al. 2018, arXiv 1712.09913, section 4"

# In the group `/planes`, if the study asks for planes.
PLANES = {
    "plane_loss": Variable(
        (*LANDSCAPE, *PLANE),
        "float32",
        "loss in a random plane through the minimum",
        "nat",
        "L_m(theta* + x d_1 + y d_2), each filter of d_1 and d_2 as long as the minimum's",
        LI,
    ),
}
