"""README and docs: links lead somewhere, and the queries run on a real cube."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.xdist_group("workflow")

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_python_of_the_readme_runs(tiny_run, monkeypatch, capsys):
    """The blocks run in order in one session, on the tiny study's cube in place of the demo's."""
    monkeypatch.chdir(tiny_run.folder)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    assert len(blocks) >= 5
    session = {}
    for block in blocks:
        exec(block.replace("results/demo/", "results/tiny/"), session)  # noqa: S102 - our README
    session["cube"].close()
    printed = capsys.readouterr().out
    assert "train_size" in printed
    assert "are lower bounds" in printed


def test_commands_of_the_readme_exist(tiny_run):
    text = (ROOT / "README.md").read_text()
    assert set(re.findall(r"(?:^    |`)make (\w+)", text, flags=re.MULTILINE)) <= set(
        re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    )
    for verb in set(re.findall(r"basins (\w+) ", text)) - {"trains"}:
        status, output = tiny_run.run("basins", verb, "--help")
        assert status == 0, output
    for path in set(re.findall(r"config/[\w-]+\.yaml", text)):
        status, output = tiny_run.run("basins", "check", path)
        assert status == 0, output
    status, output = tiny_run.run("snakemake", "-n", "--configfile", "config/scaling-mnist.yaml")
    assert status == 0, output
    status, output = tiny_run.run("basins", "show", "results/tiny/cube.nc")
    assert "Marks" in output
