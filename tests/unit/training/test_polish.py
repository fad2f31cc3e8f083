"""Polish: as near the bottom as SciPy and closed forms say, on the plain loss, killed anywhere."""

import numpy as np
import pytest
import torch
from killing import KilledError, assert_same_bits, kill_after
from scipy.optimize import minimize
from small_trainings import SEEDS, run_training, small_problem

from basins.models.functional import Network, build, initial_parameters
from basins.study.recipe_keys import Augmentation, Poison, Polish, Recipe
from basins.training.gradients import torch_gradients
from basins.training.loop import train
from basins.training.objective import objective_of

SGD = {"optimizer": "sgd", "learning_rate": 0.1}
ADAM = {"optimizer": "adam", "learning_rate": 0.05}


@pytest.fixture
def problem(seed):
    return small_problem(seed)


def regression(seed):
    """Return a linear network, its start and random labels: a convex loss with a bottom."""
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(1, 60, 3, generator=generator)
    targets = torch.randint(0, 3, (1, 60), generator=generator)
    network = Network(build("linear", (3,), 3))
    return network, initial_parameters("linear", (3,), 3, 0)[None], inputs, targets


def plain_gradient(network, theta, inputs, targets):
    """Return the gradient of the mean loss at one minimum, plainly and in double precision."""
    at = torch.from_numpy(np.asarray(theta)).double().requires_grad_(True)
    torch.nn.functional.cross_entropy(network.apply(at, inputs.double()), targets).backward()
    return at.grad.numpy()


def plain_loss(network, theta, inputs, targets):
    """Return the mean loss at one minimum, plainly and in single precision."""
    outputs = network.apply(torch.from_numpy(np.asarray(theta)), inputs)
    return torch.nn.functional.cross_entropy(outputs, targets).item()


@pytest.mark.parametrize("find_gradients", [None, torch_gradients])
@pytest.mark.parametrize("tolerance", [1e-4, 1e-6])
def test_softmax_regression_ends_where_scipy_ends(seed, tolerance, find_gradients):
    network, theta, inputs, targets = regression(seed)
    recipe = Recipe(**SGD, epochs=3, polish=Polish(gradient_norm=tolerance))
    more = {} if find_gradients is None else {"find_gradients": find_gradients}
    data = inputs, targets, inputs[0], targets[0], (0,)
    found = train(network, recipe, theta, *data, **more)

    def mean_loss(flat):
        """Return loss and gradient in NumPy, by the formula."""
        design = np.column_stack([inputs[0].double().numpy(), np.ones(60)])
        weights = np.column_stack([flat[:9].reshape(3, 3), flat[9:]])
        logits = design @ weights.T
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        loss = -np.log(shares[np.arange(60), targets[0].numpy()]).mean()
        slope = (shares - np.eye(3)[targets[0].numpy()]).T @ design / 60
        return loss, np.concatenate([slope[:, :3].ravel(), slope[:, 3]])

    loss, gradient = mean_loss(found.parameters[0].astype(np.float64))
    assert np.linalg.norm(gradient) < tolerance
    assert not found.is_unpolished.any()
    # Single precision passes at the end, of the same parameters.
    assert found.gradient_norm[0] == pytest.approx(np.linalg.norm(gradient), abs=1e-6)
    best = minimize(mean_loss, np.zeros(12), jac=True, method="L-BFGS-B", options={"gtol": 1e-10})
    assert loss == pytest.approx(best.fun, abs=20 * tolerance)
    assert found.epochs.tolist() == [3]


def test_linear_regression_is_polished_to_the_least_squares_solution(seed):
    network, theta, inputs, targets = regression(seed)
    recipe = Recipe(**SGD, epochs=1, loss="squared_error", polish=Polish(gradient_norm=1e-6))
    found = train(network, recipe, theta, inputs, targets, inputs[0], targets[0], (0,))
    design = np.column_stack([inputs[0].double().numpy(), np.ones(60)])
    best = np.linalg.lstsq(design, np.eye(3)[targets[0].numpy()], rcond=None)[0]
    weights = np.concatenate([best[:3].T.ravel(), best[3]])
    # A gradient of 1e-6 over the smallest curvature, 2/3 of some tenths.
    np.testing.assert_allclose(found.parameters[0], weights, atol=3e-5)
    assert not found.is_unpolished.any()


