"""Plain convolutional networks at many points in one batch, on a GPU.

Convolutions with weights of their own are one in groups. Between two of them bias, rectifier and
pool are one pass through memory, and channels of points stand side by side as the next one takes
them, where `vmap` would move them.
"""

from torch import Tensor
from torch.nn import functional

from basins.models.cnn import Stack
from basins.rays import dense_layers
from basins.rays.launches import pooled


def outputs_of(stack: Stack, points: Tensor, inputs: Tensor) -> Tensor:
    """Return the outputs of the network with each of some parameters.

    Parameters
    ----------
    stack
        The network.
    points
        Parameters, shape (B, n).
    inputs
        Shape (examples, channels, height, width).

    Returns
    -------
    Tensor
        Shape (B, examples, outputs).
    """
    hidden, stop = inputs, 0
    for index, (layer, pool) in enumerate(zip(stack.convolutions, stack.pools, strict=True)):
        start, middle = stop, stop + layer.weight.numel()
        stop = middle + layer.out_channels
        hidden = functional.conv2d(
            hidden,
            points[:, start:middle].reshape(-1, *layer.weight.shape[1:]),
            None,
            layer.stride,
            layer.padding,
            layer.dilation,
            # The first has the same images for all points.
            len(points) if index else 1,
        )
        hidden = pooled(hidden, points[:, middle:stop].flatten(), pool)
    hidden = hidden.view(len(inputs), len(points), -1).transpose(0, 1)
    layers = dense_layers.taken_apart(points[:, stop:], stack.widths)
    return dense_layers.outputs_behind(layers, hidden, is_compiled=True)
