"""SLURM's own commands: one way to call them, one sentence when they fail."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

TIMEOUT = 60  # seconds; a busy controller answers in a few


class ClusterError(ValueError):
    """A cluster that cannot run the study; the message is one sentence that says what to change."""


def lines(command: Sequence[str]) -> list[str]:
    """Return what a SLURM command prints, a list of lines.

    Raises
    ------
    ClusterError
        If there is no SLURM on this machine, or it does not answer.
    """
    try:
        done = subprocess.run(  # noqa: S603 - our own arguments, no shell
            command, capture_output=True, text=True, timeout=TIMEOUT, check=False
        )
    except FileNotFoundError as error:
        raise ClusterError(
            f"there is no SLURM on this machine: {command[0]} is not found; start the run on a "
            "login node of a cluster, or without --profile slurm"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise ClusterError(
            f"SLURM does not answer: {command[0]} said nothing for {TIMEOUT} s; try again later"
        ) from error
    if done.returncode:
        reason = " ".join(done.stderr.split()) or f"exit status {done.returncode}"
        raise ClusterError(f"SLURM does not answer: {command[0]} said: {reason}")
    return [line for line in done.stdout.splitlines() if line.strip()]


def prefer(folder: Path) -> None:
    """Let this process and those it starts find commands in `folder` first."""
    os.environ["PATH"] = f"{folder}{os.pathsep}{os.environ['PATH']}"
