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
from basins.study import jobs
from basins.study.schema import Study

FILES = {"train": jobs.minima_file, "rays": jobs.rays_file, "volume": jobs.volumes_file}

# A time stamp moved back by this much is older than every input, and can be moved forth again.
FORTY_YEARS = 40 * 365 * 86400
OLDEST = 946684800  # 1 January 2000


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


def stale_files(study: Study) -> Iterator[tuple[Path, bool]]:
    """Yield every job file there is, and whether it is not this study's result."""
    for job in jobs.expand(study):
        for verb, file in FILES.items():
            path = file(study, job.id)
            if path.is_file():
                yield path, fingerprint_of(path) != jobs.fingerprint(study, job.id, verb)


def mark(study: Study) -> list[Path]:
    """Make files that are no results of this study older than their inputs, and return them.

    Snakemake then does their jobs again. Nothing is deleted here: when a study is changed back
    before that, its files get their time stamps back.
    """
    marked = []
    for path, is_stale in stale_files(study):
        seconds = path.stat().st_mtime
        if is_stale:
            marked.append(path)
        if is_stale != (seconds < OLDEST):
            shifted = seconds - FORTY_YEARS if is_stale else seconds + FORTY_YEARS
            os.utime(path, (shifted, shifted))
    return marked
