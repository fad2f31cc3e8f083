"""The cluster: looked at when a run starts, before anything is submitted.

Requires: nothing.
Provides: look_at_the_cluster, for runs whose jobs go to SLURM.
"""

from pathlib import Path

from snakemake.exceptions import WorkflowError

from basins.slurm import commands, preflight, queue

SACCT = Path(workflow.basedir) / "profiles" / "slurm" / "without-accounting"


def look_at_the_cluster():
    """Say what the cluster cannot do, and which old jobs it still has."""
    remote = [job for job in workflow.dag.needrun_jobs() if not job.is_local]
    settings = workflow.executor_settings
    try:
        preflight.check_arrays(settings.array_jobs)
        preflight.check(set(map(request_of, remote)), settings.partition_config)
        if not preflight.has_accounting():
            # The executor asks sacct when squeue fails once; see the script there.
            commands.prefer(SACCT)
            settings.efficiency_report = False
        if left := queue.queued(Path.cwd()):
            logger.warning(queue.describe(left))
    except preflight.ClusterError as error:
        raise WorkflowError(str(error)) from None


def request_of(job):
    """Return what SLURM will be asked for: by a group, if the job is in one."""
    asked = workflow.dag.get_job_group(job) or job
    return preflight.Request.of(job.rule.name, asked.threads, asked.resources)
