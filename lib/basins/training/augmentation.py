"""Random shifts and flips of training images, for all seeds at once.

What torchvision's `RandomCrop` with padding followed by `RandomHorizontalFlip` do to one image at
a time, here to stacked images, with random numbers that belong to the seed, the epoch and the
example: neither the batch size nor the seeds beside it change what an example looks like.
"""

import numpy as np
import torch
from numba import njit
from torch import Tensor

from basins import streams
from basins.models.mlp_kernels import Numbers
from basins.study.recipe_keys import Augmentation
from basins.threads import share_out

Draws = tuple[np.ndarray, np.ndarray, np.ndarray]

CHUNK = 2048  # images of one seed changed at once


def augmented(
    augmentation: Augmentation,
    inputs: Tensor,
    seeds: tuple[int, ...],
    epoch: int,
    black: Tensor | None = None,
) -> Tensor:
    """Return every seed's images as one epoch sees them.

    Parameters
    ----------
    augmentation
        What is done to them.
    inputs
        Shape (seeds, m, channels, height, width).
    seeds, epoch
        Name the random numbers.
    black
        What a shift fills the frame with, one number a channel; zeros if None. An image library
        pads its pixels with 0 before they are normalized, so it is the value that 0 became.

    Returns
    -------
    Tensor
        Shape of `inputs`.
    """
    channels = inputs.shape[2]
    fill = inputs.new_zeros(channels) if black is None else black.to(inputs)
    result = torch.empty_like(inputs)
    for row, seed in enumerate(seeds):
        drawn = draws(augmentation, seed, epoch, inputs.shape[1])
        if inputs.device.type == "cpu":
            _put_all(inputs[row], drawn, fill, result[row])
            continue
        down, right, flips = (torch.from_numpy(part).to(inputs.device) for part in drawn)
        for start in range(0, inputs.shape[1], CHUNK):
            part = slice(start, start + CHUNK)
            result[row, part] = moved(inputs[row, part], down[part], right[part], flips[part], fill)
    return result


def draws(augmentation: Augmentation, seed: int, epoch: int, num_examples: int) -> Draws:
    """Return each example's rows and columns of the shift, int64, and whether it is flipped.

    Shifts are uniform over ``-shift .. shift``, flips have probability 1/2; shapes (m,).
    """
    words = streams.uniforms("augmentation", seed, epoch, count=3 * num_examples)
    down, right, flip = words.reshape(num_examples, 3).T
    places = 2 * augmentation.shift + 1
    shifts = [(places * part).astype(np.int64) - augmentation.shift for part in (down, right)]
    return shifts[0], shifts[1], augmentation.flip & (flip < 0.5)


def moved(images: Tensor, down: Tensor, right: Tensor, flips: Tensor, fill: Tensor) -> Tensor:
    """Return images whose pixels come from so many rows below and columns to the right.

    Parameters
    ----------
    images
        Shape (m, channels, height, width).
    down, right
        Where an image's window is moved to, whole numbers, shape (m,).
    flips
        Which of them are mirrored then, shape (m,).
    fill
        What lies outside an image, shape (channels,).
    """
    height, width = images.shape[2:]
    across = torch.arange(width, device=images.device).expand(len(images), -1)
    across = torch.where(flips.unsqueeze(1), across.flip(1), across)
    rows = torch.arange(height, device=images.device) + down.unsqueeze(1)
    columns = across + right.unsqueeze(1)
    is_row, is_column = (rows >= 0) & (rows < height), (columns >= 0) & (columns < width)
    each = torch.arange(len(images), device=images.device)[:, None, None]
    # Indices around the channels put these last.
    taken = images[
        each, :, rows.clamp(0, height - 1)[:, :, None], columns.clamp(0, width - 1)[:, None, :]
    ]
    is_inside = is_row[:, :, None] & is_column[:, None, :]
    return torch.where(is_inside.unsqueeze(-1), taken, fill).permute(0, 3, 1, 2)


def _put_all(images: Tensor, drawn: Draws, fill: Tensor, result: Tensor) -> None:
    source, to, around = images.contiguous().numpy(), result.numpy(), fill.numpy()

    def work(part: slice) -> None:
        put_moved(source[part], *(numbers[part] for numbers in drawn), around, to[part])

    # Two operations or so a pixel.
    share_out(work, len(source), 2 * images.numel())


@njit(cache=True, nogil=True)
def put_moved(
    images: Numbers, down: Numbers, right: Numbers, flips: Numbers, fill: Numbers, result: Numbers
) -> None:
    """Put what `moved` returns into `result`: on a CPU, its indices take longer than training."""
    count, channels, height, width = images.shape
    for e in range(count):
        for channel in range(channels):
            for i in range(height):
                row = i + down[e]
                for j in range(width):
                    column = (width - 1 - j if flips[e] else j) + right[e]
                    if 0 <= row < height and 0 <= column < width:
                        result[e, channel, i, j] = images[e, channel, row, column]
                    else:
                        result[e, channel, i, j] = fill[channel]
