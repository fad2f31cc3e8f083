"""The layers behind the first of a fully connected network, for many points in one batch."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from basins.losses import LossFunction
from basins.rays.launches import rectify


@dataclass(frozen=True)
class Layer:
    """One layer of B points: `weights` (B, inputs, outputs), `biases` (B, outputs)."""

    weights: Tensor
    biases: Tensor

    def of(self, points: Tensor) -> "Layer":
        """Return that of some points by index."""
        return Layer(self.weights[points], self.biases[points])


def taken_apart(parameters: Tensor, widths: Sequence[int]) -> list[Layer]:
    """Return the layers of points from their parameters, shape (B, rest).

    `widths` are those of the first layer's outputs and all after them.
    """
    layers, stop = [], 0
    for inputs, outputs in itertools.pairwise(widths):
        start, middle = stop, stop + inputs * outputs
        stop = middle + outputs
        weights = parameters[:, start:middle].view(-1, outputs, inputs)
        # Turned around once: products with the examples of every run are quicker then.
        layers.append(Layer(weights.mT.contiguous(), parameters[:, middle:stop].contiguous()))
    return layers


def outputs_behind(layers: Sequence[Layer], hidden: Tensor, is_compiled: bool) -> Tensor:
    """Return the network's outputs, shape (B, examples, outputs).

    Parameters
    ----------
    layers
        With a rectifier between each two.
    hidden
        The rectified outputs of the layer before them, shape (B, examples, inputs).
    is_compiled
        Whether to add biases and rectify by one kernel.
    """
    for layer in layers[:-1]:
        if is_compiled:
            hidden = torch.bmm(hidden, layer.weights)
            rectify(hidden, layer.biases)
        else:
            hidden = torch.baddbmm(layer.biases[:, None], hidden, layer.weights).relu_()
    for layer in layers[-1:]:
        hidden = torch.baddbmm(layer.biases[:, None], hidden, layer.weights)
    return hidden


def example_losses(loss: LossFunction, outputs: Tensor, targets: Tensor) -> Tensor:
    """Return losses, float64 (B, examples), of outputs (B, examples, classes) and targets."""
    return loss(outputs.flatten(0, 1), targets.flatten()).view(targets.shape).double()
