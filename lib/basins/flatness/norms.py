"""Norms of a network's weights: baselines that a measure of sharpness must beat.

All are of one network, on the device of its parameters, in float64. Where a formula speaks of a
layer's matrix, biases are left out; `path_norm` says what it does with them.
"""

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import Tensor, nn
from torch.func import functional_call, vjp

from basins import streams
from basins.flatness.layer_runs import (
    LINEAR,
    PASSING,
    POOLS,
    LayerRun,
    check_contractions,
    checked,
    in_double,
    layer_runs,
    sequence,
    squared_pool,
)
from basins.models.functional import Network

Array = NDArray[np.float64]

MOST_DENSE = 64  # numbers of an input, up to which a layer's matrix is written out
TOLERANCE = 1e-6  # of a spectral norm, relative


def weight_norm(theta: Tensor) -> float:
    """Return the Euclidean norm of all parameters, biases included.

    Parameters
    ----------
    theta
        Shape (n,).

    Raises
    ------
    ValueError
        If `theta` is not one vector.

    Examples
    --------
    >>> weight_norm(torch.tensor([3.0, 4.0]))
    5.0
    """
    if theta.ndim != 1:
        raise ValueError(f"theta: it must have shape (n,), not {tuple(theta.shape)}")
    return float(theta.detach().double().norm())


def distance_from_start(theta: Tensor, start: Tensor) -> float:
    """Return how far training moved the parameters, |theta - start|.

    The distance from initialization of Nagarajan and Kolter 2019 (arXiv 1901.01672, section 1).

    Parameters
    ----------
    theta, start
        Trained and initial parameters, shape (n,) each.

    Raises
    ------
    ValueError
        If the shapes differ or are not (n,).

    Examples
    --------
    >>> distance_from_start(torch.tensor([3.0, 5.0]), torch.tensor([0.0, 1.0]))
    5.0
    """
    if start.shape != theta.shape:
        raise ValueError(f"start: its shape must be theta's {tuple(theta.shape)}")
    return weight_norm(theta.detach().double() - start.detach().to(theta.device).double())


def frobenius_norms(network: Network, theta: Tensor) -> Array:
    """Return the Frobenius norm of every weight matrix, shape (layers,), in the layout's order.

    Weight matrices are all parameters of two or more axes. `log_frobenius_product` is the logarithm
    of their product, the factor of Neyshabur, Tomioka, Srebro 2015 (arXiv 1503.00036, theorem 1)
    that grows with weights.

    Parameters
    ----------
    network, theta
        The architecture and its parameters, shape (n,).

    Raises
    ------
    ValueError
        If `theta` does not fit the network.

    Examples
    --------
    >>> network = Network(nn.Linear(2, 1))
    >>> frobenius_norms(network, torch.tensor([3.0, 4.0, 9.0]))
    array([5.])
    """
    whole = checked(network, theta)
    matrices = [whole[b.start : b.stop] for b in network.layout if len(b.shape) > 1]
    return np.array([float(matrix.norm()) for matrix in matrices])


def log_frobenius_product(network: Network, theta: Tensor) -> float:
    """Return the sum of the logarithms of `frobenius_norms`, in nats; -inf if a matrix is zero.

    Examples
    --------
    >>> network = Network(nn.Sequential(nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)))
    >>> round(math.exp(log_frobenius_product(network, torch.tensor([-3.0, 2.0]))), 6)
    6.0
    """
    return _log_product(frobenius_norms(network, theta))


