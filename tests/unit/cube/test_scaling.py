"""Fits of volumes against the number of examples: planted laws, intervals, and too few sizes."""

import json

import numpy as np
import pytest
import xarray as xr

from basins.cube.queries import first_lost_landscape, own_is_largest
from basins.cube.scaling import (
    FIT_STATUS,
    LAWS,
    compare_laws,
    power_law,
    seed_variance,
    with_published,
)
from basins.cube.scaling_words import records, text
from basins.cube.schema import TRAINING_STATUS

SIZES = np.array([10, 30, 100, 300, 1000, 3000])
GROWTH = 3.5  # nats of planted coordinates' log-determinant in ln N


def planted(volume, seed, spread=0.0, stderr=0.0, seeds=6, sizes=SIZES):
    """Return a cube whose volumes in own landscapes are `volume` of the size, with scatter."""
    rng = np.random.default_rng(seed)
    own = volume(sizes.astype(float))[:, None] + spread * rng.normal(size=(len(sizes), seeds))
    full = np.full((len(sizes), seeds, len(sizes)), np.nan)
    for index in range(len(sizes)):
        full[index, :, index] = own[index]
    dims = ("model", "dataset", "recipe", "train_size", "seed", "landscape_size", "threshold")
    full = full[None, None, None, ..., None]
    basin, minimum = dims, ("model", "dataset")
    return xr.Dataset(
        {
            "log_volume": ((*basin, "estimator"), full[..., None]),
            "log_volume_stderr": ((*basin, "estimator"), 0 * full[..., None] + stderr),
            "volume_status": (
                (*basin, "estimator"),
                np.isfinite(full[..., None]).astype(np.int8),
            ),
            "log_volume_compat": (basin, 2 * full),
            "num_parameters": (minimum, np.full((1, 1), 50)),
            "training_status": (
                (*minimum, "recipe", "train_size", "seed"),
                np.ones((1, 1, 1, len(sizes), seeds), dtype=np.int8),
            ),
            "log_det_coordinates": (
                (*minimum, "recipe", "train_size", "seed"),
                np.broadcast_to(
                    GROWTH * np.log(sizes)[:, None], (1, 1, 1, len(sizes), seeds)
                ).copy(),
            ),
        },
        coords={
            "model": ["mlp-8"],
            "dataset": ["digits"],
            "recipe": ["adam"],
            "train_size": sizes,
            "landscape_size": sizes,
            "seed": range(seeds),
            "threshold": [0.1],
            "estimator": ["annealed"],
            "volume_coordinates": "filter",
        },
        attrs={"title": "planted"},
    )


def straight(size):
    return -20 * np.log(size) + 5


def test_the_interval_holds_what_volumes_say_of_themselves(seed):
    # No spread between seeds: what is left is each volume's own error, 2 nats.
    fit = power_law(planted(straight, seed, stderr=2.0)).squeeze()
    assert float(fit.exponent) == pytest.approx(-20, rel=1e-12)
    x = np.log(SIZES) - np.log(SIZES).mean()
    # Of seeds drawn twice errors are drawn anew, so that their mean over seeds has error 2 / 6^.5.
    truth = 2 * 1.645 * 2 / np.sqrt(6 * np.square(x).sum())
    # 2,000 resamples know the interval to 4 %; five times as much.
    assert float(fit.exponent_high - fit.exponent_low) == pytest.approx(truth, rel=0.2)


def test_intervals_cover_the_truth_nine_times_in_ten(seed):
    # Twelve seeds, of which the bootstrap takes the spread 4 % too small.
    covered = 0
    for repeat in range(60):
        cube = planted(straight, [seed, repeat], spread=3.0, seeds=12)
        fit = power_law(cube).squeeze()
        covered += float(fit.exponent_low) < -20 < float(fit.exponent_high)
    # Fewer than 40 of 60 have a chance of 1 in 100,000 where 87 % are covered.
    assert covered >= 40


