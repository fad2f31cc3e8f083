"""Files generated from the study schema: the JSON schema for editors and the table of keys."""

import json
from pathlib import Path
from typing import Any

from pydantic_core import PydanticUndefined

from basins.study.keys import Strict
from basins.study.measure_keys import (
    BoundaryMeasure,
    CurveMeasure,
    DistinctMeasure,
    FlatnessOptions,
    GuessMeasure,
    Measure,
    MinefieldMeasure,
    PlaneMeasure,
    SizePlaneMeasure,
    TrajectoryMeasure,
    VolumeMeasure,
)
from basins.study.recipe_keys import Augmentation, Poison, Polish, Recipe, Sam, WarmStart
from basins.study.schema import Study

SECTIONS: list[tuple[str, type[Strict], str]] = [
    ("A study", Study, ""),
    ("A recipe", Recipe, "recipes.<name>."),
    ("Augmentation", Augmentation, "recipes.<name>.augmentation."),
    ("Poison", Poison, "recipes.<name>.poison."),
    ("Sharpness-aware minimization", Sam, "recipes.<name>.sam."),
    ("A warm start", WarmStart, "recipes.<name>.warm_start."),
    ("A polish", Polish, "recipes.<name>.polish."),
    ("What is measured", Measure, "measure."),
    ("Volumes", VolumeMeasure, "measure.volume."),
    ("Flatness", FlatnessOptions, "measure.flatness_options."),
    ("Planes", PlaneMeasure, "measure.planes."),
    ("Boundaries", BoundaryMeasure, "measure.boundaries."),
    ("The minefield", MinefieldMeasure, "measure.minefield."),
    ("Paths of training", TrajectoryMeasure, "measure.trajectories."),
    ("Planes through three minima", SizePlaneMeasure, "measure.size_planes."),
    ("Curves between minima", CurveMeasure, "measure.curves."),
    ("Distinct minima", DistinctMeasure, "measure.distinct."),
    ("Whole classes of solutions", GuessMeasure, "measure.guess_and_check."),
]

HEAD = """# Studies

One file a study; the first comment says what question it answers. Run one with

    snakemake --cores all --configfile config/<study>.yaml

Unknown keys, wrong types and impossible values stop the run with one sentence before anything is
written; `basins check config/<study>.yaml` does only that check. The tables below are generated
from the records in `lib/basins/study/` by `make generate`.
"""


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of a study file, which gives editors completion."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | Study.model_json_schema()


def key_table() -> str:
    """Return the Markdown page of all keys."""
    parts = [HEAD]
    for title, record, prefix in SECTIONS:
        parts.append(f"\n## {title}\n\n| key | default | meaning |\n|---|---|---|\n")
        parts += [_row(record, prefix, key) for key in record.model_fields]
    return "".join(parts)


def generate(root: Path) -> None:
    """Write both files under the checkout `root`."""
    schema = root / "workflow" / "schemas" / "study.schema.json"
    table = root / "config" / "README.md"
    for path in (schema, table):
        path.parent.mkdir(parents=True, exist_ok=True)
    schema.write_text(json.dumps(json_schema(), indent=2) + "\n", encoding="utf-8")
    table.write_text(key_table(), encoding="utf-8")


def _row(record: type[Strict], prefix: str, key: str) -> str:
    field = record.model_fields[key]
    if field.default is PydanticUndefined:
        default = "required"
    else:
        given = field.default
        is_shown = given not in (None, "", []) and not isinstance(given, Strict)
        default = f"`{json.dumps(given)}`" if is_shown else ""
    return f"| `{prefix}{key}` | {default} | {field.description} |\n"
