"""Margins: against plain loops, and how they scale with weights."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from basins.flatness.margins import (
    QUANTILES,
    margins,
    network_margins,
    normalized_margins,
    summarize,
)
from basins.flatness.norms import log_frobenius_product, log_spectral_complexity
from basins.losses import is_correct
from basins.models.functional import Network


def classified(seed, classes, examples=40):
    torch.manual_seed(seed)
    outputs = torch.randn(examples, classes, dtype=torch.float64)
    return outputs, torch.randint(0, max(2, classes), (examples,))


@pytest.mark.parametrize("classes", [2, 5])
def test_margin_is_the_target_less_the_best_other(classes, seed):
    outputs, targets = classified(seed, classes)
    expected = [
        row[target] - max(value for k, value in enumerate(row) if k != target)
        for row, target in zip(outputs.tolist(), targets.tolist(), strict=True)
    ]
    np.testing.assert_array_equal(margins(outputs, targets), expected)


def test_margin_of_one_output_is_its_logit_with_the_sign_of_the_class(seed):
    outputs, targets = classified(seed, 1)
    expected = [
        row[0] if target else -row[0]
        for row, target in zip(outputs.tolist(), targets.tolist(), strict=True)
    ]
    np.testing.assert_array_equal(margins(outputs, targets), expected)
    # The same two classes with two outputs, one of which is zero.
    np.testing.assert_array_equal(
        margins(torch.cat([0 * outputs, outputs], 1), targets), margins(outputs, targets)
    )


@pytest.mark.parametrize(("classes", "loss"), [(1, "binary_cross_entropy"), (3, "cross_entropy")])
def test_margin_is_positive_where_the_class_is_right(classes, loss, seed):
    outputs, targets = classified(seed, classes)
    assert torch.equal(margins(outputs, targets) > 0, is_correct(loss, outputs, targets))


@pytest.mark.parametrize("chunk", [1, 7, 40, 100, None])
def test_margins_of_a_network_are_those_of_its_outputs(chunk, seed):
    torch.manual_seed(seed)
    network = Network(nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 4)))
    theta = torch.randn(network.num_parameters, dtype=torch.float64)
    inputs, targets = torch.randn(40, 3), torch.randint(0, 4, (40,))
    found = network_margins(network, theta, inputs, targets, chunk)
    expected = margins(network.apply(theta, inputs.double()), targets)
    assert found.dtype == torch.float64
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13)


def test_whole_numbers_stay_inputs_of_an_embedding(seed):
    torch.manual_seed(seed)
    network = Network(nn.Sequential(nn.Embedding(7, 3), nn.Flatten(), nn.Linear(6, 2)))
    inputs, targets = torch.randint(0, 7, (9, 2)), torch.randint(0, 2, (9,))
    found = network_margins(network, network.theta, inputs, targets, 4)
    expected = margins(network.apply(network.theta, inputs), targets)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("norm", ["spectral", "frobenius"])
def test_normalized_margins_forget_the_scale_of_layers(norm, seed):
    torch.manual_seed(seed)
    parts = nn.Linear(3, 6, bias=False), nn.ReLU(), nn.Linear(6, 4, bias=False)
    network = Network(nn.Sequential(*parts))
    theta = torch.randn(network.num_parameters, dtype=torch.float64)
    inputs, targets = torch.randn(20, 3), torch.randint(0, 4, (20,))
    scales = torch.cat([torch.full((18,), 3.0), torch.full((24,), 5.0)]).double()

    def normalized(theta):
        values = network_margins(network, theta, inputs, targets)
        if norm == "spectral":
            log = log_spectral_complexity(network, theta, 0 * theta, (3,))
        else:
            log = log_frobenius_product(network, theta)
        np.testing.assert_allclose(normalized_margins(values, log), values / math.exp(log), 1e-12)
        return normalized_margins(values, log)

    # Spectral norms of matrices are exact to rounding.
    np.testing.assert_allclose(normalized(theta * scales), normalized(theta), rtol=1e-10)


def test_margins_over_norms_beyond_any_number_are_right():
    values = torch.tensor([1e300, -1e300, 0.0], dtype=torch.float64)
    found = normalized_margins(values, 1000.0)
    expected = math.exp(300 * math.log(10) - 1000)
    np.testing.assert_allclose(found, [expected, -expected, 0], rtol=1e-10)


def test_summary_is_that_of_sorted_margins(seed):
    values, _ = classified(seed, 1, examples=101)
    found = summarize(values[:, 0])
    ordered = sorted(values[:, 0].tolist())
    # Of 101 values, quantile q is the one with 100 q below it.
    expected = [ordered[round(100 * q)] for q in QUANTILES]
    np.testing.assert_allclose(found.quantiles, expected, rtol=1e-12)
    np.testing.assert_allclose(found.mean, sum(ordered) / 101, rtol=0, atol=1e-14)
    assert found.smallest == ordered[0]


def test_arguments_that_do_not_fit_are_refused():
    outputs, targets = torch.zeros(4, 3), torch.zeros(4, dtype=torch.long)
    for wrong in (torch.zeros(4), torch.zeros(0, 3), torch.zeros(4, 0)):
        with pytest.raises(ValueError, match=r"outputs: their shape must be \(examples, classes\)"):
            margins(wrong, targets)
    with pytest.raises(ValueError, match=r"targets: their shape must be \(4,\), not \(3,\)"):
        margins(outputs, targets[:3])
    for wrong in (targets - 1, targets + 3, targets.float()):
        with pytest.raises(ValueError, match="targets: they must be whole numbers from 0 to 2"):
            margins(outputs, wrong)
    with pytest.raises(ValueError, match="targets: they must be whole numbers from 0 to 1"):
        margins(outputs[:, :1], targets + 2)
    network = Network(nn.Linear(2, 3))
    inputs = torch.zeros(4, 2)
    with pytest.raises(ValueError, match=r"theta: its shape must be \(9,\), not \(2, 9\)"):
        network_margins(network, torch.zeros(2, 9), inputs, targets)
    for count in (0, 3):
        with pytest.raises(ValueError, match=f"inputs: there must be as many .* not {count} for"):
            network_margins(network, network.theta, inputs[:count], targets)
    with pytest.raises(ValueError, match="chunk: it must be at least 1, not 0"):
        network_margins(network, network.theta, inputs, targets, 0)
    for wrong in (-math.inf, math.nan):
        with pytest.raises(ValueError, match="log_complexity: it must be finite"):
            normalized_margins(torch.zeros(2), wrong)
    for wrong in (torch.zeros(0), torch.zeros(2, 2)):
        with pytest.raises(ValueError, match=r"values: their shape must be \(examples,\)"):
            summarize(wrong)
