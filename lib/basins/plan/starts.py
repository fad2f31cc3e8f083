"""Measure what each verb takes to start, whatever it does: by the jobs of a very small study."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from basins.plan import cost, memory
from basins.plan.calibration import Calibration
from basins.study import figure_names, jobs
from basins.study.load import parse_study, save_study
from basins.study.schema import Study

# The study whose jobs show what each verb takes before it does anything.
MICRO = {
    "study": "micro",
    "datasets": ["digits"],
    "models": ["mlp-8"],
    "train_sizes": [20, 60],
    "seeds": 1,
    "recipes": {"adam": {"optimizer": "adam", "learning_rate": 1e-3, "epochs": 2}},
    "measure": {
        "volume": {"estimators": ["rays", "importance"], "directions": 12, "thresholds": [0.5]}
    },
}


def with_starts(found: Calibration) -> Calibration:
    """Return the calibration with what each verb takes to start, seen on the jobs of `MICRO`."""
    study = parse_study(MICRO | {"device": found.kind, "threads": found.threads}, "micro")
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        save_study(study, here / jobs.study_file(study))
        # A verb's later jobs find what its first one compiled.
        taken = {verb: _run(verb, options, here) for verb, options in _micro_jobs(study)}
    job = jobs.expand(study)[0]
    start_seconds = {verb: seconds for verb, (seconds, _) in taken.items()}
    start_bytes = {verb: peak for verb, (_, peak) in taken.items()}
    for verb in cost.COUNTS:
        priced = found.price(verb, cost.counts(study, job, verb, found.per_ray))
        start_seconds[verb] = max(0.0, start_seconds[verb] - priced)
        start_bytes[verb] = max(0.0, start_bytes[verb] - memory.peak_bytes(study, job, verb))
    files = len(jobs.verbs(study)) * len(jobs.expand(study))
    # Opening the cube and its job files is nearly all that the verb does beyond starting.
    file_seconds = max(0.0, start_seconds["cube"] - start_seconds["volume"]) / files
    values = {name: getattr(found, name) for name in found.__dataclass_fields__}
    return Calibration(
        **values
        | {"start_seconds": start_seconds, "start_bytes": start_bytes, "file_seconds": file_seconds}
    )


def _micro_jobs(study: Study) -> list[tuple[str, list[str]]]:
    """Return the commands of a whole run of `study`, in order, each with its verb."""
    receipt = jobs.dataset_file(study, study.datasets[0])
    cube = jobs.cube_file(study)
    common = ["--study", str(jobs.study_file(study))]
    listed = [("fetch", [*common, "--dataset", study.datasets[0], "--output", str(receipt)])]
    for job in jobs.expand(study):
        minima, rays = jobs.minima_file(study, job.id), jobs.rays_file(study, job.id)
        data = ["--receipt", str(receipt)]
        given = {
            "train": data,
            "rays": [*data, "--minima", str(minima)],
            "volume": ["--rays", str(rays)],
            "estimate": [*data, "--minima", str(minima)],
        }
        for verb in jobs.verbs(study):
            written = ["--output", str(jobs.job_file(study, job.id, verb))]
            listed.append((verb, [*common, "--job", job.id, *given[verb], *written]))
    figure = ["--png", "figure.png", "--pdf", "figure.pdf"]
    listed.append(("cube", [*common, "--output", str(cube)]))
    listed.append(("figure", ["--cube", str(cube), "--name", figure_names.FIGURES[0], *figure]))
    return listed


def _run(verb: str, options: list[str], folder: Path) -> tuple[float, float]:
    """Run a verb as a job does; return its CPU seconds and its peak of memory in bytes."""
    command = [sys.executable, "-c", "from basins.cli import main; main()", verb, *options]
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(command, cwd=folder, stdout=said, stderr=said)  # noqa: S603 - our own verb
        peak, ended = 0.0, 0
        while not ended:
            time.sleep(0.01)
            peak = _peak_bytes(process.pid) or peak
            ended, status, usage = os.wait4(process.pid, os.WNOHANG)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            raise RuntimeError(f"basins {verb} failed while calibrating: {said.read()}")
    return usage.ru_utime + usage.ru_stime, peak or float(usage.ru_maxrss)


def _peak_bytes(process: int) -> float:
    """Return the peak of a process from Linux's own account; 0 where there is none.

    The account that `wait4` gives begins before the process's own program, with this one's memory.
    """
    try:
        status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    except OSError:
        return 0.0
    found = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
    return 1024.0 * float(found[0]) if found else 0.0
