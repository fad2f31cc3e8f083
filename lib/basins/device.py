"""The device of a job, set up so that the same job gives the same bits again."""

import os

import numba
import torch
from threadpoolctl import threadpool_limits


def set_up(device: str, threads: int) -> torch.device:
    """Choose a device, fix the number of threads, and turn off what makes results vary.

    Parameters
    ----------
    device
        ``cpu``, ``cuda``, or ``auto`` for a GPU if there is one.
    threads
        CPU threads; the order of a float32 sum depends on it.

    Raises
    ------
    ValueError
        If `device` is ``cuda`` and there is no GPU.
    """
    torch.set_num_threads(threads)
    threadpool_limits(threads, user_api="blas")
    numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
    has_gpu = torch.cuda.is_available()
    if device == "cuda" and not has_gpu:
        raise ValueError("device: cuda was asked for, but torch sees no GPU; allowed are auto, cpu")
    if device == "cpu" or not has_gpu:
        return torch.device("cpu")
    # Read by cuBLAS when its first handle is made.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.benchmark = False
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    return torch.device("cuda")
