"""The device of a job, set up so that the same job gives the same bits again."""

import contextlib
import functools
import os
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import numba
import torch
from threadpoolctl import threadpool_limits

MAX_BYTES = 2**28  # of rays alive at once on a CPU
# Of a pass on a CPU: more leaves its caches, and passes take up to four times as long. What waits
# for a gradient is touched once more only.
PASS_BYTES = 2**24
GRADIENT_PASS_BYTES = 2**26
MOST_TOGETHER = 64  # rays that are solved at once on a CPU; more gain nothing
GPU_GRADIENT_PASS_BYTES = 2**31  # not what is free: the bits of a training depend on its runs
GPU_SHARE = 4  # of a GPU's free memory, what is alive at once takes a part in so many
GPU_MOST_TOGETHER = 1024


def room(device: torch.device) -> tuple[int, int]:
    """Return the bytes that rays may take at once, and how many rays at most."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        # What torch keeps for its next tensors is free, too.
        free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        # A power of two, so that batches, and with them last bits, are the same on the same card.
        return 1 << ((free // GPU_SHARE).bit_length() - 1), GPU_MOST_TOGETHER
    return MAX_BYTES, MOST_TOGETHER


def pass_room(device: torch.device, with_gradient: bool = False) -> int:
    """Return the bytes that a pass may take: its points, and their activations."""
    if device.type == "cuda":
        if not with_gradient:
            return room(device)[0]
        total = torch.cuda.get_device_properties(device).total_memory
        return min(GPU_GRADIENT_PASS_BYTES, total // GPU_SHARE)
    return GRADIENT_PASS_BYTES if with_gradient else PASS_BYTES


def rays_together(ray_bytes: int, max_bytes: int = MAX_BYTES, most: int = MOST_TOGETHER) -> int:
    """Return how many rays are solved at once, each of which takes so much memory."""
    return max(1, min(most, max_bytes // ray_bytes))


@functools.cache
def compiles_kernels(device: torch.device) -> bool:
    """Tell whether Triton can compile for a device: it is there, and so is a C compiler."""
    if device.type != "cuda":
        return False
    try:
        from basins.triton_kernels import launch_all

        launch_all(device)
    except torch.cuda.OutOfMemoryError:
        raise
    except Exception as error:  # of many kinds, Triton's and the compiler's among them
        warnings.warn(f"Triton compiles no kernels here, so rays are slower: {error}", stacklevel=2)
        return False
    return True


def current(tensor: torch.Tensor) -> AbstractContextManager[object]:
    """Make a tensor's GPU, if it is on one, the one that kernels are launched on."""
    of = torch.cuda.device_of
    context: AbstractContextManager[object] = of(
        tensor  # type: ignore[no-untyped-call]  # torch gives it no types
    )
    return context


@contextlib.contextmanager
def full_precision() -> Iterator[None]:
    """Turn off TF32 inside: its 11 bits move a radius by 1e-4, and ln V by n times that."""
    # From torch 2.9 on precisions are named, and reading the old switches may raise.
    cuda, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    switches: list[tuple[Any, str, Any]] = [
        (cuda, "allow_tf32", False),
        (cudnn, "allow_tf32", False),
    ]
    if hasattr(cuda, "fp32_precision"):
        of_kinds = cudnn.conv, cudnn.rnn  # type: ignore[attr-defined]  # set when torch is imported
        switches = [(each, "fp32_precision", "ieee") for each in (cuda, *of_kinds)]
    before = [getattr(owner, name) for owner, name, _ in switches]
    try:
        for owner, name, value in switches:
            setattr(owner, name, value)
        yield
    finally:
        for (owner, name, _), value in zip(switches, before, strict=True):
            setattr(owner, name, value)


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
    # A debugging aid: it would write every tensor twice.
    deterministic: Any = torch.utils.deterministic  # torch gives it the name when it is imported
    deterministic.fill_uninitialized_memory = False
    torch.backends.cudnn.benchmark = False
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    return torch.device("cuda")
