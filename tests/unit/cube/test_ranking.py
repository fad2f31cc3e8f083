"""Ranking of measures: hand-made cubes whose answer is known, names, what is left out, words."""

import json

import numpy as np
import pytest
import xarray as xr
from by_hand import failing, run, run_study

from basins.cube import ranking_words
from basins.cube.ranking import AXES, measures, rank
from basins.cube.variable import MINIMUM
from basins.study import jobs

MODELS, RECIPES, SIZES, SEEDS = ["mlp-8", "mlp-9"], ["a", "b", "c"], [20, 60, 100], [0, 1]
SHAPE = (2, 1, 3, 3, 2)


def made_cube(gap, **variables):
    """Return a cube with this generalization gap and these variables over minima."""
    over = {"train_accuracy": np.ones(SHAPE), "test_accuracy": 1 - np.asarray(gap)}
    over |= {"train_loss": np.arange(gap.size)[::-1].reshape(SHAPE) / 100}
    over |= {"training_status": np.ones(SHAPE, dtype=np.int8)} | variables
    return xr.Dataset(
        {name: (MINIMUM, values) for name, values in over.items()},
        coords={
            "model": MODELS,
            "dataset": ["digits"],
            "recipe": RECIPES,
            "train_size": SIZES,
            "seed": SEEDS,
            "landscape_size": SIZES,
            "threshold": [0.1, 0.5],
            "estimator": ["rays"],
            "threshold_kind": "loss",
        },
    )


def gaps(seed):
    """Return a gap without ties, over minima."""
    size = int(np.prod(SHAPE))
    return np.random.default_rng(seed).permutation(size).reshape(SHAPE) / size


def of(ranking, name):
    return ranking.sel(measure=name)


def test_the_gap_itself_and_its_opposite(seed):
    gap = gaps(seed)
    ranking = rank(made_cube(gap, path_norm=np.exp(gap), weight_norm=-gap))
    for name, tau in (("path_norm", 1), ("weight_norm", -1)):
        one = of(ranking, name)
        for found in ("tau", "tau_low", "tau_high", "worst_tau"):
            assert one[found].item() == pytest.approx(tau, abs=1e-12), found
        # Two models only are no environment, nor is one data set.
        by_axis = dict(zip(AXES, one.axis_tau.values, strict=True))
        assert np.isnan([by_axis["model"], by_axis["dataset"]]).all()
        np.testing.assert_allclose([by_axis["recipe"], by_axis["train_size"]], tau, atol=1e-12)
        assert one.num_environments == 2 * 3 + 2 * 3
    assert ranking.measure.values[0] == "path_norm"
    tau = ranking.tau.values[np.isfinite(ranking.tau.values)]
    assert (np.diff(tau) <= 0).all()


def test_worst_environment_is_the_one_that_was_turned(seed):
    """Recipes are turned about at one model and train size; the rest agrees with the gap."""
    recipe, size = np.arange(3)[:, None, None], np.arange(3)[:, None]
    gap = np.broadcast_to(0.01 * recipe + 0.1 * size, SHAPE) + gaps(seed) / 1000
    measure = gap.copy()
    measure[1, 0, :, 1] = gap[1, 0, ::-1, 1]
    for sign in (1, -1):
        one = of(rank(made_cube(gap, path_norm=sign * measure)), "path_norm")
        assert sign * one.tau > 0.5
        assert one.worst_tau.item() == pytest.approx(-sign)
        where = "recipe varies at model mlp-9, train_size 60"
        assert one.worst_environment.item() == where
        # One of six environments has the opposite sign, and train sizes still order.
        found = one.axis_tau.sel(axis=["recipe", "train_size"])
        np.testing.assert_allclose(found, [sign * 4 / 6, sign], atol=1e-12)


