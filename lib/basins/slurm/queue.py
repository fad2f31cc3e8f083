"""Jobs that a run of this folder left in SLURM's queue when its submitter was killed."""

import re
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from basins.slurm.commands import lines

# The executor names each job of one run after the run: a random id, with or without a prefix.
RUN = re.compile(r"(.*_)?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True)
class QueuedJob:
    """A job that waits or runs."""

    id: str
    state: str
    name: str
    what: str


def queued(folder: Path) -> list[QueuedJob]:
    """Return the user's waiting and running workflow jobs that were submitted from `folder`.

    Raises
    ------
    ClusterError
        If there is no SLURM on this machine, or it does not answer.
    """
    command = ["squeue", "--me", "--noheader", "--array", "--format", "%i|%T|%j|%k|%Z"]
    found = []
    for line in lines(command):
        # The folder comes last, since only it may hold the separator.
        number, state, name, what, place = line.split("|", 4)
        if RUN.fullmatch(name) and Path(place) == folder.resolve():
            found.append(QueuedJob(number, state, name, what))
    return found


def cancel(left: Collection[QueuedJob]) -> None:
    """Cancel jobs."""
    if left:
        lines(["scancel", *(job.id for job in left)])


def wait(folder: Path, seconds: float = 10) -> None:
    """Return once no job of `folder` waits or runs, asking every `seconds`."""
    while queued(folder):
        time.sleep(seconds)


def describe(left: Collection[QueuedJob]) -> str:
    """Return what is left in the queue and what can be done about it, for people."""
    if not left:
        return "No job of an earlier run from this folder waits or runs."
    runs = sorted({job.name for job in left})
    states = sorted({job.state for job in left})
    counts = ", ".join(f"{sum(job.state == s for job in left)} {s.lower()}" for s in states)
    return (
        f"{len(left)} jobs of {len(runs)} earlier run{'s' if len(runs) > 1 else ''} from this "
        f"folder are still in SLURM's queue ({counts}). They do no harm, and what they finish is "
        "kept, but the same work may be done twice: `basins orphans --wait` lets them end before "
        "you start again, `basins orphans --cancel` cancels them."
    )