@pytest.mark.parametrize(
    ("law", "volume"),
    [
        ("power", straight),
        ("saturating", lambda size: -100 + 300 * size**-0.7),
        ("quadratic", lambda size: -3 * np.log(size) - 4 * np.log(size) ** 2),
    ],
)
def test_a_planted_law_is_nearest(law, volume, seed):
    errors = compare_laws(planted(volume, seed, spread=0.02)).squeeze()
    assert float(errors.sel(law=law)) < 0.5
    others = [float(errors.sel(law=other)) for other in LAWS if other != law]
    # A straight line is a quadratic and the end of the saturating law: these are as near.
    if law != "power":
        assert float(errors.sel(law=law)) < 0.1 * min(others)
    else:
        assert float(errors.sel(law=law)) < 2 * min(others)


def test_variance_between_seeds_is_what_was_planted(seed):
    """Volumes vary by 3 nats between seeds, and each is wrong by 2 more that it knows of."""
    cube = planted(straight, seed, spread=np.hypot(3.0, 2.0), stderr=2.0, seeds=200)
    found = seed_variance(cube).squeeze()
    # The variance of 200 normals is known to a tenth; six times that, and two for six sizes.
    assert (abs(found.variance + 4 - 13) < 0.7 * 13).all()
    assert (found.variance_low < found.variance).all()
    assert (found.variance < found.variance_high).all()
    np.testing.assert_allclose(found.error_variance, 4)
    assert (found.num_seeds == 200).all()
    covered = 0
    for repeat in range(100):
        few = seed_variance(
            planted(straight, [seed, repeat], spread=3.0, sizes=SIZES[:1])
        ).squeeze()
        covered += float(few.variance_low) < 9 < float(few.variance_high)
    # Of intervals that cover in 90 % fewer than 76 of 100 do so once in 100,000 runs.
    assert covered >= 76
    alone = seed_variance(planted(straight, seed, seeds=1)).squeeze()
    assert alone.variance.isnull().all()


def test_too_few_sizes_have_no_fit_and_say_so(seed):
    cube = planted(straight, seed, sizes=SIZES[:2])
    fit = power_law(cube).squeeze()
    assert np.isnan(float(fit.exponent))
    assert FIT_STATUS[int(fit.fit_status)] == "too_few_sizes"
    assert compare_laws(cube).isnull().all()
    (row, published, *in_weights) = records([cube])
    assert {row["coordinates"] for row in in_weights} == {"weight, of filter"}
    assert (row["status"], row["exponent"]) == ("too_few_sizes", None)
    assert published["estimator"] == "published"
    assert "fewer than three train sizes" in text([row])
    nothing = cube.assign(log_volume=cube.log_volume * np.nan, log_volume_compat=np.nan)
    nothing["log_volume_compat"] = cube.log_volume_compat * np.nan
    assert FIT_STATUS[int(power_law(nothing).fit_status.squeeze())] == "not_measured"
    assert records([nothing]) == []
    assert "no volume was measured" in text([])


def test_seeds_that_all_diverged_are_a_marked_row(seed):
    nothing = planted(lambda size: np.nan * size, seed)
    diverged = TRAINING_STATUS.index("diverged")
    nothing["training_status"] = 0 * nothing.training_status + diverged
    (row,) = records([nothing])
    assert (row["status"], row["recipe"], row["exponent"]) == ("diverged", "adam", None)
    assert "every seed at every train size diverged" in text([row])
    # What was not trained, too, is no reason to say nothing; one that converged is.
    nothing["training_status"][..., 0, 0] = 0
    assert [row["status"] for row in records([nothing])] == ["diverged"]
    nothing["training_status"][..., 1, 0] = 1
    assert records([nothing]) == []


def test_the_table_holds_published_values_beside_volumes(seed):
    cube = planted(straight, seed, spread=0.1, stderr=0.1)
    both = with_published(cube)
    assert both.estimator.values.tolist() == ["annealed", "published"]
    rows = json.loads(json.dumps(records([cube, cube])))
    assert [row["estimator"] for row in rows] == ["annealed", "published"] * 4
    assert rows[1]["exponent"] == pytest.approx(2 * rows[0]["exponent"], rel=0.01)
    assert rows[0]["calibrated_share"] == 1
    said = text(rows)
    assert said.count("annealed") == 4
    assert "*" in said.splitlines()[-3]