def test_the_worst_environment_orders_measures_of_either_sign(seed):
    """One is turned where its overall sign is kept; one bears out a negative sign everywhere."""
    gap = gaps(seed)
    turned = gap.copy()
    turned[0, 0, 1] = -gap[0, 0, 1]
    ranking = rank(made_cube(gap, path_norm=turned, weight_norm=-gap))
    ordered = ranking_words.by_worst(ranking_words.ranked(ranking))
    borne_out = ordered.worst_tau * np.sign(ordered.tau)
    assert ordered.measure.values[0] == "weight_norm"
    assert float(borne_out[0]) == pytest.approx(1)
    there = borne_out.values[np.isfinite(borne_out)]
    assert (np.diff(there) <= 0).all()
    assert float(borne_out.sel(measure="path_norm")) < 0
    # Those without an environment stand behind.
    assert np.isfinite(borne_out.values[: len(there)]).all()


def test_train_loss_is_held(seed):
    gap = gaps(seed)
    cube = made_cube(gap, path_norm=gaps(seed + 1))
    taus = rank(cube)
    x, y, z = (of(taus, name).tau.item() for name in ("path_norm", "train_loss", "train_loss"))
    loss = cube.assign(test_accuracy=1 - cube.train_loss)
    z = of(rank(loss), "path_norm").tau.item()
    expected = (x - z * y) / np.sqrt((1 - z**2) * (1 - y**2))
    assert of(taus, "path_norm").partial_tau.item() == pytest.approx(expected, abs=1e-12)
    assert np.isnan(of(taus, "train_loss").partial_tau)


def test_what_is_missing_or_diverged_is_left_out_and_counted(seed):
    gap = gaps(seed)
    measure, other, status = gap.copy(), gap.copy(), np.ones(SHAPE, dtype=np.int8)
    measure[0, 0, 0, 0] = np.nan
    measure[0, 0, 1, 0, 0] = np.inf
    other[:, :, :, 1:] = np.nan
    other[0, 0, :2] = np.nan
    other[1] = np.nan
    status[1, 0, 0, 0] = 3
    status[1, 0, 1, 0, 1] = 0
    measure[1, 0, 0, 0] = 99
    ranking = rank(
        made_cube(
            gap,
            path_norm=measure,
            weight_norm=other,
            noise_scale=np.ones(SHAPE),
            training_status=status,
        )
    )
    assert ranking.attrs["num_minima"] == 36 - 3
    assert ranking.attrs["num_left_out"] == 3
    one = of(ranking, "path_norm")
    assert one.tau.item() == pytest.approx(1)
    assert (one.num_minima, one.num_left_out) == (30, 3)
    for name, count in (("weight_norm", 2), ("noise_scale", 33)):
        gone = of(ranking, name)
        assert np.isnan([gone.tau, gone.tau_low, gone.worst_tau, gone.partial_tau]).all()
        assert gone.num_minima == count
        assert gone.worst_environment == ""
    said = ranking_words.text(ranking)
    assert "over 33 minima (3 left out)" in said
    assert "path norm: 3 minima without a finite value left out" in said
    assert "no tau, for fewer than 5 minima have a number: norm of the parameters" in said
    assert "no tau, for it or the gap is the same for all minima: SGD noise scale" in said


