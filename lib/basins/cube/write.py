"""Writing datasets as one netCDF-4 file, whole or not at all."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import xarray as xr

from basins.atomic import whole_or_not_at_all

CLOCKS = "/provenance"


@contextlib.contextmanager
def whole_hdf5(path: Path) -> Iterator[Path]:
    """Yield a temporary name for an HDF5 file that takes the place of `path` when it is whole.

    Raises
    ------
    OSError
        In one sentence naming the file, if it cannot be written.
    """
    with whole_or_not_at_all(path) as partial:
        try:
            yield partial
        except (OSError, RuntimeError) as error:
            # HDF5 tells its story in lines; a disk that fills up while it closes is a RuntimeError.
            reason = " ".join(str(error).split())
            raise OSError(f"{path}: the file cannot be written ({reason})") from error


def write_netcdf(path: Path, groups: Mapping[str, xr.Dataset]) -> None:
    """Write datasets as the groups of one netCDF-4 file; ``/`` comes first.

    Raises
    ------
    OSError
        Naming the file, if it cannot be written.
    """
    with whole_hdf5(path) as partial:
        for index, (group, dataset) in enumerate(groups.items()):
            dataset.to_netcdf(partial, mode="a" if index else "w", group=group, engine="h5netcdf")


def holds(path: Path, groups: Mapping[str, xr.Dataset]) -> bool:
    """Tell whether `path` already holds these results, clocks and machines left aside."""
    try:
        for group, dataset in groups.items():
            if group != CLOCKS:
                with xr.open_dataset(path, group=group, engine="h5netcdf") as found:
                    if found.attrs.get("fingerprint") != dataset.attrs.get("fingerprint"):
                        return False
                    if not found.equals(dataset):
                        return False
    except (OSError, KeyError, ValueError):
        return False
    return True
