import numpy as np
import pytest
import torch
from torch import nn

from basins.losses import squared_error
from basins.rays.landscapes import Landscapes, chunks, prefix_means


@pytest.mark.parametrize("chunk", [1, 3, 4, 100])
def test_prefix_means_are_the_means_of_prefixes(seed, chunk):
    losses = torch.from_numpy(np.random.default_rng(seed).exponential(size=(2, 17)))
    sizes = (1, 4, 11, 17)
    means = prefix_means(lambda part: losses[:, part], sizes, chunk)
    slow = [[float(row[:size].mean()) for size in sizes] for row in losses]
    np.testing.assert_allclose(means.numpy(), slow, rtol=1e-12)


def test_a_loss_that_is_not_finite_spoils_only_landscapes_that_hold_it():
    losses = torch.tensor([[1.0, 2.0, torch.nan, 4.0], [1.0, torch.inf, 1.0, 1.0]]).double()
    means = prefix_means(lambda part: losses[:, part], (1, 2, 4), 3).numpy()
    np.testing.assert_array_equal(means, [[1, 1.5, np.nan], [1, np.inf, np.inf]])


def test_examples_beyond_the_largest_landscape_are_not_asked_for():
    asked = []
    prefix_means(
        lambda part: asked.append(part) or torch.ones(1, part.stop - part.start), (2, 5), 2
    )
    assert asked == list(chunks(5, 2)) == [slice(0, 2), slice(2, 4), slice(4, 5)]


def test_inputs_change_precision_but_indices_stay_integers():
    device = torch.device("cpu")
    ones = Landscapes(torch.ones(3, 2), torch.zeros(3, dtype=torch.int64), (3,), squared_error)
    assert ones.to(device, torch.float64).inputs.dtype == torch.float64
    tokens = Landscapes(torch.arange(3), torch.zeros(3, dtype=torch.int64), (3,), "squared_error")
    assert tokens.to(device, torch.float64).inputs.dtype == torch.int64
    assert tokens.loss_function is ones.loss_function is squared_error
    assert isinstance(nn.Embedding(3, 2)(tokens.to(device, torch.float64).inputs), torch.Tensor)
