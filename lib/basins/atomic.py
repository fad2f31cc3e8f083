"""Files written whole or not at all: a temporary name, flush, rename."""

import contextlib
import glob
import os
import socket
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def whole_or_not_at_all(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside `path`; it takes `path`'s place only if the block succeeds.

    The name holds host and process, so that two jobs writing the same result never share a file,
    even when the one was thought dead. A killed job leaves its temporary file, which nothing reads
    and the next process on that host that writes the same result removes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    stem = f".{path.name}.partial-{socket.gethostname()}-"
    partial = path.with_name(f"{stem}{os.getpid()}{path.suffix}")
    for old in path.parent.glob(f"{glob.escape(stem)}*{glob.escape(path.suffix)}"):
        if not _is_alive(old.name.removeprefix(stem).removesuffix(path.suffix)):
            old.unlink(missing_ok=True)
    try:
        yield partial
        _flush(partial)
        partial.replace(path)
        _flush(path.parent)
    finally:
        partial.unlink(missing_ok=True)


def _is_alive(process: str) -> bool:
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except (PermissionError, ValueError, OverflowError):
        # Another user's, or no name of ours: not ours to remove.
        return True
    return True


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