def test_the_table_holds_the_same_basins_in_weight_space(seed):
    cube = planted(straight, seed, spread=0.1, stderr=0.1)
    in_filters, published, in_weights, published_there = records([cube])
    assert (in_filters["coordinates"], in_weights["coordinates"]) == ("filter", "weight, of filter")
    # A line in ln N added to every volume is added to the fit, whatever the scatter.
    for one, other in ((in_filters, in_weights), (published, published_there)):
        for name in ("exponent", "exponent_low", "exponent_high"):
            assert other[name] == pytest.approx(one[name] + GROWTH, rel=1e-9)
        assert other["calibrated_share"] == one["calibrated_share"]
    assert "every weight has unit 1" in text([in_weights])
    assert "every weight has unit 1" not in text([in_filters])
    cube["volume_coordinates"] = "weight"
    assert [row["coordinates"] for row in records([cube])] == ["weight", "weight"]


def both_ways(volume, loss, seed):
    """Return minima of three sizes, each measured in all three landscapes; (train, landscape)."""
    sizes = SIZES[:3]
    rng = np.random.default_rng(seed)
    full = np.repeat(np.array(volume, dtype=float)[:, None], 4, axis=1)
    losses = np.repeat(np.array(loss, dtype=float)[:, None], 4, axis=1)
    dims = ("train_size", "seed", "landscape_size")
    return xr.Dataset(
        {
            "log_volume": (
                (*dims, "threshold"),
                full[..., None] + 1e-3 * rng.random((*full.shape, 1)),
            ),
            "landscape_loss": (dims, losses),
        },
        coords={
            "train_size": sizes,
            "seed": range(4),
            "landscape_size": sizes,
            "threshold": [0.5],
            "threshold_kind": "loss",
        },
    )


def test_a_minimum_stops_being_one_where_its_loss_passes_the_threshold(seed):
    volume = [[0, np.nan, np.nan], [-1, 0, np.nan], [-2, -1, 0]]
    loss = [[0.1, 0.6, 0.9], [0.2, 0.1, 0.5], [0.1, 0.2, 0.1]]
    cube = both_ways(volume, loss, seed)
    lost = first_lost_landscape(cube).isel(threshold=0, seed=0)
    assert lost.values.tolist()[:2] == [30, 100]
    assert np.isnan(lost.values[2])
    excess = cube.assign_coords(threshold_kind="excess", threshold=[0.55])
    lost = first_lost_landscape(excess).isel(threshold=0, seed=0)
    # The rises over the own losses are 0.5, 0.8 and 0.4.
    assert lost.values[0] == 100
    assert np.isnan(lost.values[1])


def test_how_often_the_own_minimum_is_the_largest(seed):
    volume = [[0, np.nan, np.nan], [-1, 5, np.nan], [3, 9, 0]]
    cube = both_ways(volume, np.zeros((3, 3)), seed)
    cube["log_volume"] = cube.log_volume.copy()
    cube.log_volume[{"train_size": 2, "seed": [0, 1, 2], "landscape_size": 0}] = -9.0
    found = own_is_largest(cube).isel(threshold=0)
    assert found.num_seeds.values.tolist() == [4, 4, 0]
    assert found.num_largest.values.tolist() == [3, 0, 0]
    # Of three minima in the first landscape, of two in the second.
    np.testing.assert_allclose(found.chance, [1 / 3, 1 / 2, np.nan])
    # Volumes are up to a thousandth above what was planted.
    np.testing.assert_allclose(found.lead.isel(seed=0), [1, -4, np.nan], atol=2e-3)
    np.testing.assert_allclose(found.lead.isel(seed=3), [-3, -4, np.nan], atol=2e-3)
    assert found.rate.values[:2].tolist() == [0.75, 0.0]
    assert np.isnan(found.rate.values[2])
    # Of 4 trials without success the exact 90 % interval ends at 1 - 0.05^(1/4).
    assert float(found.rate_high[1]) == pytest.approx(1 - 0.05**0.25)
    assert float(found.rate_low[1]) == 0
