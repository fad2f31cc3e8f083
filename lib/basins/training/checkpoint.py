"""Checkpoints of an unfinished job: tensors and numbers only, written whole or not at all."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray

from basins.atomic import whole_or_not_at_all

logger = logging.getLogger("basins")


def save(path: Path, fingerprint: str, progress: dict[str, Any]) -> None:
    """Write `progress`, tensors and numbers, of the job called `fingerprint`."""
    with whole_or_not_at_all(path) as partial:
        torch.save({"fingerprint": fingerprint, "progress": progress}, partial)


def load(path: Path, fingerprint: str) -> dict[str, Any] | None:
    """Return the progress saved at `path`, or None if there is none that can be used.

    A damaged file, or one of another job, is passed over with a warning: work then
    starts over, which costs time but never a wrong result.
    """
    if not path.exists():
        return None
    try:
        saved = torch.load(path, weights_only=True, map_location="cpu")
        is_ours = saved["fingerprint"] == fingerprint
        progress: dict[str, Any] = saved["progress"]
    except Exception as error:
        # A damaged file can fail in any way inside the reader; none of them may stop a job.
        logger.warning("%s: not a readable checkpoint (%s); work starts over", path, error)
        return None
    if not is_ours:
        logger.warning("%s: a checkpoint of another job; this one starts over", path)
        return None
    return progress


def save_rows(path: Path, fingerprint: str, rows: Sequence[Mapping[str, NDArray[Any]]]) -> None:
    """Write what is finished of a job, minimum by minimum, each as arrays by name."""
    tensors = [{name: torch.from_numpy(part) for name, part in row.items()} for row in rows]
    save(path, fingerprint, {"rows": tensors})


def load_rows(path: Path, fingerprint: str) -> list[dict[str, NDArray[Any]]]:
    """Return what `save_rows` wrote; nothing where `load` has nothing."""
    found = load(path, fingerprint)
    rows = found["rows"] if found is not None else []
    return [{name: part.numpy() for name, part in row.items()} for row in rows]


def discard(path: Path) -> None:
    """Remove the checkpoint at `path`, once the finished result is safely written."""
    path.unlink(missing_ok=True)
