"""Augmented images: against a plain loop, and what shifts and flips must keep."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from basins.study.recipe_keys import Augmentation
from basins.training.augmentation import augmented, draws, moved

SEEDS = (3, 4)
BOTH = Augmentation(shift=2, flip=True)


def images(seed, size=11, shape=(2, 4, 5)):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(len(SEEDS), size, *shape, generator=generator)


def plain(image, down, right, is_flipped, fill, shift):
    """Pad one image, crop a window of its size, mirror it."""
    channels, height, width = image.shape
    padded = np.empty((channels, height + 2 * shift, width + 2 * shift), np.float32)
    padded[:] = fill[:, None, None]
    padded[:, shift : shift + height, shift : shift + width] = image
    top, left = shift + down, shift + right
    window = padded[:, top : top + height, left : left + width]
    return window[:, :, ::-1] if is_flipped else window


@pytest.mark.parametrize(
    "asked", [BOTH, Augmentation(shift=1), Augmentation(flip=True), Augmentation(shift=3)]
)
def test_images_are_those_of_a_plain_loop(asked, seed):
    inputs, black = images(seed), torch.tensor([-1.5, 0.25])
    found = augmented(asked, inputs, SEEDS, 7, black)
    for row, name in enumerate(SEEDS):
        drawn = draws(asked, name, 7, 11)
        on_a_gpu = moved(inputs[row], *(torch.from_numpy(part) for part in drawn), black)
        for example, numbers in enumerate(zip(*drawn, strict=True)):
            expected = plain(inputs[row, example].numpy(), *numbers, black.numpy(), asked.shift)
            assert found[row, example].numpy().tobytes() == expected.tobytes()
            assert on_a_gpu[example].numpy().tobytes() == expected.tobytes()


def test_the_frame_is_zero_unless_told(seed):
    inputs = images(seed).abs() + 1
    shifted = augmented(Augmentation(shift=3), inputs, SEEDS, 0)
    assert shifted.min() == 0
    assert torch.equal(augmented(Augmentation(shift=3), inputs, SEEDS, 0, torch.zeros(2)), shifted)


def test_what_was_given_is_left_alone(seed):
    inputs = images(seed)
    before = inputs.clone()
    augmented(BOTH, inputs, SEEDS, 0)
    assert torch.equal(inputs, before)


@given(st.integers(1, 9), st.integers(0, 50), st.integers(0, 2**31))
def test_a_flip_keeps_every_row_of_pixels(size, epoch, seed):
    inputs = images(seed, size)
    found = augmented(Augmentation(flip=True), inputs, SEEDS, epoch)
    assert torch.equal(found.sort(-1).values, inputs.sort(-1).values)
    flips = torch.from_numpy(np.stack([draws(BOTH, s, epoch, size)[2] for s in SEEDS]))
    assert torch.equal(found[flips], inputs.flip(-1)[flips])
    assert torch.equal(found[~flips], inputs[~flips])


def test_an_example_is_changed_the_same_way_in_any_company(seed):
    """Its numbers belong to seed, epoch and example: more examples or seeds change nothing."""
    inputs = images(seed)
    whole = augmented(BOTH, inputs, SEEDS, 2)
    assert torch.equal(augmented(BOTH, inputs[:, :5], SEEDS, 2), whole[:, :5])
    assert torch.equal(augmented(BOTH, inputs[1:], SEEDS[1:], 2), whole[1:])
    assert not torch.equal(augmented(BOTH, inputs, SEEDS, 3), whole)
    assert not torch.equal(augmented(BOTH, inputs, (5, 6), 2), whole)


def test_shifts_are_uniform_and_flips_are_fair(seed):
    """Counts of 25 places and two sides, alike for each place.

    False alarms: 27 binomial counts, each allowed 6 standard deviations, 2e-9 each: below 1e-7.
    A place left out, or a shift never drawn at an end, is 60 deviations off.
    """
    size = 100_000
    down, right, flips = draws(BOTH, seed, 0, size)
    counts = np.zeros((5, 5))
    np.add.at(counts, (down + 2, right + 2), 1)
    assert (abs(counts / size - 1 / 25) < 6 * np.sqrt(1 / 25 * 24 / 25 / size)).all()
    # Independent of the place: among flipped images, rows are as uniform.
    assert abs(flips.mean() - 0.5) < 6 * 0.5 / np.sqrt(size)
    assert abs(down[flips].mean()) < 6 * np.sqrt(2 / flips.sum())
    assert not draws(Augmentation(shift=2), seed, 0, size)[2].any()
