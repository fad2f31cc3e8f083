"""Rows of work shared out to threads, in code that releases the interpreter's lock."""

import functools
import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
from threadpoolctl import ThreadpoolController

LEAST_OPERATIONS = 1_000_000  # that are worth waking another thread


@functools.cache
def _threads(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count)


@functools.cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController().select(user_api="blas")


def share_out(work: Callable[[slice], None], count: int, operations: int) -> None:
    """Do `work` on all of `count` rows, a run of them in each thread if there is enough to do.

    Threads are as many as Numba's setting says, but not Numba's own: these sleep when they wait,
    where OpenMP's spin, and take the cores from any BLAS called in between.

    Parameters
    ----------
    work
        Does some rows, in a kernel that releases the interpreter's lock.
    operations
        Multiply-adds, or so.
    """
    threads = max(1, min(numba.get_num_threads(), count, 1 + operations // LEAST_OPERATIONS))
    with _blas().limit(limits=1):
        if threads == 1:
            work(slice(0, count))
            return
        edges = np.linspace(0, count, threads + 1).astype(int).tolist()
        parts = [slice(begin, end) for begin, end in itertools.pairwise(edges)]
        # The first run is done here, so that one thread fewer has to be woken.
        others = [_threads(threads - 1).submit(work, part) for part in parts[1:]]
        work(parts[0])
        for other in others:
            other.result()
