"""A small study on real SLURM daemons: a local run's cube comes out, whatever fails on the way.

Faults are caused once the jobs they hit are seen running. The daemons, their two nodes and their
pretended GPUs come from tests/slurm/cluster; without root or Debian's packages these tests are
skipped.
"""

import contextlib
import csv
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import xarray as xr

ROOT = Path(__file__).parents[2]
CLUSTER = ROOT / "tests" / "slurm" / "cluster"
ASKING_OFTEN = ROOT / "tests" / "slurm" / "snakemake_asking_often.py"
STUDY = "tests/studies/pair.yaml"
CUBE = "results/pair/cube.nc"
FIGURE = "results/pair/figures/volume_by_train_size.png"
COMMANDS = ["slurmctld", "slurmd", "munged", "sinfo"]
ACCOUNTING_COMMANDS = ["slurmdbd", "mariadbd", "mariadb-install-db"]

pytestmark = [pytest.mark.xdist_group("slurm"), pytest.mark.slow]


def cluster(*command):
    return subprocess.run([CLUSTER, *command], capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module", autouse=True)
def nodes():
    """Two idle nodes; taken down at the end."""
    missing = [name for name in COMMANDS if not shutil.which(name)]
    if os.geteuid() or missing:
        pytest.skip(
            "NO SLURM HERE, SO THE PROFILE IS NOT TESTED: it takes root and Debian's slurmctld, "
            f"slurmd, slurm-client and munge (missing: {missing or 'root'})"
        )
    up = cluster("up")
    if up.returncode:
        pytest.skip(f"NO SLURM HERE, SO THE PROFILE IS NOT TESTED: {up.stderr.strip()}")
    yield
    cluster("down")


@pytest.fixture(scope="module")
def accounting():
    """The same nodes, with a database in which this user may charge physics and biology."""
    if missing := [name for name in ACCOUNTING_COMMANDS if not shutil.which(name)]:
        pytest.skip(
            "NO SLURM ACCOUNTING HERE, SO IT IS NOT TESTED: it takes Debian's slurmdbd, "
            f"slurm-wlm-mysql-plugin and mariadb-server (missing: {missing})"
        )
    up = cluster("up", "--accounting")
    assert up.returncode == 0, up.stderr


@pytest.fixture
def folder(checkout):
    """A checkout of which no job is left behind."""
    (checkout.folder / "slurm").symlink_to("profiles/slurm")
    yield checkout
    ids = [line.split("|")[0] for line in in_queue(checkout)]
    if ids:
        subprocess.run(["scancel", *ids], check=False)
    for node in ("node1", "node2"):
        if not daemon_runs(node):
            cluster("start-node", node)
    resume = ["scontrol", "update", "NodeName=node[1-2]", "State=RESUME"]
    subprocess.run(resume, check=False, capture_output=True)


def daemon_runs(node):
    return not subprocess.run(["pgrep", "-f", f"slurmd -N {node}"], capture_output=True).returncode


def submit(checkout, *options, target=CUBE):
    """Start Snakemake as a user would, but asking SLURM more often; its output goes to a file."""
    with (checkout.folder / "snakemake.log").open("a") as log:
        return checkout.start(
            *[sys.executable, ASKING_OFTEN, target, "--profile", "slurm", *options],
            *["--slurm-init-seconds-before-status-checks", "2"],
            *["--max-status-checks-per-second", "2"],
            *["--configfile", STUDY],
            stdout=log,
            start_new_session=True,
        )


def said(checkout):
    return (checkout.folder / "snakemake.log").read_text(errors="replace")


def finish(checkout, process, timeout=900):
    """Wait for the end of a run, which must be a good one; beyond the timeout it hangs."""
    end = time.monotonic() + timeout
    while process.poll() is None:
        if time.monotonic() > end:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            pytest.fail(f"the run did not end in {timeout} s:\n{said(checkout)[-6000:]}")
        # SLURM lets two minutes pass before it starts a requeued job again.
        for line in in_queue(checkout, "PENDING"):
            now = ["scontrol", "update", f"JobId={line.split('|')[0]}", "StartTime=now"]
            subprocess.run(now, check=False, capture_output=True)
        time.sleep(1)
    assert process.returncode == 0, said(checkout)[-6000:]


def assert_same_cube(checkout, pair_run):
    for group in ["/", "/rays", "/history"]:
        with (
            xr.open_dataset(checkout.folder / CUBE, group=group) as ours,
            xr.open_dataset(pair_run.folder / CUBE, group=group) as theirs,
        ):
            xr.testing.assert_identical(ours.load(), theirs.load())


def in_queue(checkout, states="PENDING,RUNNING,COMPLETING"):
    command = ["squeue", "--noheader", "--array", "--states", states, "--format", "%i|%N|%k|%Z"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return [line for line in done.stdout.splitlines() if line.endswith(f"|{checkout.folder}")]


def until(condition, seconds=120):
    """Return what `condition` gives once it is true."""
    for _ in range(int(seconds / 0.2)):
        if found := condition():
            return found
        time.sleep(0.2)
    raise AssertionError(f"waited {seconds} s in vain")


def running(checkout, rule):
    """Return (job id, node) of a rule's jobs once one of them computes."""

    def look():
        if not processes(checkout, rule):
            return []
        lines = [line.split("|") for line in in_queue(checkout, "RUNNING")]
        return [
            (number, node) for number, node, what, _ in lines if what.startswith(f"rule_{rule}")
        ]

    return until(look)


def processes(checkout, verb):
    """Return the `basins <verb>` processes of this checkout."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            words = " ".join(process.cmdline())
            if f"/basins {verb} " in words and process.cwd() == str(checkout.folder):
                found.append(process)
    return found


def test_study_runs_on_the_gpus_it_asks_for_and_needs_nothing_after_that(folder, pair_run):
    """One rule names a GPU type, the other a gres; each type has one GPU, on its own node."""
    types = ["train:gpu_model=large", "rays:gpu=0", "rays:gres=gpu:small:1"]
    process = submit(folder, "--set-resources", *types, target=FIGURE)
    running(folder, "train")
    environment = processes(folder, "train")[0].environ()
    assert environment["CUDA_VISIBLE_DEVICES"] == "0"
    assert environment["SLURM_CPUS_PER_TASK"] == "1"
    finish(folder, process)
    assert_same_cube(folder, pair_run)
    nodes = {"train": set(), "rays": set()}
    for line in in_queue(folder, "COMPLETED"):
        _, node, what, _ = line.split("|")
        if (rule := what.split("_")[1]) in nodes:
            nodes[rule].add(node)
    assert nodes == {"train": {"node2"}, "rays": {"node1"}}
    logs = {path.name for path in (folder.folder / "results/pair/logs").iterdir()}
    assert logs == {"fetch", "train", "rays", "volume", "cube", "figure"}
    status, output = folder.run(
        *["snakemake", FIGURE, "--profile", "slurm", "--dry-run", "--configfile", STUDY]
    )
    assert status == 0
    assert "everything is done" in output or "Nothing to be done" in output


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--default-resources", "slurm_account=abc"], "this cluster keeps no accounts"),
        (["--set-resources", "train:gpu_model=a100"], "1 GPUs of type a100, which no partition"),
        (["--set-resources", "train:slurm_partition=nope"], "'nope' is not on this cluster"),
        (["--set-resources", "rays:runtime=9999"], "gpu allows 240 minutes"),
        (["--slurm-array-jobs", "all"], "waits for ever where the number of jobs is limited"),
    ],
)
def test_what_the_cluster_cannot_do_is_said_before_anything_is_submitted(folder, options, words):
    process = submit(folder, *options)
    assert process.wait(timeout=60) == 1
    assert words in said(folder)
    assert "has been submitted" not in said(folder)
    assert in_queue(folder, "all") == []
    assert not (folder.folder / "results" / "pair").exists()


def test_job_cancelled_and_job_out_of_time(folder, pair_run):
    process = submit(folder)
    number, _ = running(folder, "train")[0]
    subprocess.run(["scancel", number], check=True)
    number, _ = running(folder, "rays")[0]
    for stuck in processes(folder, "rays"):
        stuck.suspend()
    subprocess.run(["scontrol", "update", f"JobId={number}", "TimeLimit=00:00:05"], check=True)
    until(lambda: number not in " ".join(in_queue(folder, "RUNNING")))
    for stuck in processes(folder, "rays"):
        stuck.resume()
    finish(folder, process)
    assert "SLURM status is: 'CANCELLED'" in said(folder)
    assert "SLURM status is: 'TIMEOUT'" in said(folder)
    assert_same_cube(folder, pair_run)


def test_arrays_whose_first_task_is_cancelled(folder, pair_run):
    """Each task ends by itself: only the cancelled one runs again."""
    limits = ["--jobs", "unlimited", "--max-jobs-per-timespan", "1000000/1s"]
    process = submit(folder, "--slurm-array-jobs", "train,rays", *limits)
    first = min(number for number, _ in running(folder, "train"))
    assert first.endswith("_1")
    subprocess.run(["scancel", first], check=True)
    finish(folder, process)
    assert said(folder).count("SLURM status is") == 1
    assert "Submitted array job" in said(folder)
    assert_same_cube(folder, pair_run)


def test_node_that_comes_back_and_node_that_stays_dead(folder, pair_run):
    process = submit(folder)
    _, node = running(folder, "train")[0]
    cluster("stop-node", node)
    cluster("start-node", node)
    _, node = running(folder, "rays")[0]
    cluster("stop-node", node)
    finish(folder, process)
    assert_same_cube(folder, pair_run)


def test_controller_down_for_a_minute(folder, pair_run):
    process = submit(folder)
    running(folder, "train")
    cluster("stop-controller")
    time.sleep(60)
    cluster("start-controller")
    finish(folder, process)
    assert_same_cube(folder, pair_run)


def test_submitter_killed_with_its_jobs_running_then_after_they_ended(folder, pair_run):
    """The second run meets the first one's jobs; the third what the second's left, one file cut."""
    process = submit(folder)
    running(folder, "train")
    slow = processes(folder, "train")
    for job in slow:
        job.suspend()
    process.kill()
    process.wait()
    folder.snakemake("--unlock", study=STUDY)
    process = submit(folder)
    until(lambda: "still in SLURM's queue" in said(folder))
    for job in slow:
        job.resume()
    running(folder, "rays")
    process.kill()
    process.wait()
    folder.snakemake("--unlock", study=STUDY)
    status, output = folder.run("basins", "orphans", "--wait")
    assert (status, in_queue(folder)) == (0, []), output
    rays = sorted((folder.folder / "results/pair/rays").rglob("*.h5"))
    minima = sorted((folder.folder / "results/pair/minima").rglob("*.h5"))
    minima[0].write_bytes(minima[0].read_bytes()[:1000])
    kept = {path: path.stat().st_mtime_ns for path in minima[1:]}
    assert rays
    finish(folder, submit(folder))
    assert_same_cube(folder, pair_run)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


def test_orphans_are_cancelled(folder):
    process = submit(folder)
    running(folder, "train")
    process.kill()
    process.wait()
    status, output = folder.run("basins", "orphans", "--cancel")
    assert status == 0
    assert "Cancelled" in output
    until(lambda: not in_queue(folder))


def test_disk_full_during_a_write(folder, pair_run):
    """With too little space jobs fail in one sentence and leave no half file."""
    results = folder.folder / "results"
    results.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", results], check=True)
    try:
        process = submit(folder)
        process.wait(timeout=300)
        assert process.returncode
        assert "No space left on device" in said(folder)
        subprocess.run(["mount", "-o", "remount,size=100m", results], check=True)
        finish(folder, submit(folder))
        assert_same_cube(folder, pair_run)
        assert not list(results.rglob("*.partial*"))
    finally:
        subprocess.run(["umount", results], check=True)


@pytest.mark.usefixtures("accounting")
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--default-resources", "slurm_account=empty"], "slurm_account 'empty' is none of yours"),
        (["--default-resources", "slurm_account=physics,x"], "slurm_account 'x' is none of yours"),
        (["--slurm-qos", "express"], "QOS 'express' is none of yours, which are normal"),
        (["--set-resources", "rays:qos=express"], "QOS 'express' is none of yours"),
    ],
)
def test_accounts_of_others_are_refused_before_anything_is_submitted(folder, options, words):
    process = submit(folder, *options)
    assert process.wait(timeout=60) == 1
    assert words in said(folder)
    assert "has been submitted" not in said(folder)
    assert in_queue(folder, "all") == []


@pytest.mark.usefixtures("accounting")
@pytest.mark.parametrize("status", ["squeue", "sacct"])
def test_accounting_charges_the_account_and_reports_efficiency(folder, pair_run, status):
    """Status from either command; sacct says `CANCELLED by 0`, which the executor does not know."""
    account = ["--default-resources", "slurm_account=biology", "--slurm-qos", "normal"]
    process = submit(folder, *account, "--slurm-status-command", status)
    number, _ = running(folder, "train")[0]
    subprocess.run(["scancel", number], check=True)
    finish(folder, process)
    assert "SLURM status is: 'CANCELLED'" in said(folder)
    assert_same_cube(folder, pair_run)
    (report,) = (folder.folder / "results" / "slurm-efficiency").glob("*.csv")
    with report.open() as file:
        rows = list(csv.DictReader(file))
    # Two networks trained and measured, their volumes in one job, and the cube.
    ran = [row for row in rows if float(row["MaxRSS_MB"]) > 0]
    assert len({row["MainJobID"] for row in ran}) >= 6
    assert all(0 < float(row["Memory Usage (%)"]) < 100 for row in ran)
    charged = ["sacct", "-nPX", "--format", "Account,Comment", "--starttime", "now-1hour"]
    lines = subprocess.run(charged, capture_output=True, text=True, check=True).stdout.split()
    assert sum(line.startswith("biology|rule_train") for line in lines) >= 3
