"""The study: read and checked before anything else, so that bad input stops here in one sentence.

Requires: `config`, from `--configfile` (config/demo.yaml when none is given).
Provides: STUDY, the `{job}` and `{dataset}` wildcards' limits, and the resolved study file that
          every verb reads (written when a run starts, never by a dry run).
"""

from snakemake.exceptions import WorkflowError

from basins.study import jobs, load
from basins.study.schema import StudyError

try:
    STUDY = load.parse_study(config, source=", ".join(map(str, workflow.configfiles)))
except StudyError as error:
    raise WorkflowError(str(error)) from None


wildcard_constraints:
    job=jobs.JOB_PATTERN,
    dataset=r"[^/]+",


onstart:
    load.save_study(STUDY, jobs.study_file(STUDY))
