"""What the cluster offers: its partitions as sinfo tells them, within the limits of a file."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from basins.slurm.commands import ClusterError, lines

# Keys of the executor's partition file that are compared with what a rule asks for.
LIMITS = {
    "max_runtime": "minutes",
    "max_mem_mb": "mem_mb",
    "max_threads": "cpus",
    "max_cpus_per_task": "cpus",
    "max_gpu": "num_gpus",
}


@dataclass(frozen=True)
class Offer:
    """What one node of a partition can give to one job."""

    partition: str
    is_default: bool
    is_up: bool
    minutes: float
    cpus: float
    mem_mb: float
    gpus: Mapping[str, int]

    @property
    def num_gpus(self) -> float:
        """GPUs of all types."""
        return sum(self.gpus.values())


def offers() -> list[Offer]:
    """Return what `sinfo` says, one entry for each kind of node in each partition.

    Raises
    ------
    ClusterError
        If there is no SLURM on this machine, or it does not answer.
    """
    return [_offer(line) for line in lines(["sinfo", "-h", "-o", "%P|%a|%l|%c|%m|%G"])]


def _offer(line: str) -> Offer:
    name, availability, limit, cpus, memory, resources = line.split("|", 5)
    return Offer(
        partition=name.rstrip("*"),
        is_default=name.endswith("*"),
        is_up=availability == "up",
        minutes=to_minutes(limit),
        # A plus means that other nodes have more.
        cpus=float(cpus.rstrip("+")),
        mem_mb=float(memory.rstrip("+")),
        gpus=gpus(resources),
    )


def gpus(resources: str) -> dict[str, int]:
    """Return the GPUs by type in a gres string; an untyped one has the type ''.

    Examples
    --------
    >>> gpus("gpu:a100:4(S:0-1),gpu:2,license:3")
    {'a100': 4, '': 2}
    """
    found: dict[str, int] = {}
    for part in re.sub(r"\([^)]*\)", "", resources).split(","):
        fields = part.split(":")
        if fields[0] == "gpu":
            count = int(fields[-1]) if fields[-1].isdigit() else 1
            kind = fields[1] if len(fields) > 1 and not fields[1].isdigit() else ""
            found[kind] = found.get(kind, 0) + count
    return found


def to_minutes(text: str | float) -> float:
    """Return a time limit in minutes, from SLURM's notation or Snakemake's.

    Examples
    --------
    >>> [to_minutes(t) for t in ("infinite", "2-00:00:00", "1:30:00", "30:00", "45", "4h", "2d12h")]
    [inf, 2880.0, 90.0, 30.0, 45.0, 240.0, 3600.0]
    """
    text = str(text).strip().lower()
    if text in {"infinite", "unlimited", "inf"}:
        return math.inf
    if re.fullmatch(r"(\d+[dhms])+", text):
        unit = {"d": 1440.0, "h": 60.0, "m": 1.0, "s": 1 / 60}
        return sum(int(number) * unit[u] for number, u in re.findall(r"(\d+)([dhms])", text))
    days, _, clock = text.rpartition("-")
    fields = [float(field) for field in clock.split(":")]
    if days:
        hours, minutes, seconds = [*fields, 0, 0][:3]
        return int(days) * 1440 + hours * 60 + minutes + seconds / 60
    if len(fields) == 3:
        return fields[0] * 60 + fields[1] + fields[2] / 60
    return fields[0] + (fields[1] / 60 if len(fields) == 2 else 0)


def limited(found: list[Offer], path: Path | None) -> list[Offer]:
    """Return the offers of the partitions in a file, each within the file's limits.

    Parameters
    ----------
    found
        What the cluster offers.
    path
        The executor's partition file; None for all of the cluster.

    Raises
    ------
    ClusterError
        If the file names a partition that the cluster does not have.
    """
    if path is None:
        return found
    there = sorted({offer.partition for offer in found})
    kept = []
    for name, limits in _partitions(path).items():
        if name not in there:
            raise ClusterError(
                f"{path}: partition {name!r} is not on this cluster, which has {', '.join(there)}; "
                "write the partitions that `sinfo` shows into the file"
            )
        kept += [_within(offer, limits) for offer in found if offer.partition == name]
    return kept


def _partitions(path: Path) -> dict[str, dict[str, Any]]:
    try:
        mapping = yaml.safe_load(path.read_text(encoding="utf-8"))
        partitions = {
            str(name): dict(limits or {}) for name, limits in mapping["partitions"].items()
        }
    except (OSError, yaml.YAMLError, KeyError, TypeError, AttributeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ClusterError(
            f"{path}: not a partition file, a mapping `partitions` of names to limits ({reason})"
        ) from error
    return partitions


def _within(offer: Offer, limits: Mapping[str, Any]) -> Offer:
    values = {name: getattr(offer, name) for name in ("minutes", "mem_mb", "cpus")}
    for key, name in LIMITS.items():
        if key in limits and name in values:
            limit = limits[key]
            values[name] = min(values[name], to_minutes(limit) if name == "minutes" else limit)
    types = limits.get("available_gpu_models")
    # Without max_gpu the executor sends no GPU job there.
    most = int(limits.get("max_gpu", 0))
    kept = {
        kind: min(count, most)
        for kind, count in offer.gpus.items()
        if most and (types is None or kind in types)
    }
    return Offer(offer.partition, offer.is_default, offer.is_up, gpus=kept, **values)
