"""The plans that docs/plan.md shows are those that `basins plan` prints.

python tests/contracts/test_plan_page.py    # prints them anew; `make generate` does it as well
"""

import os
import re
import subprocess
import tempfile
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "plan.md"
SHOWN = re.compile(
    r"(?P<head>`basins plan (?P<study>\S+) --cpus (?P<cpus>\d+)`[^\n]*\n\n)"
    r"(?P<plan>(?: {4}[^\n]*\n|\n(?= {4}))+)"
)


def printed(study: str, cpus: str) -> str:
    """Return a plan down to its hours, where nothing is done and nothing was calibrated."""
    with tempfile.TemporaryDirectory() as folder:
        plan = subprocess.run(
            ["basins", "plan", ROOT / study, "--cpus", cpus],
            cwd=folder,
            env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    # What follows says how old the prices are.
    lines = plan[: plan.index("\npriced by")].rstrip() + "\n"
    return textwrap.indent(lines, "    ")


def page(text: str) -> str:
    """Return the page with its plans as they are now."""
    return SHOWN.sub(lambda shown: shown["head"] + printed(shown["study"], shown["cpus"]), text)


def test_plans_shown_are_those_printed():
    text = PAGE.read_text()
    assert len(SHOWN.findall(text)) == text.count("`basins plan config/")
    assert text == page(text), "run `make generate`"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
