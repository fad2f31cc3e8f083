"""Curves between two minima along which the loss stays low (Garipov et al. 2018).

Every curve is a sum of three points of parameter space, w_1 and w_2 the minima and theta the bend:

    phi(t) = a(t) w_1 + b(t) theta + c(t) w_2,   0 <= t <= 1, phi(0) = w_1, phi(1) = w_2

    line      a = 1 - t            b = 0               c = t
    bezier    a = (1 - t)^2        b = 2 t (1 - t)     c = t^2
    polygon   a = max(0, 1 - 2 t)  b = 1 - |1 - 2 t|   c = max(0, 2 t - 1)

(arXiv 1802.10026, section 3.3). The bend is where E_t L(phi(t)), t uniform on [0, 1], is least
(section 3.2, equation 2); its gradient is E_t b(t) L'(phi(t)).
"""

from collections.abc import Callable, Sequence
from itertools import zip_longest

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from basins import streams
from basins.models.functional import Network
from basins.study.curves import BEZIER, LINE
from basins.study.recipe_keys import Recipe
from basins.training import optimizers, schedules

Array = NDArray[np.float64]
# points (B, n) -> gradients of the loss there (B, n)
Gradients = Callable[[Array], Array]

OFF_LINE = 0.01  # of the distance between the ends: how far from their middle a bend starts


def shares(kind: str, positions: Array) -> Array:
    """Return a, b and c of a curve at positions t, shape (len(t), 3); they add up to 1.

    Examples
    --------
    >>> shares("bezier", np.array([0.0, 0.5, 1.0]))
    array([[1.  , 0.  , 0.  ],
           [0.25, 0.5 , 0.25],
           [0.  , 0.  , 1.  ]])
    """
    t = np.asarray(positions, dtype=np.float64)
    if kind == LINE:
        found = 1 - t, np.zeros_like(t), t
    elif kind == BEZIER:
        found = (1 - t) ** 2, 2 * t * (1 - t), t**2
    else:
        found = np.maximum(0, 1 - 2 * t), 1 - np.abs(1 - 2 * t), np.maximum(0, 2 * t - 1)
    return np.stack(found, axis=-1)


def points(kind: str, ends: Array, bend: Array, positions: Array) -> Array:
    """Return the points phi(t) of a curve, shape (len(t), n).

    Parameters
    ----------
    kind
        One of `basins.study.curves.KINDS`.
    ends
        w_1 and w_2, shape (2, n).
    bend
        theta, shape (n,); of a line it does not matter.
    positions
        t.
    """
    return np.asarray(shares(kind, positions) @ np.stack([ends[0], bend, ends[1]]))


def ends_of(first: Network, last: Network) -> Array:
    """Return the parameters of two networks as the ends of a curve, float64, shape (2, n).

    Raises
    ------
    ValueError
        If they are not of one architecture, naming the first tensor or module that differs, or
        hold other numbers than parameters that differ (running statistics).
    """
    for one, other in zip(first.layout, last.layout, strict=False):
        if (one.name, one.shape) != (other.name, other.shape):
            raise ValueError(
                "ends: a curve joins minima of one architecture, but one has a tensor "
                f"{one.name} of shape {one.shape} where the other has {other.name} of shape "
                f"{other.shape}"
            )
    _check_alike(first.module, last.module)
    return checked_ends(*(one.theta.double().cpu().numpy() for one in (first, last)))


def _check_alike(first: nn.Module, last: nn.Module) -> None:
    """Raise ValueError where two modules with the same parameters are not the same function."""
    for (name, one), (_, other) in zip_longest(
        first.named_modules(), last.named_modules(), fillvalue=("", nn.Module())
    ):
        words = [f"{type(part).__name__}({part.extra_repr()})" for part in (one, other)]
        if words[0] != words[1] or type(one) is not type(other):
            raise ValueError(
                f"ends: a curve joins minima of one architecture, but module {name!r} is "
                f"{words[0]} in one and {words[1]} in the other"
            )
    others = dict(last.named_buffers())
    for name, buffer in first.named_buffers():
        if name not in others or not torch.equal(buffer, others[name]):
            raise ValueError(
                f"ends: {name} differs, which is no parameter, so no curve leads from one to the "
                "other; give both models the same running statistics"
            )


