"""A cube in words and tables, for `basins show`."""

from collections.abc import Iterator

import numpy as np
import xarray as xr
import yaml

from basins.cube import schema
from basins.cube.queries import largest_minimum
from basins.cube.variable import VOLUME_STATUS


def summarize(cube: xr.Dataset) -> str:
    """Return what was run, accuracies, volumes with errors, and what is missing or marked."""
    study = yaml.safe_load(cube.attrs["study"])
    sizes = cube.sizes
    lines = [
        f"{study['study']}: {cube.attrs['title']}",
        f"Basins {cube.attrs['basins_version']}, study {cube.attrs['study_sha256'][:12]}",
        f"{_minima(cube)} minima: {sizes['seed']} seeds x {sizes['train_size']} train sizes x "
        f"{sizes['recipe']} recipes x {sizes['dataset']} data sets x {sizes['model']} models, "
        f"each in {sizes['landscape_size']} landscapes",
        f"volumes in {cube.volume_coordinates.item()} coordinates, {cube.measure.item()} measure, "
        f"threshold on the {cube.threshold_kind.item()}; {study['measure']['volume']['directions']}"
        " directions; mean over seeds ± its standard error",
    ]
    for model in cube.model.values:
        for dataset in cube.dataset.values:
            for recipe in cube.recipe.values:
                part = cube.sel(model=model, dataset=dataset, recipe=recipe)
                n = int(part.num_parameters)
                lines += ["", f"{model} on {dataset}, {recipe} (n = {n:,} parameters)"]
                lines += _training(part)
                for estimator in cube.estimator.values:
                    for threshold in cube.threshold.values:
                        lines += _volumes(part.sel(estimator=estimator, threshold=threshold))
    return "\n".join([*lines, "", *_marks(cube)])


def _minima(cube: xr.Dataset) -> int:
    return int((cube.training_status > 0).sum())


def _training(part: xr.Dataset) -> Iterator[str]:
    yield f"  {'train size':>10}  {'train accuracy':>16}  {'test accuracy':>16}  {'train loss':>10}"
    for size in part.train_size.values:
        row = part.sel(train_size=size)
        yield (
            f"  {size:>10}  {_spread(row.train_accuracy, 4):>16}  "
            f"{_spread(row.test_accuracy, 4):>16}  {float(row.train_loss.mean()):>10.2e}"
        )


def _volumes(part: xr.Dataset) -> Iterator[str]:
    is_bound = bool(part.is_lower_bound.any())
    kind = "log volume (nat), lower bounds" if is_bound else "log volume (nat)"
    yield f"  {part.estimator.item()}, threshold {part.threshold.item():g}: {kind}"
    yield "  landscape  " + "".join(f"{f'trained on {n}':>22}" for n in part.train_size.values)
    best = largest_minimum(part)
    for size in part.landscape_size.values:
        row = part.log_volume.sel(landscape_size=size)
        cells = [_spread(row.sel(train_size=n), 1) for n in part.train_size.values]
        largest = int(best.sel(landscape_size=size))
        end = f"   largest: {largest}" if largest else ""
        yield f"  {size:>9}  " + "".join(f"{cell:>22}" for cell in cells) + end


def _spread(values: xr.DataArray, digits: int) -> str:
    found = values.values[np.isfinite(values.values)]
    if not len(found):
        return "-"
    error = found.std(ddof=1) / np.sqrt(len(found)) if len(found) > 1 else np.nan
    marked = "*" if len(found) < values.size else ""
    return f"{found.mean():.{digits}f} ± {error:.{digits}f}{marked}"


def _marks(cube: xr.Dataset) -> Iterator[str]:
    yield "Marks"
    yield from _counts("training", cube.training_status, schema.TRAINING_STATUS, good=1)
    yield from _counts("volumes", cube.volume_status, VOLUME_STATUS, good=1)
    censored = float(cube.censored_fraction.max())
    yield f"  rays: at most {censored:.1%} of a basin's rays do not cross within r_max"
    yield "  * not every seed was measured; - none was"


def _counts(what: str, status: xr.DataArray, meanings: tuple[str, ...], good: int) -> Iterator[str]:
    values, counts = np.unique(status.values, return_counts=True)
    found = {meanings[v]: int(c) for v, c in zip(values, counts, strict=True)}
    words = ", ".join(f"{count} {meaning}" for meaning, count in found.items())
    mark = "" if set(found) == {meanings[good]} else "  (marked)"
    yield f"  {what}: {words} of {status.size}{mark}"
