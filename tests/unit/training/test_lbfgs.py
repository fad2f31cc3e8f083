"""L-BFGS: exact on quadratics, as good as SciPy's elsewhere, seeds together as alone, resumed."""

import numpy as np
import pytest
import torch
from killing import KilledError, assert_same_bits, kill_after
from scipy.optimize import minimize
from small_trainings import SEEDS, run_training, small_problem

from basins.models.functional import Network, build, initial_parameters
from basins.study.recipe_keys import Recipe
from basins.training import lbfgs

LBFGS = {"optimizer": "lbfgs", "learning_rate": 1.0}


def quadratics(seed, n=12, seeds=3):
    random = np.random.default_rng(seed)
    roots = random.normal(size=(seeds, n, n))
    matrices = torch.from_numpy(roots @ roots.transpose(0, 2, 1) + 0.1 * np.eye(n))
    centers = torch.from_numpy(random.normal(size=(seeds, n)))

    def gradients(theta, chosen):
        assert chosen is None
        offset = theta - centers
        slopes = torch.einsum("sij,sj->si", matrices, offset)
        return slopes, (slopes * offset).sum(1) / 2

    return gradients, centers


def step(theta, state, decay, gradients, active=None):
    active = torch.ones(len(theta), dtype=torch.bool) if active is None else active
    here = gradients(theta, None)
    return lbfgs.iterate(theta, here, state, 1.0, decay, gradients, active)


def test_it_finds_the_bottom_of_quadratics(seed):
    gradients, centers = quadratics(seed)
    theta = torch.zeros_like(centers)
    state = lbfgs.initial_state(theta)
    before = gradients(theta, None)[1]
    for _ in range(200):
        theta = step(theta, state, 0.0, gradients)
        now = gradients(theta, None)[1]
        assert (now <= before).all()
        before = now
    torch.testing.assert_close(theta, centers, rtol=0, atol=1e-5)


def test_decay_is_part_of_the_loss(seed):
    gradients, centers = quadratics(seed)
    theta = torch.zeros_like(centers)
    state = lbfgs.initial_state(theta)
    for _ in range(200):
        theta = step(theta, state, 0.5, gradients)
    torch.testing.assert_close(gradients(theta, None)[0], -0.5 * theta, rtol=0, atol=1e-5)


def test_nothing_moves_where_no_step_lowers_the_loss():
    def gradients(theta, chosen):
        assert chosen is None
        return torch.ones_like(theta), torch.full((len(theta),), torch.nan, dtype=theta.dtype)

    theta = torch.zeros(2, 3, dtype=torch.float64)
    state = lbfgs.initial_state(theta)
    assert torch.equal(step(theta, state, 0.0, gradients), theta)
    assert bool(state["is_stuck"].all())


def test_a_seed_that_is_done_costs_no_trials(seed):
    """At the bottom no step lowers the loss: tried once along the gradient, and then no more."""
    gradients, centers = quadratics(seed)
    asked = []

    def counted(theta, chosen):
        asked.append(1)
        return gradients(theta, chosen)

    theta, state = centers.clone(), lbfgs.initial_state(centers)
    for _ in range(5):
        theta = step(theta, state, 0.0, counted)
    # What the loop asks for, and at most one search.
    assert 5 <= len(asked) <= 5 + lbfgs.MAX_TRIALS
    assert torch.equal(theta, centers)
    none = torch.zeros(3, dtype=torch.bool)
    moved = step(torch.zeros_like(centers), lbfgs.initial_state(centers), 0.0, gradients, none)
    assert not moved.any()


@pytest.fixture
def problem(seed):
    return small_problem(seed)


def test_wide_networks_end_as_low_as_by_scipy(problem):
    """Wide enough to fit every example: narrow ones end each in a minimum of its own."""
    _, _, inputs, targets = problem
    network = Network(build("mlp-128", (5,), 3))
    theta = torch.stack([initial_parameters("mlp-128", (5,), 3, seed) for seed in SEEDS])
    found = run_training((network, theta, inputs, targets), Recipe(**LBFGS, epochs=300))

    def loss(point, row):
        at = torch.from_numpy(point).requires_grad_(True)
        outputs = network.apply(at, inputs[row].double())
        value = torch.nn.functional.cross_entropy(outputs, targets[row])
        value.backward()
        return value.item(), at.grad.numpy()

    for row in range(3):
        start = theta[row].double().numpy()
        assert minimize(loss, start, row, jac=True, method="L-BFGS-B").fun < 1e-3
    assert (found.train_loss < 1e-3).all()


def test_seeds_together_are_seeds_alone_and_kills_leave_no_trace(problem, tmp_path):
    recipe = Recipe(**LBFGS, epochs=12)
    together = run_training(problem, recipe)
    for row in range(3):
        alone = run_training(problem, recipe, slice(row, row + 1))
        assert together.parameters[row].tobytes() == alone.parameters[0].tobytes()
    saved = {"saved": tmp_path / "half.pt", "fingerprint": "f", "save_seconds": 0.0}
    with pytest.raises(KilledError):
        run_training(problem, recipe, **saved, advance=kill_after(5))
    assert_same_bits(run_training(problem, recipe, **saved), together)