def checked_ends(first: NDArray[np.floating], last: NDArray[np.floating]) -> Array:
    """Return two minima, shape (n,), as the ends of a curve, float64, shape (2, n).

    Raises
    ------
    ValueError
        If they have not equally many parameters, or one is not finite.
    """
    if first.shape != last.shape or first.ndim != 1:
        raise ValueError(
            f"ends: a curve joins minima of one architecture, but one has {first.size} parameters "
            f"and the other {last.size}"
        )
    ends = np.stack([first, last]).astype(np.float64)
    if not np.isfinite(ends).all():
        raise ValueError("ends: a parameter of a minimum is not finite, so no curve ends there")
    return ends


def trained_bends(
    gradients: Gradients,
    ends: Array,
    kinds: Sequence[str],
    *names: streams.Name,
    epochs: int,
    learning_rate: float,
    draws: int = 4,
    advance: Callable[[int], None] = lambda _: None,
) -> Array:
    """Return the bends that lower the mean loss along curves between one pair of minima.

    Adam (Kingma and Ba 2015) with a rate that falls to 0 as a cosine. A step sees every curve at
    `draws` positions, one drawn uniformly in each of as many equal parts of [0, 1]: their mean has
    the expectation of one position drawn at large, and less noise.

    Parameters
    ----------
    gradients
        Of the loss at points (B, n), all curves together.
    ends
        w_1 and w_2, shape (2, n).
    kinds
        Curves to train, of `basins.study.curves.TRAINED`.
    names
        Key of the random numbers.
    epochs
        Steps; each sees the whole training subset.
    learning_rate
        Of the first step.
    draws
        Positions of each curve a step.
    advance
        Called with the number of steps done since the last call.

    Returns
    -------
    NDArray
        Float64, shape (len(kinds), n).
    """
    recipe = Recipe(optimizer="adam", learning_rate=learning_rate, epochs=epochs, schedule="cosine")
    bends = torch.from_numpy(np.stack([_start(ends, *names, kind) for kind in kinds]))
    state = optimizers.initial_state(recipe, bends)
    for step in range(epochs):
        drawn = [stratified(draws, *names, kind, step) for kind in kinds]
        slopes = torch.from_numpy(bend_gradients(gradients, ends, kinds, bends.numpy(), drawn))
        rate = schedules.learning_rate(recipe, step, epochs)
        bends = optimizers.update(recipe, bends, slopes, state, step, rate)
        advance(1)
    return bends.numpy()


def bend_gradients(
    gradients: Gradients,
    ends: Array,
    kinds: Sequence[str],
    bends: Array,
    positions: Sequence[Array],
) -> Array:
    """Return the gradients of mean losses at positions of curves, by their bends.

    Parameters
    ----------
    gradients, ends, kinds
        As of `trained_bends`.
    bends
        Shape (len(kinds), n).
    positions
        t of each curve, equally many.

    Returns
    -------
    NDArray
        Float64, shape (len(kinds), n).
    """
    curves = list(zip(kinds, bends, positions, strict=True))
    slopes = gradients(np.concatenate([points(kind, ends, bend, t) for kind, bend, t in curves]))
    slopes = slopes.reshape(len(curves), -1, ends.shape[1])
    weights = np.stack([shares(kind, t)[:, 1] for kind, _, t in curves])
    return np.asarray(np.einsum("kt,ktn->kn", weights, slopes) / weights.shape[1])


def stratified(count: int, *names: streams.Name) -> Array:
    """Return positions, one uniform in each of `count` equal parts of [0, 1], increasing."""
    return (np.arange(count) + streams.uniforms(*names, "position", count=count)) / count


def _start(ends: Array, *names: streams.Name) -> Array:
    """Return where a bend starts: beside the middle of the line.

    In the middle itself the gradient of two minima that mirror one another has no component off
    the line, and the bend would never leave it.
    """
    away = streams.normals(*names, "start", count=ends.shape[1])
    distance = np.linalg.norm(ends[1] - ends[0])
    return np.asarray(ends.mean(0) + OFF_LINE * distance * away / np.linalg.norm(away))