def path_norm(network: Network, theta: Tensor, input_shape: tuple[int, ...]) -> float:
    """Return the l2 path norm, sqrt(sum over paths of the product of squared weights).

    phi_2 of Neyshabur, Salakhutdinov, Srebro 2015 (Path-SGD, arXiv 1506.02617, section 3). Paths
    run from any input to any output. All are summed by one pass of ones through the network with
    its weights squared. It does not change when weights before a unit are scaled up and those
    behind it down.

    Parameters
    ----------
    network, theta
        The architecture, a `Sequential` of plain fully connected and convolutional layers, ReLU,
        pooling, dropout (off) and reshaping; and its parameters, shape (n,).
    input_shape
        Of one example.

    Raises
    ------
    ValueError
        If an argument does not fit another, or for a network whose paths have no such products:
        one with normalization, attention, recurrence, embeddings, other nonlinearities, modules
        with a `forward` of their own, hooks, or pools in `ceil_mode`.

    Notes
    -----
    A bias is the weight of an edge from a further input that is one: its paths are counted.
    Average pooling is a layer of fixed weights, one over the divisor. Through max-pooling runs
    every path of a window, with weight one, as in Gonon et al. 2024 (arXiv 2310.01225); code that
    passes ones through the max-pooling module itself keeps the largest only.

    Examples
    --------
    >>> network = Network(nn.Sequential(nn.Linear(1, 1), nn.ReLU(), nn.Linear(1, 1, bias=False)))
    >>> path_norm(network, torch.tensor([3.0, 4.0, 2.0]), (1,))
    10.0
    """
    double, whole = in_double(network, theta, input_shape)
    blocks = {id(p): b for p, b in zip(double.module.parameters(), double.layout, strict=True)}
    values = whole.new_ones(1, *input_shape)
    for name, module in sequence(double.module):
        if type(module) in LINEAR:
            squares = {
                key: whole[blocks[id(p)].start : blocks[id(p)].stop].view(p.shape) ** 2
                for key, p in module.named_parameters()
            }
            values = functional_call(module, squares, (values,))
        elif type(module) in POOLS:
            values = squared_pool(name, module, values)
        elif type(module) in PASSING:
            values = module(values)
        elif type(module) is not nn.ReLU:
            raise ValueError(
                f"network: the path norm is defined for fully connected and convolutional layers, "
                f"ReLU and pools in a Sequential; module {name!r} is a {type(module).__name__}"
            )
    return math.sqrt(float(values.sum()))


def spectral_norms(network: Network, theta: Tensor, input_shape: tuple[int, ...]) -> Array:
    """Return the largest singular value of every weight layer, shape (layers,), in running order.

    Of a convolution it is that of the whole linear map from its input, of the size it has in this
    network, to its output, padding and strides included. A layer that runs twice is there twice.
    Normalization layers have no matrix and are left out.

    Parameters
    ----------
    network, theta
        The architecture and its parameters, shape (n,).
    input_shape
        Of one example.

    Returns
    -------
    NDArray
        Within a relative 1e-6, by Lanczos' method; of matrices, to rounding.

    Raises
    ------
    ValueError
        If an argument does not fit another, or a matrix belongs to no plain fully connected or
        convolutional layer, or to one that has hooks or does not run.

    Examples
    --------
    >>> network = Network(nn.Linear(2, 2, bias=False))
    >>> spectral_norms(network, torch.tensor([3.0, 0.0, 0.0, -4.0]), (2,))
    array([4.])
    """
    return np.array([_spectral_norm(run) for run in layer_runs(network, theta, input_shape)])


def log_spectral_product(network: Network, theta: Tensor, input_shape: tuple[int, ...]) -> float:
    """Return the sum of the logarithms of `spectral_norms`, in nats; -inf if a matrix is zero.

    Examples
    --------
    >>> network = Network(nn.Sequential(nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)))
    >>> round(math.exp(log_spectral_product(network, torch.tensor([-3.0, 2.0]), (1,))), 6)
    6.0
    """
    return _log_product(spectral_norms(network, theta, input_shape))


