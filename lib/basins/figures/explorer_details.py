"""What the explorer shows of one minimum: its boundary, plane, spectrum, training and flatness."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from bokeh.plotting.contour import contour_data
from numpy.typing import NDArray

from basins.cube.flatness_table import FLATNESS
from basins.cube.queries import spectral_density
from basins.cube.variable import MINIMUM
from basins.figures.explorer_minima import at_places, kept_first, own_index
from basins.figures.explorer_room import (
    ARRAY_BYTES,
    MOST_DETAIL_BYTES,
    MOST_EXAMPLES,
    MOST_POINTS,
    ON_PAGE,
)
from basins.figures.of_planes import bound
from basins.figures.spectral_density import DECADES, WIDTH, without_tails

GROUPS = ("/boundaries", "/planes", "/spectrum", "/history")
NONE: NDArray[np.float32] = np.zeros(0, dtype=np.float32)

Columns = dict[str, NDArray[Any]]
Paths = tuple[NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True)
class Measure:
    """One line of a minimum's table of flatness.

    Attributes
    ----------
    name, unit
        In words; the landscape is the minimum's own where it has one.
    variable
        Of the cube.
    labels
        Of the variable's further dims.
    """

    name: str
    unit: str
    variable: str
    labels: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class Details:
    """What is on the page of single minima.

    Attributes
    ----------
    rows
        Of the minima on the page, those with details; what they are in `columns` is in this order.
    columns
        By name one array a minimum, empty where nothing was measured.
    grids
        Places along both axes of ``boundary`` and ``plane``, as drawn.
    measures
        Lines of the table of flatness, in the order of the columns ``flatness`` and ``error``.
    scale
        Eigenvalue below which the axis of spectra is linear; they are drawn over
        asinh(eigenvalue / scale).
    """

    rows: NDArray[np.int64]
    columns: dict[str, list[NDArray[Any]]]
    grids: dict[str, Paths]
    measures: list[Measure]
    scale: float


def details_of(
    cube: xr.Dataset, groups: Mapping[str, xr.Dataset], places: NDArray[np.int64]
) -> Details:
    """Return the details of as many minima as fit on the page, first seeds of settings first.

    Parameters
    ----------
    cube
        The root of a cube.
    groups
        Those of `GROUPS` that the cube has.
    places
        Minima as indices along the dims of a minimum, (minima, 5).
    """
    measures, scale = measures_of(cube), _scale(cube)
    table = _flatness(cube, measures, places)
    rows: list[int] = []
    kept: list[Columns] = []
    room = float(MOST_DETAIL_BYTES)
    for row in kept_first(places):
        one = {name: values[row] for name, values in table.items()}
        one |= _bulk(cube, groups, places[row], scale)
        room -= sum(ON_PAGE * values.nbytes + ARRAY_BYTES for values in one.values())
        if room < 0:
            break
        rows.append(int(row))
        kept.append(one)
    names = kept[0] if kept else {}
    return Details(
        rows=np.array(rows, dtype=np.int64),
        columns={name: [one[name] for one in kept] for name in names},
        grids=dict(_grids(groups)),
        measures=measures,
        scale=scale,
    )


def measures_of(cube: xr.Dataset) -> list[Measure]:
    """Return the lines of a table of flatness; standard errors are in the line of their value."""
    found = []
    for name, variable in FLATNESS.items():
        if name not in cube or name.endswith("_stderr"):
            continue
        extra = [dim for dim in cube[name].dims if dim not in (*MINIMUM, "landscape_size")]
        if not extra:
            found.append(Measure(variable.long_name, variable.units, name))
            continue
        (dim,) = extra
        found += [
            Measure(
                f"{variable.long_name}, {str(dim).replace('_', ' ')} {label:g}",
                variable.units,
                name,
                ((str(dim), label),),
            )
            for label in cube[dim].values
        ]
    return found


def thinned(axis: NDArray[Any], most: int = MOST_POINTS) -> NDArray[np.int64]:
    """Return which places of an even axis are drawn: all, or every second, third, ... one.

    An axis with a middle keeps it, where the minimum is.

    Examples
    --------
    >>> thinned(np.linspace(-1, 1, 9), most=5)
    array([0, 2, 4, 6, 8])
    """
    step = -(-len(axis) // most)
    return np.arange((len(axis) - 1) // 2 % step, len(axis), step)


def _grids(groups: Mapping[str, xr.Dataset]) -> Iterator[tuple[str, Paths]]:
    axes = {"boundary": ("/boundaries", "input_x", "input_y"), "plane": ("/planes", "x", "y")}
    for name, (group, *dims) in axes.items():
        if group in groups:
            x, y = (groups[group][dim].values for dim in dims)
            yield name, (x[thinned(x)], y[thinned(y)])


def _bulk(
    cube: xr.Dataset, groups: Mapping[str, xr.Dataset], place: NDArray[np.int64], scale: float
) -> Columns:
    """Return what the cube's groups hold of one minimum; one chunk of the file is read for each."""
    index = dict(zip(MINIMUM, map(int, place), strict=True))
    own = int(own_index(cube)[index["train_size"]])
    ones = {name: group.isel(index) for name, group in groups.items()}
    found: Columns = {}
    if "/boundaries" in ones:
        found |= _boundary(ones["/boundaries"])
    if "/planes" in ones:
        found |= _plane(cube, ones["/planes"], own)
    if "/spectrum" in ones:
        n = int(cube.num_parameters.isel({dim: index[dim] for dim in ("model", "dataset")}))
        found |= _spectrum(ones["/spectrum"], own, scale, n)
    if "/history" in ones:
        found |= _curve(ones["/history"])
    return found


