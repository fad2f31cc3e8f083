"""Verbs on a run's cost and on what earlier runs left in the queue."""

import json
import logging
from pathlib import Path

from basins.plan import calibrate as calibrating
from basins.plan import calibration as calibrations
from basins.plan import table
from basins.slurm import queue
from basins.study import jobs
from basins.study.load import load_study

logger = logging.getLogger("basins")


def plan(
    study: Path,
    gpus: int | None = None,
    cpus: int | None = None,
    calibration: Path | None = None,
    as_json: bool = False,
) -> None:
    """Print what is left of a study and what it will cost."""
    found = load_study(study)
    priced = table.plan(found, gpus, cpus, calibration)
    if as_json:
        print(json.dumps(table.as_json(priced), indent=2))
    else:
        print(table.text(priced, found.seeds_per_job))


def calibrate(device: str, threads: int, seconds: float, output: Path | None = None) -> None:
    """Measure what this machine takes to train and to measure, and keep it for plans."""
    measured = calibrating.calibrate(device, threads, seconds)
    path = output or jobs.calibration_file(measured.device, measured.threads)
    calibrations.save(measured, path)
    worst = max(measured.misfit.values())
    logger.info("%s: %s, fitted within a factor %.2f", path, measured.device, worst)


def orphans(should_cancel: bool, should_wait: bool) -> None:
    """Say which jobs of earlier runs SLURM still has for this folder; cancel or await them."""
    here = Path.cwd()
    left = queue.queued(here)
    print(queue.describe(left))
    if should_cancel:
        queue.cancel(left)
        print(f"Cancelled {len(left)} jobs.")
    if should_wait:
        queue.wait(here)
        print("All have ended.")
