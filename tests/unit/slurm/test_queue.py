"""Jobs left in the queue: whose they are, and what is done about them."""

import os
import uuid

import pytest

from basins import verbs
from basins.slurm import queue
from basins.slurm.queue import QueuedJob


@pytest.fixture
def squeue(tmp_path, monkeypatch):
    """Play a queue whose content is a file; scancel empties it and notes what it was told."""
    folder = tmp_path / "bin"
    folder.mkdir()
    content, told = tmp_path / "queue", tmp_path / "told"
    (folder / "squeue").write_text(f"#!/bin/sh\ncat '{content}'\n")
    (folder / "scancel").write_text(f"#!/bin/sh\necho \"$@\" > '{told}'\n: > '{content}'\n")
    for command in folder.iterdir():
        command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    here = tmp_path / "a|b"
    here.mkdir()
    monkeypatch.chdir(here)

    def fill(*lines):
        content.write_text("".join(f"{line}\n" for line in lines))

    fill()
    return here, fill, told


def line(number, place, name=None, state="RUNNING"):
    return f"{number}|{state}|{name or f'basins_{uuid.uuid4()}'}|rule_rays|{place}"


def test_only_workflow_jobs_of_this_folder_count(squeue):
    here, fill, _ = squeue
    mine = str(uuid.uuid4())
    fill(
        line("1", here),
        line("2_3", here, mine, "PENDING"),
        line("4", here.parent),
        line("5", here, "jupyter"),
        line("6", here, f"{mine}x"),
    )
    assert [(job.id, job.state) for job in queue.queued(here)] == [
        ("1", "RUNNING"),
        ("2_3", "PENDING"),
    ]


def test_orphans_are_named_cancelled_and_awaited(squeue, capsys):
    here, fill, told = squeue
    name = f"basins_{uuid.uuid4()}"
    fill(line("1", here, name), line("2_1", here, name, "PENDING"))
    verbs.orphans(should_cancel=False, should_wait=False)
    words = capsys.readouterr().out
    assert "2 jobs of 1 earlier run from this folder" in words
    assert "1 pending, 1 running" in words
    assert not told.exists()
    verbs.orphans(should_cancel=True, should_wait=False)
    assert told.read_text().split() == ["1", "2_1"]
    verbs.orphans(should_cancel=True, should_wait=True)
    words = capsys.readouterr().out
    assert "No job of an earlier run" in words
    assert "All have ended" in words


def test_waiting_asks_again(squeue, monkeypatch):
    here, fill, _ = squeue
    fill(line("1", here))
    monkeypatch.setattr(queue.time, "sleep", lambda _: fill())
    queue.wait(here)
    assert queue.queued(here) == []


def test_runs_are_counted():
    left = [QueuedJob(str(i), "RUNNING", name, "") for i, name in enumerate("aab")]
    assert "3 jobs of 2 earlier runs" in queue.describe(left)
