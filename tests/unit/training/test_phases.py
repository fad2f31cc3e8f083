"""Recipes that change on the way: by hand with torch.optim, killed anywhere, on both paths."""

import numpy as np
import pytest
import torch
from killing import KilledError, assert_same_bits, kill_after

from basins.losses import per_example_loss
from basins.models.functional import Network, build, initial_parameters
from basins.study.recipe_keys import Augmentation, Recipe, WarmStart
from basins.training import loop
from basins.training.augmentation import augmented
from basins.training.ends import evaluate
from basins.training.gradients import torch_gradients
from basins.training.stages import batch_order

SEEDS, SHAPE, SIZE = (0, 1), (1, 4, 4), 30
SGD = {"optimizer": "sgd", "learning_rate": 0.2, "momentum": 0.9}
ADAM = {"optimizer": "adam", "learning_rate": 0.02}
STAGES = {"milestones": [0.4, 0.7], "decay_factor": 0.4}
MOVES = Augmentation(shift=1, flip=True)
SMALL = Recipe(**ADAM, epochs=7, batch_size=8, schedule="cosine")
CASES = {
    "steps": (Recipe(**ADAM, epochs=8, batch_size=8, schedule="steps", **STAGES), None),
    "growing": (Recipe(**ADAM, epochs=8, batch_size=4, schedule="growing_batch", **STAGES), None),
    "augmented": (Recipe(**SGD, epochs=6, batch_size=8, augmentation=MOVES), None),
    "augmented, full": (Recipe(**SGD, epochs=6, augmentation=MOVES), None),
    "kept": (Recipe(**ADAM, epochs=6, batch_size=8, keep_every=2, measure_at=[1]), None),
    "warm": (Recipe(**SGD, epochs=4, warm_start=WarmStart(recipe="small", epochs=3)), SMALL),
    "warm from augmented": (
        Recipe(**ADAM, epochs=4, batch_size=16, warm_start=WarmStart(recipe="small", epochs=3)),
        Recipe(**SGD, epochs=5, batch_size=8, augmentation=MOVES),
    ),
}


@pytest.fixture
def problem(seed):
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(2, SIZE, *SHAPE, generator=generator)
    targets = torch.randint(0, 3, (2, SIZE), generator=generator)
    network = Network(build("mlp-6", SHAPE, 3))
    theta = torch.stack([initial_parameters("mlp-6", SHAPE, 3, s) for s in SEEDS])
    return network, theta, inputs, targets


def run(problem, recipe, before=None, theta=None, **options):
    network, start, inputs, targets = problem
    data = (inputs, targets, inputs[0], targets[0])
    start = start if theta is None else theta
    return loop.train(network, recipe, start, *data, SEEDS, before=before, **options)


def by_torch(problem, parts, row):
    """Train one seed as written in any textbook: (recipe, epochs of it, batches of each)."""
    network, theta, inputs, targets = problem
    parameter = torch.nn.Parameter(theta[row].double())
    network = Network(build("mlp-6", SHAPE, 3).double())
    loss, epoch = per_example_loss("cross_entropy"), 0
    for recipe, epochs, batches, rates in parts:
        kind = torch.optim.SGD if recipe.optimizer == "sgd" else torch.optim.Adam
        extra = {"momentum": recipe.momentum} if recipe.optimizer == "sgd" else {}
        optimizer = kind([parameter], lr=recipe.learning_rate, **extra)
        for own in range(epochs):
            seen = inputs[row : row + 1]
            if recipe.augmentation:
                seen = augmented(recipe.augmentation, seen, (SEEDS[row],), epoch)
            order = torch.arange(SIZE)
            if batches[own] < SIZE:
                order = batch_order((SEEDS[row],), epoch, SIZE)[0]
            optimizer.param_groups[0]["lr"] = rates[own]
            for chosen in order.split(batches[own]):
                optimizer.zero_grad()
                outputs = network.apply(parameter, seen[0, chosen].double())
                loss(outputs, targets[row, chosen]).mean().backward()
                optimizer.step()
            epoch += 1
    return parameter.detach().numpy()


def test_every_option_is_what_torch_would_do_by_hand(problem):
    """To float32's rounding: a step of Adam turns a last bit of a gradient near 0 into 1e-4."""
    small = SMALL.model_copy(update={"schedule": "constant"})
    warm, constant = CASES["warm"][0], [0.02] * 8
    expected = {
        "steps": [(CASES["steps"][0], 8, [8] * 8, [0.02] * 3 + [0.008] * 3 + [0.0032] * 2)],
        "growing": [(CASES["growing"][0], 8, [4] * 3 + [10] * 3 + [25] * 2, constant)],
        "augmented": [(CASES["augmented"][0], 6, [8] * 6, [0.2] * 6)],
        "augmented, full": [(CASES["augmented, full"][0], 6, [SIZE] * 6, [0.2] * 6)],
        "warm": [(small, 3, [8] * 3, constant), (warm, 4, [SIZE] * 4, [0.2] * 4)],
    }
    for name, parts in expected.items():
        recipe, before = CASES[name]
        found = run(problem, recipe, small if before else None)
        for row in range(2):
            exact = by_torch(problem, parts, row)
            np.testing.assert_allclose(found.parameters[row], exact, atol=2e-3, err_msg=name)


