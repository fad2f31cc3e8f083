"""`sharp-rings`: a network of ten parameters whose solution is sharp by construction.

It sees a point's radius alone and steps once a boundary of `circles-<margin>`:

    f(x) = v_0 + sum_k v_k tanh(w_k |x| + c_k),    boundary k at |x| = -c_k / w_k

A solution exists at every margin and can be written down, see `solution`. Each boundary is a ratio
of two parameters that must fall into a gap as wide as the margin, and each step must be made within
the gap, so that w_k and c_k grow like 1 / margin.

How its basin shrinks follows. With u_k = margin w_k and d_k = c_k + w_k b_k, for b_k the middle of
gap k, outputs on rings whose distance from b_k goes with the margin depend on u, d and v alone: the
basin is the same set at every margin, but for the tails of other steps, which vanish like
exp(-2 |b_j - b_k| u_j / margin). As dw_k dc_k = du_k dd_k / margin, its volume in weights goes like
margin^-B for B boundaries: the weights are larger. In units of the solution's own weights (`filter`
coordinates, `bias_scale: norm`) a factor 1 / margin is taken out for each w_k and each c_k, and

    ln V = B ln margin + constant.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from basins.datasets.circles import GAPS, THICKNESS

STEP = 2.0  # argument of tanh at the edge of a gap, where 96 % of a step are made


class Radius(nn.Module):
    """The length of each input."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Map (examples, inputs) to (examples, 1)."""
        lengths: Tensor = torch.linalg.vector_norm(inputs, dim=-1, keepdim=True)
        return lengths


def build(name: str, input_shape: tuple[int, ...], num_outputs: int) -> nn.Module:
    """Build the network with PyTorch's default initialisation.

    Raises
    ------
    ValueError
        If inputs are not points of the plane.
    """
    if tuple(input_shape) != (2,):
        raise ValueError(
            f"model {name} needs points of the plane, of shape (2,), not inputs of shape "
            f"{tuple(input_shape)}"
        )
    count = len(GAPS)
    return nn.Sequential(Radius(), nn.Linear(1, count), nn.Tanh(), nn.Linear(count, num_outputs))


def solution(margin: float, lead: float = 6.0, num_outputs: int = 1) -> NDArray[np.float64]:
    """Return parameters that put every ring of `circles-<margin>` on its side.

    w_k = 2 STEP / margin, c_k = -w_k b_k, v_k = lead / tanh(STEP) with signs by turns, and v_0 such
    that the innermost ring is of class 0.

    Parameters
    ----------
    margin
        Width of the gaps, above 0 and at most 0.2.
    lead
        How far class 1 leads at the edge of a gap on its side, and trails on the other; up to 0.6 %
        less at a margin of 0.2, where other steps are still felt.
    num_outputs
        1: outputs are logits of class 1. 2: a logit a class, half the lead each way.

    Returns
    -------
    NDArray
        Float64, shape (10,), or (14,) with two outputs, in the network's order.

    Raises
    ------
    ValueError
        If an argument cannot be used; the message opens with its name.

    Examples
    --------
    >>> solution(0.1).round(2).tolist()
    [40.0, 40.0, 40.0, -10.0, -20.0, -30.0, 6.22, -6.22, 6.22, 0.0]
    """
    middles = np.array(GAPS)
    # There, rings that two gaps share touch.
    largest = float(np.diff(middles).min() / (1 + 2 * THICKNESS))
    if not 0 < margin <= largest:
        raise ValueError(f"margin: {margin!r} must be above 0 and at most {largest:g}")
    if not 0 < lead < np.inf:
        raise ValueError(f"lead: {lead!r} must be a finite number above 0")
    if num_outputs not in (1, 2):
        raise ValueError(f"num_outputs: {num_outputs!r} must be 1 or 2, one or a logit a class")
    steepness = np.full(len(middles), 2 * STEP / margin)
    height = lead / np.tanh(STEP)
    steps = height * (-1.0) ** np.arange(len(middles))
    # Inside all boundaries every step is at its lower end.
    offset = -height + steps.sum()
    shares = np.array([1.0]) if num_outputs == 1 else np.array([-0.5, 0.5])
    parts = steepness, -steepness * middles, np.outer(shares, steps).ravel(), shares * offset
    return np.concatenate(parts)
