"""Snakemake's command, but asking SLURM every second.

The executor's pauses grow by ten seconds as long as no job ends, which are most of a test's time.
"""

import sys

from snakemake.cli import main
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor

RemoteExecutor.next_seconds_between_status_checks = property(lambda _: 1.0, lambda *_: None)

if __name__ == "__main__":
    sys.exit(main())
