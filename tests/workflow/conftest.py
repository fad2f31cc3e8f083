"""A checkout to run the workflow in, and one undisturbed run of the tiny study."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARTS = ["Snakefile", "Makefile", "environment.yml", "requirements.lock", "pyproject.toml"]
FOLDERS = ["workflow", "config", "profiles", "tests/studies"]


class Checkout:
    """The workflow's own files in an empty folder, run with this test's environment."""

    def __init__(self, folder: Path):
        self.folder = folder
        for part in PARTS:
            shutil.copy2(ROOT / part, folder / part)
        for part in FOLDERS:
            shutil.copytree(ROOT / part, folder / part)
        (folder / "ready").touch()
        tools = Path(sys.executable).parent
        self.environment = os.environ | {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}

    def start(self, *command, **options):
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            **options,
        )

    def run(self, *command, timeout=300):
        with self.start(*command) as process:
            output, _ = process.communicate(timeout=timeout)
        return process.returncode, output

    def snakemake(self, *options, study="tests/studies/tiny.yaml", cores=2):
        return self.run("snakemake", "--cores", str(cores), "--configfile", study, *options)

    def make(self, study="tests/studies/tiny.yaml"):
        """Return the `make demo` command: `ready` stands for the installed environment."""
        return ["make", "demo", f"STUDY={study}", f"VENV={sys.prefix}", "READY=ready"]

    def edit_study(self, **keys):
        import yaml

        path = self.folder / "tests/studies/edited.yaml"
        mapping = yaml.safe_load((self.folder / "tests/studies/tiny.yaml").read_text())
        path.write_text(yaml.safe_dump(mapping | keys))
        return str(path.relative_to(self.folder))


@pytest.fixture
def checkout(tmp_path):
    return Checkout(tmp_path)


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory):
    """Return a checkout after one undisturbed run of the tiny study by its make target."""
    checkout = Checkout(tmp_path_factory.mktemp("tiny"))
    status, output = checkout.run(*checkout.make())
    assert status == 0, output
    return checkout
