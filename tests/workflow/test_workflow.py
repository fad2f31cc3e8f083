"""The tiny study end to end: what a run writes, what it refuses, what a kill leaves."""

import contextlib
import os
import random
import re
import shutil
import signal
import subprocess

import numpy as np
import psutil
import pytest
import xarray as xr

from basins.cube.read import open_cube

pytestmark = pytest.mark.xdist_group("workflow")

GROUPS = ["/", "/rays", "/history"]


def assert_same_cube(path, expected):
    """Every group but /provenance, which holds clocks and devices, is identical."""
    for group in GROUPS:
        with (
            xr.open_dataset(path, group=group) as ours,
            xr.open_dataset(expected, group=group) as theirs,
        ):
            xr.testing.assert_identical(ours.load(), theirs.load())


def cube_of(checkout, study="tiny"):
    return checkout.folder / "results" / study / "cube.nc"


def test_run_writes_cube_figures_report_and_study(tiny_run):
    results = cube_of(tiny_run).parent
    with open_cube(cube_of(tiny_run)) as cube:
        assert cube.log_volume.notnull().any()
        assert dict(cube.sizes)["seed"] == 2
    names = {path.name for path in (results / "figures").iterdir()}
    assert {"volume_by_train_size.png", "volume_by_train_size.pdf"} <= names
    report = (results / "report.html").read_text(encoding="utf-8")
    for words in ("How many nats each minimum", "learning_rate: 0.02", "train_sizes: [20, 60]"):
        assert words in report
    explorer = (results / "explorer.html").read_text(encoding="utf-8")
    assert "How many nats each minimum" in explorer
    assert explorer.count('src="data:image/png;base64,') == sum(
        name.endswith(".png") for name in names
    )
    assert "threshold_kind" in (results / "study.yaml").read_text()
    assert not (results / "checkpoints").exists() or not list(
        (results / "checkpoints").rglob("*.pt")
    )


def test_nothing_is_done_twice(tiny_run):
    status, output = tiny_run.snakemake("--dry-run")
    assert status == 0, output
    assert "Nothing to be done" in output


def test_dry_run_lists_jobs_and_writes_nothing(checkout):
    status, output = checkout.snakemake("--dry-run")
    assert status == 0, output
    assert "rays" in output
    assert "train" in output
    assert not (checkout.folder / "results").exists()


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"train_sizes": [60, 20]}, ["train_sizes", "increasing"]),
        ({"modles": ["mlp-8"]}, ["modles", "models"]),
        ({"train_sizes": [20, 99999]}, ["99999", "1437"]),
        ({"seeds": "many"}, ["seeds"]),
    ],
)
def test_bad_study_stops_with_a_sentence_before_anything_is_written(checkout, keys, words):
    status, output = checkout.snakemake(study=checkout.edit_study(**keys))
    assert status != 0
    for word in words:
        assert word in output
    assert "Traceback" not in output
    assert not (checkout.folder / "results").exists()


def test_one_core_and_another_order_give_the_same_bits(tiny_run, checkout):
    status, output = checkout.snakemake(cores=1)
    assert status == 0, output
    assert_same_cube(cube_of(checkout), cube_of(tiny_run))


def test_blocks_of_seeds_move_only_rounding(tiny_run, checkout):
    study = checkout.edit_study(seeds_per_job=2)
    status, output = checkout.snakemake("cube", study=study)
    assert status == 0, output
    with open_cube(cube_of(checkout)) as ours, open_cube(cube_of(tiny_run)) as theirs:
        xr.testing.assert_equal(ours.test_accuracy, theirs.test_accuracy)
        moved = abs(ours.log_volume - theirs.log_volume)
        assert bool(
            (moved <= 0.1 * theirs.log_volume_stderr.clip(min=1)).where(moved.notnull(), True).all()
        )


def test_dry_run_ends_with_the_plan(checkout):
    status, output = checkout.snakemake("--dry-run")
    assert status == 0, output
    assert "Study tiny: what is left to do" in output
    assert re.search(r"^rays +4 +\d+ s", output, flags=re.MULTILINE)


def test_key_written_twice_is_refused(checkout):
    study = checkout.folder / "tests/studies/tiny.yaml"
    study.write_text(study.read_text() + "seeds: 3\n")
    status, output = checkout.snakemake("--dry-run")
    assert status == 1
    assert "seeds: the key is written twice" in output


def test_slurm_profile_without_slurm_is_one_sentence(checkout, tmp_path):
    """Every command but SLURM's is there."""
    (checkout.folder / "slurm").symlink_to("profiles/slurm")
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("bash", "sh", "env", "which", "git", "python3", "snakemake", "basins"):
        (tools / name).symlink_to(shutil.which(name, path=checkout.environment["PATH"]))
    checkout.environment["PATH"] = str(tools)
    status, output = checkout.run(
        *[tools / "snakemake", "--profile", "slurm", "--configfile", "tests/studies/tiny.yaml"]
    )
    assert status == 1
    assert "there is no SLURM on this machine: sinfo is not found" in output
    assert not (checkout.folder / "results" / "tiny").exists()


