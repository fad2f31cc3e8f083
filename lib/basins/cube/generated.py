"""results/README.md: the specification of the cube, generated from the schema."""

from pathlib import Path

from basins.cube import schema
from basins.cube.variable import MINIMUM, Variable

HEAD = """# Results

`results/<study>/` holds one run: `study.yaml` (every key, defaults filled in), `minima/`, `rays/`,
`volumes/`, if the study names them `estimates/`, `flatness/`, `planes/`, `boundaries/` and
`trajectories/` (one file a job), `minefield/`, `size_planes/`, `curves/`, `distinct/` and
`classes/` (one file a model and data set), `cube.nc`, `figures/`, `explorer.html`, `report.html`,
`logs/`, `benchmarks/`.

`cube.nc` is netCDF-4 in HDF5: `xr.open_dataset("results/demo/cube.nc")` opens the cube,
`group="rays"` the radii; h5py opens it too. Nothing in it is pickled. This page is generated from
`lib/basins/cube/schema.py` by `make generate`.

**Dims, in this order**: `model, dataset, recipe, train_size, seed` (a minimum), `landscape_size` (a
landscape), `threshold` (a basin), `estimator` (a number). Coordinates are sorted and unique.

**Missing**: floats are NaN, flags and counts 0, booleans false; *why* something is missing is
always in a flag. A minimum whose training loss is not below a threshold is kept, marked
`minimum_above_threshold`, and its volume is NaN, never zero.

**Attributes**: each variable has `long_name`, `units`, `formula`, `references`; values with an
error bar name it in `ancillary_variables`; flags have `flag_values` and `flag_meanings`. The root
has the resolved study text and its hash. Nothing but `/provenance` changes between two identical
runs: clocks, devices and library versions live there.

**Version**: `Conventions` is `{conventions}`. Adding variables is free; renaming one or changing
its meaning raises the number, and readers refuse a number they do not know.
"""

TITLES = {
    "/": "The cube (root group)",
    "/rays": "`/rays`: radii",
    "/history": "`/history`: training curves",
    "/spectrum": "`/spectrum`: spectral densities",
    "/planes": "`/planes`: losses in planes",
    "/boundaries": "`/boundaries`: decision boundaries",
    "/minefield": "`/minefield`: minima and paths of training in a plane",
    "/trajectories": "`/trajectories`: paths of training in their principal planes",
    "/size_planes": "`/size_planes`: losses in planes through three minima",
    "/curves": "`/curves`: curves between two minima",
    "/distinct": "`/distinct`: how many different minima seeds find",
    "/classes": "`/classes`: all solutions together",
}
HEADER = "| variable | dims | type | unit | meaning | source |\n|---|---|---|---|---|---|\n"
MORE = {
    "/": "And, if the study names the measure (`measure.flatness`):",
    "/spectrum": "Only if the study names `spectrum` or `gauss_newton` (`measure.flatness`). "
    "`basins.cube.queries.spectral_density` draws a density from it. NaN beyond the last node of a "
    "minimum:",
    "/planes": "Only if the study asks for planes (`measure.planes`). Lines are their middle row "
    "and column:",
    "/boundaries": "Only if the study asks for boundaries (`measure.boundaries`):",
    "/minefield": "Only if the study asks for it (`measure.minefield`); NaN where a training "
    "diverged, and where minima were not trained but made of others:",
    "/trajectories": "Only if the study asks for them (`measure.trajectories`); NaN where no path "
    "was kept:",
    "/size_planes": "Only if the study asks for them (`measure.size_planes`); NaN where a training "
    "diverged:",
    "/curves": "Only if the study asks for them (`measure.curves`), volumes only with "
    "`volume_points`; `seed` is the first minimum's; NaN where it has no next, or a training "
    "diverged:",
    "/distinct": "Only if the study asks for it (`measure.distinct`); NaN where a training "
    "diverged, and where minima were not trained but made of others:",
    "/classes": "Only if the study asks for it (`measure.guess_and_check`); `seed` fixes the order "
    "of examples alone, and where no draw is good, or bad, only the upper end is a number:",
}


def specification() -> str:
    """Return the Markdown page."""
    parts = [HEAD.format(conventions=schema.CONVENTIONS), "\n## Coordinates\n\n"]
    parts.append("| name | meaning | unit |\n|---|---|---|\n")
    for name, (long_name, units, formula) in schema.COORDINATES.items():
        parts.append(f"| `{name}` | {long_name}: {formula} | {units} |\n")
    for group, title in TITLES.items():
        parts.append(f"\n## {title}\n")
        if group in schema.GROUPS:
            parts.append(f"\n{HEADER}")
            parts += [_row(name, variable) for name, variable in schema.GROUPS[group].items()]
        if group in schema.MORE:
            parts.append(f"\n{MORE[group]}\n\n{HEADER}")
            parts += [_row(name, variable) for name, variable in schema.MORE[group].items()]
    parts.append(
        "\n## `/provenance`\n\nOne entry a job file: `verb`, `device`, `dtype`, `wall_seconds` "
        "(s), `peak_bytes` (byte), `libraries`, `created_at`.\n"
    )
    return "".join(parts)


def generate(root: Path) -> None:
    """Write the page under the checkout `root`."""
    path = root / "results" / "README.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(specification(), encoding="utf-8")


def _row(name: str, variable: Variable) -> str:
    meaning = f"{variable.long_name}: {variable.formula}"
    if variable.flags:
        flags = ", ".join(f"{value} {word}" for value, word in enumerate(variable.flags))
        meaning += f" ({flags})"
    dims = ", ".join(variable.dims).replace(", ".join(MINIMUM), "*minimum*")
    cells = [f"`{name}`", dims, variable.dtype, variable.units, meaning, variable.references]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"