def log_spectral_complexity(
    network: Network, theta: Tensor, start: Tensor, input_shape: tuple[int, ...]
) -> float:
    """Return the logarithm of the spectral complexity, in nats.

    R = (prod_i rho_i s_i) (sum_i (|A_i^T - M_i^T|_{2,1} / s_i)^(2/3))^(3/2), Bartlett, Foster,
    Telgarsky 2017 (arXiv 1706.08498, equation 1.2): A_i the matrix of layer i and s_i its spectral
    norm, M_i that of the start, rho_i the Lipschitz constant of what follows, and |.|_{2,1} the sum
    over a layer's outputs of the Euclidean norms of their weights.

    Parameters
    ----------
    network
        The architecture, a `Sequential` as for `path_norm`, or with tanh in place of ReLU.
    theta, start
        Trained and initial parameters, shape (n,) each; the paper's other choice is a start of 0.
    input_shape
        Of one example.

    Raises
    ------
    ValueError
        As `spectral_norms`; if a layer's weights are all zero; or if a module between the layers
        is none that is known to have rho = 1: another nonlinearity, normalization, a module with
        a `forward` of its own, max-pooling in windows that overlap, average pooling that divides
        by less than the size of its window.

    Notes
    -----
    s_i of a convolution is that of the whole linear map, see `spectral_norms`; its (2,1) norm is
    that of the kernel as a matrix of one row an output channel, as in the paper's experiments.
    Biases, which the paper's networks lack, are left out. At the start itself the value is -inf.

    Examples
    --------
    >>> network = Network(nn.Linear(2, 2, bias=False))
    >>> theta, start = torch.tensor([3.0, 0.0, 0.0, -4.0]), torch.zeros(4)
    >>> round(math.exp(log_spectral_complexity(network, theta, start, (2,))), 6)
    7.0
    """
    if start.shape != theta.shape:
        raise ValueError(f"start: its shape must be theta's {tuple(theta.shape)}")
    double, _ = in_double(network, theta, input_shape)
    check_contractions(double.module, theta.new_zeros(1, *input_shape, dtype=torch.float64))
    trained = layer_runs(network, theta, input_shape)
    initial = layer_runs(network, start.to(theta.device), input_shape)
    log_product, terms = 0.0, 0.0
    for run, reference in zip(trained, initial, strict=True):
        norm = _spectral_norm(run)
        if norm == 0:
            raise ValueError(
                f"theta: weights must not all be zero in a layer, but are in {run.name!r}"
            )
        moved = float((run.weight - reference.weight).flatten(1).norm(dim=1).sum())
        log_product += math.log(norm)
        terms += (moved / norm) ** (2 / 3)
    return log_product + 1.5 * math.log(terms) if terms else -math.inf


def _spectral_norm(run: LayerRun) -> float:
    """Return the largest singular value of a layer's linear map."""
    if type(run.module) is nn.Linear:
        return float(torch.linalg.matrix_norm(run.weight, 2))
    if not run.weight.any():
        return 0.0
    parameters = {"weight": run.weight}
    if run.module.bias is not None:
        parameters["bias"] = run.weight.new_zeros(len(run.weight))

    def apply(inputs: Tensor) -> Tensor:
        outputs: Tensor = functional_call(run.module, parameters, (inputs,))
        return outputs

    size = math.prod(run.input_shape)
    if size <= MOST_DENSE:
        rows = torch.eye(size, dtype=torch.float64, device=run.weight.device)
        matrix = apply(rows.view(size, *run.input_shape)).flatten(1)
        return float(torch.linalg.matrix_norm(matrix, 2))
    # The map is linear, so its transpose is its derivative's, wherever that is taken.
    transposed: Any = vjp(apply, run.weight.new_zeros(1, *run.input_shape))[1]

    def gram(vector: Array) -> Array:
        inputs = run.weight.new_tensor(vector).view(1, *run.input_shape)
        with torch.no_grad():
            (outputs,) = transposed(apply(inputs))
        return np.asarray(outputs.flatten().cpu().numpy(), dtype=np.float64)

    operator = LinearOperator((size, size), matvec=gram, dtype=np.float64)
    first = streams.normals("spectral_norm", count=size)
    largest = eigsh(operator, k=1, which="LA", v0=first, tol=TOLERANCE, return_eigenvectors=False)
    return math.sqrt(float(largest[0]))


def _log_product(norms: Array) -> float:
    with np.errstate(divide="ignore"):
        return float(np.log(norms).sum())
