"""The part of THE table that holds losses in the plane through minima of three train sizes."""

from basins.cube.plane_table import GRID
from basins.cube.variable import FAN, Variable

GARIPOV = "Garipov et al. 2018, arXiv 1802.10026"
TRIPLE = ("model", "dataset", "recipe", "seed")
CORNER = "corner_size"
LENGTH = "in the units of parameters"


def _axis(axis: str, which: str) -> dict[str, Variable]:
    """Return what there is along one axis of the plane."""
    return {
        f"size_plane_corner_{axis}": Variable(
            (*TRIPLE, CORNER), "float32", f"{which} coordinate of a minimum", "1", LENGTH, GARIPOV
        ),
        f"size_plane_center_{axis}": Variable(
            TRIPLE, "float32", f"{which} coordinate of the grid's middle", "1", LENGTH
        ),
    }


# In the group `/size_planes`, if the study asks for them.
SIZE_PLANES = {
    "size_plane_loss": Variable(
        (*TRIPLE, "landscape_size", *GRID),
        "float32",
        "loss in the plane through the minima of three train sizes",
        "nat",
        "at center + half width times the grid's place",
        f"{GARIPOV}; {FAN}",
    ),
    **_axis("x", "first"),
    **_axis("y", "second"),
    "size_plane_half_width": Variable(TRIPLE, "float32", "half the side of the grid", "1", LENGTH),
}
