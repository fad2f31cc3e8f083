"""Training: alone or together, whole or resumed, diverging or stopping, against SciPy."""

import numpy as np
import pytest
import torch
from killing import KilledError, assert_same_bits, kill_after
from scipy.optimize import minimize
from small_trainings import run_training, small_problem

from basins.models.functional import Network, build, initial_parameters
from basins.models.passes import examples_together
from basins.study.recipe_keys import Recipe
from basins.training import checkpoint
from basins.training.ends import ends_of, evaluate
from basins.training.gradients import gradients_of, torch_gradients
from basins.training.loop import recorded_epochs, train
from basins.training.stages import batch_order

ADAM = {"optimizer": "adam", "learning_rate": 0.02, "epochs": 12}


@pytest.fixture
def problem(seed):
    return small_problem(seed)


@pytest.mark.parametrize("batch_size", ["full", 16])
def test_seeds_together_are_seeds_alone(problem, batch_size):
    recipe = Recipe(**ADAM, batch_size=batch_size)
    together = run_training(problem, recipe)
    by_torch = run_training(problem, recipe, find_gradients=torch_gradients)
    for row in range(3):
        alone = run_training(problem, recipe, slice(row, row + 1))
        assert together.parameters[row].tobytes() == alone.parameters[0].tobytes()
        # Batched products round differently; Adam's first steps turn a last bit into 1e-4.
        np.testing.assert_allclose(by_torch.parameters[row], alone.parameters[0], atol=2e-3)
        assert by_torch.train_loss[row] == pytest.approx(alone.train_loss[0], rel=1e-3)


@pytest.mark.parametrize("batch_size", ["full", 16])
def test_repeating_gives_the_same_bits(problem, batch_size):
    recipe = Recipe(**ADAM, batch_size=batch_size)
    first, second = run_training(problem, recipe), run_training(problem, recipe)
    assert first.parameters.tobytes() == second.parameters.tobytes()
    assert first.history_train_loss.tobytes() == second.history_train_loss.tobytes()


@pytest.mark.parametrize("batch_size", ["full", 16])
@pytest.mark.parametrize("killed_at", [1, 5, 12])
def test_resumed_training_gives_the_same_bits(problem, batch_size, killed_at, tmp_path):
    recipe = Recipe(
        optimizer="sgd", learning_rate=0.1, momentum=0.9, epochs=12, batch_size=batch_size
    )
    path = tmp_path / "a" / "job.pt"
    options = {"saved": path, "fingerprint": "mine", "save_seconds": 0.0}
    with pytest.raises(KilledError):
        run_training(problem, recipe, advance=kill_after(killed_at), **options)
    resumed = run_training(problem, recipe, **options)
    whole = run_training(problem, recipe)
    assert resumed.parameters.tobytes() == whole.parameters.tobytes()
    assert resumed.history_train_loss.tobytes() == whole.history_train_loss.tobytes()
    assert resumed.epochs.tolist() == whole.epochs.tolist()


@pytest.mark.parametrize("batch_size", ["full", 16])
def test_resuming_after_any_epoch_gives_the_same_bits_where_seeds_stop(
    problem, batch_size, tmp_path
):
    # Adam for its two moments and cosine for its step count; 0.9 is met before the last epoch.
    recipe = Recipe(
        optimizer="adam",
        learning_rate=0.05,
        schedule="cosine",
        epochs=60,
        batch_size=batch_size,
        stop_at_loss=0.9,
    )
    whole = run_training(problem, recipe)
    ran = len(whole.history_epoch)
    assert ran < recipe.epochs
    # The last one is not killed before its last checkpoint but after it.
    for killed_at in range(1, ran + 2):
        path = tmp_path / f"{killed_at}.pt"
        options = {"saved": path, "fingerprint": "mine", "save_seconds": 0.0}
        if killed_at <= ran:
            with pytest.raises(KilledError):
                run_training(problem, recipe, advance=kill_after(killed_at), **options)
        else:
            run_training(problem, recipe, **options)
        assert_same_bits(run_training(problem, recipe, **options), whole)


def test_damaged_or_foreign_checkpoints_change_no_result(problem, tmp_path, caplog):
    recipe = Recipe(**ADAM)
    whole = run_training(problem, recipe)
    path = tmp_path / "job.pt"
    options = {"saved": path, "fingerprint": "mine", "save_seconds": 0.0}
    run_training(problem, recipe, saved=path, fingerprint="other", save_seconds=0.0)
    assert_same_bits(run_training(problem, recipe, **options), whole)
    assert "a checkpoint of another job" in caplog.text
    path.write_bytes(path.read_bytes()[:-100])
    assert_same_bits(run_training(problem, recipe, **options), whole)
    assert "not a readable checkpoint" in caplog.text


def test_useless_checkpoints_are_passed_over_with_a_warning(tmp_path, caplog):
    path = tmp_path / "job.pt"
    assert checkpoint.load(path, "mine") is None
    checkpoint.save(path, "mine", {"epoch": 3})
    assert checkpoint.load(path, "mine") == {"epoch": 3}
    assert checkpoint.load(path, "other") is None
    assert "a checkpoint of another job" in caplog.text
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", b"something else", b"\x80\x02cos\nsystem\n."):
        path.write_bytes(damaged)
        assert checkpoint.load(path, "mine") is None
    assert "work starts over" in caplog.text
    checkpoint.discard(path)
    checkpoint.discard(path)
    assert not path.exists()


