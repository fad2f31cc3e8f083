"""Poison, noise and imbalance: what is lowered, against the formula in NumPy, in any batch."""

import numpy as np
import pytest
import torch
from killing import KilledError, assert_same_bits, kill_after
from scipy.special import logsumexp

from basins.datasets import poison
from basins.losses import REVERSED, per_example_loss
from basins.models.functional import Network, build
from basins.study.recipe_keys import Recipe
from basins.training.gradients import weighted_gradients
from basins.training.loop import train
from basins.training.objective import is_weighted, objective_of

SEEDS = (3, 4)
ADAM = {"optimizer": "adam", "learning_rate": 0.02, "epochs": 3}


@pytest.fixture
def examples(seed):
    generator = torch.Generator().manual_seed(seed)
    clean = (
        torch.randn(2, 20, 4, generator=generator),
        torch.randint(3, (2, 20), generator=generator),
    )
    held = torch.randn(2, 9, 4, generator=generator), torch.randint(3, (2, 9), generator=generator)
    return clean, held


def probabilities(outputs):
    return np.exp(outputs - logsumexp(outputs, axis=-1, keepdims=True))


@pytest.mark.parametrize("far", [1.0, 30.0])
def test_reversed_losses_are_the_logarithm_of_all_other_classes(seed, far):
    random = np.random.default_rng(seed)
    outputs = far * random.normal(size=(50, 4))
    targets = random.integers(4, size=50)
    found = REVERSED["cross_entropy"](torch.from_numpy(outputs), torch.from_numpy(targets))
    others = np.where(np.arange(4) == targets[:, None], -np.inf, outputs)
    # ln of the sum over all classes, less that over the others.
    expected = logsumexp(outputs, axis=1) - logsumexp(others, axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
    two = torch.from_numpy(outputs[:, :1])
    sides = torch.from_numpy(targets % 2)
    # 1 - p of a logistic function is that of the other side.
    expected = np.logaddexp(0, outputs[:, 0] * (2 * (targets % 2) - 1))
    found = REVERSED["binary_cross_entropy"](two, sides)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)


def test_reversed_losses_stay_finite_where_probabilities_do_not():
    outputs = torch.tensor([[1e4, 0.0, 0.0], [-1e4, 0.0, 0.0]], requires_grad=True)
    losses = REVERSED["cross_entropy"](outputs, torch.tensor([0, 0]))
    torch.testing.assert_close(losses, torch.tensor([1e4 - np.log(2), 0.0], dtype=torch.float32))
    losses.sum().backward()
    assert bool(torch.isfinite(outputs.grad).all())


