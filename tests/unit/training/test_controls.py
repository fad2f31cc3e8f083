"""Steps and norms that are held: counted by hand, exact at every kept epoch, against torch."""

import numpy as np
import pytest
import torch
from killing import KilledError, assert_same_bits, kill_after
from small_trainings import run_training, small_problem

from basins.study.controls import of_size
from basins.study.recipe_keys import Polish, Recipe, Sam, WarmStart
from basins.training import stages

SGD = {"optimizer": "sgd", "learning_rate": 0.2}
HELD = {
    "sgd": SGD | {"momentum": 0.9},
    "batches": SGD | {"batch_size": 7},
    "adam": {"optimizer": "adam", "learning_rate": 0.05},
    "sam": SGD | {"sam": Sam(rho=0.1)},
    "proxprop": SGD | {"optimizer": "proxprop", "proximity": 1.0},
    "stops": SGD | {"stop_at_loss": 1.1},
}


@pytest.fixture
def problem(seed):
    return small_problem(seed)


@pytest.mark.parametrize("name", HELD)
def test_norms_are_held_at_every_kept_epoch(problem, name, seed):
    norm = float(np.random.default_rng(seed).uniform(0.5, 20))
    recipe = Recipe(**HELD[name], epochs=6, keep_every=1, weight_norm=norm)
    found = run_training(problem, recipe)
    points = np.concatenate([found.path, found.parameters[:, None]], axis=1)
    norms = np.linalg.norm(points.astype(np.float64), axis=2)
    # Half of the last bit of single precision in every number.
    np.testing.assert_allclose(norms, norm, rtol=2**-24)
    np.testing.assert_allclose(found.weight_norm, norm, rtol=2**-24)
    start = problem[1].double().numpy()
    scaled = norm * start / np.linalg.norm(start, axis=1, keepdims=True)
    np.testing.assert_allclose(points[:, 0], scaled, rtol=2**-23)


def test_held_training_is_what_torch_would_do_by_hand(problem):
    network, theta, inputs, targets = problem
    recipe = Recipe(**HELD["sgd"], epochs=12, weight_norm=3.0)
    found = run_training(problem, recipe)
    for row in range(3):
        at = theta[row].double()
        at = torch.nn.Parameter(at * (3 / at.norm()))
        optimizer = torch.optim.SGD([at], lr=0.2, momentum=0.9)
        for _ in range(12):
            optimizer.zero_grad()
            outputs = network.apply(at, inputs[row].double())
            torch.nn.functional.cross_entropy(outputs, targets[row]).backward()
            optimizer.step()
            with torch.no_grad():
                at.mul_(3 / at.norm())
        np.testing.assert_allclose(found.parameters[row], at.detach().numpy(), atol=1e-3)


def test_held_seeds_together_are_seeds_alone_and_kills_leave_no_trace(problem, tmp_path):
    recipe = Recipe(**HELD["batches"], epochs=6, keep_every=2, weight_norm=3.0)
    whole = run_training(problem, recipe)
    for row in range(3):
        alone = run_training(problem, recipe, slice(row, row + 1))
        assert whole.parameters[row].tobytes() == alone.parameters[0].tobytes()
    saved = {"saved": tmp_path / "half.pt", "fingerprint": "f", "save_seconds": 0.0}
    with pytest.raises(KilledError):
        run_training(problem, recipe, **saved, advance=kill_after(3))
    assert_same_bits(run_training(problem, recipe, **saved), whole)


def test_a_warm_start_is_held_too(problem):
    before = Recipe(**HELD["adam"], epochs=3, weight_norm=2.0)
    warm = WarmStart(recipe="before", epochs=3)
    recipe = Recipe(**SGD, epochs=3, weight_norm=2.0, keep_every=1, warm_start=warm)
    found = run_training(problem, recipe, before=before)
    norms = np.linalg.norm(found.path.astype(np.float64), axis=2)
    assert norms.shape == (3, 6)
    np.testing.assert_allclose(norms, 2.0, rtol=2**-24)


def test_steps_are_taken_as_counted(problem, monkeypatch):
    """Of 40 examples: counted one by one, and what epochs of that number give, to the bit."""
    taken, real = [], stages._moved

    def counted(*given):
        taken.append(1)
        return real(*given)

    monkeypatch.setattr(stages, "_moved", counted)
    for batch_size, epochs in (("full", 25), (40, 25), (16, 9), (39, 13), (1, 1)):
        recipe = of_size(Recipe(**SGD, steps=25, batch_size=batch_size, schedule="cosine"), 40)
        taken.clear()
        found = run_training(problem, recipe)
        an_epoch = 1 if batch_size == "full" else -(-40 // batch_size)
        assert len(taken) == epochs * an_epoch
        assert 25 <= len(taken) < 25 + an_epoch
        assert found.epochs.tolist() == [epochs] * 3
        plain = Recipe(**SGD, epochs=epochs, batch_size=batch_size, schedule="cosine")
        assert_same_bits(run_training(problem, plain), found)


def test_a_polish_is_no_part_of_what_is_counted(problem):
    recipe = of_size(Recipe(**SGD, steps=6, polish=Polish(iterations=3), batch_size=16), 40)
    found = run_training(problem, recipe)
    assert found.epochs.tolist() == [2, 2, 2]
    assert found.history_epoch.tolist() == [0, 1]