def test_measures_are_numbers_of_minima_in_their_own_landscapes(seed):
    gap = gaps(seed)
    cube = made_cube(gap, test_loss=gap, epochs=np.ones(SHAPE, dtype=np.int32), test_trace=gap)
    landscape = np.where(np.eye(3, dtype=bool)[:, None, :], gap[..., None], -9)
    dims = (*MINIMUM, "landscape_size")
    both = np.stack([landscape, -landscape], axis=-1)
    basin = both[..., None]
    made = {
        "trace": (dims, landscape),
        "trace_stderr": (dims, landscape),
        "spectrum_residual": (dims, landscape),
        "landscape_loss": (dims, landscape),
        "sharpness_box": ((*dims, "box_size"), both),
        "eigenvalues": ((*dims, "eigenvalue"), both),
        "log_volume": ((*dims, "threshold", "estimator"), basin),
        "log_volume_stderr": ((*dims, "threshold", "estimator"), basin),
        "ess": ((*dims, "threshold", "estimator"), basin),
        "volume_status": ((*dims, "threshold", "estimator"), basin.astype(np.int8)),
        "pgd_accuracy": ((*MINIMUM, "perturbation"), np.stack([gap, gap], axis=-1)),
        "num_parameters": (("model", "dataset"), np.array([[50], [60]])),
    }
    cube = cube.assign(made).assign_coords(box_size=[5e-4, 1e-3], perturbation=[0.01, 0.1])
    found = {one.name: one for one in measures(cube)}
    assert set(found) == {
        *("train_loss", "epochs", "num_parameters", "train_size", "trace", "test_trace"),
        *("sharpness_box[box_size=0.0005]", "sharpness_box[box_size=0.001]"),
        *(f"log_volume[threshold={c},estimator=rays]" for c in (0.1, 0.5)),
        *("pgd_accuracy[perturbation=0.01]", "pgd_accuracy[perturbation=0.1]"),
    }
    np.testing.assert_array_equal(found["trace"].values, gap)
    np.testing.assert_array_equal(found["sharpness_box[box_size=0.001]"].values, -gap)
    names = [found[name].long_name for name in list(found) if name.startswith("log_volume")]
    assert names[0] == "log volume of the basin, loss < 0.1, by rays"
    seen = {name for name, one in found.items() if one.has_seen_test_set}
    assert seen == {
        *("test_trace", "pgd_accuracy[perturbation=0.01]", "pgd_accuracy[perturbation=0.1]")
    }
    ranking = rank(cube)
    # Only one axis of it varies, so nothing of it can be compared where recipes vary.
    assert np.isnan(of(ranking, "num_parameters").axis_tau.sel(axis="recipe"))
    assert "measured on the test set" in ranking_words.text(ranking)
    # A landscape that was not measured is missing.
    few = rank(cube.sel(landscape_size=[20, 60]))
    assert of(few, "trace").num_left_out == 36 // 3


def test_fewer_than_five_minima_are_said_to_be_too_few(seed):
    status = np.zeros(SHAPE, dtype=np.int8)
    status[0, 0, :2, :2, 0] = 1
    ranking = rank(made_cube(gaps(seed), training_status=status))
    assert np.isnan(ranking.tau.values).all()
    sentence = "Only 4 minima can be used: a rank correlation takes at least 5."
    assert ranking_words.too_few(ranking) == sentence
    assert sentence in ranking_words.text(ranking)


def test_json_says_the_same(seed):
    gap = gaps(seed)
    ranking = rank(made_cube(gap, path_norm=gap, noise_scale=np.ones(SHAPE)))
    found = json.loads(json.dumps(ranking_words.as_json(ranking), allow_nan=False))
    assert found["num_minima"] == 36
    rows = {row["measure"]: row for row in found["measures"]}
    assert list(rows) == list(ranking.measure.values)
    assert rows["path_norm"]["tau"] == pytest.approx(1)
    assert rows["path_norm"]["axis_tau"]["model"] is None
    assert rows["noise_scale"]["tau"] is None


def test_verb_prints_the_ranking_of_a_cube(study_file, capsys, tmp_path):
    study = run_study(study_file(seeds=3, seeds_per_job=3))
    cube = jobs.cube_file(study)
    capsys.readouterr()
    run("rank", cube)
    said = capsys.readouterr().out
    assert "rank correlation with the generalization gap over 6 minima" in said
    assert "mean log radius, loss < 0.5" in said
    run("rank", cube, "--json")
    found = json.loads(capsys.readouterr().out)
    assert {"log_volume[threshold=0.1,estimator=rays]", "train_size"} <= {
        row["measure"] for row in found["measures"]
    }
    assert "there is no such file" in failing(capsys, "rank", tmp_path / "none.nc")
    job = jobs.minima_file(study, jobs.expand(study)[0].id)
    assert "holds minima, where cube are needed" in failing(capsys, "rank", job)
