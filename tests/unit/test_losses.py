"""Losses against their definitions in float64, and the promise that none is negative."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from basins.losses import LOSSES, is_correct, num_outputs, per_example_loss


def test_losses_are_their_definitions(seed):
    generator = torch.Generator().manual_seed(seed)
    outputs = torch.randn(9, 4, generator=generator, dtype=torch.float64) * 5
    targets = torch.randint(0, 4, (9,), generator=generator)
    for row, target, cross, squared in zip(
        outputs.tolist(),
        targets.tolist(),
        per_example_loss("cross_entropy")(outputs, targets).tolist(),
        per_example_loss("squared_error")(outputs, targets).tolist(),
        strict=True,
    ):
        assert cross == pytest.approx(math.log(sum(map(math.exp, row))) - row[target], rel=1e-12)
        expected = sum((y - (k == target)) ** 2 for k, y in enumerate(row)) / 4
        assert squared == pytest.approx(expected, rel=1e-12)


def test_binary_loss_is_the_two_class_loss(seed):
    logits = torch.randn(9, 1, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    targets = torch.arange(9) % 2
    both = torch.cat([torch.zeros_like(logits), logits], dim=1)
    torch.testing.assert_close(
        per_example_loss("binary_cross_entropy")(logits, targets),
        per_example_loss("cross_entropy")(both, targets),
        rtol=1e-12,
        atol=0,
    )
    right = is_correct("binary_cross_entropy", logits, targets)
    assert right.tolist() == is_correct("cross_entropy", both, targets).tolist()


@given(st.lists(st.floats(-1e4, 1e4), min_size=2, max_size=5), st.sampled_from(sorted(LOSSES)))
def test_no_loss_is_negative(row, kind):
    outputs = torch.tensor([row[: num_outputs(kind, len(row))]], dtype=torch.float32)
    assert per_example_loss(kind)(outputs, torch.tensor([0])).item() >= 0


def test_unknown_loss_is_one_sentence():
    with pytest.raises(ValueError, match="loss: 'hinge' is not known; allowed are cross_entropy"):
        per_example_loss("hinge")