@pytest.mark.parametrize("name", CASES)
def test_a_kill_after_any_epoch_changes_no_bit(problem, name, tmp_path):
    recipe, before = CASES[name]
    whole = run(problem, recipe, before)
    assert (whole.epochs == recipe.total_epochs).all()
    assert whole.history_epoch.tolist() == list(range(recipe.total_epochs))
    for killed_at in range(1, recipe.total_epochs + 1):
        path = tmp_path / f"{killed_at}.pt"
        options = {"saved": path, "fingerprint": "mine", "save_seconds": 0.0}
        with pytest.raises(KilledError):
            run(problem, recipe, before, advance=kill_after(killed_at), **options)
        assert_same_bits(run(problem, recipe, before, **options), whole)


@pytest.mark.parametrize("name", CASES)
def test_the_slow_path_agrees(problem, name):
    recipe, before = CASES[name]
    fast = run(problem, recipe, before)
    slow = run(problem, recipe, before, find_gradients=torch_gradients)
    np.testing.assert_allclose(slow.parameters, fast.parameters, atol=2e-3)
    np.testing.assert_allclose(slow.history_train_loss, fast.history_train_loss, rtol=1e-3)


def test_a_warm_start_is_the_first_epochs_of_the_recipe_it_names(problem):
    """The same bits as that recipe so far, then the other with a fresh optimizer."""
    recipe, _ = CASES["warm"]
    short = SMALL.model_copy(update={"epochs": 3, "schedule": "constant"})
    first = run(problem, short)
    found = run(problem, recipe, SMALL.model_copy(update={"schedule": "constant"}))
    second = run(
        problem,
        recipe.model_copy(update={"warm_start": None}),
        theta=torch.from_numpy(first.parameters),
    )
    assert found.parameters.tobytes() == second.parameters.tobytes()
    curves = (first.history_train_loss, second.history_train_loss)
    assert found.history_train_loss.tobytes() == np.concatenate(curves, axis=1).tobytes()


def test_seeds_that_the_first_recipe_stopped_go_on(problem):
    stops = Recipe(**ADAM, epochs=50, batch_size=8, stop_at_loss=1.0)
    recipe = Recipe(**SGD, epochs=6, warm_start=WarmStart(recipe="stops", epochs=50))
    first, found = run(problem, stops), run(problem, recipe, stops)
    assert (first.epochs < 50).all()
    assert found.epochs.tolist() == (first.epochs + 6).tolist()
    assert (found.train_loss < first.train_loss).all()


def test_a_seed_that_diverged_before_stays_where_it_was(problem):
    network, theta, inputs, targets = problem
    inputs = inputs.clone()
    inputs[1, 0] = float("inf")
    recipe, before = CASES["warm"]
    found = run((network, theta, inputs, targets), recipe, before)
    assert found.is_diverged.tolist() == [False, True]
    assert found.epochs.tolist() == [7, 0]
    calm = run(problem, recipe, before)
    assert found.parameters[0].tobytes() == calm.parameters[0].tobytes()


@pytest.mark.parametrize("batch_size", ["full", 8])
def test_training_stops_at_the_loss_of_plain_images(problem, batch_size):
    """At the first epoch before which that loss is below, as runs of each length tell."""
    network, theta, inputs, targets = problem
    recipe = Recipe(**ADAM, epochs=8, batch_size=batch_size, augmentation=MOVES)
    ends = [run(problem, recipe.model_copy(update={"epochs": n})) for n in range(1, 9)]
    points = [theta.numpy(), *(end.parameters for end in ends)]
    start = evaluate(network, recipe.loss, theta, inputs, targets)[0].numpy()
    losses = np.array([start, *(end.train_loss for end in ends)])
    bound = float(np.median(losses))
    found = run(problem, recipe.model_copy(update={"stop_at_loss": bound}))
    for row in range(2):
        below = np.flatnonzero(losses[:8, row] < bound)
        last = below[0] if len(below) else 8
        assert found.epochs[row] == last
        assert found.parameters[row].tobytes() == points[last][row].tobytes()


@pytest.mark.parametrize("batch_size", ["full", 8])
def test_a_path_is_where_shorter_trainings_end(problem, batch_size):
    recipe = Recipe(**ADAM, epochs=8, batch_size=batch_size, keep_every=3, measure_at=[1, 6, 7])
    found = run(problem, recipe)
    assert found.path_epochs.tolist() == [0, 1, 3, 6, 7]
    assert found.path[:, 0].tobytes() == problem[1].numpy().tobytes()
    for point, epochs in enumerate([1, 3, 6, 7], 1):
        short = run(problem, Recipe(**ADAM, epochs=epochs, batch_size=batch_size))
        assert found.path[:, point].tobytes() == short.parameters.tobytes()
    stopped = run(problem, recipe.model_copy(update={"stop_at_loss": 1e6}))
    assert (stopped.epochs == 0).all()
    assert (stopped.path == stopped.parameters[:, None]).all()
    assert run(problem, Recipe(**ADAM, epochs=2)).path.shape == (2, 0, problem[1].shape[1])


def test_what_fills_a_frame_changes_training(problem):
    recipe, _ = CASES["augmented"]
    zeros = run(problem, recipe)
    assert run(problem, recipe, black=torch.zeros(1)).parameters.tobytes() == (
        zeros.parameters.tobytes()
    )
    dark = run(problem, recipe, black=torch.tensor([-3.0]))
    assert dark.parameters.tobytes() != zeros.parameters.tobytes()
