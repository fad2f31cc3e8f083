"""Where a cube came from, also where the code runs without being installed."""

from importlib.metadata import PackageNotFoundError, version

from basins.cube import provenance


def test_version_is_the_installed_one():
    assert provenance.basins_version() == version("basins")


def test_code_that_is_not_installed_has_no_version(monkeypatch):
    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(provenance, "version", missing)
    assert provenance.basins_version() == "unknown"
