"""The animation: its frames and their order, one scale, the same bytes, and what it refuses."""

import numpy as np
import pytest
import xarray as xr
from PIL import Image

from basins.figures import landscape_animation, loss_planes, loss_surfaces
from basins.figures.landscape_animation import EASED, HELD, animate, chosen, frames

SIZES = [20, 60, 1000]


def plane_cube(seed, sizes=SIZES, points=7, kind="loss"):
    """Return a cube of four minima in bowls that get steeper with the landscape."""
    rng = np.random.default_rng(seed)
    axis = np.linspace(-1, 1, points)
    bowl = (axis[:, None] ** 2 + axis**2)[None] * np.geomspace(0.1, 10, len(sizes))[:, None, None]
    height = rng.uniform(1, 2, (1, 1, 1, 2, 2, 1, 1, 1))
    planes = np.broadcast_to(height * (bowl + 0.01), (1, 1, 1, 2, 2, *bowl.shape))
    dims = ("model", "dataset", "recipe", "train_size", "seed", "landscape_size")
    return xr.Dataset(
        {"plane_loss": ((*dims, "y", "x"), planes.astype(np.float32))},
        coords={
            "model": ["mlp-8"],
            "dataset": ["digits"],
            "recipe": ["adam"],
            "train_size": [20, 60],
            "seed": [3, 5],
            "landscape_size": sizes,
            "y": axis,
            "x": axis,
            "threshold": [0.1, 0.5],
            "estimator": ["rays"],
            "threshold_kind": kind,
        },
    )


def test_landscapes_come_in_the_order_of_their_sizes_and_stand_still(seed):
    one = chosen(plane_cube(seed))
    made = list(frames(one.plane_loss))
    assert [frame.words for frame in made if frame.count > 1] == [
        "landscape of 20 examples",
        "landscape of 60 examples",
        "landscape of 1,000 examples",
    ]
    assert [frame.count for frame in made] == [HELD, *[1] * EASED, HELD, *[1] * EASED, 2 * HELD]
    assert {frame.words for frame in made[1 : EASED + 1]} == {"from 20 to 60 examples"}
    for frame, size in zip(made[:: EASED + 1], SIZES, strict=True):
        expected = one.plane_loss.sel(landscape_size=size)
        np.testing.assert_allclose(frame.losses, expected, rtol=1e-5)
    # From one to the next every loss goes up smoothly, half the logarithm's way in the middle.
    middle = np.log([frame.losses[0, 0].item() for frame in made])
    assert (np.diff(middle) > 0).all()
    half = EASED // 2 + 1
    assert middle[half] == pytest.approx((middle[0] + middle[EASED + 1]) / 2, rel=1e-5)


@pytest.mark.parametrize("count", [2, 7, 12, 31, 40])
def test_many_landscapes_go_by_faster(count, seed):
    sizes = list(range(20, 20 + count))
    made = list(frames(chosen(plane_cube(seed, sizes, points=3)).plane_loss))
    assert count <= len(made) <= count + 30
    assert [frame.words for frame in made if frame.count > 1] == [
        f"landscape of {size} examples" for size in sizes
    ]


def test_losses_of_all_sizes_of_numbers_are_animated(seed):
    """What is infinite, or 0, is at an end of the scale."""
    planes = chosen(plane_cube(seed)).plane_loss.copy(deep=True)
    planes[-1, 0, 0] = np.inf
    planes[0, 3, 3] = 0
    for frame in frames(planes):
        assert np.isfinite(frame.losses).all()
        assert (frame.losses > 0).all()


