"""Volumes: losses or radii in, log volumes with intervals and diagnostics out.

Basin, Volume
    What is measured, and what a measurement says.
estimate
    The volume of the basin of any loss function.
learning_coefficient
    How it falls with the threshold.
"""

from basins.volume.basin import Basin, Volume
from basins.volume.estimators import estimate
from basins.volume.exponents import learning_coefficient

__all__ = ["Basin", "Volume", "estimate", "learning_coefficient"]
