"""Connect two torch modules by curves of low loss, without a study and without Snakemake."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike
from torch import Tensor, nn

from basins import device as devices
from basins.cube.curve_table import LOSSES
from basins.cube.schema import COORDINATES
from basins.landscape.along_curves import barrier, length, losses_along
from basins.landscape.garipov2018curves import ends_of, points, trained_bends
from basins.losses import LossFunction
from basins.measure import as_landscapes, as_network
from basins.rays.evaluators import evaluator_of
from basins.study.curves import KINDS, LINE, TRAINED, evenly_spread

BEND = {
    "long_name": "bend of the curve",
    "units": "1",
    "formula": "theta: phi(t) = a(t) w_1 + b(t) theta + c(t) w_2; of the line its middle",
    "references": LOSSES["curve_loss"].references,
}


@devices.full_precision()
def connect_models(
    first: nn.Module,
    last: nn.Module,
    inputs: Tensor | ArrayLike,
    targets: Tensor | ArrayLike,
    loss: str | LossFunction = "cross_entropy",
    landscape_sizes: Sequence[int] | None = None,
    num_positions: int = 61,
    epochs: int = 200,
    learning_rate: float = 0.01,
    draws: int = 4,
    seed: int = 0,
) -> xr.Dataset:
    """Join two trained networks by the straight line, a Bezier curve and a polygon of one bend.

    The bends of the last two are trained to lower the mean loss along the curve over all examples
    (Garipov et al. 2018, arXiv 1802.10026). The models are not changed.

    Parameters
    ----------
    first, last
        Modules of one architecture.
    inputs, targets, loss, landscape_sizes
        As of `basins.measure_model`.
    num_positions
        Positions t, evenly spread over [0, 1]; at least 2.
    epochs, learning_rate, draws
        As of `basins.landscape.garipov2018curves.trained_bends`.
    seed
        Fixes all random numbers.

    Returns
    -------
    xr.Dataset
        The cube's `curve_loss`, `curve_barrier` and `curve_length` over kind, landscape_size and
        position; and `bend` over kind and parameter, of which
        `basins.landscape.garipov2018curves.points` makes the points of a curve.

    Raises
    ------
    ValueError
        Before any training, if the models are of different architectures or an argument cannot be
        used; after it, if a bend diverged.

    Examples
    --------
    >>> import torch
    >>> first, last = nn.Linear(2, 2), nn.Linear(2, 2)
    >>> inputs, targets = torch.randn(20, 2), torch.zeros(20, dtype=torch.int64)
    >>> curves = connect_models(first, last, inputs, targets, epochs=3, num_positions=5)
    >>> dict(curves.curve_loss.sizes)
    {'kind': 3, 'landscape_size': 1, 'position': 5}
    """
    (network, theta), (other, _) = as_network(first), as_network(last)
    ends = ends_of(network, other)
    examples = as_landscapes(network, theta, inputs, targets, loss, landscape_sizes)
    for name, value, least in (
        ("num_positions", num_positions, 2),
        ("epochs", epochs, 1),
        ("draws", draws, 1),
        ("seed", seed, 0),
    ):
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise ValueError(f"{name}: {value!r} must be a whole number of at least {least}")
    is_number = isinstance(learning_rate, float | int) and not isinstance(learning_rate, bool)
    if not is_number or not 0 < learning_rate < np.inf:
        raise ValueError(f"learning_rate: {learning_rate!r} must be a number above 0")
    evaluator = evaluator_of(network, theta, examples)
    # A bend that diverges is told of below.
    with np.errstate(all="ignore"):
        trained = trained_bends(
            lambda at: evaluator.gradients(at - ends[0]),
            ends,
            TRAINED,
            *("connect_models", seed),
            epochs=epochs,
            learning_rate=learning_rate,
            draws=draws,
        )
    bends = dict(zip(TRAINED, trained, strict=True)) | {LINE: ends.mean(0)}
    positions = np.array(evenly_spread(num_positions))
    with np.errstate(all="ignore"):
        losses = [losses_along(evaluator, kind, ends, bends[kind], positions) for kind in KINDS]
        lengths = [length(points(kind, ends, bends[kind], positions)) for kind in KINDS]
    for kind, along, far in zip(KINDS, losses, lengths, strict=True):
        if kind in TRAINED and not (np.isfinite(along).all() and np.isfinite(far)):
            raise ValueError(
                f"learning_rate: {learning_rate!r} is too large, the bend of the {kind} diverged"
            )
    dataset = xr.Dataset(
        {
            "curve_loss": (
                ("kind", "landscape_size", "position"),
                np.stack([each.T for each in losses]),
            ),
            "curve_barrier": (
                ("kind", "landscape_size"),
                np.stack([barrier(each, positions) for each in losses]),
            ),
            "curve_length": (("kind",), lengths),
            "bend": (("kind", "parameter"), np.stack([bends[kind] for kind in KINDS])),
        },
        coords={
            "kind": list(KINDS),
            "landscape_size": list(examples.sizes),
            "position": positions,
        },
    )
    for key, variable in dataset.data_vars.items():
        variable.attrs = BEND if key == "bend" else LOSSES[str(key)].attributes()
    for axis in dataset.coords:
        long_name, units, formula = COORDINATES[str(axis)]
        dataset[axis].attrs = {"long_name": long_name, "units": units, "formula": formula}
    return dataset
