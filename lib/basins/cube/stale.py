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


def job_files(study: Study) -> Iterator[tuple[Path, str | None, str]]:
    """Yield every job file there is, what it is a result of, and what it should be a result of."""
    for job in jobs.expand(study):
        for verb, file in FILES.items():
            path = file(study, job.id)
            if path.is_file():
                yield path, fingerprint_of(path), jobs.fingerprint(study, job.id, verb)


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