@pytest.mark.parametrize("name", ["poison", "augmentation", "decay", "stopped"])
def test_it_is_the_plain_loss_that_is_polished(problem, name):
    """Whatever misled training, moved its images, shrank its weights or stopped it early."""
    network, theta, inputs, targets = problem
    objective = None
    keys = {"decay": {"weight_decay": 0.1}, "stopped": {"stop_at_loss": 0.9, "batch_size": 16}}
    recipe = Recipe(**ADAM, epochs=30, polish=Polish(iterations=150), **keys.get(name, {}))
    if name == "poison":
        poison = Poison(kind="reversed", examples=10, factor=0.5)
        recipe = recipe.model_copy(update={"poison": poison})
        held = inputs[:, :10], targets[:, :10]
        objective = objective_of(recipe, (inputs, targets), held, 3, SEEDS)
    if name == "augmentation":
        recipe = recipe.model_copy(update={"augmentation": Augmentation(flip=True)})
        inputs = inputs[..., :4].reshape(3, 40, 1, 2, 2)
        network = Network(build("mlp-6", (1, 2, 2), 3))
        theta = torch.stack([initial_parameters("mlp-6", (1, 2, 2), 3, s) for s in SEEDS])
    found = run_training((network, theta, inputs, targets), recipe, objective=objective)
    for row in range(3):
        gradient = plain_gradient(network, found.parameters[row], inputs[row], targets[row])
        # Of a network with kinks some have no place where the gradient is short.
        assert found.is_unpolished[row] == (np.linalg.norm(gradient) >= 1e-4)
        # What is recorded are single precision passes: weights of narrow networks grow to 1e5,
        # where logits of both precisions differ by tenths, so their own are compared.
        single = plain_loss(network, found.parameters[row], inputs[row], targets[row])
        assert single == pytest.approx(found.train_loss[row], rel=1e-5, abs=1e-7)
    alone = recipe.model_copy(update={"polish": None})
    before = run_training((network, theta, inputs, targets), alone, objective=objective)
    assert (found.train_loss <= before.train_loss).all()
    assert found.epochs.tolist() == before.epochs.tolist()
    assert found.history_train_loss.tobytes() == before.history_train_loss.tobytes()


def test_it_ends_as_soon_as_it_may_and_says_where_it_did_not(problem):
    """No iteration where training ended short enough; too few, and seeds are marked."""
    done = []
    recipe = Recipe(**ADAM, epochs=4, polish=Polish(gradient_norm=1e3, iterations=50))
    near = run_training(problem, recipe, advance=done.append)
    alone = run_training(problem, recipe.model_copy(update={"polish": None}))
    assert near.parameters.tobytes() == alone.parameters.tobytes()
    assert sum(done) == 5  # the one iteration that finds it so
    far = recipe.model_copy(update={"polish": Polish(gradient_norm=1e-12, iterations=2)})
    found = run_training(problem, far)
    assert found.is_unpolished.all()
    assert not found.is_diverged.any()
    assert not near.is_unpolished.any()
    assert not alone.is_unpolished.any()


def test_seeds_together_are_seeds_alone(problem):
    recipe = Recipe(**ADAM, epochs=5, polish=Polish(iterations=30))
    together = run_training(problem, recipe)
    for row in range(3):
        alone = run_training(problem, recipe, slice(row, row + 1))
        assert together.parameters[row].tobytes() == alone.parameters[0].tobytes()


@pytest.mark.parametrize("stop", [None, 1.0])
def test_a_kill_after_any_epoch_or_iteration_changes_no_bit(problem, stop, tmp_path):
    """Where some seeds stop early, and the path is kept, as well."""
    polish = Polish(gradient_norm=1e-3, iterations=9)
    keys = {"epochs": 6, "keep_every": 2, "stop_at_loss": stop, "polish": polish}
    recipe, count = Recipe(**ADAM | {"learning_rate": 0.1}, **keys), []
    whole = run_training(problem, recipe, advance=count.append)
    assert whole.path.shape[1] == 3
    plain = run_training(problem, recipe.model_copy(update={"polish": None}))
    assert whole.path.tobytes() == plain.path.tobytes()
    for killed_at in range(1, sum(count) + 1):
        path = tmp_path / f"{killed_at}.pt"
        options = {"saved": path, "fingerprint": "mine", "save_seconds": 0.0}
        with pytest.raises(KilledError):
            run_training(problem, recipe, advance=kill_after(killed_at), **options)
        assert_same_bits(run_training(problem, recipe, **options), whole)


def test_a_seed_that_diverged_is_not_polished(problem):
    network, theta, inputs, targets = problem
    inputs = inputs.clone()
    inputs[1, 0, 0] = float("inf")
    recipe = Recipe(**ADAM, epochs=5, polish=Polish(iterations=20))
    found = run_training((network, theta, inputs, targets), recipe)
    calm = run_training(problem, recipe)
    assert found.is_diverged.tolist() == [False, True, False]
    for row in (0, 2):
        assert found.parameters[row].tobytes() == calm.parameters[row].tobytes()
    assert np.isfinite(found.parameters).all()
