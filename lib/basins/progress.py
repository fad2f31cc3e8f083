"""Progress of a long step: a bar on a terminal, plain log lines elsewhere."""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm

logger = logging.getLogger("basins")

Advance = Callable[[int], None]


@contextmanager
def progress(description: str, total: int, unit: str, seconds: float = 30.0) -> Iterator[Advance]:
    """Yield a function that moves the progress of a step of `total` units forward.

    Parameters
    ----------
    description, unit
        What is being done, and what is counted.
    total
        Number of units of the whole step.
    seconds
        Least time between two log lines where standard error is no terminal.
    """
    if sys.stderr.isatty():
        with tqdm(total=total, desc=description, unit=f" {unit}", leave=False) as bar:

            def move(count: int) -> None:
                bar.update(count)

            yield move
        return
    started = said = time.monotonic()
    done = 0

    def advance(count: int) -> None:
        nonlocal done, said
        done += count
        now = time.monotonic()
        if now - said >= seconds and done < total:
            said = now
            left = (now - started) / done * (total - done) if done else float("nan")
            logger.info("%s: %d of %d %s, %.0f s left", description, done, total, unit, left)

    yield advance
    logger.info("%s: %d %s in %.1f s", description, done, unit, time.monotonic() - started)
