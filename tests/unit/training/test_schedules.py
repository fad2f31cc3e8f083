"""Schedules: batches that grow, steps counted, noise kept; against sums over all epochs."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from basins.study.recipe_keys import Recipe, WarmStart
from basins.training import schedules

SGD = {"optimizer": "sgd", "learning_rate": 0.3}
STAGES = {"milestones": [0.25, 0.5], "decay_factor": 0.5}


def test_rates_fall_at_milestones_as_torchs_do():
    recipe = Recipe(**SGD, epochs=12, schedule="steps", batch_size=10, **STAGES)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.3)
    reference = torch.optim.lr_scheduler.MultiStepLR(optimizer, [3, 6], gamma=0.5)
    steps = 4
    for epoch in range(12):
        for index in range(steps):
            rate = schedules.learning_rate(recipe, epoch * steps + index, 12 * steps)
            assert rate == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-14)
        optimizer.step()
        reference.step()


def test_growing_a_batch_keeps_the_noise_that_decaying_the_rate_has():
    """Smith et al. 2017: the scale is rate times examples over batch, while the batch is small."""
    decays = Recipe(**SGD, epochs=12, schedule="steps", batch_size=8, **STAGES)
    grows = Recipe(**SGD, epochs=12, schedule="growing_batch", batch_size=8, **STAGES)
    for epoch in range(12):
        rate = schedules.learning_rate(decays, epoch, 12)
        assert schedules.batch_size(decays, epoch, 1000) == 8
        assert schedules.learning_rate(grows, epoch, 12) == 0.3
        assert 0.3 / schedules.batch_size(grows, epoch, 1000) == pytest.approx(rate / 8)


def test_a_batch_grows_to_at_most_all_examples():
    recipe = Recipe(**SGD, epochs=4, schedule="growing_batch", batch_size=8, **STAGES)
    assert [schedules.batch_size(recipe, epoch, 20) for epoch in range(4)] == [8, 16, 20, 20]
    assert schedules.batch_size(Recipe(**SGD, epochs=4), 0, 20) == 20


@given(
    size=st.integers(1, 300),
    batch=st.integers(1, 50),
    epochs=st.integers(3, 40),
    factor=st.floats(0.05, 0.95),
    schedule=st.sampled_from(["constant", "steps", "growing_batch"]),
)
def test_steps_are_counted_as_epochs_take_them(size, batch, epochs, factor, schedule):
    stages = {} if schedule == "constant" else {"milestones": [0.4, 0.7], "decay_factor": factor}
    recipe = Recipe(**SGD, epochs=epochs, batch_size=batch, schedule=schedule, **stages)
    taken = 0
    for epoch in range(epochs):
        assert schedules.steps_before(recipe, epoch, size) == taken
        taken += math.ceil(size / schedules.batch_size(recipe, epoch, size))
    assert schedules.steps_before(recipe, epochs, size) == taken


def test_a_warm_start_goes_through_two_recipes():
    small = Recipe(**SGD, epochs=9, batch_size=4)
    large = Recipe(**SGD, epochs=5, warm_start=WarmStart(recipe="small", epochs=3))
    assert schedules.phases(large, small) == [(small, 3), (large, 5)]
    assert schedules.phases(small, None) == [(small, 9)]
    assert (large.total_epochs, small.total_epochs) == (8, 9)
