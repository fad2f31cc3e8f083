"""Volumes: losses or radii in, log volumes with intervals and diagnostics out.

Basin, Volume
    What is measured, and what a measurement says.
estimate
    The volume of the basin of any loss function.
learning_coefficient
    How it falls with the threshold.
"""

import importlib
from typing import Any

_HOMES = {
    "Basin": "basins.volume.basin",
    "Volume": "basins.volume.basin",
    "estimate": "basins.volume.estimators",
    "learning_coefficient": "basins.volume.exponents",
}

__all__ = ["Basin", "Volume", "estimate", "learning_coefficient"]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for: the workflow needs none of them."""
    if name not in _HOMES:
        raise AttributeError(f"module 'basins.volume' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
