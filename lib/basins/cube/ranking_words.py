"""Rank correlations in words, tables and JSON, for `basins rank`."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import xarray as xr

from basins.cube.ranking import MIN_MINIMA


def too_few(ranking: xr.Dataset) -> str:
    """Return the sentence that says there are too few minima, or nothing."""
    count = ranking.attrs["num_minima"]
    if count >= MIN_MINIMA:
        return ""
    return f"Only {count} minima can be used: a rank correlation takes at least {MIN_MINIMA}."


def ranked(ranking: xr.Dataset) -> xr.Dataset:
    """Return the measures that have a tau."""
    return ranking.isel(measure=np.isfinite(ranking.tau.values))


def by_worst(ranking: xr.Dataset) -> xr.Dataset:
    """Return the measures by how far the worst environment bears out the sign of their tau.

    Those without an environment come last, in the order they had.
    """
    borne_out = np.where(ranking.tau >= 0, 1, -1) * ranking.worst_tau
    return ranking.isel(measure=np.argsort(-borne_out.values, kind="stable"))


def text(ranking: xr.Dataset) -> str:
    """Return the table for people."""
    return "\n".join(_lines(ranking))


def _lines(ranking: xr.Dataset) -> Iterator[str]:
    percent = ranking.attrs["interval_probability"]
    yield (
        f"{ranking.attrs['title']}: rank correlation with the generalization gap over "
        f"{ranking.attrs['num_minima']} minima ({ranking.attrs['num_left_out']} left out)"
    )
    if sentence := too_few(ranking):
        yield sentence
        return
    yield (
        f"tau: Kendall's tau-b, above 0 where a larger measure goes with a larger gap; "
        f"{percent:.0%} interval over settings and seeds"
    )
    yield "worst: the environment (one axis varies) most against it; given loss: partial tau"
    yield ""
    shown = ranked(ranking)
    names = [_name(one) for one in _each(shown)]
    width = max(map(len, ["measure", *names]))
    yield f"{'measure':<{width}}  {'tau':>5}  {'interval':>14}  {'worst':>5}  {'given loss':>10}"
    for name, one in zip(names, _each(shown), strict=True):
        between = f"[{one.tau_low.item():.2f}, {one.tau_high.item():.2f}]"
        yield (
            f"{name:<{width}}  {_number(one.tau)}  {between:>14}  {_number(one.worst_tau)}  "
            f"{_number(one.partial_tau):>10}"
        )
    if any(name.endswith("*") for name in names):
        yield "* measured on the test set, which the gap is made of too"
    gone = [one for one in _each(ranking) if not np.isfinite(one.tau)]
    few = [str(one.long_name.item()) for one in gone if one.num_minima < MIN_MINIMA]
    same = [str(one.long_name.item()) for one in gone if one.num_minima >= MIN_MINIMA]
    if few:
        yield f"no tau, for fewer than {MIN_MINIMA} minima have a number: {'; '.join(few)}"
    if same:
        yield f"no tau, for it or the gap is the same for all minima: {'; '.join(same)}"
    for one in _each(shown):
        if count := int(one.num_left_out):
            yield f"{one.long_name.item()}: {count} minima without a finite value left out"


def _each(ranking: xr.Dataset) -> Iterator[xr.Dataset]:
    return (ranking.isel(measure=index) for index in range(ranking.sizes["measure"]))


def _name(one: xr.Dataset) -> str:
    return f"{one.long_name.item()}{' *' if one.has_seen_test_set else ''}"


def _number(value: xr.DataArray) -> str:
    return f"{value.item():5.2f}" if np.isfinite(value) else f"{'-':>5}"


def as_json(ranking: xr.Dataset) -> dict[str, Any]:
    """Return the same for programs: a record a measure, null where there is no number."""
    rows = []
    for one in _each(ranking):
        row = {"measure": one.measure.item()}
        row |= {str(name): _plain(one[name].item()) for name in one.data_vars if name != "axis_tau"}
        row["axis_tau"] = {
            str(axis): _plain(one.axis_tau.sel(axis=axis).item()) for axis in one.axis.values
        }
        rows.append(row)
    return {**ranking.attrs, "measures": rows}


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not np.isfinite(value) else value