def test_changed_measure_keeps_minima(tiny_run, tmp_path):
    """Only rays and what follows run again when the measure changes; minima are kept."""
    copy = tiny_run.copy(tmp_path / "copy")
    study = copy.edit_study(measure={"volume": {"directions": 14, "thresholds": [0.1, 0.5]}})
    status, output = copy.snakemake("--dry-run", study=study)
    assert status == 0, output
    assert re.search(r"^rays +4$", output, flags=re.MULTILINE)
    assert not re.search(r"^train +\d+$", output, flags=re.MULTILINE)


def test_flatness_asked_for_later_is_all_that_runs(tiny_run, tmp_path):
    copy = tiny_run.copy(tmp_path / "copy")
    with xr.open_dataset(cube_of(tiny_run)) as before:
        volume = {"directions": 12, "thresholds": [0.1, 0.5], "coordinates": "filter"}
        study = copy.edit_study(measure={"volume": volume, "flatness": ["spectrum"]})
        status, output = copy.snakemake(study=study)
        assert status == 0, output
        assert re.search(r"^flatness +4$", output, flags=re.MULTILINE)
        assert not re.search(r"^(train|rays|volume) +\d+$", output, flags=re.MULTILINE)
        with open_cube(cube_of(copy)) as cube:
            assert cube.spectral_norm.notnull().all()
            assert cube.test_trace.notnull().all()
            xr.testing.assert_equal(cube.log_volume, before.log_volume)


def test_transform_asked_for_later_makes_and_measures_only_its_own_minima(tiny_run, tmp_path):
    copy = tiny_run.copy(tmp_path / "copy")
    study = copy.edit_study(transforms=["alpha-scale:4"])
    status, output = copy.snakemake(study=study)
    assert status == 0, output
    assert not re.search(r"^train +\d+$", output, flags=re.MULTILINE)
    for rule in ("transform", "rays", "volume"):
        assert re.search(rf"^{rule} +4$", output, flags=re.MULTILINE), output
    with open_cube(cube_of(copy)) as cube, open_cube(cube_of(tiny_run)) as before:
        assert list(cube.recipe.values) == ["adam", "adam@alpha-scale:4"]
        xr.testing.assert_equal(cube.log_volume.sel(recipe=["adam"]), before.log_volume)
        # A power of 2 leaves single precision's digits as they are, and the function with them.
        for name in ("train_loss", "test_accuracy"):
            values = cube[name].values
            np.testing.assert_array_equal(values[:, :, 0], values[:, :, 1])
    status, output = copy.snakemake(study=study)
    assert status == 0, output
    assert "Nothing to be done" in output


def test_minima_in_coordinates_of_their_own_are_jobs_of_their_own(checkout):
    study = checkout.edit_study(seeds=3, seeds_per_job=3, transforms=["radial:1:1"])
    status, output = checkout.snakemake("--dry-run", study=study)
    assert status == 0, output
    counts = dict(re.findall(r"^(train|transform|rays) +(\d+)$", output, flags=re.MULTILINE))
    assert int(counts["transform"]) == 3 * int(counts["train"])
    assert int(counts["rays"]) == 4 * int(counts["train"])


def test_impossible_transform_stops_the_workflow_before_any_job(checkout):
    study = checkout.edit_study(models=["resnet-8"], transforms=["permutation"])
    status, output = checkout.snakemake("--dry-run", study=study)
    assert status != 0
    assert "transforms: 'permutation' is not possible, " in output
    assert not (checkout.folder / "results").exists()


def test_truncated_input_is_named_and_nothing_is_lost(tiny_run, tmp_path):
    copy = tiny_run.copy(tmp_path / "copy")
    before = cube_of(copy).read_bytes()
    victim = sorted((copy.folder / "results/tiny/rays").rglob("*.h5"))[0]
    victim.write_bytes(victim.read_bytes()[:1000])
    status, output = copy.run(
        "basins", "cube", "--study", "results/tiny/study.yaml", "--output", "results/tiny/cube.nc"
    )
    assert status == 2
    assert victim.name in output
    assert "Traceback" not in output
    assert cube_of(copy).read_bytes() == before


def kill_everything(process):
    os.killpg(process.pid, signal.SIGKILL)


def kill_only_the_workflow(process):
    """Kill make and Snakemake but leave their jobs running, as a lost login shell does."""
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    for member in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            if member.name() in {"make", "flock"} or "snakemake" in " ".join(member.cmdline()):
                member.kill()


@pytest.mark.slow
def test_killed_runs_end_with_the_same_cube(tiny_run, checkout, seed):
    """Five kills at random moments, by turns of everything and of the workflow alone."""
    moments = random.Random(seed)  # noqa: S311 - when to kill, no cryptography
    for kill in [kill_everything, kill_only_the_workflow] * 3:
        # Its output goes nowhere: reading it to the end would wait for the jobs left running.
        process = checkout.start(
            *checkout.make(), start_new_session=True, stdout=subprocess.DEVNULL
        )
        try:
            process.wait(timeout=moments.uniform(2, 15))
        except subprocess.TimeoutExpired:
            kill(process)
            process.wait()
    status, output = checkout.run(*checkout.make())
    assert status == 0, output
    assert_same_cube(cube_of(checkout), cube_of(tiny_run))
