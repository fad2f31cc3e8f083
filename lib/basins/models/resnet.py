"""Residual networks for small images, with and without skips (He et al. 2016, section 4.2).

GroupNorm stands in for BatchNorm: perturbing weights under stale running statistics is a known
pitfall, and BatchNorm in training mode would couple the examples of a landscape.
"""

from torch import Tensor, nn
from torch.nn import functional

GROUPS = 8


class Block(nn.Module):
    """Two 3x3 convolutions; the input is added to their result where `has_skip`."""

    def __init__(self, fan_in: int, channels: int, stride: int, has_skip: bool) -> None:
        super().__init__()
        self.first = nn.Conv2d(fan_in, channels, 3, stride, padding=1, bias=False)
        self.first_norm = nn.GroupNorm(GROUPS, channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.second_norm = nn.GroupNorm(GROUPS, channels)
        self.has_skip = has_skip
        self.stride = stride
        self.padding = channels - fan_in

    def forward(self, inputs: Tensor) -> Tensor:
        """Map (examples, fan_in, h, w) to (examples, channels, h / stride, w / stride)."""
        hidden = functional.relu(self.first_norm(self.first(inputs)))
        hidden = self.second_norm(self.second(hidden))
        if self.has_skip:
            # The paper's parameter-free shortcut: subsample, and pad new channels with zeros.
            skip = inputs[:, :, :: self.stride, :: self.stride]
            hidden = hidden + functional.pad(skip, (0, 0, 0, 0, 0, self.padding))
        return functional.relu(hidden)


def build(name: str, input_shape: tuple[int, ...], num_outputs: int) -> nn.Module:
    """Build ``resnet-<6k+2>``, three stages of k blocks with 16, 32 and 64 channels.

    Raises
    ------
    ValueError
        If the depth is not 6k + 2 or inputs are not images.
    """
    depth = int(name.split("-")[1])
    if depth < 8 or depth % 6 != 2:
        raise ValueError(f"model {name}: the depth must be 6k + 2 (8, 14, 20, 32, 56), not {depth}")
    if len(input_shape) != 3:
        raise ValueError(
            f"model {name} needs images (channels, height, width), not inputs of shape "
            f"{input_shape}"
        )
    has_skip = not name.endswith("-noskip")
    layers: list[nn.Module] = [
        nn.Conv2d(input_shape[0], 16, 3, padding=1, bias=False),
        nn.GroupNorm(GROUPS, 16),
        nn.ReLU(),
    ]
    fan_in = 16
    for channels in (16, 32, 64):
        for index in range(depth // 6):
            stride = 2 if index == 0 and channels != fan_in else 1
            layers.append(Block(fan_in, channels, stride, has_skip))
            fan_in = channels
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(fan_in, num_outputs)]
    return nn.Sequential(*layers)
