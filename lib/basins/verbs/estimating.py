"""The verb that measures volumes of one job's minima by asking their networks again."""

import time
from pathlib import Path
from typing import Any

import numpy as np

from basins import device as devices
from basins.cube.provenance import Clock
from basins.progress import progress
from basins.study import fingerprints, jobs
from basins.training import checkpoint
from basins.verbs.job_data import diverged, find, minima_of, trained
from basins.verbs.job_file import job_file, publish
from basins.volume.from_rays import MINIMUM_ABOVE_THRESHOLD, NOT_MEASURED
from basins.volume.of_minimum import (
    BY_BASIN,
    Arrays,
    Request,
    check_size,
    estimate_minimum,
    nothing_yet,
)

SECONDS_BETWEEN_CHECKPOINTS = 30.0


def estimate(study: Path, job: str, receipt: Path, minima: Path, output: Path) -> None:
    """Measure volumes of one job's minima by annealing and the like, resuming a killed run."""
    found, block = find(study, job)
    settings = found.measure.volume
    estimators = jobs.asking_estimators(found)
    if not estimators:
        raise ValueError("measure.volume.estimators: only 'rays' is named, `basins volume` does it")
    device = devices.set_up(found.device, found.threads)
    clock = Clock("estimate", device, settings.dtype)
    data, network, parameters = trained(found, block, receipt, minima)
    check_size(estimators, network.num_parameters)
    is_diverged = diverged(found, block, minima)
    fingerprint = fingerprints.of(found, block.id, "estimate")
    saved = jobs.checkpoint_file(found, block.id, "estimate")
    # A data set changed and fetched again between kill and resume starts over.
    key = f"{fingerprint} {data.sha256()}"
    done: list[Arrays] = checkpoint.load_rows(saved, key)
    since = time.monotonic()
    basins = len(found.landscape_sizes) * len(settings.thresholds)
    total = basins * len(estimators) * len(block.seeds)
    with progress(f"volumes of {block.id}", total, "volumes") as advance:
        advance(sum(int((one["volume_status"] != NOT_MEASURED).sum()) for one in done))

        def after_each() -> None:
            nonlocal since
            advance(1)
            if time.monotonic() - since > SECONDS_BETWEEN_CHECKPOINTS:
                checkpoint.save_rows(saved, key, done)
                since = time.monotonic()

        for row, minimum in enumerate(minima_of(found, block, data, network, parameters, device)):
            request = Request(
                estimators,
                settings.thresholds,
                settings.threshold_kind,
                minimum.r_max,
                settings.directions,
                settings.stderr,
                settings.max_evaluations,
                settings.sigma,
            )
            if row == len(done):
                done.append(nothing_yet(len(found.landscape_sizes), request))
            if is_diverged[row]:
                # It has no loss of which a volume could be asked.
                status = done[row]["volume_status"]
                missing = status == NOT_MEASURED
                status[missing] = MINIMUM_ABOVE_THRESHOLD
                advance(int(missing.sum()))
                continue
            names = (found.study, minimum.name)
            estimate_minimum(
                network,
                minimum.theta,
                minimum.landscapes,
                minimum.scale,
                request,
                names,
                done[row],
                after_each,
            )
    basin = ("seed", "landscape_size", "threshold")
    variables: dict[str, Any] = {
        name: (
            basin if name in BY_BASIN else (*basin, "estimator"),
            np.stack([arrays[name] for arrays in done]),
        )
        for name in done[0]
    }
    root = job_file("estimates", block, fingerprint, variables)
    publish(study, block, "estimate", output, {"/": root, "/provenance": clock.record()})
    checkpoint.discard(saved)