def _boundary(one: xr.Dataset) -> Columns:
    names = ("boundary", "boundary_x", "boundary_y", "point_x", "point_y", "point_class")
    lead = one.class_lead.values
    if not np.isfinite(lead).all():
        return dict.fromkeys(names, NONE)
    x, y = one.input_x.values, one.input_y.values
    points = [one[name].values for name in names[3:]]
    is_there = np.flatnonzero(np.isfinite(points[2]))[:MOST_EXAMPLES]
    image = lead[np.ix_(thinned(y), thinned(x))]
    drawn = [image, *_contours(x, y, lead, [0.0])[0], *(values[is_there] for values in points)]
    return {name: _single(values) for name, values in zip(names, drawn, strict=True)}


def _plane(cube: xr.Dataset, one: xr.Dataset, own: int) -> Columns:
    """Return losses in a plane, and where they are at each threshold."""
    names = [f"plane_{axis}{t}" for t in range(cube.sizes["threshold"]) for axis in "xy"]
    losses = one.plane_loss.isel(landscape_size=own).values if own >= 0 else NONE
    if not losses.size or np.isnan(losses).any():
        return dict.fromkeys(("plane", *names), NONE)
    x, y = one.x.values, one.y.values
    middle = float(losses[np.argmin(abs(y)), np.argmin(abs(x))])
    levels = [bound(cube, float(threshold), middle) for threshold in cube.threshold.values]
    # Lines cannot be drawn to where a loss is beyond single precision.
    finite = np.minimum(losses, np.finfo(np.float32).max)
    paths = [_single(values) for path in _contours(x, y, finite, levels) for values in path]
    return {"plane": losses[np.ix_(thinned(y), thinned(x))]} | dict(zip(names, paths, strict=True))


def _contours(
    x: NDArray[Any], y: NDArray[Any], values: NDArray[Any], levels: list[float]
) -> list[Paths]:
    """Return where a function on a grid is at each level; a NaN ends each piece of a line."""
    lines = contour_data(x, y, values, levels, want_fill=False, want_line=True).line_data
    assert lines is not None, "lines were asked for"
    return list(zip(lines.xs, lines.ys, strict=True))


def _spectrum(one: xr.Dataset, own: int, scale: float, num_parameters: int) -> Columns:
    """Return densities of both losses, each over its own asinh(eigenvalue / scale)."""
    found: Columns = {}
    for prefix in ("", "test_"):
        pair = [f"{prefix}node_eigenvalue", f"{prefix}node_weight"]
        x, y = f"{prefix}spectrum_x", f"{prefix}spectrum_y"
        found |= {x: NONE, y: NONE}
        if pair[0] not in one or (not prefix and own < 0):
            continue
        nodes = one[pair].load() if prefix else one[pair].isel(landscape_size=own).load()
        if not bool(nodes[pair[0]].notnull().any()):
            continue
        density = spectral_density(nodes, WIDTH, scale=scale, prefix=prefix).density
        seen = without_tails(density, scale, num_parameters).values
        found |= {x: _single(np.arcsinh(density.value.values / scale)), y: _single(seen)}
    return found


def _scale(cube: xr.Dataset) -> float:
    """Return where the axis of all spectra turns linear: decades below the largest eigenvalue."""
    names = [name for name in ("spectral_norm", "test_spectral_norm") if name in cube]
    largest = max((float(cube[name].max()) for name in names), default=1.0)
    if not 0 < largest < np.inf:
        return 1.0
    return float(10.0 ** (np.ceil(np.log10(largest)) - DECADES))


def _curve(one: xr.Dataset) -> Columns:
    epochs, losses = one.epoch.values, one.train_loss.values
    # On a logarithmic axis there is no place for others.
    is_there = np.isfinite(losses) & (losses > 0)
    return {"epoch": _single(epochs[is_there]), "curve": _single(losses[is_there])}


def _flatness(cube: xr.Dataset, measures: list[Measure], places: NDArray[np.int64]) -> Columns:
    """Return values and standard errors of the lines of flatness, each (minima, lines)."""
    own = own_index(cube)[places[:, MINIMUM.index("train_size")]]

    def numbers(one: Measure, suffix: str) -> NDArray[np.float64]:
        name = f"{one.variable}{suffix}"
        if name not in cube:
            return np.full(len(places), np.nan)
        values = at_places(cube[name].sel(dict(one.labels)), places)
        if values.ndim == 1:
            return values
        return np.where(own >= 0, values[np.arange(len(places)), own], np.nan)

    if not measures:
        return {}
    return {
        "flatness": np.stack([numbers(one, "") for one in measures], axis=1),
        "error": np.stack([numbers(one, "_stderr") for one in measures], axis=1),
    }


def _single(values: NDArray[Any]) -> NDArray[np.float32]:
    # What is below single precision is 0.
    with np.errstate(under="ignore"):
        return np.ascontiguousarray(values, dtype=np.float32)
