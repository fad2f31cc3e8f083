"""The part of THE table that holds paths of training in their principal planes."""

from basins.cube.minefield_table import PATH
from basins.cube.plane_table import GRID, LI
from basins.cube.variable import LANDSCAPE, MINIMUM, Variable

LENGTH = "in the units of parameters"


def _axis(axis: str, which: str) -> dict[str, Variable]:
    """Return what there is along one axis of the plane."""
    return {
        f"trajectory_{axis}": Variable(
            PATH, "float32", f"a path along its {which} component", "1", f"{LENGTH}, 0 at its end"
        ),
        f"trajectory_explained_{axis}": Variable(
            MINIMUM,
            "float32",
            f"share of a path along its {which} component",
            "1",
            "of the sum of squares of theta_i - theta_end",
            LI,
        ),
        f"trajectory_center_{axis}": Variable(
            MINIMUM, "float32", f"middle of the grid along the {which} component", "1", LENGTH
        ),
    }


# In the group `/trajectories`, if the study asks for them.
TRAJECTORIES = {
    "trajectory_loss": Variable(
        (*LANDSCAPE, *GRID),
        "float32",
        "loss in the principal plane of a path of training",
        "nat",
        "at center + half width times the grid's place",
        f"{LI.removesuffix(', section 4')}, section 7",
    ),
    **_axis("x", "first"),
    **_axis("y", "second"),
    "trajectory_half_width": Variable(MINIMUM, "float32", "half the side of the grid", "1", LENGTH),
    "trajectory_residual": Variable(
        PATH, "float32", "distance of a path's point from the plane", "1", LENGTH
    ),
    "trajectory_point_loss": Variable(
        PATH, "float32", "training loss at a path's point itself", "nat", "not in the plane"
    ),
    "trajectory_epochs": Variable(
        PATH, "float32", "epochs behind a path's point", "1", "NaN beyond the last; the end is last"
    ),
}
