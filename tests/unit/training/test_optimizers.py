"""Update rules against torch.optim, step for step, in float64."""

import pytest
import torch

from basins.study.recipe_keys import Recipe
from basins.training import optimizers, schedules

CASES = [
    ({"optimizer": "sgd"}, torch.optim.SGD, {}),
    (
        {"optimizer": "sgd", "momentum": 0.9, "weight_decay": 0.1},
        torch.optim.SGD,
        {"momentum": 0.9},
    ),
    ({"optimizer": "adam"}, torch.optim.Adam, {}),
    (
        {"optimizer": "adam", "weight_decay": 0.1, "betas": [0.8, 0.9]},
        torch.optim.Adam,
        {"betas": (0.8, 0.9)},
    ),
    ({"optimizer": "adamw"}, torch.optim.AdamW, {}),
    ({"optimizer": "adamw", "weight_decay": 0.3}, torch.optim.AdamW, {}),
]
SCHEDULERS = {
    "constant": lambda optimizer: torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 1.0),
    "cosine": lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 9),
    "linear": lambda optimizer: torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: 1 - s / 9),
    "steps": lambda optimizer: torch.optim.lr_scheduler.MultiStepLR(optimizer, [3, 6], gamma=0.2),
}
STAGES = {"steps": {"milestones": [1 / 3, 2 / 3], "decay_factor": 0.2}}


@pytest.mark.parametrize(("keys", "reference", "options"), CASES)
@pytest.mark.parametrize("schedule", SCHEDULERS)
def test_steps_are_those_of_torch(keys, reference, options, schedule, seed):
    stages = STAGES.get(schedule, {})
    recipe = Recipe(learning_rate=0.05, epochs=9, schedule=schedule, **stages, **keys)
    generator = torch.Generator().manual_seed(seed)
    theta = torch.randn(3, 5, dtype=torch.float64, generator=generator)
    gradients = torch.randn(9, 3, 5, dtype=torch.float64, generator=generator)
    ours, state = theta.clone(), optimizers.initial_state(recipe, theta)
    parameter = torch.nn.Parameter(theta.clone())
    optimizer = reference([parameter], lr=0.05, weight_decay=recipe.decay, **options)
    scheduler = SCHEDULERS[schedule](optimizer)
    for step in range(9):
        parameter.grad = gradients[step].clone()
        optimizer.step()
        rate = schedules.learning_rate(recipe, step, 9)
        ours = optimizers.update(recipe, ours, gradients[step], state, step, rate)
        torch.testing.assert_close(ours, parameter.detach(), rtol=1e-12, atol=1e-14)
        scheduler.step()


@pytest.mark.parametrize("keys", [keys for keys, _, _ in CASES])
def test_single_precision_is_close_to_double(keys, seed):
    # Compiled code has constants of its own for each precision; nine steps round 1e-7 each.
    recipe = Recipe(learning_rate=0.05, epochs=9, **keys)
    generator = torch.Generator().manual_seed(seed)
    start = torch.randn(3, 500, dtype=torch.float64, generator=generator)
    gradients = torch.randn(9, 3, 500, dtype=torch.float64, generator=generator)
    ends = []
    for dtype in (torch.float32, torch.float64):
        theta = start.to(dtype)
        state = optimizers.initial_state(recipe, theta)
        for step in range(9):
            slope = gradients[step].to(dtype)
            theta = optimizers.update(recipe, theta, slope, state, step, 0.05)
        assert theta.dtype == dtype
        ends.append(theta.double())
    torch.testing.assert_close(*ends, rtol=1e-5, atol=1e-5)
