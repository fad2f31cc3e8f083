"""Shared fixtures: the seed of a run, the folder of real data, a checkout and one run in it."""

import fcntl
import os
import secrets
import shutil
import subprocess
import sys
from pathlib import Path

import hypothesis
import numba
import pytest
import torch
import yaml

from basins.study import jobs

if not torch.cuda.is_available():
    # Read when the kernels of a GPU are made: they are interpreted where there is none.
    os.environ["TRITON_INTERPRET"] = "1"

ROOT = Path(__file__).parents[1]
PARTS = ["Snakefile", "Makefile", "environment.yml", "requirements.lock", "pyproject.toml"]
FOLDERS = ["workflow", "config", "profiles", "tests/studies"]


def with_tools():
    """Return the environment of commands, this test's tools first."""
    tools = Path(sys.executable).parent
    return os.environ | {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}


class Checkout:
    """The workflow's own files in an empty folder, run with this test's environment."""

    def __init__(self, folder: Path):
        self.folder = folder
        for part in PARTS:
            shutil.copy2(ROOT / part, folder / part)
        for part in FOLDERS:
            shutil.copytree(ROOT / part, folder / part)
        (folder / "ready").touch()
        self.environment = with_tools()

    @classmethod
    def at(cls, folder: Path) -> "Checkout":
        """Return the one that is in a folder."""
        found = object.__new__(cls)
        found.folder, found.environment = folder, with_tools()
        return found

    def copy(self, folder: Path) -> "Checkout":
        """Return the same in another folder, results and all."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Checkout.at(folder)

    def start(self, *command, **options):
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment,
            text=True,
            stderr=subprocess.STDOUT,
            **{"stdout": subprocess.PIPE} | options,
        )

    def run(self, *command, timeout=900):
        with self.start(*command) as process:
            output, _ = process.communicate(timeout=timeout)
        return process.returncode, output

    def snakemake(self, *options, study="tests/studies/tiny.yaml", cores=2):
        return self.run("snakemake", *options, "--cores", str(cores), "--configfile", study)

    def make(self, study="tests/studies/tiny.yaml"):
        """Return the `make demo` command: `ready` stands for the installed environment."""
        return ["make", "demo", f"STUDY={study}", f"VENV={sys.prefix}", "READY=ready"]

    def edit_study(self, **keys):
        path = self.folder / "tests/studies/edited.yaml"
        mapping = yaml.safe_load((self.folder / "tests/studies/tiny.yaml").read_text())
        path.write_text(yaml.safe_dump(mapping | keys))
        return str(path.relative_to(self.folder))


# An example that compiles a kernel takes seconds; tests time nothing.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


@pytest.fixture(autouse=True)
def threads():
    """Give workers that run side by side a thread each: two pools that spin halt one another."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        torch.set_num_threads(1)
        numba.set_num_threads(1)


def pytest_addoption(parser):
    parser.addoption("--seed", type=int, default=None, help="seed of fresh random inputs")


def pytest_configure(config):
    # pytest-xdist workers must agree, so the seed is drawn once and handed down.
    if hasattr(config, "workerinput"):
        config.basins_seed = config.workerinput["basins_seed"]
    else:
        given = config.getoption("--seed")
        config.basins_seed = secrets.randbelow(2**31) if given is None else given


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node):
    node.workerinput["basins_seed"] = node.config.basins_seed


def pytest_report_header(config):
    return f"basins: --seed {config.basins_seed}"


@pytest.fixture
def seed(request):
    """Return the seed of this run; every test that draws random inputs starts from it."""
    return request.config.basins_seed


@pytest.fixture(scope="session")
def data_root():
    """Return the folder of real data in torchvision's layout, or skip with the reason."""
    root = os.environ.get("BASINS_DATA")
    if not root or not Path(root).is_dir():
        pytest.skip("BASINS_DATA names no folder of real data sets")
    return Path(root)


@pytest.fixture
def study_file(tmp_path, monkeypatch):
    """Return a function that writes the tiny study, edited, into an empty working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(**keys):
        mapping = yaml.safe_load((ROOT / "tests/studies/tiny.yaml").read_text())
        path = tmp_path / "study.yaml"
        path.write_text(yaml.safe_dump(mapping | keys))
        return path

    return make


@pytest.fixture
def checkout(tmp_path):
    return Checkout(tmp_path)


@pytest.fixture(scope="session")
def swiss_roll_cube(tmp_path_factory):
    """Return the cube of a study with boundaries, planes and spectra; one recipe diverges."""
    from by_hand import run_study

    adam = {"optimizer": "adam", "learning_rate": 0.02, "epochs": 200}
    adam["loss"] = "binary_cross_entropy"
    wild = adam | {"optimizer": "sgd", "learning_rate": 1e30}
    mapping = yaml.safe_load((ROOT / "tests/studies/tiny.yaml").read_text()) | {
        "datasets": ["swiss-roll"],
        "seeds_per_job": 2,
        "recipes": {"adam": adam, "wild": wild},
        "measure": {
            "volume": {"directions": 12, "thresholds": [0.3, 0.6]},
            "boundaries": {"points": 21},
            "planes": {"points": 11},
            "flatness": ["spectrum", "norms"],
        },
    }
    folder = tmp_path_factory.mktemp("swiss-roll")
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(mapping))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return folder / jobs.cube_file(run_study(path))


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory):
    """Return a checkout after one undisturbed run of the tiny study by its make target.

    One of several workers runs it, the others copy what it made.
    """
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    with (shared / "tiny.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ran = shared / "tiny-run"
        if not ran.exists():
            checkout = Checkout(tmp_path_factory.mktemp("tiny"))
            status, output = checkout.run(*checkout.make())
            assert status == 0, output
            checkout.copy(ran)
            return checkout
    return Checkout.at(ran).copy(tmp_path_factory.mktemp("tiny") / "copy")


@pytest.fixture(scope="session")
def pair_run(tmp_path_factory):
    """Return a checkout after one undisturbed run of the study of two minima, up to its cube."""
    checkout = Checkout(tmp_path_factory.mktemp("pair"))
    status, output = checkout.snakemake("results/pair/cube.nc", study="tests/studies/pair.yaml")
    assert status == 0, output
    return checkout
