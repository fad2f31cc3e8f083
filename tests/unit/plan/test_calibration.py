"""Calibrations: measured, kept, found, and refused when they are not what they should be."""

import dataclasses
import json

import numpy as np
import pytest

from basins.plan import calibrate, calibration, starts


@pytest.fixture(scope="module")
def measured():
    return calibrate.calibrate("cpu", 1, 1.0)


def test_measured_prices_are_of_this_machine(measured, tmp_path):
    assert measured.kind == "cpu"
    assert 0 <= measured.age_days < 0.1
    for prices in measured.seconds.values():
        assert min(prices) >= 0
        assert max(prices) > 0
    assert min(measured.start_seconds.values()) > 0
    # An interpreter with torch takes a tenth of a gigabyte at least, and less than ten.
    assert all(1e8 < peak < 1e10 for peak in measured.start_bytes.values())
    assert min(measured.per_ray) > 0
    calibration.save(measured, tmp_path / "kept.json")
    assert calibration.load(tmp_path / "kept.json") == measured


def test_known_prices_are_found_again():
    rng = np.random.default_rng(0)
    prices = np.array([1e-3, 0.0, 2e-9])
    rows = 10.0 ** rng.uniform(0, 9, (30, 3))
    found, misfit = calibrate._fit([(row, float(row @ prices)) for row in rows])
    np.testing.assert_allclose(found, prices, rtol=1e-6, atol=1e-15)
    assert misfit == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(("threads", "seconds"), [(0, 1.0), (1, 0.0), (-1, 5.0)])
def test_impossible_settings_are_refused(threads, seconds):
    with pytest.raises(ValueError, match="--seconds and --threads must be above 0"):
        calibrate.calibrate("cpu", threads, seconds)


def test_verb_that_fails_is_named(tmp_path):
    with pytest.raises(RuntimeError, match="basins cube failed while calibrating"):
        starts._run("cube", ["--study", "absent", "--output", "x"], tmp_path)


def test_what_is_no_calibration_is_refused(tmp_path):
    good = dataclasses.asdict(calibration.packaged())
    path = tmp_path / "c.json"
    for bad, words in (
        ("{", "not a readable calibration"),
        (json.dumps([1]), "not a calibration of this version"),
        (json.dumps({k: v for k, v in good.items() if k != "seconds"}), "holds exactly"),
        (json.dumps(good | {"version": 99}), "a calibration of version 99, not 5"),
        (json.dumps(good | {"seconds": {"train": [1]}}), "the prices are incomplete"),
    ):
        path.write_text(bad)
        with pytest.raises(ValueError, match=words):
            calibration.load(path)
    with pytest.raises(ValueError, match="not a readable calibration"):
        calibration.load(tmp_path / "absent.json")


def test_newest_of_the_kind_is_used(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    packaged = calibration.packaged()
    found, source = calibration.find("cpu")
    assert found == packaged
    assert "not measured on this machine" in source
    assert calibration.find("cuda") == (None, "none; run `basins calibrate` on a GPU node")
    folder = calibration.jobs.calibrations_folder()
    for name, kind, day in (("a", "cpu", "01"), ("b", "cpu", "03"), ("c", "cuda", "02")):
        dated = dataclasses.replace(
            packaged, kind=kind, device=name, created_at=f"2026-01-{day}T00:00:00+00:00"
        )
        calibration.save(dated, folder / f"{name}.json")
    assert calibration.find("cpu")[0].device == "b"
    assert calibration.find("cuda")[0].device == "c"
    assert calibration.find("cuda", folder / "a.json")[0].device == "a"
