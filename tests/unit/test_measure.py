import copy
import functools

import numpy as np
import pytest
import torch
import xarray as xr
from scipy.special import gammaln
from torch import nn
from torch.nn import functional

from basins import measure
from basins.cube import schema
from basins.cube.variable import BASIN, MINIMUM
from basins.measure import measure_model
from basins.rays.evaluators import evaluator_of
from basins.rays.numba_path import NumbaEvaluator
from basins.rays.torch_path import TorchEvaluator


def trained(seed, dtype=torch.float32):
    """Return a small trained classifier with its examples."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        inputs = torch.randn(40, 4, dtype=dtype)
        targets = (inputs[:, 0] > 0).long()
        model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Tanh(), nn.Linear(8, 2))
        model.to(dtype).eval()
        optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
        for _ in range(200):
            optimizer.zero_grad()
            functional.cross_entropy(model(inputs), targets).backward()
            optimizer.step()
    return model, inputs, targets


class Constant(nn.Module):
    """A network whose outputs are its parameters, so that its loss can be chosen."""

    def __init__(self, num_parameters):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(num_parameters, dtype=torch.float64))

    def forward(self, inputs):
        return self.weight.expand(len(inputs), -1)


def functional_cross_entropy(outputs, targets):
    return functional.cross_entropy(outputs, targets, reduction="none")


def distance(outputs, _targets):
    return outputs.square().sum(-1)


def test_a_ball_has_the_volume_of_a_ball():
    n = 6
    measured = measure_model(
        Constant(n),
        torch.zeros(3, 1),
        torch.zeros(3),
        distance,
        thresholds=[0.25, 4.0],
        directions=20,
        coordinates="weight",
    )
    for threshold in (0.25, 4.0):
        radius = np.sqrt(threshold)
        ball = n / 2 * np.log(np.pi) - gammaln(n / 2 + 1) + n * np.log(radius)
        found = measured.sel(threshold=threshold, landscape_size=3)
        assert abs(float(found.log_volume.sel(estimator="rays")) - ball) <= 0.1
        np.testing.assert_allclose(found.radius, radius, rtol=0.1 / n)
        np.testing.assert_allclose(found.log_volume_stderr, 0, atol=0.1)
    assert (measured.censored_fraction == 0).all()


def test_the_dataset_has_the_cubes_names_dims_and_attributes(seed):
    model, inputs, targets = trained(seed)
    measured = measure_model(
        model, inputs, targets, thresholds=[0.3, 0.5], landscape_sizes=[10, 40], directions=12
    )
    table = schema.ROOT | schema.RAYS
    own = set(MINIMUM)
    for name, variable in measured.data_vars.items():
        assert variable.attrs["long_name"]
        assert variable.attrs["units"]
        if name == "radius":
            assert variable.dims == ("landscape_size", "threshold", "direction")
            continue
        assert variable.dims == tuple(dim for dim in table[name].dims if dim not in own)
        assert variable.dtype == table[name].dtype, name
    volumes = {name for name, variable in schema.ROOT.items() if "estimator" in variable.dims}
    basins = {name for name, variable in schema.ROOT.items() if variable.dims == BASIN}
    assert volumes | basins | {"landscape_loss"} <= set(measured.data_vars)
    assert measured.landscape_size.values.tolist() == [10, 40]
    assert measured.estimator.values.tolist() == ["rays"]
    assert str(measured.volume_coordinates.values) == "filter"
    expected = functional.cross_entropy(model(inputs[:10]), targets[:10])
    np.testing.assert_allclose(
        measured.landscape_loss.sel(landscape_size=10), expected.item(), 1e-4
    )


def test_it_can_be_written_and_read(seed, tmp_path):
    measured = measure_model(*trained(seed), thresholds=[0.5], directions=5)
    measured.to_netcdf(tmp_path / "model.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "model.nc", engine="h5netcdf") as again:
        xr.testing.assert_identical(again.load(), measured)


@pytest.mark.parametrize("is_training", [True, False])
def test_the_model_is_never_changed(seed, is_training):
    model, inputs, targets = trained(seed, torch.float64)
    model.train(is_training)
    before = copy.deepcopy(model.state_dict())
    measure_model(model, inputs.float(), targets, thresholds=[0.5], directions=3)
    assert [module.training for module in model.modules()] == [is_training] * 5
    assert all(parameter.requires_grad for parameter in model.parameters())
    for name, value in model.state_dict().items():
        assert value.dtype == torch.float64
        assert torch.equal(value, before[name])


def test_the_seed_alone_fixes_the_rays(seed):
    model, inputs, targets = trained(seed)
    one, again, other = (
        measure_model(model, inputs, targets, thresholds=[0.5], directions=4, seed=chosen)
        for chosen in (0, 0, 1)
    )
    xr.testing.assert_identical(one, again)
    assert not np.isclose(one.radius, other.radius).any()


@pytest.mark.parametrize("loss", ["cross_entropy", functional_cross_entropy])
def test_rectified_networks_are_measured_by_compiled_code(seed, loss, monkeypatch):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)).double()
    made = []

    def spy(*given):
        made.append(evaluator_of(*given))
        return made[-1]

    monkeypatch.setattr(measure, "evaluator_of", spy)
    inputs, targets = torch.randn(30, 4, dtype=torch.float64), torch.arange(30) % 2
    found = measure_model(model, inputs, targets, loss, thresholds=[2.0], directions=5)
    assert isinstance(made[0], NumbaEvaluator if loss == "cross_entropy" else TorchEvaluator)
    monkeypatch.undo()
    other = measure_model(
        model, inputs, targets, functional_cross_entropy, thresholds=[2.0], directions=5
    )
    np.testing.assert_allclose(found.radius, other.radius, rtol=1e-9)


def test_arrays_do_as_well_as_tensors(seed):
    model, inputs, targets = trained(seed)
    tensors = measure_model(model, inputs, targets, thresholds=[0.5], directions=4)
    arrays = measure_model(model, inputs.numpy(), targets.numpy(), thresholds=[0.5], directions=4)
    xr.testing.assert_identical(tensors, arrays)


def test_a_model_above_the_threshold_has_a_reason_and_no_volume(seed):
    model, inputs, targets = trained(seed)
    flipped = measure_model(model, inputs, 1 - targets, thresholds=[0.1], directions=3)
    assert np.isnan(flipped.log_volume).all()
    assert np.isnan(flipped.radius).all()
    reason = schema.VOLUME_STATUS[int(flipped.volume_status.squeeze())]
    assert reason == "minimum_above_threshold"


MODEL, INPUTS, TARGETS = nn.Linear(4, 2), torch.ones(6, 4), torch.zeros(6, dtype=torch.int64)


def broken():
    model = nn.Linear(4, 2)
    nn.init.constant_(model.weight, float("nan"))
    return model


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "mlp"}, r"^model: str is not"),
        ({"model": nn.ReLU()}, r"^model: it has no parameters"),
        ({"model": broken()}, r"^model: .* not finite"),
        ({"inputs": torch.tensor(1.0)}, r"^inputs: .* no examples"),
        ({"inputs": torch.ones(0, 4)}, r"^inputs: .* no examples"),
        ({"inputs": torch.full((6, 4), torch.inf)}, r"^inputs: some are not finite"),
        ({"inputs": torch.ones(6, 5)}, r"^inputs: the model cannot take them"),
        ({"targets": TARGETS[:5]}, r"^targets: shape \(5,\) does not match 6"),
        ({"targets": TARGETS + 2}, r"^targets: the loss cannot take them"),
        ({"loss": "hinge"}, r"^loss: 'hinge' is not known"),
        ({"loss": 3}, r"^loss: 3 is neither"),
        ({"loss": functional.cross_entropy}, r"^loss: .* one number an example"),
        ({"thresholds": []}, r"^thresholds: \[\] must be positive"),
        ({"thresholds": 0.1}, r"^thresholds: 0.1 must be positive"),
        ({"thresholds": ["low"]}, r"^thresholds: \['low'\] must be a list of numbers"),
        ({"thresholds": [0.2, 0.1]}, r"^thresholds: .* strictly increasing"),
        ({"thresholds": [-0.1]}, r"^thresholds: .* positive"),
        ({"thresholds": [float("nan")]}, r"^thresholds: "),
        ({"landscape_sizes": [3, 7]}, r"^landscape_sizes: .* up to 6"),
        ({"landscape_sizes": [2.5]}, r"^landscape_sizes: .* whole numbers"),
        ({"landscape_sizes": [3, 3]}, r"^landscape_sizes: .* strictly increasing"),
        ({"directions": 0}, r"^directions: 0 "),
        ({"directions": 2.5}, r"^directions: 2.5 "),
        ({"coordinates": "polar"}, r"^coordinates: 'polar'"),
        ({"estimators": ["guess"]}, r"^estimators: 'guess'"),
        ({"estimators": ["rays", "rays"]}, r"^estimators: 'rays' is named more than once"),
        ({"stderr": 0.0}, r"^stderr: 0.0 must be a number above 0"),
        ({"r_max": float("nan")}, r"^r_max: nan must be a number above 0"),
        ({"estimators": []}, r"^estimators: \[\] must"),
        ({"estimators": "rays"}, r"^estimators: 'rays' must"),
        ({"seed": -1}, r"^seed: -1 "),
    ],
)
def test_bad_arguments_are_named(changes, message):
    arguments = {"model": MODEL, "inputs": INPUTS, "targets": TARGETS}
    with pytest.raises(ValueError, match=message):
        measure_model(**(arguments | changes))


def test_estimators_stand_side_by_side(seed):
    """On a quadratic loss all of them know the answer: a ball in four dimensions."""
    model = Constant(4).double()

    def loss(outputs, targets):
        return (outputs**2).sum(1) + 0 * targets

    measure = functools.partial(
        measure_model,
        model,
        np.zeros((3, 1)),
        np.zeros(3),
        loss=loss,
        coordinates="weight",
        stderr=0.1,
        seed=seed,
    )
    names = ["laplace", "rays", "annealed", "importance"]
    measured = measure(
        thresholds=[0.25, 1.0], landscape_sizes=[1, 3], directions=300, estimators=names
    )
    assert measured.estimator.values.tolist() == names
    # ln V of the ball of radius sqrt(threshold) in four dimensions.
    truth = np.log(np.pi**2 / 2) + 2 * np.log([0.25, 1.0])
    # The annealed error is asked to be a tenth of a nat; the others are exact but for rounding.
    off = np.abs(measured.log_volume - truth[None, :, None])
    assert float(off.sel(estimator="annealed").max()) < 0.5
    assert float(off.drop_sel(estimator="annealed").max()) < 1e-2
    assert (measured.volume_status.sel(estimator="annealed") == 1).all()
    assert measured.log_volume_stderr.sel(estimator="laplace").isnull().all()
    assert np.allclose(measured.log_volume_rays_predicted, truth, atol=1e-2)
    exponents, errors = measured.threshold_exponent, measured.threshold_exponent_stderr
    assert (np.abs(exponents - 2.0) < 5 * errors).all()
    assert (errors < 0.5).all()
    assert float(measured.star_fraction.min()) > 0.95
    again = measure(thresholds=[0.1, 0.25], directions=5, estimators=["annealed"])
    # A basin's numbers do not depend on what else is measured.
    first = measured.log_volume.sel(landscape_size=3, threshold=0.25, estimator="annealed")
    assert float(again.log_volume.sel(threshold=0.25).squeeze()) == float(first)


def test_biases_scaled_along_leave_volumes_alone_when_a_layer_is_scaled(seed):
    """T_alpha in filter coordinates: the same radii only if biases are in units of their norm."""
    random = np.random.default_rng(seed)
    inputs, targets = random.normal(size=(30, 3)), random.integers(2, size=30)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).double()
    scaled = copy.deepcopy(model)
    with torch.no_grad():
        for parameter, factor in zip(scaled.parameters(), (4, 4, 0.25, 1), strict=True):
            parameter *= factor
    given = {"thresholds": [2.0], "directions": 20}
    along, apart = (
        [
            measure_model(one, inputs, targets, bias_scale=bias_scale, **given).radius
            for one in (model, scaled)
        ]
        for bias_scale in ("norm", "one")
    )
    np.testing.assert_allclose(*along, rtol=1e-3)
    assert not np.allclose(*apart, rtol=1e-2)
    with pytest.raises(ValueError, match=r"^bias_scale: 'half' is not known; allowed are"):
        measure_model(model, inputs, targets, bias_scale="half")
