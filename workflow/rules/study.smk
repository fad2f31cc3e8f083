"""The study: read and checked before anything else, so that bad input stops here in one sentence.

Requires: `config`, from `--configfile` (config/demo.yaml when none is given).
Provides: STUDY, the `{job}` and `{dataset}` wildcards' limits, and the resolved study file that
          every verb reads (written when a run starts, never by a dry run).
"""

import functools

from snakemake.exceptions import WorkflowError

from basins.cube import stale
from basins.plan.request import Request
from basins.study import curves, figure_names, fingerprints, jobs, load
from basins.study.schema import StudyError

try:
    for path in workflow.configfiles:
        # Snakemake keeps the last of two equal keys without a word; this does not.
        load.read_mapping(path)
    STUDY = load.parse_study(config, source=", ".join(map(str, workflow.configfiles)))
    if workflow.is_main_process and STUDY.transforms:
        # Needs torch: a transform that a network cannot have stops here, not in its first job.
        from basins.verbs.preparing import check_networks

        check_networks(STUDY)
except StudyError as error:
    raise WorkflowError(str(error)) from None

if workflow.is_main_process:
    if marked := stale.mark(STUDY):
        logger.warning(
            f"{len(marked)} job files are damaged or were made for another version of the study, "
            f"and are made again; the first is {marked[0]}"
        )

GPUS = 0 if STUDY.device == "cpu" else 1


@functools.cache
def prices():
    """Return the prices of this study's jobs; they need torch, so only when they are asked for."""
    from basins.plan import price

    return price.pricer_of(STUDY)


def ask(verb, job=None):
    """Return the memory and run time to ask for, by the plan; a job on a node has been given its."""
    if not workflow.is_main_process:
        return Request(mem_mb=1, minutes=1)
    if getattr(workflow.executor_settings, "array_jobs", None):
        # All tasks of an array get what its first one asks for.
        return prices().largest(verb)
    return prices().request(verb, jobs.find_any(STUDY, job) if job else None)


def summary():
    """Return what the target says of itself: a dry run's price, a run's results."""
    if workflow.dryrun:
        from basins.plan import table

        return table.text(table.plan(STUDY), STUDY.seeds_per_job)
    return f"Study {STUDY.study} is done: {jobs.cube_file(STUDY)}"


wildcard_constraints:
    job=jobs.JOB_PATTERN,
    cell=jobs.CELL_PATTERN,
    dataset=r"[^/]+",


onstart:
    if workflow.executor_plugin.name == "slurm":
        look_at_the_cluster()
    load.save_study(STUDY, jobs.study_file(STUDY))
