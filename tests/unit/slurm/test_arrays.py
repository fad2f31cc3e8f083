"""Which command a task of a job array runs."""

import base64
import json
import zlib

import pytest

from basins.slurm.arrays import OPTION, own_command

COMMANDS = {str(task): f"cd /here && python -m snakemake 'task {task}'" for task in (2, 3)}
PAYLOAD = base64.b64encode(
    json.dumps({t: zlib.compress(c.encode(), 9).hex() for t, c in COMMANDS.items()}).encode()
).decode()


@pytest.mark.parametrize(
    "option", [[f"{OPTION}={PAYLOAD}"], [OPTION, PAYLOAD], [f"{OPTION}='{PAYLOAD}'"]]
)
def test_each_task_finds_its_own(option):
    arguments = ["snakemake", "--jobs", "1", *option]
    for task, command in COMMANDS.items():
        environment = {"SLURM_ARRAY_TASK_ID": task, "SLURM_ARRAY_TASK_MIN": "1"}
        assert own_command(arguments, environment) == command


def test_first_task_and_others_keep_theirs():
    arguments = ["snakemake", f"{OPTION}={PAYLOAD}"]
    first = {"SLURM_ARRAY_TASK_ID": "1", "SLURM_ARRAY_TASK_MIN": "1"}
    assert own_command(arguments, first) is None
    assert own_command(arguments, {}) is None
    assert own_command(["snakemake"], {"SLURM_ARRAY_TASK_ID": "2"}) is None
