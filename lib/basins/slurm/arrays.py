"""Job arrays made right: each task becomes the job it stands for.

The executor (snakemake-executor-plugin-slurm up to 2.8, its issue 447) starts every task of an
array with the command of the first. That process runs the task's own command, but then judges it by
the first task's files: it fails when these are missing, and removes them when the command fails.
Putting the task's own command in that process's place leaves nothing to be misjudged.
"""

import base64
import json
import os
import sys
import zlib
from collections.abc import Mapping, Sequence

OPTION = "--slurm-jobstep-array-execs"


def become_own_task() -> None:
    """Replace this process by the command of its own task, if it runs another's."""
    if command := own_command(sys.argv, os.environ):
        os.execv("/bin/sh", ["sh", "-c", command])  # noqa: S606 - what Snakemake was about to run


def own_command(arguments: Sequence[str], environment: Mapping[str, str]) -> str | None:
    """Return the command of this task of a job array.

    Parameters
    ----------
    arguments
        This process's command line.
    environment
        Its environment, in which SLURM names the task.

    Returns
    -------
    str or None
        A shell command; None in the first task, whose command runs already, and outside arrays.
    """
    task = environment.get("SLURM_ARRAY_TASK_ID")
    payload = _payload(arguments)
    if payload is None or task is None or task == environment.get("SLURM_ARRAY_TASK_MIN"):
        return None
    commands = json.loads(base64.b64decode(payload))
    return zlib.decompress(bytes.fromhex(commands[task])).decode()


def _payload(arguments: Sequence[str]) -> str | None:
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=True):
        name, equals, value = argument.partition("=")
        if name == OPTION:
            return (value if equals else following).strip("'\"")
    return None
