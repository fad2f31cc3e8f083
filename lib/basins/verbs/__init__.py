"""What each verb of the command line does: one workflow job a function."""

from basins.verbs.charting import boundaries, planes
from basins.verbs.comparing import distinct
from basins.verbs.connecting import curves
from basins.verbs.estimating import estimate
from basins.verbs.gathering import minefield
from basins.verbs.guessing import guess
from basins.verbs.measuring import rays, volume
from basins.verbs.planning import calibrate, orphans, plan
from basins.verbs.preparing import check, fetch
from basins.verbs.reporting import animate, cube, explore, figure, generate, rank, scaling, show
from basins.verbs.spanning import size_planes, trajectories
from basins.verbs.surveying import flatness
from basins.verbs.training import train
from basins.verbs.transforming import transform

__all__ = [
    "animate",
    "boundaries",
    "calibrate",
    "check",
    "cube",
    "curves",
    "distinct",
    "estimate",
    "explore",
    "fetch",
    "figure",
    "flatness",
    "generate",
    "guess",
    "minefield",
    "orphans",
    "plan",
    "planes",
    "rank",
    "rays",
    "scaling",
    "show",
    "size_planes",
    "train",
    "trajectories",
    "transform",
    "volume",
]
