import numpy as np
import pytest
from torch import nn

from basins.directions.coordinates import scaling
from basins.models.functional import Network


def network():
    return Network(nn.Sequential(nn.Conv2d(2, 3, 3), nn.Flatten(), nn.Linear(12, 4)))


def slow_scale(layout, theta, bias_scale):
    scale = []
    for block in layout:
        values = theta[block.start : block.stop].reshape(block.shape)
        rows = values if values.ndim > 1 else values[None]
        for row in rows:
            norm = np.sqrt(sum(value**2 for value in row.ravel()))
            if values.ndim == 1 and bias_scale == "one":
                norm = 1.0
            scale += [norm if norm > 0 else 1.0] * row.size
    return np.array(scale)


@pytest.mark.parametrize("bias_scale", ["one", "norm"])
def test_each_filter_is_in_units_of_its_own_norm(seed, bias_scale):
    layout = network().layout
    theta = np.random.default_rng(seed).normal(size=layout[-1].stop)
    theta[: 2 * 9] = 0.0  # the first filter keeps the unit 1
    theta[layout[1].start : layout[1].stop] = 0.0  # and so does a bias of norm 0
    scale, log_det = scaling(layout, theta, "filter", bias_scale)
    np.testing.assert_allclose(scale, slow_scale(layout, theta, bias_scale), rtol=1e-14)
    np.testing.assert_allclose(log_det, np.log(scale).sum(), rtol=1e-14)


def test_weight_coordinates_change_nothing(seed):
    theta = np.random.default_rng(seed).normal(size=network().num_parameters)
    scale, log_det = scaling(network().layout, theta, "weight")
    assert (scale == 1).all()
    assert log_det == 0


def test_log_det_grows_with_the_weights_as_their_number(seed):
    layout = network().layout
    theta = np.random.default_rng(seed).normal(size=network().num_parameters)
    num_weights = sum(block.stop - block.start for block in layout if len(block.shape) > 1)
    _, log_det = scaling(layout, theta, "filter")
    _, log_det_doubled = scaling(layout, 2 * theta, "filter")
    np.testing.assert_allclose(log_det_doubled - log_det, num_weights * np.log(2), rtol=1e-12)


def test_unknown_coordinates_are_named():
    with pytest.raises(ValueError, match=r"coordinates: 'polar' .* weight, filter"):
        scaling(network().layout, np.ones(network().num_parameters), "polar")