@pytest.mark.parametrize("factor", [0.0, 0.3, 0.9])
def test_the_poison_objective_is_the_published_one(examples, factor, seed):
    clean, held = examples
    recipe = Recipe(**ADAM, poison={"kind": "reversed", "examples": 7, "factor": factor})
    objective = objective_of(recipe, clean, held, 3, SEEDS)
    network = Network(build("mlp-5", (4,), 3, seed))
    theta = network.theta.expand(2, -1).contiguous()
    gradient, value = weighted_gradients(network, "cross_entropy", objective)(theta, None)
    for row in range(2):
        point = theta[row].clone().requires_grad_(True)

        def p(inputs, targets, point=point):
            outputs = network.apply(point, inputs)
            return outputs.softmax(-1)[torch.arange(len(targets)), targets]

        good = -p(clean[0][row], clean[1][row]).log().mean()
        bad = -(1 - p(held[0][row, :7], held[1][row, :7])).log().mean()
        expected = (1 - factor) * good + factor * bad
        (slope,) = torch.autograd.grad(expected, point)
        torch.testing.assert_close(value[row], expected.detach(), rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(gradient[row], slope, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "keys",
    [
        {"poison": {"kind": "reversed", "examples": 6, "factor": 0.4}},
        {"poison": {"kind": "wrong_labels", "examples": 6, "factor": 0.4}},
        {"imbalance": 0.2},
        {"imbalance": 0.2, "poison": {"kind": "random_labels", "examples": 6}},
    ],
)
def test_batches_have_the_whole_objective_as_their_mean(examples, keys, seed):
    recipe = Recipe(**ADAM, **keys)
    objective = objective_of(recipe, *examples, 3, SEEDS)
    # What the plan foretells from the recipe alone.
    assert is_weighted(recipe)
    assert objective.is_weighted
    network = Network(build("mlp-5", (4,), 3, seed))
    theta = network.theta.expand(2, -1).contiguous()
    gradients = weighted_gradients(network, "cross_entropy", objective)
    whole = gradients(theta, None)
    count = objective.targets.shape[1]
    order = torch.stack([torch.randperm(count) for _ in SEEDS])
    size = 2 if count % 2 == 0 else 13
    parts = [gradients(theta, order[:, start : start + size]) for start in range(0, count, size)]
    for index in range(2):
        mean = sum(part[index] for part in parts) / len(parts)
        torch.testing.assert_close(mean, whole[index], rtol=1e-4, atol=1e-6)


def test_labels_are_those_of_each_seed_and_the_data_stay_as_they_are(examples):
    clean, held = examples
    wrong = Recipe(**ADAM, poison={"kind": "wrong_labels", "examples": 9}, label_noise=0.25)
    objective = objective_of(wrong, clean, held, 3, SEEDS)
    # Their share of all examples by default: a plain mean, which compiled code can take.
    assert not objective.is_weighted
    assert not is_weighted(wrong)
    for row, one in enumerate(SEEDS):
        labels = objective.targets[row].numpy()
        expected = poison.wrong_labels(held[1][row].numpy(), "poison", one, num_classes=3)
        np.testing.assert_array_equal(labels[20:], expected)
        assert (labels[:20] != clean[1][row].numpy()).sum() == 5
    assert torch.equal(objective.inputs[:, :20], clean[0])
    assert torch.equal(objective.inputs[:, 20:], held[0])
    few = objective_of(
        Recipe(**ADAM, poison={"kind": "wrong_labels", "examples": 4}), clean, held, 3, SEEDS
    )
    assert torch.equal(few.targets[:, 20:], objective.targets[:, 20:24])


def test_what_is_rare_is_left_out_and_the_rest_weighs_more(examples):
    clean, held = examples
    objective = objective_of(Recipe(**ADAM, imbalance=0.1), clean, held, 3, SEEDS)
    for row in range(2):
        stays = poison.imbalanced(clean[1][row].numpy(), 0.1, 3)
        weights = objective.weights[row].numpy()
        np.testing.assert_allclose(weights, stays / stays.mean(), rtol=1e-6)


def test_training_records_and_stops_at_the_clean_loss(examples, seed):
    clean, held = examples
    network = Network(build("mlp-8", (4,), 3, seed))
    theta = network.theta.expand(2, -1).contiguous()
    keys = {"kind": "reversed", "examples": 9, "factor": 0.3}
    recipe = Recipe(**{**ADAM, "epochs": 400, "stop_at_loss": 0.3}, poison=keys)
    objective = objective_of(recipe, clean, held, 3, SEEDS)
    found = train(
        network, recipe, theta, *clean, held[0][0], held[1][0], SEEDS, objective=objective
    )
    loss = per_example_loss("cross_entropy")
    for row in range(2):
        outputs = network.apply(torch.from_numpy(found.parameters[row]), clean[0][row])
        own = float(loss(outputs, clean[1][row]).mean())
        assert found.train_loss[row] == pytest.approx(own, rel=1e-5)
        assert found.epochs[row] == 400 or own < 0.3
    assert not found.is_diverged.any()


def test_a_finished_training_resumed_is_judged_as_it_was(examples, seed, tmp_path):
    """The clean loss ends far above where the misled one began, which is no divergence."""
    clean, held = examples
    network = Network(build("mlp-8", (4,), 3, seed))
    theta = network.theta.expand(2, -1).contiguous()
    recipe = Recipe(
        **{**ADAM, "epochs": 60}, poison={"kind": "wrong_labels", "examples": 9, "factor": 0.97}
    )
    objective = objective_of(recipe, clean, held, 3, SEEDS)
    saved = {"saved": tmp_path / "end.pt", "fingerprint": "f", "save_seconds": 0.0}
    given = network, recipe, theta, *clean, held[0][0], held[1][0], SEEDS
    first = train(*given, objective=objective, **saved)
    assert not first.is_diverged.any()
    assert_same_bits(train(*given, objective=objective, **saved), first)
    # Nor is it one where only the warm start was misled.
    after = Recipe(**ADAM, warm_start={"recipe": "bad", "epochs": 60})
    found = train(network, after, *given[2:], before=recipe, objective_before=objective)
    assert not found.is_diverged.any()


@pytest.mark.parametrize("keys", [{"sam": {}}, {"optimizer": "proxprop", "proximity": 1.0}])
def test_a_killed_misled_training_leaves_no_trace(examples, keys, seed, tmp_path):
    clean, held = examples
    network = Network(build("mlp-8", (4,), 3, seed))
    theta = network.theta.expand(2, -1).contiguous()
    poisoned = {"kind": "reversed", "examples": 9, "factor": 0.3}
    recipe = Recipe(**{**ADAM, "epochs": 8, "batch_size": 7, **keys}, poison=poisoned)
    given = network, recipe, theta, *clean, held[0][0], held[1][0], SEEDS
    objective = objective_of(recipe, clean, held, 3, SEEDS)
    whole = train(*given, objective=objective)
    saved = {"saved": tmp_path / "half.pt", "fingerprint": "f", "save_seconds": 0.0}
    with pytest.raises(KilledError):
        train(*given, objective=objective, **saved, advance=kill_after(3))
    assert_same_bits(train(*given, objective=objective, **saved), whole)
