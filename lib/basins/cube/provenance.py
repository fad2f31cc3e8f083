"""Where a result came from: clocks, devices and versions, kept apart from the content."""

import platform
import resource
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from subprocess import DEVNULL, CalledProcessError, check_output

import torch
import xarray as xr

LIBRARIES = ("numpy", "torch", "numba", "h5netcdf", "xarray")


class Clock:
    """The wall time of a job, from its start."""

    def __init__(self, verb: str, device: torch.device, dtype: str) -> None:
        self.verb = verb
        self.device = device
        self.dtype = dtype
        self.start = time.monotonic()

    def record(self) -> xr.Dataset:
        """Return the /provenance group of a job file: scalars only."""
        # Linux counts in kibibytes, macOS in bytes.
        unit = 1 if sys.platform == "darwin" else 1024
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
        is_gpu = self.device.type == "cuda"
        return xr.Dataset(
            {
                "verb": self.verb,
                "device": torch.cuda.get_device_name() if is_gpu else platform.machine(),
                "dtype": self.dtype,
                "wall_seconds": (
                    (),
                    time.monotonic() - self.start,
                    {"units": "s", "long_name": "wall time of the job"},
                ),
                "peak_bytes": (
                    (),
                    float(peak),
                    {"units": "byte", "long_name": "largest resident memory of the job"},
                ),
                "libraries": " ".join(f"{name}-{version(name)}" for name in LIBRARIES),
                "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
            }
        )


def basins_version() -> str:
    """Return the version that is installed, or ``unknown`` where the code runs from its folder."""
    try:
        return version("basins")
    except PackageNotFoundError:
        return "unknown"


def source_revision() -> str:
    """Return the commit of the checkout this code runs from, or ``unknown``."""
    folder = Path(__file__).parent
    try:
        found = check_output(  # noqa: S603 - fixed arguments
            ["git", "-C", str(folder), "rev-parse", "HEAD"],  # noqa: S607 - wherever git is
            stderr=DEVNULL,
            text=True,
        )
    except (OSError, CalledProcessError):
        return "unknown"
    return found.strip()
