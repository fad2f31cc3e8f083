"""Kernels of rays on a GPU, compiled by Triton, which torch's CUDA builds bring.

Imported only where `basins.device.compiles_kernels` says so: Triton does not exist everywhere.
"""

import torch
import triton
import triton.language as tl

# Of Philox 4x64 (Salmon et al. 2011): the multipliers, and what the key grows by each round.
MULTIPLIER_0 = tl.constexpr(0xD2E7470EE14C6C93)
MULTIPLIER_1 = tl.constexpr(0xCA5A826395121157)
GROWTH_0 = tl.constexpr(0x9E3779B97F4A7C15)
GROWTH_1 = tl.constexpr(0xBB67AE8584CAA73B)


@triton.jit
def _uniform(word):
    """Return a word's uniform deviate, as `basins.streams.uniforms` does."""
    return ((word >> 11).to(tl.float64) + 0.5) * 1.1102230246251565e-16


@triton.jit
def put_uniforms(keys, out, count, BLOCK: tl.constexpr):
    """Put the first `count` uniforms of streams into `out` (streams, count), float64.

    `keys` (streams, 2): the low and the high 64 bits of each stream's key, int64.
    """
    stream = tl.program_id(1).to(tl.int64)
    steps = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    key_0 = tl.load(keys + 2 * stream).to(tl.uint64, bitcast=True)
    key_1 = tl.load(keys + 2 * stream + 1).to(tl.uint64, bitcast=True)
    # NumPy counts up before it makes words.
    word_0 = (steps + 1).to(tl.uint64, bitcast=True)
    word_1 = tl.zeros((BLOCK,), tl.uint64)
    word_2 = tl.zeros((BLOCK,), tl.uint64)
    word_3 = tl.zeros((BLOCK,), tl.uint64)
    for _ in tl.static_range(10):
        high_0, low_0 = tl.umulhi(word_0, MULTIPLIER_0), word_0 * MULTIPLIER_0
        high_1, low_1 = tl.umulhi(word_2, MULTIPLIER_1), word_2 * MULTIPLIER_1
        word_0, word_1 = high_1 ^ word_1 ^ key_0, low_1
        word_2, word_3 = high_0 ^ word_3 ^ key_1, low_0
        key_0 += GROWTH_0
        key_1 += GROWTH_1
    here = out + stream * count + 4 * steps
    tl.store(here, _uniform(word_0), mask=4 * steps < count)
    tl.store(here + 1, _uniform(word_1), mask=4 * steps + 1 < count)
    tl.store(here + 2, _uniform(word_2), mask=4 * steps + 2 < count)
    tl.store(here + 3, _uniform(word_3), mask=4 * steps + 3 < count)


@triton.jit
def put_blend(
    out,
    anchors,
    along,
    owners,
    rays,
    radii,
    rests,
    size,
    anchor_stride,
    ray_stride,
    IS_RECTIFIED: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Put anchor + (radius + rest) * along, of each point's ray, into `out` (points, size).

    `anchors` (minima, size) and `along` (rays, size) have rows a stride apart; `owners` (rays,) are
    the rays' minima, `rays` (points,) the points' rays, int64; a radius (points,) and its rest are
    in the precision of all. Rectified if so asked, all in one pass through memory.
    """
    point = tl.program_id(1)
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    is_there = at < size
    ray = tl.load(rays + point)
    anchor = tl.load(anchors + tl.load(owners + ray) * anchor_stride + at, mask=is_there)
    step = tl.load(along + ray * ray_stride + at, mask=is_there)
    value = anchor + step * tl.load(radii + point) + step * tl.load(rests + point)
    if IS_RECTIFIED:
        # What is no number stays none.
        value = tl.where(value < 0, 0.0, value)
    tl.store(out + point.to(tl.int64) * size + at, value, mask=is_there)


@triton.jit
def rectify(sums, biases, size, width, BLOCK: tl.constexpr):
    """Add biases (points, width) to `sums` (points, examples, width), and rectify, in place.

    `size` is examples times width.
    """
    point = tl.program_id(1).to(tl.int64)
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    is_there = at < size
    here = sums + point * size + at
    bias = tl.load(biases + point * width + at % width, mask=is_there)
    value = tl.load(here, mask=is_there) + bias
    tl.store(here, tl.where(value < 0, 0.0, value), mask=is_there)


@triton.jit
def put_pooled(
    out, sums, biases, size, height, width, channels, POOL: tl.constexpr, BLOCK: tl.constexpr
):
    """Put the largest of each POOL x POOL sums, with its channel's bias and rectified, into `out`.

    `sums` have shape (examples, channels, height * POOL, width * POOL), `biases` (channels,), and
    `out` (examples, channels, height, width) holds `size` numbers.
    """
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    is_there = at < size
    column, row, image = at % width, at // width % height, at // (width * height)
    corner = sums + ((image * height + row) * POOL * width + column) * POOL
    value = tl.load(corner, mask=is_there)
    for index in tl.static_range(1, POOL * POOL):
        other = tl.load(corner + index // POOL * POOL * width + index % POOL, mask=is_there)
        value = tl.maximum(value, other, propagate_nan=tl.PropagateNan.ALL)
    value += tl.load(biases + image % channels, mask=is_there)
    # What is no number stays none.
    tl.store(out + at, tl.where(value < 0, 0.0, value), mask=is_there)


def launch_all(device: torch.device) -> None:
    """Launch every kernel once, on nothing to speak of; raises what keeps one from running."""
    numbers = torch.zeros(64, device=device)
    whole = torch.zeros(64, dtype=torch.int64, device=device)
    with torch.cuda.device_of(numbers):
        put_uniforms[(1, 1)](whole, numbers.double(), 4, BLOCK=64)
        lines = numbers, numbers, numbers, whole, whole, numbers, numbers
        put_blend[(1, 1)](*lines, 4, 4, 4, IS_RECTIFIED=True, BLOCK=64)
        rectify[(1, 1)](numbers, numbers, 4, 2, BLOCK=64)
        put_pooled[(1,)](numbers, numbers, numbers, 4, 2, 2, 1, POOL=2, BLOCK=64)
    torch.cuda.synchronize(device)
