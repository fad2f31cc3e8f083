"""Measure how large the basin is around a minimum that a neural network found.

Basin, estimate
    The volume of the basin of any loss function.
measure_model
    The basin around any trained torch module, as an `xarray.Dataset`.
connect_models
    Curves of low loss between two trained modules of one architecture.
open_cube
    The result cube of a study, checked.
"""

import importlib
from typing import Any

_HOMES = {
    "Basin": "basins.volume.basin",
    "estimate": "basins.volume.estimators",
    "measure_model": "basins.measure",
    "connect_models": "basins.connect",
    "open_cube": "basins.cube.read",
}

__all__ = ["Basin", "connect_models", "estimate", "measure_model", "open_cube"]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for, so that `import basins` is instant."""
    if name not in _HOMES:
        raise AttributeError(f"module 'basins' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
