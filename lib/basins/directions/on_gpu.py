"""Directions made on a GPU: the same words, uniforms and deviates as on a CPU.

The uniforms are the same to the last bit; deviates and norms differ in the last bits, since normal
quantiles and sums are other code.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from basins import device as devices
from basins import streams
from basins.directions.isotropic import directions

Steps = NDArray[np.float64] | Tensor  # float64, shape (rays, n)

BLOCK = 256  # counters of one program


def scaled_directions(
    names: tuple[streams.Name, ...],
    indices: Sequence[int],
    scale: NDArray[np.float64],
    device: torch.device,
) -> tuple[Steps, NDArray[np.float64]]:
    """Return directions in weight space, made where their rays are solved.

    Parameters
    ----------
    names, indices
        As of `basins.directions.isotropic.directions`.
    scale
        The unit of each parameter, shape (n,).
    device
        Of the rays.

    Returns
    -------
    tuple
        ``scale * u``, float64, shape (B, n), a tensor on a GPU that kernels can be compiled for;
        and ln |g|, see `basins.directions.isotropic.directions`.
    """
    if not devices.compiles_kernels(device):
        unit, log_norms = directions(names, indices, len(scale))
        unit *= scale
        return unit, log_norms
    keys = [streams.key(*names, "direction", int(index)) for index in indices]
    made = normals(keys, len(scale), device)
    norms = torch.linalg.vector_norm(made, dim=1)
    made /= norms[:, None]
    made *= torch.from_numpy(scale).to(device)
    return made, norms.log().cpu().numpy()


def normals(keys: Sequence[int], count: int, device: torch.device) -> Tensor:
    """Return `basins.streams.normals` of streams by key, float64, shape (streams, count)."""
    from basins.triton_kernels import put_uniforms

    halves = np.array([[key & (2**64 - 1), key >> 64] for key in keys], dtype=np.uint64)
    given = torch.from_numpy(halves.view(np.int64)).to(device)
    made = torch.empty(len(keys), count, dtype=torch.float64, device=device)
    with devices.current(made):
        put_uniforms[(-(-count // (4 * BLOCK)), len(keys))](given, made, count, BLOCK=BLOCK)
    torch.special.ndtri(made, out=made)
    return made
