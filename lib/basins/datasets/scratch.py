"""A copy of a data set's files on the computing machine's own disk.

Where many jobs read from a shared file system, each node reads a data set once and its jobs then
read the copy.
"""

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path


def local_root(name: str, files: Iterable[str], root: Path, scratch: str) -> Path:
    """Return a folder on the node's own disk that holds copies of `files`.

    Parameters
    ----------
    name
        Name of the data set.
    files
        Files and folders under `root`.
    root
        Folder of real data sets.
    scratch
        Folder on the node's own disk; environment variables in it are expanded here, on the node.

    Raises
    ------
    ValueError
        If a variable in `scratch` is not set, or the copy cannot be made.
    """
    folder = Path(os.path.expandvars(scratch))
    if "$" in str(folder):
        raise ValueError(f"scratch: {scratch!r} names a variable that is not set on this machine")
    sources = [root / file for file in files]
    copy = folder / f"basins-{name}-{_digest(sources)}"
    if copy.is_dir():
        return copy
    try:
        folder.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{copy.name}-", dir=folder))
        try:
            for source in sources:
                if source.is_dir():
                    shutil.copytree(source, partial / source.name)
                else:
                    shutil.copy2(source, partial)
            # Another job of this node may have been quicker; its copy is as good.
            with contextlib.suppress(OSError):
                partial.rename(copy)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    except OSError as error:
        raise ValueError(f"scratch: {name} cannot be copied to {folder} ({error})") from error
    return copy


def _digest(sources: Iterable[Path]) -> str:
    """Return a name for the state of files: their places, sizes and times."""
    text = []
    for source in sources:
        for path in sorted([source, *source.rglob("*")]):
            if path.is_file():
                stat = path.stat()
                text.append(f"{path.resolve()} {stat.st_size} {stat.st_mtime_ns}")
    return hashlib.sha256("\n".join(text).encode()).hexdigest()[:16]
