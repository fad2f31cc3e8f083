"""Opening: a foreign, truncated or newer file is one sentence naming it."""

from pathlib import Path

import h5py
import xarray as xr

from basins.cube.schema import CONVENTIONS


def open_cube(path: str | Path) -> xr.Dataset:
    """Open the root group of a cube.

    Raises
    ------
    ValueError
        If the file is missing, damaged, not a cube, or of a version this one does not know.
    """
    check(Path(path), "cube")
    return xr.open_dataset(path, engine="h5netcdf")


def open_group(path: str | Path, group: str) -> xr.Dataset:
    """Open a group of a cube, such as ``/rays`` or ``/spectrum``.

    Raises
    ------
    ValueError
        As `open_cube`, or if the cube has no such group.
    """
    check(Path(path), "cube")
    if not has_group(path, group):
        raise ValueError(f"{path}: has no group {group}; the study did not ask for what it holds")
    return xr.open_dataset(path, group=group, engine="h5netcdf")


def has_group(path: str | Path, group: str) -> bool:
    """Tell whether a cube has a group."""
    with h5py.File(path, "r") as file:
        return isinstance(file.get(group), h5py.Group)


def open_job(path: Path, kind: str, fingerprint: str) -> h5py.File:
    """Open a job file for reading.

    Parameters
    ----------
    path
        The file.
    kind
        ``minima``, ``rays`` or ``volumes``.
    fingerprint
        What the file must be a result of.

    Raises
    ------
    ValueError
        As `open_cube`, or if the file is the result of another study.
    """
    check(path, kind)
    file = h5py.File(path, "r")
    if _text(file.attrs.get("fingerprint")) != fingerprint:
        file.close()
        raise ValueError(
            f"{path}: these {kind} belong to a different study or an older version of it; remove "
            "the file and run again"
        )
    return file


def check(path: Path, kind: str) -> None:
    """Raise ValueError unless `path` is a readable file of this `kind` and version."""
    if not path.is_file():
        raise ValueError(f"{path}: there is no such file")
    try:
        with h5py.File(path, "r") as file:
            conventions = _text(file.attrs.get("Conventions"))
            found = _text(file.attrs.get("kind"))
    except OSError as error:
        raise ValueError(f"{path}: not a readable HDF5 file, cut short or foreign") from error
    if conventions is None or not conventions.startswith("basins-"):
        raise ValueError(f"{path}: an HDF5 file, but not one of Basins (no Conventions basins-*)")
    if conventions != CONVENTIONS:
        raise ValueError(f"{path}: written as {conventions}; this version reads {CONVENTIONS} only")
    if found != kind:
        raise ValueError(f"{path}: holds {found}, where {kind} are needed")


def _text(value: object) -> str | None:
    if isinstance(value, bytes):
        return value.decode()
    return None if value is None else str(value)