def test_divergence_is_marked_and_stays_with_its_seed(problem):
    network, theta, inputs, targets = problem
    inputs = inputs.clone()
    inputs[1, 0, 0] = float("inf")
    found = run_training((network, theta, inputs, targets), Recipe(**ADAM))
    assert found.is_diverged.tolist() == [False, True, False]
    calm = run_training(problem, Recipe(**ADAM))
    for row in (0, 2):
        assert found.parameters[row].tobytes() == calm.parameters[row].tobytes()
    assert np.isfinite(found.parameters).all()
    wild = run_training(problem, Recipe(optimizer="sgd", learning_rate=1e6, epochs=12))
    assert wild.is_diverged.all()


@pytest.mark.parametrize("batch_size", ["full", 16])
def test_stop_at_loss_stops_each_seed_by_itself(problem, batch_size):
    recipe = Recipe(
        optimizer="adam", learning_rate=0.05, epochs=400, batch_size=batch_size, stop_at_loss=0.5
    )
    found = run_training(problem, recipe)
    assert (found.train_loss < 0.5).all()
    # It stopped as soon as it could: the loss is not far below.
    assert (found.train_loss > 0.3).all()
    assert len(set(found.epochs.tolist())) > 1
    assert (found.epochs < 400).all()


def test_softmax_regression_finds_the_minimum_scipy_finds(seed):
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(1, 60, 3, generator=generator)
    targets = torch.randint(0, 3, (1, 60), generator=generator)
    network = Network(build("linear", (3,), 3))
    theta = initial_parameters("linear", (3,), 3, 0)[None]
    recipe = Recipe(optimizer="sgd", learning_rate=1.0, momentum=0.9, epochs=2000)
    found = train(network, recipe, theta, inputs, targets, inputs[0], targets[0], (0,))

    def mean_loss(flat):
        flat = flat.reshape(-1)
        logits = inputs[0].double().numpy() @ flat[:9].reshape(3, 3).T + flat[9:]
        top = logits.max(axis=1, keepdims=True)
        log_sum = np.log(np.exp(logits - top).sum(axis=1)) + top[:, 0]
        return (log_sum - logits[np.arange(60), targets[0].numpy()]).mean()

    best = minimize(mean_loss, np.zeros(12), method="BFGS", tol=1e-9)
    assert found.train_loss[0] == pytest.approx(best.fun, abs=1e-5)
    assert found.gradient_norm[0] < 1e-4
    assert found.weight_norm[0] == pytest.approx(np.linalg.norm(found.parameters[0]))


def test_linear_regression_finds_the_least_squares_solution(seed):
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(1, 60, 3, generator=generator)
    targets = torch.randint(0, 3, (1, 60), generator=generator)
    network = Network(build("linear", (3,), 3))
    theta = initial_parameters("linear", (3,), 3, 0)[None]
    recipe = Recipe(
        optimizer="sgd", learning_rate=0.2, momentum=0.9, epochs=1500, loss="squared_error"
    )
    found = train(network, recipe, theta, inputs, targets, inputs[0], targets[0], (0,))

    design = np.column_stack([inputs[0].double().numpy(), np.ones(60)])
    one_hot = np.eye(3)[targets[0].numpy()]
    best = np.linalg.lstsq(design, one_hot, rcond=None)[0]
    weights = np.concatenate([best[:3].T.ravel(), best[3]])
    np.testing.assert_allclose(found.parameters[0], weights, atol=1e-5)
    assert found.train_loss[0] == pytest.approx(((design @ best - one_hot) ** 2).mean(), rel=1e-5)


def test_evaluation_is_the_same_in_any_chunks(problem, monkeypatch):
    network, theta, inputs, targets = problem
    whole = evaluate(network, "cross_entropy", theta, inputs, targets)
    monkeypatch.setattr("basins.device.PASS_BYTES", 7 * 100 * len(theta))
    assert 1 < examples_together(network, theta, inputs[0]) < inputs.shape[1]
    parts = evaluate(network, "cross_entropy", theta, inputs, targets)
    torch.testing.assert_close(whole[0], parts[0], rtol=1e-6, atol=0)
    assert torch.equal(whole[1], parts[1])


@pytest.mark.parametrize("find", [gradients_of, torch_gradients])
def test_the_gradient_at_the_end_is_found_in_runs_that_have_room(problem, find, monkeypatch):
    network, theta, inputs, targets = problem
    counts = []

    def watched(network, loss, inputs, targets):
        counts.append(inputs.shape[1])
        return find(network, loss, inputs, targets)

    def ends():
        counts.clear()
        return ends_of(
            network, "cross_entropy", theta, inputs, targets, inputs[0], targets[0], watched
        )

    whole, count = ends(), inputs.shape[1]
    assert counts == [count]
    slope, _ = torch_gradients(network, "cross_entropy", inputs.double(), targets)(
        theta.double(), None
    )
    np.testing.assert_allclose(whole["gradient_norm"], slope.norm(dim=1), rtol=1e-5)
    monkeypatch.setattr("basins.device.GRADIENT_PASS_BYTES", 2 * 7 * inputs[:, 0].nbytes)
    parts = ends()
    assert set(counts[:-1]) == {7}
    assert sum(counts) == count
    np.testing.assert_allclose(parts["gradient_norm"], whole["gradient_norm"], rtol=1e-5)


def test_batches_hold_each_example_once_and_differ_by_epoch_and_seed():
    orders = [row.tolist() for epoch in (0, 1) for row in batch_order((0, 1), epoch, 30)]
    assert all(sorted(row) == list(range(30)) for row in orders)
    assert len({tuple(row) for row in orders}) == 4


@pytest.mark.parametrize("epochs", [1, 2, 199, 200, 201, 5000])
def test_curves_keep_both_ends(epochs):
    kept = recorded_epochs(epochs)
    assert {0, epochs - 1} <= kept
    assert len(kept) == min(epochs, 200)
