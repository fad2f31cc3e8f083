"""The verb that measures the flatness of one job's minima."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr

from basins import device as devices
from basins.cube.flatness_table import FLATNESS
from basins.cube.provenance import Clock
from basins.cube.spectrum_table import SPECTRUM
from basins.cube.variable import MINIMUM, Variable
from basins.datasets.subsets import Data
from basins.flatness.dinh2017radial import RadialNetwork
from basins.flatness.of_minima import CURVATURES, Arrays, Request, Surveyed, measure_minima
from basins.flatness.rivals import Compared, measure_rivals
from basins.flatness.robustness import Examples
from basins.models.functional import Network
from basins.progress import progress
from basins.rays.landscapes import Landscapes
from basins.study import fingerprints, jobs
from basins.study.schema import Study
from basins.training import checkpoint
from basins.verbs.job_data import (
    batched,
    diverged,
    find,
    initial,
    minima_of,
    trained,
)
from basins.verbs.job_file import described, job_file, publish


def flatness(study: Path, job: str, receipt: Path, minima: Path, output: Path) -> None:
    """Measure sharpness and curvature of one job's minima, resuming a killed run."""
    found, block = find(study, job)
    if not found.measure.flatness:
        raise ValueError("measure.flatness: no measure is named, so there is nothing to do")
    device = devices.set_up(found.device, found.threads)
    clock = Clock("flatness", device, "float64")
    data, network, parameters = trained(found, block, receipt, minima)
    is_diverged = diverged(found, block, minima)
    fingerprint = fingerprints.of(found, block.id, "flatness")
    saved = jobs.checkpoint_file(found, block.id, "flatness")
    # A data set changed and fetched again between kill and resume starts over.
    key = f"{fingerprint} {data.sha256()}"
    loss = found.recipes[block.recipe].loss
    done, request = checkpoint.load_rows(saved, key), request_of(found)
    count, landscapes = len(block.seeds), len(found.landscape_sizes)
    # As many at once as a bound on memory holds with their examples, in float64.
    num_bytes = found.landscape_sizes[-1] * math.prod(data.input_shape) * 8
    with progress(f"flatness of {block.id}", count * landscapes, "landscapes") as advance:
        num_done = sum(len(next(iter(one.values()))) for one in done)
        advance(num_done * landscapes)
        ready = minima_of(found, block, data, network, parameters, device)
        for some in batched(ready, devices.rays_together(num_bytes), num_done):
            names = [(found.study, one.name, "flatness") for one in some]
            first = sum(len(next(iter(one.values()))) for one in done)
            surveyed = [
                Surveyed(name, one.theta, one.landscapes, data.num_classes, bool(has_none))
                for name, one, has_none in zip(names, some, is_diverged[first:], strict=False)
            ]
            arrays = measure_minima(network, surveyed, request, advance)
            arrays |= on_test(network, surveyed, data, request)
            starts = [initial(found, block, data, loss, seed) for seed in block.seeds[first:]]
            if isinstance(network.module, RadialNetwork):
                starts = [network.module.moved(start) for start in starts]
            arrays |= others(found, network, surveyed, starts, data)
            done.append(arrays)
            checkpoint.save_rows(saved, key, done)
    root, spectra = (_variables(done, table) for table in (FLATNESS, SPECTRUM))
    groups = {"/": job_file("flatness", block, fingerprint, root)}
    if spectra:
        groups["/spectrum"] = described(xr.Dataset(spectra, coords={"seed": list(block.seeds)}))
    publish(study, block, "flatness", output, groups | {"/provenance": clock.record()})
    checkpoint.discard(saved)


def request_of(study: Study) -> Request:
    """Return what a study asks for."""
    options = study.measure.flatness_options
    return Request(
        measures=study.measure.flatness,
        box_sizes=options.box_sizes,
        subspace=options.subspace,
        ball_radius=options.ball_radius,
        rho=options.rho,
        sigma=options.sigma,
        num_eigenvalues=options.num_eigenvalues,
        num_products=options.num_products,
        num_probes=options.num_probes,
        num_steps=options.num_steps,
        damping=options.damping,
        precision=options.prior_precision,
    )


def on_test(network: Network, minima: Sequence[Surveyed], data: Data, request: Request) -> Arrays:
    """Return the curvature of the test loss, as the study asks for it of the training loss."""
    measures = [name for name in request.measures if name in CURVATURES]
    if not measures:
        return {}
    examples = torch.from_numpy(data.test_inputs), torch.from_numpy(data.test_targets)
    tested = [
        replace(
            one,
            names=(*one.names, "test"),
            landscapes=Landscapes(*examples, (len(data.test_targets),), one.landscapes.loss),
        )
        for one in minima
    ]
    found = measure_minima(network, tested, replace(request, measures=measures))
    return {f"test_{name}": values[:, 0] for name, values in found.items()}


def others(
    study: Study,
    network: Network,
    minima: Sequence[Surveyed],
    starts: Sequence[torch.Tensor],
    data: Data,
) -> Arrays:
    """Return norms, margins and accuracy under attack of minima, if the study asks for them."""
    compared = [
        Compared(
            one.names,
            one.theta,
            start,
            one.landscapes,
            Examples(
                torch.from_numpy(data.test_inputs),
                torch.from_numpy(data.test_targets),
                str(one.landscapes.loss),
            ),
            one.is_diverged,
        )
        for one, start in zip(minima, starts, strict=False)
    ]
    options = study.measure.flatness_options
    return measure_rivals(network, compared, study.measure.flatness, options.perturbations)


def _variables(done: Sequence[Arrays], table: Mapping[str, Variable]) -> dict[str, Any]:
    """Return the variables of a table, all minima together."""
    return {
        # A job's file has of a minimum's dims the seed alone.
        name: (table[name].dims[len(MINIMUM) - 1 :], np.concatenate([one[name] for one in done]))
        for name in done[0]
        if name in table
    }
