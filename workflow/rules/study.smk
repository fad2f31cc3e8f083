"""The study: read and checked before anything else, so that bad input stops here in one sentence.

Requires: `config`, from `--configfile` (config/demo.yaml when none is given).
Provides: STUDY, the `{job}` and `{dataset}` wildcards' limits, and the resolved study file that
          every verb reads (written when a run starts, never by a dry run).
"""

import os
from pathlib import Path

from snakemake.exceptions import WorkflowError

from basins.cube import stale
from basins.slurm import preflight, queue
from basins.study import jobs, load
from basins.study.schema import StudyError

try:
    STUDY = load.parse_study(config, source=", ".join(map(str, workflow.configfiles)))
except StudyError as error:
    raise WorkflowError(str(error)) from None

if workflow.is_main_process:
    stale.mark(STUDY)

SACCT = Path(workflow.basedir) / "profiles" / "slurm" / "without-accounting"
GPUS = 0 if STUDY.device == "cpu" else 1


def look_at_the_cluster():
    """Say before anything is submitted what the cluster cannot do, and which old jobs it still has."""
    remote = [job for job in workflow.dag.needrun_jobs() if not job.is_local]
    requests = {
        preflight.Request.of(job.rule.name, job.threads, job.resources)
        for job in remote
    }
    settings = workflow.executor_settings
    try:
        preflight.check_arrays(settings.array_jobs)
        preflight.check(requests, settings.partition_config)
        if not preflight.has_accounting():
            # The executor asks sacct when squeue fails once; see the script there.
            os.environ["PATH"] = f"{SACCT}{os.pathsep}{os.environ['PATH']}"
        if left := queue.queued(Path.cwd()):
            logger.warning(queue.describe(left))
    except preflight.ClusterError as error:
        raise WorkflowError(str(error)) from None


wildcard_constraints:
    job=jobs.JOB_PATTERN,
    dataset=r"[^/]+",


onstart:
    if not workflow.local_exec:
        look_at_the_cluster()
    load.save_study(STUDY, jobs.study_file(STUDY))
