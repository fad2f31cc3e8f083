"""Kernels of `basins.triton_kernels` launched: one pass through memory each."""

from torch import Tensor

from basins import device as devices

BLOCK = 1024  # numbers of one program


def blend(
    anchors: Tensor, along: Tensor, owners: Tensor, rays: Tensor, radii: Tensor, is_rectified: bool
) -> Tensor:
    """Return anchors + radii * along, rectified if so asked, by one kernel.

    Parameters
    ----------
    anchors, along
        Of minima and of rays, shapes (S, ...) and (R, ...).
    owners, rays, radii
        Which minimum each ray is from, shape (R,); which ray each point is on, and how far along
        it, float64, both shape (B,).
    is_rectified
        Whether what is below 0 becomes 0.
    """
    from basins.triton_kernels import put_blend

    rounded = radii.to(along.dtype)
    rest = (radii - rounded.double()).to(along.dtype)
    out = along.new_empty(len(rays), *along.shape[1:])
    size = out[0].numel()
    with devices.current(out):
        put_blend[(-(-size // BLOCK), len(rays))](
            out,
            anchors,
            along,
            owners,
            rays,
            rounded,
            rest,
            size,
            anchors.stride(0),
            along.stride(0),
            IS_RECTIFIED=is_rectified,
            BLOCK=BLOCK,
        )
    return out


def rectify(sums: Tensor, biases: Tensor) -> None:
    """Add biases (B, width) to `sums` (B, examples, width) and rectify, in place."""
    from basins import triton_kernels

    size, width = sums[0].numel(), sums.shape[2]
    grid = -(-size // BLOCK), len(sums)
    with devices.current(sums):
        triton_kernels.rectify[grid](sums, biases, size, width, BLOCK=BLOCK)


def pooled(sums: Tensor, biases: Tensor, pool: int) -> Tensor:
    """Return `sums` (examples, channels, height, width) with biases, rectified and pooled."""
    from basins.triton_kernels import put_pooled

    # Images whose channels come last in memory leave them so.
    sums = sums.contiguous()
    examples, channels, height, width = sums.shape
    out = sums.new_empty(examples, channels, height // pool, width // pool)
    grid = (-(-out.numel() // BLOCK),)
    with devices.current(sums):
        put_pooled[grid](
            out, sums, biases, out.numel(), *out.shape[2:], channels, POOL=pool, BLOCK=BLOCK
        )
    return out
