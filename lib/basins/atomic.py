"""Files written whole or not at all: a temporary name, flush, rename."""

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def whole_or_not_at_all(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside `path`; it takes `path`'s place only if the block succeeds.

    The name holds host and process, so that two jobs writing the same result never share a file,
    even when the one was thought dead. A killed job leaves its temporary file, which nothing reads.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    owner = f"{socket.gethostname()}-{os.getpid()}"
    partial = path.with_name(f".{path.name}.partial-{owner}{path.suffix}")
    try:
        yield partial
        _flush(partial)
        partial.replace(path)
        _flush(path.parent)
    finally:
        partial.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
