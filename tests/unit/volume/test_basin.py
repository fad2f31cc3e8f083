"""Bad input to the function-level interface: one sentence that opens with the argument's name."""

import numpy as np
import pytest

import basins
from basins.directions.preconditioner import Preconditioner
from basins.volume import Basin, estimate


def bowl(x):
    return (x**2).sum(axis=1)


def slope(x):
    return 2 * x


GOOD = {"loss": bowl, "minimum": np.zeros(3), "threshold": 1.0}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"threshold": 0.0}, "threshold: 0 must be above the minimum's loss, 0"),
        ({"threshold": -1.0}, "threshold: -1 must be above the minimum's loss, 0"),
        ({"threshold": np.nan}, "threshold: nan must be a finite number"),
        ({"threshold": np.inf}, "threshold: inf must be a finite number"),
        ({"minimum": np.zeros((2, 3))}, r"minimum: it must be a finite vector, not .*\(2, 3\)"),
        ({"minimum": np.zeros(0)}, "minimum: it must be a finite vector"),
        ({"minimum": np.array([1.0, np.nan])}, "minimum: it must be a finite vector"),
        ({"loss": lambda x: x}, r"loss: for points of shape \(2, 3\) it must return shape \(2,\)"),
        ({"loss": lambda x: np.full(len(x), np.nan)}, "loss: it is nan at the minimum"),
        ({"loss": lambda x: np.full(len(x), np.inf)}, "loss: it is inf at the minimum"),
        ({"gradient": bowl}, r"gradient: for points of shape .* must return shape \(2, 3\)"),
        ({"gradient": lambda x: x + np.nan}, "gradient: it is not finite at the minimum"),
        ({"curvature": np.ones(2)}, r"curvature: shape \(2,\) must be \(3,\) or \(3, 3\)"),
        ({"curvature": np.full(3, np.inf)}, r"curvature: .* and finite"),
        ({"curvature": Preconditioner.diagonal(np.ones(2))}, "curvature: 2 parameters, not 3"),
        ({"r_max": 0.0}, "r_max: 0.0 must be above 0"),
        ({"r_max": np.nan}, "r_max: nan must be above 0"),
    ],
)
def test_basin_refuses(changed, message):
    with pytest.raises(ValueError, match=message):
        Basin(**GOOD | changed)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"estimator": "magic"}, "estimator: 'magic' is not known; allowed are rays, importance"),
        ({"measure": "haar"}, "measure: 'haar' is not known; allowed are lebesgue, gaussian"),
        ({"moves": "nuts"}, "moves: 'nuts' is not known; allowed are chords, axes, hmc"),
        ({"moves": "hmc"}, "moves: 'hmc' needs the basin's gradient"),
        ({"preconditioner": "kfac"}, "preconditioner: 'kfac' is not known; allowed are diagonal"),
        ({"preconditioner": "full"}, "preconditioner: 'full' needs the basin's gradient"),
        ({"directions": 0}, "directions: 0 must be a whole number, 1 or more"),
        ({"directions": 2.5}, "directions: 2.5 must be a whole number"),
        ({"stderr": 0.0}, "stderr: 0.0 must be above 0"),
        ({"max_evaluations": 0}, "max_evaluations: 0 must be 1 or more"),
        ({"measure": "gaussian"}, "sigma: None must be a number above 0"),
        ({"measure": "gaussian", "sigma": -1.0}, "sigma: -1.0 must be a number above 0"),
        ({"sigma": 1.0}, "sigma: only measure 'gaussian' takes it"),
        ({"center": np.zeros(3)}, "center: only measure 'gaussian' takes it"),
        (
            {"measure": "gaussian", "sigma": 1.0, "center": np.zeros(2)},
            r"center: shape \(2,\) must be that of the minimum, \(3,\)",
        ),
        ({"estimator": "laplace"}, "curvature: `laplace` needs it, or a gradient"),
    ],
)
def test_estimate_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        estimate(Basin(**GOOD), **arguments)


