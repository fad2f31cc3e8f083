"""What lies between minima of one architecture: other answers, and barriers on straight lines."""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from basins.landscape.along_curves import barrier, losses_along
from basins.models.functional import Network
from basins.models.passes import outputs_in_runs
from basins.rays.numba_path import NumbaEvaluator
from basins.rays.torch_path import TorchEvaluator
from basins.study.curves import LINE, evenly_spread

Array = NDArray[np.float64]


def predicted_classes(network: Network, thetas: Tensor, inputs: Tensor) -> NDArray[np.int64]:
    """Return the class that each network predicts for each example, shape (K, examples).

    One output is a class's lead over another's: above 0 it is class 1.

    Parameters
    ----------
    network
        The architecture.
    thetas, inputs
        Shapes (K, n) and (examples, *input_shape), on one device in one precision.
    """
    network.to(inputs.device, inputs.dtype)
    found = []
    for theta in thetas:
        outputs = outputs_in_runs(network, theta, inputs)
        is_lead = outputs.ndim == 1 or outputs.shape[-1] == 1
        answers = outputs.reshape(-1) > 0 if is_lead else outputs.argmax(-1)
        found.append(answers.cpu().numpy().astype(np.int64))
    return np.stack(found)


def line_barrier(
    evaluator: NumbaEvaluator | TorchEvaluator, first: Array, last: Array, num_points: int
) -> float:
    """Return the barrier between two minima, in the evaluator's largest landscape.

    Parameters
    ----------
    evaluator
        Of the architecture and the examples.
    first, last
        The minima, shape (n,).
    num_points
        Positions on the line, ends included.
    """
    ends, positions = np.stack([first, last]), np.array(evenly_spread(num_points))
    losses = losses_along(evaluator, LINE, ends, ends.mean(0), positions)
    return float(barrier(losses[:, -1], positions))
