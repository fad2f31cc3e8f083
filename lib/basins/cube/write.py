"""Writing: a temporary name, flush, rename. A killed job leaves no half file."""

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import xarray as xr


@contextlib.contextmanager
def whole_or_not_at_all(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside `path`; it takes `path`'s place only if the block succeeds.

    The name holds the process id, so that two jobs writing the same result never share a file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial{os.getpid()}{path.suffix}")
    try:
        yield partial
        _flush(partial)
        partial.replace(path)
        _flush(path.parent)
    finally:
        partial.unlink(missing_ok=True)


def write_netcdf(path: Path, groups: Mapping[str, xr.Dataset]) -> None:
    """Write datasets as the groups of one netCDF-4 file; ``/`` comes first.

    Raises
    ------
    OSError
        Naming the file, if it cannot be written.
    """
    with whole_or_not_at_all(path) as partial:
        try:
            for index, (group, dataset) in enumerate(groups.items()):
                dataset.to_netcdf(
                    partial, mode="a" if index else "w", group=group, engine="h5netcdf"
                )
        except OSError as error:
            raise OSError(f"{path}: the file cannot be written ({error})") from error


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
