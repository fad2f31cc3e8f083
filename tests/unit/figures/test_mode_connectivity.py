"""Curves between minima as a figure, of a small cube with known numbers."""

import numpy as np
import pytest
import xarray as xr

from basins.figures.mode_connectivity import draw
from basins.figures.save import save

PAIRS = ["clean to bad", "clean to clean"]
KINDS = ["bezier", "line", "polygon"]
CURVE = ("model", "dataset", "train_size", "pair", "seed", "kind")


def made_cube(with_volumes=True):
    """Return curves of which the line climbs to 1 and the others stay at 0.1 and 0.2."""
    sizes, positions, places = [20, 60], np.linspace(0, 1, 5), [0.0, 0.5, 1.0]
    coords = {"model": ["mlp-8"], "dataset": ["digits"], "train_size": sizes, "pair": PAIRS}
    coords |= {"seed": [0, 1], "kind": KINDS}
    bump = xr.DataArray(1 - abs(1 - 2 * positions), {"position": positions}, "position")
    height = xr.DataArray([0.1, 1.0, 0.2], {"kind": KINDS}, "kind")
    room = xr.DataArray(np.zeros([len(coords[dim]) for dim in CURVE]), coords, CURVE)
    own = xr.DataArray([1.0, 2.0], {"landscape_size": sizes}, "landscape_size")
    loss = (room + 0.01 + own * height * bump).transpose(*CURVE, "landscape_size", "position")
    # The last seed has no next.
    is_joined = (room.pair != "clean to clean") | (room.seed == 0)
    cube = xr.Dataset(
        {
            "curve_loss": loss.where(is_joined),
            "curve_test_error": (room + height * bump / 2).where(is_joined),
            "is_lower_bound": room.isel(kind=0, pair=0, drop=True) > 0,
        }
    ).expand_dims(threshold=[0.1, 0.5], estimator=["rays"])
    cube["curve_loss"] = cube.curve_loss.isel(threshold=0, estimator=0, drop=True)
    cube["curve_test_error"] = cube.curve_test_error.isel(threshold=0, estimator=0, drop=True)
    if with_volumes:
        at = xr.DataArray([1.0, np.nan, 3.0], {"volume_position": places}, "volume_position")
        bounds = xr.DataArray([0.0, 10.0], {"threshold": [0.1, 0.5]}, "threshold")
        volume = (room + 0 * own + bounds + at).where(is_joined)
        cube["curve_log_volume"] = volume
        cube["curve_volume_status"] = xr.where(volume.isnull(), 4, 2).astype(np.int8)
    return cube.assign_coords(
        measure="lebesgue", volume_coordinates="filter", threshold_kind="loss", recipe=["clean"]
    )


def test_every_pair_has_its_loss_error_and_volume():
    figure = draw(made_cube(), 0.5)
    assert len(figure.axes) == 6
    assert [axis.get_title() for axis in figure.axes[:2]] == [
        f"mlp-8 on digits\n{pair}" for pair in PAIRS
    ]
    losses, _, errors, _, volumes, alone = figure.axes
    assert losses.get_yscale() == "log"
    # Two seeds of three kinds, and the threshold.
    curves = [line for line in losses.lines if len(line.get_xdata()) == 5]
    assert len(curves) == 6
    assert [line.get_ydata()[0] for line in losses.lines if line not in curves] == [0.5]
    # The line first, in the landscape of the largest train size.
    np.testing.assert_allclose(curves[0].get_ydata(), 0.01 + 2 * np.array([0, 0.5, 1, 0.5, 0]))
    np.testing.assert_allclose(errors.lines[0].get_ydata(), [0, 25, 50, 25, 0])
    np.testing.assert_allclose(volumes.lines[0].get_ydata(), [11, np.nan, 13])
    drawn = [line for line in alone.lines if np.isfinite(line.get_ydata()).any()]
    assert len(drawn) == 3
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["straight line", "Bezier curve", "polygon"]
    title = figure.get_suptitle()
    assert "minima of 60 examples" in title
    assert "by rays, lower bounds; filter coordinates of each point, lebesgue measure" in title
    assert "loss < 0.5" in title


def test_without_volumes_there_is_no_row_of_them():
    figure = draw(made_cube(with_volumes=False))
    assert len(figure.axes) == 4
    assert "volume" not in figure.get_suptitle()


def test_what_is_infinite_or_missing_is_a_gap(tmp_path):
    cube = made_cube()
    cube["curve_loss"] = xr.where(cube.kind == "line", np.inf, cube.curve_loss).transpose(
        *cube.curve_loss.dims
    )
    cube["curve_test_error"] = np.nan * cube.curve_test_error
    figure = draw(cube)
    assert [text.get_text() for text in figure.axes[2].texts] == ["nothing was measured here"]
    for part in "ab":
        save(draw(cube), tmp_path / f"{part}.png", tmp_path / f"{part}.pdf")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_a_cube_without_curves_says_so():
    cube = made_cube().drop_vars(["curve_loss", "curve_test_error", "curve_log_volume"])
    figure = draw(cube.isel(pair=0, kind=0))
    assert [text.get_text() for text in figure.axes[0].texts] == ["nothing was measured here"]
    with pytest.raises(ValueError, match=r"^threshold: 0.3 is not in the cube"):
        draw(cube, 0.3)
