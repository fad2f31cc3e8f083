"""Import torchvision beside a torch it was not built for.

A torchvision wheel linked to CUDA fails to import with a CPU-only torch, because its compiled
operators do not load and their names stay unknown. Only the names are needed to read data sets.
"""

from types import ModuleType

import torch

OPERATORS = ("nms", "qnms")
SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


def import_datasets() -> ModuleType:
    """Return ``torchvision.datasets``; define the missing operators' names only if it fails."""
    try:
        import torchvision.datasets
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        for operator in OPERATORS:
            torch.library.define(f"torchvision::{operator}", SCHEMA)
        import torchvision.datasets
    return torchvision.datasets  # type: ignore[no-any-return]  # torchvision has no types
