"""Job files that look done and are not: damaged, or the results of another study.

Snakemake compares a job's parameters with those it recorded when the job ended. Where nothing was
recorded, because the submitting process was killed while its jobs went on, only the file itself
says what it is a result of.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import h5py

from basins.cube.schema import CONVENTIONS
from basins.study import fingerprints, jobs
from basins.study.schema import Study

# A time stamp moved back by this much is older than every input, and can be moved forth again.
FORTY_YEARS = 40 * 365 * 86400
OLDEST = 946684800  # 1 January 2000
HEAD = 4096  # bytes; the attributes of our files lie within


def fingerprint_of(path: Path) -> str | None:
    """Return what a job file is a result of; None if damaged, foreign or of another version."""
    try:
        with h5py.File(path, "r") as file:
            attributes = file.attrs
            if attributes["Conventions"] != CONVENTIONS:
                return None
            return str(attributes["fingerprint"])
    except (OSError, KeyError):
        return None


def is_plainly(path: Path, fingerprint: str) -> bool:
    """Tell from its first bytes alone that a whole file is the result `fingerprint` names.

    Exploits: our files begin with a superblock of version 0, which holds their length, and the
    root's attributes; opening a file properly takes far longer. False where that is not so.
    """
    with path.open("rb") as file:
        head = file.read(HEAD)
    if head[:9] != b"\x89HDF\r\n\x1a\n\x00" or len(head) < HEAD:
        return False
    is_whole = int.from_bytes(head[40:48], "little") == path.stat().st_size
    return is_whole and CONVENTIONS.encode() in head and fingerprint.encode() in head


def job_files(study: Study) -> Iterator[tuple[Path, str | None, str]]:
    """Yield every job file there is, what it is a result of, and what it should be a result of."""
    made: list[tuple[jobs.Job | jobs.Cell, tuple[str, ...]]] = [
        *((job, jobs.verbs_of(study, job)) for job in jobs.expand(study)),
        *((cell, jobs.cell_verbs(study)) for cell in jobs.cells(study)),
    ]
    for job, verbs in made:
        for verb in verbs:
            path = jobs.job_file(study, job.id, verb)
            if path.is_file():
                expected = fingerprints.of_job(study, job, verb)
                found = expected if is_plainly(path, expected) else fingerprint_of(path)
                yield path, found, expected


def mark(study: Study) -> list[Path]:
    """Let Snakemake see which job files are no results of this study, and return them.

    A damaged file is set aside under another name. The result of another study becomes older than
    its inputs, and gets its time stamp back when the study is changed back before it is replaced.
    """
    marked = []
    for path, found, expected in job_files(study):
        if found != expected:
            marked.append(path)
        if found is None:
            path.rename(path.with_name(f"{path.name}.set-aside"))
            continue
        seconds = path.stat().st_mtime
        is_stale = found != expected
        if is_stale != (seconds < OLDEST):
            shifted = seconds - FORTY_YEARS if is_stale else seconds + FORTY_YEARS
            os.utime(path, (shifted, shifted))
    return marked
