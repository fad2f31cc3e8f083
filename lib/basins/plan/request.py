"""What a cluster is asked for, given what a job is expected to take."""

import math
from dataclasses import dataclass

# A cluster kills what exceeds its request, so more is asked for than is expected.
MEMORY_MARGIN, TIME_MARGIN = 1.3, 3.0
MEMORY_STEP = 100  # MB


@dataclass(frozen=True)
class Request:
    """What a cluster is asked for, for one job: memory (MB) and run time (minutes)."""

    mem_mb: int
    minutes: int


def request(seconds: float, peak_bytes: float, least_minutes: int) -> Request:
    """Return what to ask a cluster for.

    Parameters
    ----------
    seconds, peak_bytes
        What the job is expected to take.
    least_minutes
        Less is never asked for.

    Examples
    --------
    >>> request(seconds=3600, peak_bytes=1e9, least_minutes=10)
    Request(mem_mb=1300, minutes=180)
    """
    steps = math.ceil(MEMORY_MARGIN * peak_bytes / 1e6 / MEMORY_STEP)
    minutes = max(least_minutes, math.ceil(TIME_MARGIN * seconds / 60))
    return Request(mem_mb=MEMORY_STEP * steps, minutes=minutes)
