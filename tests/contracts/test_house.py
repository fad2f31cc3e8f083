"""The house's own rules: one-way imports, generated files in step, names that say what is in."""

import ast
import re
import runpy
import subprocess
from pathlib import Path

import pytest
import yaml

from basins import verbs
from basins.study.figure_names import ACROSS_STUDIES, FIGURES

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "lib" / "basins"

# A module may import from its own room and from those above it in this list.
ORDER = [
    "streams",
    "threads",
    "progress",
    "triton_kernels",
    "device",
    "atomic",
    "study",
    "losses",
    "datasets",
    "models",
    "training",
    "directions",
    "rays",
    "volume",
    "flatness",
    "landscape",
    "cube",
    "figures",
    "plan",
    "slurm",
    "measure",
    "connect",
    "verbs",
    "cli",
]


def modules():
    return sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def room(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_rooms(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            parts = name.split(".")
            if parts[0] == "basins" and len(parts) > 1:
                yield parts[1]


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_module_imports_only_from_above(path):
    above = ORDER[: ORDER.index(room(path)) + 1]
    assert [name for name in imported_rooms(path) if name not in above] == []


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_module_is_short_and_well_named(path):
    assert len(path.read_text().splitlines()) <= 400
    assert not re.search(r"util|helper|misc|common|base|core|manager|handler", path.stem)


def test_library_never_imports_the_workflow_engine():
    for path in modules():
        assert "import snakemake" not in path.read_text()


def test_generated_files_are_in_step(tmp_path):
    verbs.generate(tmp_path)
    written = [path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()]
    assert written
    for name in written:
        assert (ROOT / name).read_text() == (tmp_path / name).read_text(), (
            f"{name} is out of step: run `make generate`"
        )


def test_benchmark_page_is_in_step():
    page = runpy.run_path(str(ROOT / "benchmarks" / "table.py"))["page"]()
    assert (ROOT / "docs" / "benchmarks.md").read_text() == page, "run `make generate`"


def test_default_profile_holds_only_what_is_true_everywhere():
    profile = yaml.safe_load((ROOT / "profiles/default/config.yaml").read_text())
    forbidden = {"executor", "jobs", "cores", "retries", "default-resources", "set-threads"}
    assert not forbidden & set(profile)
    assert not [key for key in profile if "thread" in key or "resource" in key]


def test_every_figure_has_its_caption():
    captions = (ROOT / "workflow/report/figure.rst").read_text()
    for name in FIGURES:
        assert f'name == "{name}"' in captions


def test_headline_figures_are_of_studies_and_figures_that_exist():
    """And what is committed of them is small: `make figures` draws them from cubes."""
    text = (ROOT / "Makefile").read_text().replace("\\\n", " ")
    words = re.search(r"^HEADLINE := (.*)$", text, flags=re.MULTILINE).group(1).split()
    assert len(words) % 3 == 0
    for cubes, name, image in zip(words[::3], words[1::3], words[2::3], strict=True):
        for study in cubes.split(","):
            assert (ROOT / "config" / f"{study}.yaml").exists(), study
        assert name in (ACROSS_STUDIES if "," in cubes else FIGURES)
        drawn = ROOT / "docs" / "images" / f"headline-{image}.png"
        assert not drawn.exists() or drawn.stat().st_size < 300_000


def test_every_study_file_is_valid_and_opens_with_its_question():
    from basins.study.load import load_study

    for path in sorted((ROOT / "config").glob("*.yaml")):
        load_study(path)
        first = path.read_text().splitlines()[0]
        assert first.startswith("#"), path
        assert path.stem == yaml.safe_load(path.read_text())["study"]


def test_help_of_each_verb_is_there_and_quick():
    done = subprocess.run(["basins", "--help"], capture_output=True, text=True, check=True)
    from basins.cli import VERBS

    for name in VERBS:
        assert name in done.stdout
        assert callable(getattr(verbs, name))
        subprocess.run(["basins", name, "--help"], capture_output=True, text=True, check=True)