def test_low_rank_needs_three_parameters():
    basin = Basin(bowl, np.zeros(2), 1.0, slope)
    with pytest.raises(ValueError, match="preconditioner: 'low_rank' needs 3 parameters or more"):
        estimate(basin, "importance", preconditioner="low_rank")


def test_laplace_says_when_it_cannot_derive_a_hessian():
    basin = Basin(bowl, np.zeros(10_001), 1.0, slope)
    with pytest.raises(ValueError, match="curvature: `laplace` needs it beyond 10000 parameters"):
        estimate(basin, "laplace")


def test_laplace_of_a_flat_loss():
    basin = Basin(bowl, np.zeros(2), 1.0, curvature=np.zeros(2))
    with pytest.raises(ValueError, match="curvature: no direction curves upwards; give r_max"):
        estimate(basin, "laplace")


def test_an_endless_basin_is_refused_by_rays():
    open_ended = Basin(lambda x: np.zeros(len(x)), np.zeros(2), 1.0)
    with pytest.raises(ValueError, match=r"r_max: .* rays do not leave the basin"):
        estimate(open_ended, "rays")
    ball = Basin(open_ended.loss, np.zeros(2), 1.0, r_max=3.0)
    assert estimate(ball, "rays").log_volume == pytest.approx(np.log(np.pi * 9))


def test_a_minimum_on_the_edge_is_refused():
    basin = Basin(lambda x: np.where(x[:, 0] == 0, 0.0, np.inf), np.zeros(2), 1.0)
    with pytest.raises(ValueError, match="minimum: no Gaussian around it lies inside the basin"):
        estimate(basin, preconditioner="none")


def test_a_point_that_is_no_minimum_is_told():
    slanted = Basin(lambda x: bowl(x) + x[:, 0], np.zeros(3), 1.0, lambda x: 2 * x + [1, 0, 0])
    with pytest.warns(UserWarning, match="minimum: its gradient is not zero; .* 0.25"):
        volume = estimate(slanted, "importance", preconditioner="full")
    assert volume.diagnostics["gradient_norm"] == pytest.approx(1)
    assert volume.diagnostics["newton_decrement"] == pytest.approx(0.25, rel=1e-6)
    saddle = Basin(bowl, np.zeros(2), 1.0, curvature=np.array([2.0, -1.0]))
    with pytest.warns(UserWarning, match="minimum: its smallest curvature is -1"):
        estimate(saddle, "importance")


@pytest.mark.parametrize("n", [4, 300])
def test_a_saddle_is_told_from_the_gradient_alone(n, seed):
    rng = np.random.default_rng(seed)
    curvatures = np.append(rng.uniform(0, 2, n - 2), [-0.3, 10.0])
    turn = np.linalg.qr(rng.normal(size=(n, n)))[0]

    def gradient(x):
        return (x @ turn * curvatures) @ turn.T

    def loss(x):
        return (x @ turn) ** 2 @ curvatures / 2

    saddle = Basin(loss, np.zeros(n), 1.0, gradient, r_max=1.0)
    with pytest.warns(UserWarning, match=r"minimum: its smallest curvature is -0\.3"):
        found = estimate(saddle, "rays", directions=2)
    # A thousandth of the largest is what Lanczos stops at.
    assert found.diagnostics["smallest_curvature"] == pytest.approx(-0.3, abs=0.02)


@pytest.mark.parametrize("estimator", ["rays", "importance", "annealed"])
@pytest.mark.parametrize("beyond", [np.nan, np.inf])
def test_no_number_far_away_counts_as_outside(estimator, beyond):
    def loss(x):
        return np.where(np.abs(x).max(axis=1) < 1, 0.0, beyond)

    volume = estimate(Basin(loss, np.zeros(2), 1.0), estimator)
    assert np.exp(volume.log_volume) == pytest.approx(4, rel=0.3)


def test_the_package_offers_them_too():
    assert basins.Basin is Basin
    assert basins.estimate is estimate