def test_the_file_holds_every_frame_on_one_scale_and_is_the_same_again(seed, tmp_path, monkeypatch):
    limits, surfaces, titles = [], [], []
    draw_flat, draw_solid = loss_planes.contours, loss_surfaces.surface

    def contours(axis, losses, levels, height):
        draw_flat(axis, losses, levels, height)
        limits.append((axis.collections[0].get_clim(), height))

    def surface(axis, losses, bounds):
        draw_solid(axis, losses, bounds)
        surfaces.append(axis.get_zlim())
        titles.append(axis.figure.get_suptitle())

    monkeypatch.setattr(loss_planes, "contours", contours)
    monkeypatch.setattr(loss_surfaces, "surface", surface)
    monkeypatch.setattr(landscape_animation, "HELD", 2)
    monkeypatch.setattr(landscape_animation, "EASED", 2)
    one = chosen(plane_cube(seed, SIZES[:2]), seed=5, train_size=20)
    for name in "ab":
        animate(one, tmp_path / f"{name}.gif", 0.5)
    assert len(limits) == 2 * (2 + 2)
    assert len({clim for clim, _ in limits}) == len(set(surfaces)) == 1
    assert {height for _, height in limits} == {0.5}
    assert titles[1].endswith("mlp-8 on digits, adam, trained on 20 examples, seed 5")
    first, second = ((tmp_path / f"{name}.gif").read_bytes() for name in "ab")
    assert first == second
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.gif", "b.gif"]
    with Image.open(tmp_path / "a.gif") as image:
        times = []
        for index in range(image.n_frames):
            image.seek(index)
            times.append(image.info["duration"])
    # Frames that stand still are one, and longer.
    assert times == [200, 100, 100, 400]


def test_a_threshold_on_the_excess_is_above_each_landscapes_own_minimum(
    seed, tmp_path, monkeypatch
):
    heights = []
    monkeypatch.setattr(landscape_animation, "HELD", 1)
    monkeypatch.setattr(landscape_animation, "EASED", 1)
    monkeypatch.setattr(loss_planes, "contours", lambda *given: heights.append(given[-1]))
    monkeypatch.setattr(loss_surfaces, "surface", lambda *_: None)
    one = chosen(plane_cube(seed, SIZES[:2], kind="excess"))
    animate(one, tmp_path / "a.gif", 0.1)
    own = one.plane_loss.sel(x=0, y=0).values
    np.testing.assert_allclose([heights[0], heights[-1]], 0.1 + own, rtol=1e-5)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ({"model": "mlp-9"}, "--model: 'mlp-9' is not in the cube; allowed are mlp-8"),
        ({"dataset": "mnist"}, "--dataset: 'mnist' is not in the cube; allowed are digits"),
        ({"recipe": "sgd"}, "--recipe: 'sgd' is not in the cube; allowed are adam"),
        ({"train_size": 21}, "--train-size: 21 is not in the cube; allowed are 20, 60"),
        ({"seed": 0}, "--seed: 0 is not in the cube; allowed are 3, 5"),
    ],
)
def test_a_minimum_that_is_not_there_is_one_sentence(labels, words, seed):
    with pytest.raises(ValueError, match=f"^{words}$"):
        chosen(plane_cube(seed), **labels)


def test_the_first_seed_of_the_largest_size_is_what_nobody_chose(seed):
    one = chosen(plane_cube(seed))
    assert (one.seed.item(), one.train_size.item()) == (3, 60)


def test_cubes_with_nothing_to_animate_are_one_sentence(seed, tmp_path):
    cube = plane_cube(seed)
    with pytest.raises(ValueError, match=r"^the cube holds no losses in planes; studies with"):
        chosen(cube.drop_vars("plane_loss"))
    with pytest.raises(ValueError, match=r"^landscape_sizes: the cube has one, 60; an animation"):
        chosen(cube.isel(landscape_size=[1]))
    missing = cube.where(cube.seed != 3)
    with pytest.raises(ValueError, match=r"^no losses in planes were measured at the minimum of"):
        chosen(missing)
    assert chosen(missing, seed=5)
    with pytest.raises(ValueError, match=r"^threshold: 0.3 is not in the cube"):
        animate(chosen(cube), tmp_path / "a.gif", 0.3)
    assert not list(tmp_path.iterdir())
