"""Verbs that measure the minima of one job: rays, and volumes from them."""

import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from basins import device as devices
from basins.cube import read
from basins.cube.provenance import Clock
from basins.directions.isotropic import directions
from basins.models.functional import Network
from basins.progress import progress
from basins.rays.evaluators import Measuring, evaluator_of
from basins.rays.landscapes import Landscapes
from basins.rays.measure_rays import Examined, RaySet, measure_rays
from basins.rays.slow_path import SlowEvaluator, slow_rays
from basins.study import fingerprints
from basins.study.jobs import Job, minimum_name
from basins.study.schema import Study
from basins.verbs.job_data import Minimum, batched, find, minima_of, trained
from basins.verbs.job_file import job_file, publish
from basins.volume.basin import BATCH
from basins.volume.from_rays import GaussianRays, volumes


def rays(
    study: Path, job: str, receipt: Path, minima: Path, output: Path, slow_path: bool = False
) -> None:
    """Solve the radii of one job's minima in every landscape, by the plain reference if asked."""
    found, block = find(study, job)
    settings = found.measure.volume
    device = devices.set_up(found.device, found.threads)
    clock = Clock("rays --slow-path" if slow_path else "rays", device, settings.dtype)
    data, network, parameters = trained(found, block, receipt, minima)
    measured: list[RaySet] = []
    log_dets: list[float] = []
    total = settings.directions * len(block.seeds)
    with progress(f"rays of {block.id}", total, "directions") as advance:
        ready = minima_of(found, block, data, network, parameters, device)
        # As many at once as share a batch of rays and a bound on memory with their examples.
        num_bytes = found.landscape_sizes[-1] * math.prod(data.input_shape) * 4
        for some in batched(ready, devices.rays_together(num_bytes)):
            log_dets += [one.log_det for one in some]
            options = (
                range(settings.directions),
                settings.thresholds,
                settings.threshold_kind,
                settings.scan_points,
                advance,
            )
            if slow_path:
                measured += slow_rays(examined(found, network, some, SlowEvaluator), *options)
            else:
                measured += measure_rays(examined(found, network, some, evaluator_of), *options)
    basin = ("seed", "landscape_size", "threshold", "direction")
    dims: dict[str, tuple[str, ...]] = {
        "log_radius": basin,
        "num_crossings": basin,
        "log_radius_tolerance": basin,
        "log_direction_norm": ("seed", "direction"),
        "landscape_loss": ("seed", "landscape_size"),
        "num_evaluations": ("seed", "landscape_size"),
        "r_max": ("seed",),
    }
    variables: dict[str, Any] = {
        name: (axes, np.stack([getattr(one, name) for one in measured]))
        for name, axes in dims.items()
    }
    variables["log_det_coordinates"] = (("seed",), np.array(log_dets))
    if settings.sigma is not None:
        variables |= towards_center(found, block, parameters)
    root = job_file("rays", block, fingerprints.of(found, block.id, "rays"), variables)
    root.attrs["num_parameters"] = network.num_parameters
    publish(study, block, "rays", output, {"/": root, "/provenance": clock.record()})


def examined(
    study: Study,
    network: Network,
    minima: Iterable[Minimum],
    evaluator: Callable[[Network, Tensor, Landscapes], Measuring],
) -> list[Examined[Measuring]]:
    """Return minima as `measure_rays` takes them, each with an evaluator of its own."""
    return [
        Examined(
            evaluator(network, one.theta, one.landscapes),
            (study.study, one.name),
            one.scale,
            one.r_max,
        )
        for one in minima
    ]


def towards_center(
    study: Study, block: Job, parameters: NDArray[np.float32]
) -> dict[str, tuple[tuple[str, ...], NDArray[np.float64]]]:
    """Return what a Gaussian measure around 0 needs of minima (seeds, n) and their directions."""
    count, whole = study.measure.volume.directions, parameters.astype(np.float64)
    along = np.empty((len(whole), count))
    together = max(1, BATCH // whole.shape[1])
    for row, (seed, theta) in enumerate(zip(block.seeds, whole, strict=True)):
        names = (study.study, minimum_name(block, seed))
        for start in range(0, count, together):
            indices = range(start, min(start + together, count))
            unit, _ = directions(names, list(indices), len(theta))
            along[row, indices.start : indices.stop] = unit @ theta
    norms = np.linalg.norm(whole, axis=1)
    return {"along_minimum": (("seed", "direction"), along), "weight_norm": (("seed",), norms)}


def volume(study: Path, job: str, rays: Path, output: Path) -> None:
    """Turn the radii of one job into volumes."""
    found, block = find(study, job)
    settings = found.measure.volume
    clock = Clock("volume", devices.set_up("cpu", found.threads), "float64")
    with read.open_job(rays, "rays", fingerprints.of(found, block.id, "rays")) as file:
        names = ("log_radius", "num_crossings", "log_direction_norm", "num_evaluations")
        arrays = {name: file[name][()] for name in names}
        num_parameters = int(file.attrs["num_parameters"].item())
        gaussian: list[GaussianRays | None] = [None] * len(block.seeds)
        if settings.sigma is not None:
            seen = zip(file["weight_norm"][()], file["along_minimum"][()], strict=True)
            gaussian = [GaussianRays(settings.sigma, float(norm), u) for norm, u in seen]
    results = [
        volumes(
            arrays["log_radius"][row],
            arrays["num_crossings"][row],
            arrays["log_direction_norm"][row],
            num_parameters,
            settings.coordinates == "filter" and settings.bias_scale == "one",
            gaussian[row],
        )
        for row in range(len(block.seeds))
    ]
    basin = ("seed", "landscape_size", "threshold")
    variables: dict[str, Any] = {
        name: ((*basin, "estimator"), np.stack([one.by_estimator[name] for one in results]))
        for name in results[0].by_estimator
    }
    variables |= {
        name: (basin, np.stack([one.by_basin[name] for one in results]))
        for name in results[0].by_basin
    }
    evaluations = arrays["num_evaluations"].astype(np.float64)[:, :, None, None]
    shape = variables["log_volume"][1].shape
    variables["num_evaluations"] = ((*basin, "estimator"), np.broadcast_to(evaluations, shape))
    root = job_file("volumes", block, fingerprints.of(found, block.id, "volume"), variables)
    publish(study, block, "volume", output, {"/": root, "/provenance": clock.record()})
