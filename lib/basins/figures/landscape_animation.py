"""The loss in one plane through one minimum as its landscape gets more examples, as a GIF."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.animation import PillowWriter
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from basins.atomic import whole_or_not_at_all
from basins.figures import loss_planes, loss_surfaces, of_planes, style

GROUP = of_planes.GROUP
LABELS = ("model", "dataset", "recipe", "train_size", "seed")
FRAMES_PER_SECOND = 10
HELD = 10  # frames for which a landscape stands still
EASED = 5  # frames from one landscape to the next
MOST_EASED = 30  # of all: more landscapes go by faster, so that the file stays below 2 MB
DOTS = 80  # an inch


@dataclass(frozen=True)
class Frame:
    """One picture.

    Attributes
    ----------
    words
        Which landscape it is, or between which two.
    losses
        In the plane, within the bounds of one scale, dims (y, x).
    count
        For how many frames it stands.
    """

    words: str
    losses: xr.DataArray
    count: int


def chosen(cube: xr.Dataset, **labels: Any) -> xr.Dataset:
    """Return the part of a cube that is of one minimum and of its planes.

    Parameters
    ----------
    cube
        With what its group ``/planes`` holds.
    labels
        By the names of dims; None or not named: the largest train size, the first of all others.

    Raises
    ------
    ValueError
        If the cube has no planes, one landscape or no such label, or nothing was measured there.
    """
    if "plane_loss" not in cube:
        raise ValueError(
            "the cube holds no losses in planes; studies with measure.planes have them"
        )
    sizes = cube.landscape_size.values
    if len(sizes) < 2:
        raise ValueError(
            f"landscape_sizes: the cube has one, {sizes[0]}; an animation needs two or more"
        )
    for name in LABELS:
        known = cube[name].values.tolist()
        label = labels.get(name)
        if label is not None and label not in known:
            raise ValueError(
                f"--{name.replace('_', '-')}: {label!r} is not in the cube; allowed are "
                + ", ".join(map(str, known))
            )
        if label is None:
            label = known[-1] if name == "train_size" else known[0]
        cube = cube.sel({name: label})
    if bool(cube.plane_loss.isnull().any()):
        raise ValueError(f"no losses in planes were measured at the minimum of {_words(cube)}")
    return cube


def frames(planes: xr.DataArray) -> Iterator[Frame]:
    """Yield the pictures of an animation, in order.

    Every landscape stands still for a while; between two of them the logarithm of the loss goes
    smoothly from one to the other, faster in the middle.

    Parameters
    ----------
    planes
        Losses of one minimum, dims (landscape_size, y, x).

    Examples
    --------
    >>> losses = xr.DataArray(np.ones((2, 1, 1)), {"landscape_size": [20, 60]},
    ...                       ("landscape_size", "y", "x"))
    >>> [frame.words for frame in frames(losses)][::EASED + 1]
    ['landscape of 20 examples', 'landscape of 60 examples']
    """
    ordered = planes.transpose("landscape_size", "y", "x")
    logs = np.log(np.clip(ordered.values, *of_planes.loss_range(planes)))
    plane = ordered.isel(landscape_size=0, drop=True)
    sizes = [f"{size:,}" for size in planes.landscape_size.values]
    eased = min(EASED, MOST_EASED // max(1, len(sizes) - 1))
    for index in range(len(sizes) - 1):
        first, second = logs[index], logs[index + 1]
        yield Frame(f"landscape of {sizes[index]} examples", plane.copy(data=np.exp(first)), HELD)
        for time in np.arange(1, eased + 1) / (eased + 1):
            share = time**2 * (3 - 2 * time)
            between = np.exp((1 - share) * first + share * second)
            words = f"from {sizes[index]} to {sizes[index + 1]} examples"
            yield Frame(words, plane.copy(data=between), 1)
    yield Frame(f"landscape of {sizes[-1]} examples", plane.copy(data=np.exp(logs[-1])), 2 * HELD)


def animate(cube: xr.Dataset, output: Path, threshold: float | None = None) -> None:
    """Write the animation of one minimum, whole or not at all, with the same bytes each time.

    Parameters
    ----------
    cube
        As `chosen` returns it.
    output
        A GIF.
    threshold
        Whose contour is drawn; default the cube's middle one.

    Raises
    ------
    ValueError
        If the cube has no such threshold.
    """
    part = style.at_threshold(cube, threshold)
    planes = part.plane_loss
    levels, bounds = of_planes.levels(planes), of_planes.loss_range(planes)
    words = f"{part.threshold_kind.item()} {part.threshold.item():g}"
    writer = PillowWriter(fps=FRAMES_PER_SECOND)
    with style.look(), whole_or_not_at_all(output) as partial:
        figure = Figure(figsize=(8.2, 4.2))
        FigureCanvasAgg(figure)
        # By hand: a layout that is worked out could jump from frame to frame.
        flat = figure.add_axes((0.19, 0.13, 0.36, 0.69))
        solid = figure.add_axes((0.58, 0.05, 0.37, 0.77), projection="3d")
        bar = figure.add_axes((0.085, 0.2, 0.015, 0.55))
        ticks = [planes.x.values[0], 0, planes.x.values[-1]]
        scale = ScalarMappable(LogNorm(*bounds), "viridis")
        figure.colorbar(scale, cax=bar, location="left", label="loss (nat)")
        with writer.saving(figure, str(partial), DOTS):
            for frame in frames(planes):
                own = float(frame.losses.sel(x=0, y=0))
                height = of_planes.bound(part, part.threshold.item(), own)
                flat.clear()
                loss_planes.contours(flat, frame.losses, levels, height)
                flat.set(title=f"red: {words}, cross: the minimum", xticks=ticks, yticks=ticks)
                solid.clear()
                loss_surfaces.surface(solid, frame.losses, bounds)
                # In front of the surface, which would hide it.
                solid.plot([0], [0], [np.log10(own)], "o", color="red", zorder=10)
                title = f"Loss in a plane through a minimum: {frame.words}\n{_words(part)}"
                figure.suptitle(title, fontsize=9.5)
                for _ in range(frame.count):
                    writer.grab_frame()


def _words(one: xr.Dataset) -> str:
    return (
        f"{one.model.item()} on {one.dataset.item()}, {one.recipe.item()}, trained on "
        f"{one.train_size.item():,} examples, seed {one.seed.item()}"
    )
