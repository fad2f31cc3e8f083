"""All studies are priced; those that no laptop runs are dry-run, and run in small, keys and all."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import yaml
from by_hand import run, run_study

from basins.cube.read import open_cube
from basins.cube.scaling import power_law
from basins.cube.variable import VOLUME_STATUS
from basins.study import jobs

CONFIG = Path(__file__).parents[2] / "config"
LAWS = [
    f"scaling-{data}{kind}"
    for data in ("mnist", "fashionmnist", "cifar10", "svhn")
    for kind in ("", "-excess")
]
LARGE = [*LAWS, "modular-addition", "poison-cifar10", "poison-svhn"]
SIZES = [4, 8, 16]  # as many as a power law takes


def in_small(name):
    """Return a study with its own models, ways of training and measures, all of them short."""
    study = yaml.safe_load((CONFIG / f"{name}.yaml").read_text())
    if study["datasets"] != ["modular-addition"]:
        study["datasets"] = [f"like_real:{data.replace('-', '_')}" for data in study["datasets"]]
    study["train_sizes"] = SIZES[: len(study["train_sizes"])]
    study["seeds"] = 1
    for recipe in study["recipes"].values():
        recipe["epochs"] = 2
        if "batch_size" in recipe:
            recipe["batch_size"] = 8
        if "poison" in recipe:
            recipe["poison"]["examples"] = 8
    volume = study["measure"]["volume"]
    volume["directions"] = 2
    # Far above what two epochs lead to: ln 10 is the loss of a guess.
    volume["thresholds"] = [6.0]
    if "planes" in study["measure"]:
        # Curvatures of cnn-small take minutes; the network itself runs as scaling-mnist's.
        study["models"] = ["mlp-8"]
        study["measure"]["planes"] = {"points": 3}
        study["measure"]["flatness_options"] = {
            "num_eigenvalues": 2,
            "num_products": 9,
            "num_probes": 2,
            "num_steps": 4,
            "subspace": 2,
        }
    return study


@pytest.mark.parametrize("name", sorted(path.stem for path in CONFIG.glob("*.yaml")))
def test_every_study_has_its_price(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run("plan", CONFIG / f"{name}.yaml", "--json")
    plan = json.loads(capsys.readouterr().out)
    rules = {rule["rule"]: rule for rule in plan["rules"]}
    assert {"fetch", "train", "rays", "volume", "cube"} <= rules.keys()
    for rule in rules.values():
        assert rule["num_jobs"] > 0
        for key in ("seconds", "longest", "peak_bytes", "result_bytes"):
            assert 0 < rule[key] < math.inf
    assert 0 < plan["chain_seconds"] <= plan["wall_seconds"]


@pytest.mark.parametrize("name", LARGE)
def test_dry_run_of_a_large_study_ends_with_its_plan(name, checkout):
    status, output = checkout.snakemake("--dry-run", study=f"config/{name}.yaml")
    assert status == 0, output
    assert f"Study {name}: what is left to do" in output
    assert not (checkout.folder / "results").exists()


@pytest.mark.parametrize("name", LARGE)
def test_in_small_every_step_of_a_large_study_runs(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(in_small(name)))
    study = run_study(path)
    with open_cube(jobs.cube_file(study)) as cube:
        cube.load()
    assert (cube.training_status != 0).all()
    assert cube.landscape_loss.notnull().all()
    # In landscapes smaller than the train size and larger.
    measured = [VOLUME_STATUS.index(status) for status in ("calibrated", "lower_bound")]
    assert cube.volume_status.isin(measured).all()
    assert cube.log_volume.notnull().all()
    if name in LAWS:
        assert np.isfinite(power_law(cube).exponent_per_parameter).all()
