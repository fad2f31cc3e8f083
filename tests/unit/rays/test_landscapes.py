import numpy as np
import pytest
import torch
from torch import nn

from basins.losses import squared_error
from basins.models.passes import chunks
from basins.rays.landscapes import SHORTEST, Landscapes, growing_chunks, prefix_means


@pytest.mark.parametrize("chunk", [1, 3, 4, 100])
def test_prefix_means_are_the_means_of_prefixes(seed, chunk):
    losses = torch.from_numpy(np.random.default_rng(seed).exponential(size=(2, 17)))
    sizes = (1, 4, 11, 17)
    means = prefix_means(lambda part, _: losses[:, part], sizes, chunk)
    slow = [[float(row[:size].mean()) for size in sizes] for row in losses]
    np.testing.assert_allclose(means.numpy(), slow, rtol=1e-12)


def test_a_loss_that_is_not_finite_spoils_only_landscapes_that_hold_it():
    losses = torch.tensor([[1.0, 2.0, torch.nan, 4.0], [1.0, torch.inf, 1.0, 1.0]]).double()
    means = prefix_means(lambda part, _: losses[:, part], (1, 2, 4), 3).numpy()
    np.testing.assert_array_equal(means, [[1, 1.5, np.nan], [1, np.inf, np.inf]])


def test_examples_beyond_the_largest_landscape_are_not_asked_for():
    asked = []
    prefix_means(
        lambda part, _: asked.append(part) or torch.ones(1, part.stop - part.start), (2, 5), 2
    )
    assert asked == list(chunks(5, 2)) == [slice(0, 2), slice(2, 4), slice(4, 5)]


@pytest.mark.parametrize("chunk", [1, 5, 16, 100])
def test_points_above_their_sums_are_asked_for_no_more(seed, chunk):
    random = np.random.default_rng(seed)
    losses = torch.from_numpy(random.exponential(size=(6, 90)) * np.geomspace(0.1, 10, 6)[:, None])
    sizes, most = (3, 40, 90), torch.tensor([9.0, 1e-3, 90.0, 60.0, np.inf, 90.0]).double()
    seen = np.zeros(6, dtype=int)

    def chunk_losses(part, kept):
        rows = torch.arange(6) if kept is None else kept
        seen[rows.numpy()] += part.stop - part.start
        return losses[rows, part]

    means = prefix_means(chunk_losses, sizes, chunk, most).numpy()
    whole = prefix_means(lambda part, _: losses[:, part], sizes, chunk).numpy()
    limits = (most[:, None] / torch.tensor(sizes)).numpy()
    # What is not above any limit was summed to its end, all else is on its own side.
    np.testing.assert_array_equal(means > limits, whole > limits)
    finished = whole * sizes <= most.numpy()[:, None]
    np.testing.assert_allclose(means[finished], whole[finished], rtol=1e-12)
    assert seen[4] == 90
    assert seen[1] == min(chunk, SHORTEST)


def test_growing_chunks_cover_all_examples_once():
    for count, chunk in ((1, 64), (100, 64), (1000, 64), (7, 1)):
        runs = list(growing_chunks(count, chunk))
        assert [i for run in runs for i in range(run.start, run.stop)] == list(range(count))
        assert max(run.stop - run.start for run in runs) <= chunk


def test_inputs_change_precision_but_indices_stay_integers():
    device = torch.device("cpu")
    ones = Landscapes(torch.ones(3, 2), torch.zeros(3, dtype=torch.int64), (3,), squared_error)
    assert ones.to(device, torch.float64).inputs.dtype == torch.float64
    tokens = Landscapes(torch.arange(3), torch.zeros(3, dtype=torch.int64), (3,), "squared_error")
    assert tokens.to(device, torch.float64).inputs.dtype == torch.int64
    assert tokens.loss_function is ones.loss_function is squared_error
    assert isinstance(nn.Embedding(3, 2)(tokens.to(device, torch.float64).inputs), torch.Tensor)
