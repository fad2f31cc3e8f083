"""Measures of flatness of a network's minima in every landscape, as a study asks for them.

Everything runs in float64: differences of losses in small neighborhoods, and small eigenvalues, are
mostly rounding in single precision.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from basins import streams
from basins.flatness import (
    dinh2017sharpness,
    foret2021sharpness,
    keskar2017sharpness,
    kwon2021sharpness,
    lanczos,
    meyer2020hutchpp,
    smith2017evidence,
    ubaru2017density,
)
from basins.flatness.neighborhood import Neighborhood
from basins.models.functional import Network
from basins.rays.evaluators import evaluator_of
from basins.rays.landscapes import Landscapes
from basins.rays.numba_path import NumbaEvaluator
from basins.rays.products import Cells, CompiledProducts, CurvatureProducts, products_of
from basins.rays.products import products_together as multiply
from basins.rays.torch_path import TorchEvaluator

Array = NDArray[np.float64]
Arrays = dict[str, NDArray[np.float64]]
Rows = NDArray[np.int64]

CURVATURES = ("spectrum", "gauss_newton")
MEASURES = ("sharpness", *CURVATURES, "evidence")
MAX_BYTES = 2**29  # of the bases of Krylov spaces alive at once
FULL_SPECTRUM = 1000  # parameters up to which all eigenvalues are computed


@dataclass(frozen=True)
class Request:
    """What is measured.

    Attributes
    ----------
    measures
        Any of `MEASURES`.
    box_sizes
        epsilon of the boxes.
    subspace
        Dimensions of the random subspace, at most n; None for 100, or n.
    ball_radius, rho, sigma
        Of the ball, of adaptive and one-step sharpness, and of average sharpness.
    num_eigenvalues
        How many of the largest.
    num_products
        Of a trace.
    num_probes, num_steps
        Of a log-determinant where n is above `FULL_SPECTRUM`.
    damping
        Added to the eigenvalues of a log-determinant.
    precision
        Of the prior of the evidence.
    """

    measures: Sequence[str]
    box_sizes: Sequence[float]
    subspace: int | None
    ball_radius: float
    rho: float
    sigma: float
    num_eigenvalues: int
    num_products: int
    num_probes: int
    num_steps: int
    damping: float
    precision: float


@dataclass(frozen=True)
class Surveyed:
    """A minimum whose flatness is measured.

    Attributes
    ----------
    names
        Key of its random numbers.
    theta
        Parameters, shape (n,).
    landscapes
        Its examples, M landscapes.
    num_classes
        Of the data, for the evidence's null model.
    is_diverged
        Whether its training did; nothing is measured then.
    """

    names: tuple[streams.Name, ...]
    theta: Tensor
    landscapes: Landscapes
    num_classes: int
    is_diverged: bool = False


def num_nodes(num_parameters: int, num_probes: int, num_steps: int) -> int:
    """Return how many nodes the density of one spectrum is made of."""
    if num_parameters <= FULL_SPECTRUM:
        return num_parameters
    return num_probes * min(num_steps, num_parameters)


class Survey:
    """Losses and curvatures of minima of one network in their landscapes.

    Parameters
    ----------
    network
        The architecture.
    minima
        Which, S of them, with landscapes of the same sizes.
    """

    def __init__(self, network: Network, minima: Sequence[Surveyed]) -> None:
        self.network, self.minima = network, minima
        exact = [
            (
                network,
                one.theta.double(),
                one.landscapes.to(one.theta.device, one.theta.double().dtype),
            )
            for one in minima
        ]
        self.curvatures: list[CompiledProducts | CurvatureProducts] = [
            products_of(*given) for given in exact
        ]
        self.evaluators: list[NumbaEvaluator | TorchEvaluator] = [
            evaluator_of(*given) for given in exact
        ]
        self.num_landscapes = len(minima[0].landscapes.sizes)

    def cells(self) -> Cells:
        """Return all minima in all landscapes, one row each, landscapes running fastest."""
        count = len(self.minima) * self.num_landscapes
        return Cells(*np.divmod(np.arange(count), self.num_landscapes))

    def neighborhood(self, minimum: int, landscape: int) -> Neighborhood:
        """Return the loss around a minimum in a landscape, both by index."""
        evaluator = self.evaluators[minimum]

        def loss(offsets: Array) -> Array:
            found = evaluator.losses(offsets, np.ones(len(offsets)), landscape + 1)
            return np.asarray(found[:, landscape])

        anchor = self.minima[minimum].theta.detach().cpu().double().numpy()
        return Neighborhood(anchor, loss, lambda offsets: evaluator.gradients(offsets, landscape))

    def hessian(self, minimum: int, landscape: int, is_gauss_newton: bool) -> lanczos.OneProduct:
        """Return products of one matrix with rows (k, n)."""
        one = self.curvatures[minimum]
        product = one.gauss_newton if is_gauss_newton else one.hessian
        return lambda vectors: product(vectors, landscape)

    def extremes(self, num_largest: int, is_gauss_newton: bool) -> lanczos.Extremes:
        """Return the ends of all spectra, one row a cell; as many at once as memory holds."""
        cells, n = self.cells(), self.network.num_parameters
        together = max(1, MAX_BYTES // (8 * n * min(n, lanczos.MAX_STEPS)))
        parts = []
        for begin in range(0, len(cells.minima), together):
            part = Cells(*(index[begin : begin + together] for index in cells))
            starts = np.stack(
                [
                    streams.normals(*self.minima[m].names, "lanczos", int(k), count=n)
                    for m, k in zip(*part, strict=True)
                ]
            )

            def product(rows: Rows, vectors: Array, part: Cells = part) -> Array:
                chosen = Cells(part.minima[rows], part.landscapes[rows])
                return multiply(self.curvatures, chosen, vectors, is_gauss_newton)

            parts.append(lanczos.extremes(product, starts, num_largest))
        return lanczos.joined(parts)

    def spectrum(
        self, minimum: int, landscape: int, is_gauss_newton: bool, request: Request
    ) -> ubaru2017density.Spectrum:
        """Return all eigenvalues of one matrix, or what random vectors see of them."""
        n, product = self.network.num_parameters, self.hessian(minimum, landscape, is_gauss_newton)
        if n <= FULL_SPECTRUM:
            matrix = product(np.eye(n))
            values = np.linalg.eigvalsh((matrix + matrix.T) / 2)
            return ubaru2017density.Spectrum.whole(np.asarray(values, dtype=np.float64))
        names = (*self.minima[minimum].names, "density", landscape, int(is_gauss_newton))
        return ubaru2017density.spectrum(
            product, n, *names, num_probes=request.num_probes, num_steps=request.num_steps
        )


def measure_minima(
    network: Network,
    minima: Sequence[Surveyed],
    request: Request,
    advance: Callable[[int], None] = lambda _: None,
) -> Arrays:
    """Measure the flatness of minima in all their landscapes.

    Parameters
    ----------
    network, minima
        As of `Survey`.
    request
        What is measured.
    advance
        Called with the number of cells, minima in landscapes, done since the last call.

    Returns
    -------
    dict
        Float64 arrays by the names of the cube's tables, shape (S, M) and one more axis where a
        table says so; only those of the measures asked for.
    """
    if any(one.is_diverged for one in minima):
        return _of_others(network, minima, request, advance)
    survey = Survey(network, minima)
    shape = len(minima), survey.num_landscapes
    found: Arrays = {}
    if "spectrum" in request.measures:
        found |= _ends(survey, request, is_gauss_newton=False)
    if "gauss_newton" in request.measures:
        found |= _ends(survey, request, is_gauss_newton=True)
    for cell, (minimum, landscape) in enumerate(zip(*survey.cells(), strict=True)):
        numbers: dict[str, float | Array] = {}
        at = survey, int(minimum), int(landscape), request
        if "sharpness" in request.measures:
            numbers |= _sharpness(*at)
        if {"spectrum", "evidence"} & set(request.measures):
            numbers |= _whole_spectrum(*at)
        if "gauss_newton" in request.measures:
            numbers |= _traces(*at, is_gauss_newton=True)
        for name, value in numbers.items():
            room = found.setdefault(name, np.full((*shape, *np.shape(value)), np.nan))
            room.reshape(-1, *np.shape(value))[cell] = value
        advance(1)
    return found


def _of_others(
    network: Network,
    minima: Sequence[Surveyed],
    request: Request,
    advance: Callable[[int], None],
) -> Arrays:
    """Return the same with NaN for minima whose training diverged."""
    chosen = [one for one in minima if not one.is_diverged]
    if not chosen:
        # Where nothing is to be measured, the network at 0 tells names and shapes.
        zero = replace(minima[0], theta=torch.zeros_like(minima[0].theta), is_diverged=False)
        shapes = measure_minima(network, [zero], request)
        advance(len(minima) * len(minima[0].landscapes.sizes))
        return {
            name: np.full((len(minima), *values.shape[1:]), np.nan)
            for name, values in shapes.items()
        }
    advance(len(minima[0].landscapes.sizes) * (len(minima) - len(chosen)))
    found = measure_minima(network, chosen, request, advance)
    result: Arrays = {}
    for name, values in found.items():
        result[name] = np.full((len(minima), *values.shape[1:]), np.nan)
        result[name][[not one.is_diverged for one in minima]] = values
    return result


def _ends(survey: Survey, request: Request, is_gauss_newton: bool) -> Arrays:
    n = survey.network.num_parameters
    num_largest = min(request.num_eigenvalues, n)
    ends = survey.extremes(num_largest, is_gauss_newton)
    shape = len(survey.minima), survey.num_landscapes
    if is_gauss_newton:
        return {
            "gauss_newton_spectral_norm": ends.spectral_norm.reshape(shape),
            "gauss_newton_spectrum_residual": np.nanmax(ends.residuals, axis=1).reshape(shape),
        }
    eigenvalues = np.full((*shape, request.num_eigenvalues), np.nan)
    eigenvalues[..., :num_largest] = ends.largest.reshape(*shape, -1)
    return {
        "eigenvalues": eigenvalues,
        "spectral_norm": ends.spectral_norm.reshape(shape),
        "smallest_eigenvalue": ends.smallest.reshape(shape),
        "spectrum_residual": np.nanmax(ends.residuals, axis=1).reshape(shape),
    }


def _sharpness(
    survey: Survey, minimum: int, landscape: int, request: Request
) -> dict[str, float | Array]:
    around = survey.neighborhood(minimum, landscape)
    names = (*survey.minima[minimum].names, "sharpness", landscape)
    subspace = request.subspace or min(keskar2017sharpness.SUBSPACE, around.num_parameters)
    boxes = {
        f"sharpness_{kind}{suffix}": np.array(
            [
                keskar2017sharpness.sharpness(
                    around, size, *names, subspace=dimension, maximizer=maximizer
                )
                for size in request.box_sizes
            ]
        )
        for kind, dimension in (("box", None), ("subspace", subspace))
        for suffix, maximizer in (("", "lbfgsb"), ("_ascent", "ascent"))
    }
    average = kwon2021sharpness.average(around, request.sigma, *names, "average")
    adaptive = kwon2021sharpness.average(
        around, request.sigma, *names, "adaptive", is_adaptive=True
    )
    return boxes | {
        "sharpness_ball": dinh2017sharpness.sharpness(around, request.ball_radius, *names),
        "sharpness_one_step": foret2021sharpness.sharpness(around, request.rho),
        "sharpness_adaptive": kwon2021sharpness.sharpness(around, request.rho, *names),
        "sharpness_adaptive_one_step": kwon2021sharpness.one_step(around, request.rho),
        "sharpness_average": average.value,
        "sharpness_average_stderr": average.stderr,
        "sharpness_adaptive_average": adaptive.value,
        "sharpness_adaptive_average_stderr": adaptive.stderr,
    }


def _whole_spectrum(
    survey: Survey, minimum: int, landscape: int, request: Request
) -> dict[str, float | Array]:
    seen = survey.spectrum(minimum, landscape, False, request)
    numbers: dict[str, float | Array] = {}
    if "spectrum" in request.measures:
        numbers |= _traces(survey, minimum, landscape, request, False, seen)
    if "evidence" in request.measures:
        one = survey.minima[minimum]
        found = smith2017evidence.evidence(
            seen,
            survey.neighborhood(minimum, landscape).own_loss,
            float(one.theta.double().square().sum()),
            one.landscapes.sizes[landscape],
            one.num_classes,
            request.precision,
        )
        numbers |= {
            "log_evidence": found.log_evidence.value,
            "log_evidence_stderr": found.log_evidence.stderr,
            "log_occam_factor": found.log_occam_factor.value,
            "log_evidence_ratio": found.log_ratio_to_null.value,
        }
    return numbers


def _traces(
    survey: Survey,
    minimum: int,
    landscape: int,
    request: Request,
    is_gauss_newton: bool,
    seen: ubaru2017density.Spectrum | None = None,
) -> dict[str, float | Array]:
    """Return trace and log-determinant with their errors, and what a density is made of."""
    seen = seen or survey.spectrum(minimum, landscape, is_gauss_newton, request)
    if seen.is_whole:
        trace = seen.trace_of(lambda values: values)
    else:
        names = (*survey.minima[minimum].names, "trace", landscape, int(is_gauss_newton))
        trace = meyer2020hutchpp.trace(
            survey.hessian(minimum, landscape, is_gauss_newton),
            survey.network.num_parameters,
            *names,
            num_products=request.num_products,
        )
    log_det = ubaru2017density.log_det(seen, request.damping)
    prefix = "gauss_newton_" if is_gauss_newton else ""
    eigenvalues, weights = seen.shares()
    return {
        f"{prefix}node_eigenvalue": eigenvalues,
        f"{prefix}node_weight": weights,
        f"{prefix}trace": trace.value,
        f"{prefix}trace_stderr": trace.stderr,
        f"{prefix}log_det": log_det.value,
        f"{prefix}log_det_stderr": log_det.stderr,
    }
