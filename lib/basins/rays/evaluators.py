"""Which evaluator measures a network: the fastest that understands it."""

from torch import Tensor

from basins.models.functional import Network
from basins.rays.landscapes import Landscapes
from basins.rays.numba_path import NumbaEvaluator, is_understood
from basins.rays.torch_path import TorchEvaluator


def evaluator_of(
    network: Network, theta: Tensor, landscapes: Landscapes
) -> NumbaEvaluator | TorchEvaluator:
    """Return compiled code for fully connected networks on a CPU, batched torch for all others."""
    if is_understood(network, theta, landscapes):
        return NumbaEvaluator(network, theta, landscapes)
    return TorchEvaluator(network, theta, landscapes)
