"""Radii of minima in landscapes: this library against the published way, batched torch, arithmetic.

The published way (arXiv 2511.04808): one direction, one landscape, one minimum at a time, the loss
at each of 100 coefficients x^2 with x in [0, 1], the first one above the threshold. Batched torch
is this library's path for networks it has no compiled code for. All sides measure the same networks
along the same directions with the same threads. The arithmetic is what the passes made need, the
first layer once a ray and the layers above once a pass, at the rate of a large product. With
`--device cuda` all of it runs on the GPU, where what is ours is batched torch.

    python benchmarks/rays.py --data swiss-roll --examples 800 --directions 64
    python benchmarks/rays.py --data swiss-roll --sizes 8 24 80 240 400 800 --directions 64
    BASINS_DATA=... python benchmarks/rays.py --data mnist --examples 6000 --directions 64
    BASINS_DATA=... python benchmarks/rays.py --data mnist --sizes 60 600 2000 6000 20000 60000
        --directions 64 --published-directions 1
    BASINS_DATA=... python benchmarks/rays.py --data mnist --examples 6000 --directions 1024
        --published-directions 16 --device cuda --threads 16
    BASINS_DATA=... python benchmarks/rays.py --data cifar10 --examples 2000 --directions 64
        --published-directions 8 --device cuda --threads 16
    BASINS_DATA=... python benchmarks/rays.py --data cifar10 --sizes 60 200 600 2000 6000
        --directions 64 --published-directions 2 --device cuda --threads 16
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from table import least_seconds, options, product_rate, report, seconds
from threadpoolctl import threadpool_limits

from basins import device as devices
from basins.datasets.load import load
from basins.datasets.subsets import Data
from basins.directions.coordinates import scaling
from basins.directions.isotropic import directions
from basins.models.functional import Network, build
from basins.plan.networks import NO_LAYER, module_cost
from basins.rays.evaluators import Evaluator, evaluator_of
from basins.rays.landscapes import Landscapes
from basins.rays.measure_rays import Examined, RaySet, measure_rays
from basins.rays.numba_path import NumbaEvaluator
from basins.rays.torch_path import TorchEvaluator
from basins.study.recipe_keys import Recipe
from basins.training.loop import train

MODELS = {
    "cifar10": "cnn-small",
    "digits": "mlp-64-32",
    "mnist": "mlp-256-128",
    "swiss-roll": "mlp-32x5",
}
LOSS = "cross_entropy"
CPU = torch.device("cpu")
GRID = np.linspace(0, 1, 100) ** 2
THRESHOLD = 0.1


def minimum(
    data: Data, name: str, examples: int, device: torch.device
) -> tuple[Network, torch.Tensor]:
    """Train one minimum on the first `examples` examples."""
    network = Network(build(name, data.input_shape, data.num_classes, 0)).to(device, torch.float32)
    inputs = torch.from_numpy(data.inputs[:examples])[None].to(device)
    targets = torch.from_numpy(data.targets[:examples])[None].to(device)
    # A convolutional network needs far fewer steps, and each takes far longer.
    epochs = 120 if name.startswith("cnn") else 150
    recipe = Recipe(optimizer="adam", learning_rate=0.003, epochs=epochs)
    found = train(
        network, recipe, network.theta[None], inputs, targets, inputs[0], targets[0], (0,)
    )
    return network, torch.from_numpy(found.parameters[0]).to(device)


def published(
    network: Network, theta: torch.Tensor, data: Data, sizes: list[int], steps, log_norms
) -> np.ndarray:
    """Return radii (landscapes, directions) by the loop over the grid."""
    radii = np.full((len(sizes), len(steps)), np.nan)
    for row, size in enumerate(sizes):
        inputs = torch.from_numpy(data.inputs[:size]).to(theta.device)
        targets = torch.from_numpy(data.targets[:size]).to(theta.device)
        for index, step in enumerate(steps):
            direction = torch.from_numpy(step * np.exp(log_norms[index])).to(theta)
            losses = np.empty(100)
            with torch.no_grad():
                for k, coefficient in enumerate(GRID):
                    outputs = network.apply(theta + coefficient * direction, inputs)
                    losses[k] = torch.nn.functional.cross_entropy(outputs, targets)
            above = np.flatnonzero(losses > THRESHOLD)
            if len(above):
                radii[row, index] = GRID[above[0]] * np.exp(log_norms[index])
    return radii


@dataclass(frozen=True)
class Minimum:
    """A trained network, the unit of each parameter, and where rays end."""

    network: Network
    theta: torch.Tensor
    scale: np.ndarray
    r_max: float

    @classmethod
    def trained(cls, data: Data, name: str, examples: int, device: torch.device = CPU) -> "Minimum":
        """Train one on the first examples."""
        network, theta = minimum(data, name, examples, device)
        anchor = theta.double().cpu().numpy()
        scale, _ = scaling(network.layout, anchor, "filter")
        return cls(network, theta, scale, 10 * float(np.linalg.norm(anchor / scale)))


def ours(
    minima: list[Minimum], landscapes: Landscapes, make: Callable[..., Evaluator], count: int
) -> list[RaySet]:
    """Return the rays of all minima in all landscapes."""
    found = []
    # Together where all their examples fit into memory, as the verb does.
    size = devices.rays_together(landscapes.sizes[-1] * landscapes.inputs[0].nbytes)
    for begin in range(0, len(minima), size):
        some = [
            Examined(
                make(one.network, one.theta, landscapes),
                ("benchmark", begin + row),
                one.scale,
                one.r_max,
            )
            for row, one in enumerate(minima[begin : begin + size])
        ]
        found += measure_rays(some, range(count), [THRESHOLD], "loss", 12)
    return found


def grid_radii(minima: list[Minimum], data: Data, sizes: list[int], count: int) -> np.ndarray:
    """Return radii (minima, landscapes, directions) by the published way."""
    found = []
    for row, one in enumerate(minima):
        unit, log_norms = directions(("benchmark", row), range(count), one.network.num_parameters)
        found.append(published(one.network, one.theta, data, sizes, unit * one.scale, log_norms))
    return np.stack(found)


def multiply_adds(
    rays: list[RaySet], network: Network, input_shape: tuple[int, ...], count: int, sizes: list[int]
) -> float:
    """Return what the passes made need; one over a landscape is one over the smaller ones, too."""
    taken = module_cost(copy.deepcopy(network.module).to("cpu"), input_shape)
    whole, first = taken.linear + taken.convolution, taken.first or NO_LAYER
    once = first.linear + first.convolution
    passes = sum(float(one.num_evaluations @ np.diff([0, *sizes])) for one in rays)
    return len(rays) * count * once * sizes[-1] + (whole - once) * passes


def row_of(
    minima: list[Minimum], data: Data, sizes: list[int], count: int, num_published: int
) -> dict[str, object]:
    """Return one row of the table."""
    examples = (torch.from_numpy(part[: sizes[-1]]) for part in (data.inputs, data.targets))
    landscapes = Landscapes(*examples, tuple(sizes), LOSS)
    network, device = minima[0].network, minima[0].theta.device
    n, kept = network.num_parameters, {}

    def fast(make: Callable[..., Evaluator], name: str) -> None:
        kept[name] = ours(minima, landscapes, make, count)

    def slow() -> None:
        kept["grid"] = grid_radii(minima, data, sizes, num_published)

    # Loads compiled code, or compiles it; what one ray takes beyond its share.
    once = seconds(lambda: ours(minima[:1], landscapes, evaluator_of, 1))
    quick = least_seconds(partial(fast, evaluator_of, "ours"))
    has_rival = len(minima) == 1 and isinstance(
        evaluator_of(network, minima[0].theta, landscapes), NumbaEvaluator
    )
    batched = least_seconds(partial(fast, TorchEvaluator, "batched")) if has_rival else np.nan
    plain = least_seconds(slow) * count / num_published
    solved = np.stack([np.exp(one.log_radius[:, 0, :num_published]) for one in kept["ours"]])
    with np.errstate(invalid="ignore"):
        cell = np.nanmedian(np.log(kept["grid"] / solved))
    rate = product_rate(torch.float32, 8192 if device.type == "cuda" else 2048, device.type)
    floor = multiply_adds(kept["ours"], network, data.input_shape, count, sizes) / rate
    tolerance = max(float(one.log_radius_tolerance.max()) for one in kept["ours"])
    passes = np.mean([one.num_evaluations[-1] for one in kept["ours"]]) / count
    return {
        "minima": len(minima),
        "landscapes": len(sizes),
        "directions": count,
        "published (s)": plain,
        "batched torch (s)": batched,
        "ours (s)": quick,
        "first call, one ray (s)": once,
        "ratio to published": plain / quick,
        "ratio to batched": batched / quick,
        "times the arithmetic": quick / floor,
        "passes a ray, largest landscape": float(passes),
        "published error n d(ln r) (nat)": n * float(cell),
        "our tolerance n d(ln r) (nat)": n * tolerance,
    }


def main() -> None:
    """Run and print the table."""
    parser = options(__doc__.splitlines()[0])
    parser.add_argument("--data", choices=MODELS, default="digits")
    parser.add_argument("--examples", type=int, default=1200)
    parser.add_argument("--sizes", type=int, nargs="+", help="a minimum and a landscape of each")
    parser.add_argument("--directions", type=int, default=16)
    parser.add_argument("--published-directions", type=int, help="time these, and scale")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    asked = parser.parse_args()
    device = devices.set_up(asked.device, asked.threads)
    data, name, count = load(asked.data), MODELS[asked.data], asked.directions
    num_published = asked.published_directions or count
    with threadpool_limits(asked.threads, user_api="blas"):
        if asked.sizes:
            minima = [Minimum.trained(data, name, size, device) for size in asked.sizes]
            cases = [asked.sizes]
        else:
            minima = [Minimum.trained(data, name, asked.examples, device)]
            cases = [[asked.examples // part for part in parts] for parts in ((1,), (60, 10, 1))]
        rows = [row_of(minima, data, sizes, count, num_published) for sizes in cases]
    n = minima[0].network.num_parameters
    examples = cases[0][-1]
    title = f"Rays: {name} on {asked.data}, n = {n:,}, {examples:,} examples"
    if num_published < count:
        title += f"; published way timed on {num_published} of {count} directions"
    report(title, rows, asked.threads, asked.json)


if __name__ == "__main__":
    main()
