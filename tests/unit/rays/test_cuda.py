"""The same rays on a GPU as on a CPU; skipped where there is none."""

import copy

import numpy as np
import pytest
import torch

from basins import device as devices
from basins.directions.coordinates import scaling
from basins.measure import measure_model
from basins.models.functional import Network, build
from basins.rays.evaluators import evaluator_of
from basins.rays.landscapes import Landscapes
from basins.rays.measure_rays import Examined, measure_rays

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU")

CASES = {"mlp-256-128": (784,), "mlp-32x5": (2,), "cnn-small": (1, 28, 28), "resnet-8": (3, 32, 32)}


def test_kernels_are_compiled():
    assert devices.compiles_kernels(torch.device("cuda"))


@pytest.mark.parametrize("model", ["mlp-32", "cnn-small"])
def test_one_s_own_model_is_measured_in_full_precision(model, seed):
    """Whatever TF32 is set to, and it is set to that again."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = True
    try:
        shape = (1, 28, 28)
        random = np.random.default_rng(seed)
        inputs = torch.from_numpy(random.normal(size=(200, *shape))).float()
        targets = torch.from_numpy(random.integers(10, size=200))
        own, options = build(model, shape, 10, seed), {"thresholds": (3.0,), "directions": 8}
        found = [
            measure_model(own.to(device), inputs.to(device), targets.to(device), **options)
            for device in ("cpu", "cuda")
        ]
        assert torch.backends.cudnn.allow_tf32
    finally:
        torch.backends.cudnn.allow_tf32 = before
    n = sum(parameter.numel() for parameter in own.parameters())
    cpu, gpu = (one.log_volume.values for one in found)
    # 1e-5 of a radius; TF32 is off by 1e-4, and radii are solved to 0.1 nats.
    np.testing.assert_allclose(gpu, cpu, rtol=0, atol=0.2 + 1e-5 * n)


@pytest.mark.parametrize("model", CASES)
def test_radii_are_the_cpus(model, seed):
    shape = CASES[model]
    network = Network(build(model, shape, 10, seed))
    random = np.random.default_rng(seed)
    inputs = torch.from_numpy(random.normal(size=(300, *shape))).float()
    targets = torch.from_numpy(random.integers(10, size=300))
    examples = Landscapes(inputs, targets, (60, 300), "cross_entropy")
    theta = network.theta
    scale, _ = scaling(network.layout, theta.double().numpy(), "filter")
    found = []
    for device in ("cpu", "cuda"):
        own = Network(copy.deepcopy(network.module))
        minima = [
            Examined(
                evaluator_of(own, (theta * (1 + k / 10)).to(device), examples),
                ("minimum", k),
                scale,
                100.0,
            )
            for k in range(2)
        ]
        with devices.full_precision():
            found.append(measure_rays(minima, range(6), (0.1, 0.5), "excess", 12))
    for cpu, gpu in zip(*found, strict=True):
        # 1e-4 relative, and what either leaves of its bracket.
        width = cpu.log_radius_tolerance + gpu.log_radius_tolerance
        assert (abs(cpu.log_radius - gpu.log_radius) <= 1e-4 + width).all()
        np.testing.assert_allclose(gpu.landscape_loss, cpu.landscape_loss, rtol=1e-5)
        np.testing.assert_array_equal(gpu.num_crossings, cpu.num_crossings)
