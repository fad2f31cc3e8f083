"""Scaling laws of one or several cubes in tables and JSON, for `basins scaling`."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import xarray as xr

from basins.cube.scaling import (
    FIT_STATUS,
    LAWS,
    compare_laws,
    in_weight_space,
    power_law,
    with_published,
)
from basins.cube.schema import TRAINING_STATUS

KEYS = ("study", "model", "dataset", "recipe", "threshold", "coordinates", "estimator")
WEIGHT = "weight"
DIVERGED = "diverged"  # status of what every seed of diverged
NUMBERS = ("exponent", "exponent_low", "exponent_high", "exponent_per_parameter")


def records(cubes: Sequence[xr.Dataset]) -> list[dict[str, Any]]:
    """Return a record of each model, data set, recipe, threshold and estimator measured.

    Published-style values stand among the estimators, and after volumes in a cube's coordinates the
    same in weight space. Where nothing was measured there is no record; where there are too few
    train sizes, or every seed diverged, the record says so and has no number.
    """
    found: list[dict[str, Any]] = []
    for cube in cubes:
        found += _diverged(cube)
        volumes = with_published(cube)
        coordinates = str(cube.volume_coordinates.item())
        found += _fitted(volumes, {"study": cube.attrs["title"], "coordinates": coordinates})
        if coordinates != WEIGHT:
            there = in_weight_space(volumes)
            label = f"{WEIGHT}, of {coordinates}"
            found += _fitted(there, {"study": cube.attrs["title"], "coordinates": label})
    return found


def _fitted(volumes: xr.Dataset, common: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a record of each fit to volumes that have the labels `common`."""
    joined = power_law(volumes).assign(error=compare_laws(volumes))
    names = [dim for dim in joined.exponent.dims if dim != "law"]
    for place in np.ndindex(*(joined.sizes[dim] for dim in names)):
        one = joined.isel(dict(zip(names, place, strict=True)))
        status = FIT_STATUS[int(one.fit_status)]
        if status == "not_measured":
            continue
        labels = common | {str(name): one[name].item() for name in names}
        yield {
            **{key: labels[key] for key in KEYS},
            **{name: _plain(float(one[name])) for name in NUMBERS},
            "num_sizes": int(one.num_sizes),
            "calibrated_share": _plain(float(one.calibrated_share)),
            "status": status,
            "cross_validation_error": {law: _plain(float(one.error.sel(law=law))) for law in LAWS},
        }


def _diverged(cube: xr.Dataset) -> Iterator[dict[str, Any]]:
    """Yield a record of each model, data set and recipe of which every minimum diverged."""
    is_trained = cube.training_status > 0
    diverged = cube.training_status == TRAINING_STATUS.index("diverged")
    within = ["train_size", "seed"]
    lost = (diverged | ~is_trained).all(within) & is_trained.any(within)
    names = ("model", "dataset", "recipe")
    for place in np.argwhere(lost.transpose(*names).values):
        labels = {name: cube[name].values[at] for name, at in zip(names, place, strict=True)}
        row: dict[str, Any] = dict.fromkeys((*KEYS, *NUMBERS, "calibrated_share"))
        row |= {"study": cube.attrs["title"]} | {key: str(value) for key, value in labels.items()}
        errors = dict.fromkeys(LAWS)
        yield row | {"num_sizes": 0, "status": DIVERGED, "cross_validation_error": errors}


def text(rows: Sequence[dict[str, Any]]) -> str:
    """Return the table for people."""
    return "\n".join(_lines(rows))


def _lines(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    yield "ln V = a ln N + b over own landscapes; 90 % interval over seeds and volumes' own errors"
    yield ("left out: how far each law is from sizes it was not fitted to, in nats; * the nearest")
    if not rows:
        yield "no volume was measured in any minimum's own landscape"
        return
    yield ""
    head = [*KEYS, "a", "interval", "a/n", "sizes", "calibrated", *LAWS]
    table = [head, *map(_cells, rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(head))]
    for cells in table:
        texts = [
            cell.ljust(width) if column < len(KEYS) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        yield "  ".join(texts).rstrip()
    if any(str(row["coordinates"]).startswith(f"{WEIGHT}, of") for row in rows):
        yield ""
        yield "weight, of ...: the same basins' volumes where every weight has unit 1"
    statuses = {row["status"] for row in rows}
    if "too_few_sizes" in statuses:
        yield ""
        yield "-: no fit, for fewer than three train sizes have a volume in their own landscape"
    if DIVERGED in statuses:
        yield ""
        yield "no threshold: no fit, for the training of every seed at every train size diverged"


def _cells(row: dict[str, Any]) -> list[str]:
    errors = {
        law: value for law, value in row["cross_validation_error"].items() if value is not None
    }
    nearest = min(errors, key=lambda law: errors[law]) if errors else ""
    between = "-"
    if row["exponent"] is not None:
        between = f"[{row['exponent_low']:,.1f}, {row['exponent_high']:,.1f}]"
    return [
        *("-" if row[key] is None else _label(row[key]) for key in KEYS),
        _number(row["exponent"], ",.1f"),
        between,
        _number(row["exponent_per_parameter"], ".4f"),
        str(row["num_sizes"]),
        _number(row["calibrated_share"], ".0%"),
        *(_number(errors.get(law), ",.1f") + ("*" if law == nearest else " ") for law in LAWS),
    ]


def _label(value: str | float) -> str:
    return f"{value:g}" if isinstance(value, float) else value


def _number(value: float | None, how: str) -> str:
    return "-" if value is None else f"{value:{how}}"


def _plain(value: float) -> float | None:
    return value if np.isfinite(value) else None
