"""The cluster: looked at when a run starts, before anything is submitted.

Requires: nothing.
Provides: look_at_the_cluster, for runs whose jobs go to SLURM.
"""

import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

from basins.slurm import accounts, arrays, commands, preflight, queue

arrays.become_own_task()

COMMANDS = Path(workflow.basedir) / "profiles" / "slurm" / "commands"


def look_at_the_cluster():
    """Say what the cluster cannot do, and which old jobs it still has."""
    remote = [job for job in workflow.dag.needrun_jobs() if not job.is_local]
    settings = workflow.executor_settings
    try:
        preflight.check_arrays(settings.array_jobs, is_limited())
        preflight.check(set(map(request_of, remote)), settings.partition_config)
        accounts.check_qos(settings.qos or "")
        # The executor misunderstands some of sacct's answers; see the script there.
        commands.prefer(COMMANDS)
        if not accounts.has_accounting():
            settings.efficiency_report = False
        if left := queue.queued(Path.cwd()):
            logger.warning(queue.describe(left))
    except commands.ClusterError as error:
        raise WorkflowError(str(error)) from None


def is_limited():
    """Tell whether Snakemake may hold jobs back that are ready."""
    limits, per_time = workflow.resource_settings, workflow.scheduling_settings
    is_local = workflow.resource_scopes.is_local
    shared = [
        name for name in limits.resources if name[0] != "_" and not is_local(name)
    ]
    most = per_time.max_jobs_per_timespan
    return (
        bool(shared)
        or limits.nodes < sys.maxsize
        or (most is not None and most.max_jobs < 10**6)
    )


def request_of(job):
    """Return what SLURM will be asked for: by a group, if the job is in one."""
    asked = workflow.dag.get_job_group(job) or job
    return preflight.Request.of(job.rule.name, asked.threads, asked.resources)
