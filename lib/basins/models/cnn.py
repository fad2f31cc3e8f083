"""The published convolutional networks (Fan, Sandlund, Ko 2025, arXiv 2511.04808)."""

from torch import nn

CHANNELS = {"cnn-small": (32, 64), "cnn-large": (32, 64, 128)}
HIDDEN = {"cnn-small": (128,), "cnn-large": (512, 256)}


def build(name: str, input_shape: tuple[int, ...], num_outputs: int) -> nn.Module:
    """Build 3x3 convolutions with a 2x2 max-pool after each, then fully connected layers.

    Raises
    ------
    ValueError
        If inputs are not images large enough for the pools.
    """
    if len(input_shape) != 3 or min(input_shape[1:]) < 2 ** len(CHANNELS[name]):
        raise ValueError(
            f"model {name} needs images (channels, height, width) of at least "
            f"{2 ** len(CHANNELS[name])} pixels a side, not inputs of shape {input_shape}"
        )
    fan_in, height, width = input_shape
    layers: list[nn.Module] = []
    for channels in CHANNELS[name]:
        layers += [nn.Conv2d(fan_in, channels, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        fan_in, height, width = channels, height // 2, width // 2
    layers.append(nn.Flatten())
    fan_in = fan_in * height * width
    for hidden in HIDDEN[name]:
        layers += [nn.Linear(fan_in, hidden), nn.ReLU()]
        fan_in = hidden
    layers.append(nn.Linear(fan_in, num_outputs))
    return nn.Sequential(*layers)
