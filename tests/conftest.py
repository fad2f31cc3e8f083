"""Shared fixtures: the seed of a run, printed and settable, and the folder of real data."""

import os
import secrets
from pathlib import Path

import pytest


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
