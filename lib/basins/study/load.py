"""A study file to a checked Study, or one sentence naming the key and what is allowed."""

import hashlib
import itertools
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from basins.atomic import whole_or_not_at_all
from basins.study import resolve
from basins.study.curves import check_curves
from basins.study.gaussian import check_gaussian
from basins.study.jobs import path_name
from basins.study.measure_keys import FEWEST_COMPARED, FEWEST_PLACED
from basins.study.recipes import check_recipes, points_placed
from basins.study.schema import Study, StudyError


class _UniqueKeys(yaml.SafeLoader):
    """A safe loader that refuses a key written twice, where YAML would keep the last."""


def _mapping(loader: _UniqueKeys, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
    for key in keys:
        if keys.count(key) > 1:
            raise StudyError(f"{key}: the key is written twice; write it once")
    return loader.construct_mapping(node, deep=True)


_UniqueKeys.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def load_study(path: str | Path) -> Study:
    """Read and check a study file.

    Raises
    ------
    StudyError
        In one sentence, if the file is missing, is not YAML or cannot be run.
    """
    return parse_study(read_mapping(path), str(path))


def read_mapping(path: str | Path) -> Any:
    """Return what a YAML file holds.

    Raises
    ------
    StudyError
        In one sentence, if the file is missing, is not YAML or names a key twice.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StudyError(f"{path}: the study file cannot be read ({error})") from error
    try:
        return yaml.load(text, Loader=_UniqueKeys)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        where = " ".join(str(error).split())
        raise StudyError(f"{path}: the study file is not YAML ({where})") from error
    except StudyError as error:
        raise StudyError(f"{path}: {error}") from error


def parse_study(mapping: Mapping[str, Any], source: str) -> Study:
    """Check a study given as a mapping; `source` names it in messages.

    Raises
    ------
    StudyError
        In one sentence: source, key, value and what is allowed.
    """
    if not isinstance(mapping, Mapping):
        raise StudyError(f"{source}: a study is a mapping of keys, not a {type(mapping).__name__}")
    try:
        study = Study.model_validate(dict(mapping))
    except ValidationError as error:
        raise StudyError(f"{source}: {_sentence(error)}") from None
    if not study.landscape_sizes:
        study = study.model_copy(update={"landscape_sizes": study.train_sizes})
    try:
        _check(study)
    except StudyError as error:
        raise StudyError(f"{source}: {error}") from None
    return study


def study_text(study: Study) -> str:
    """Return the resolved study as YAML, always the same text for the same study."""
    return yaml.safe_dump(study.model_dump(mode="json"), sort_keys=False, width=100)


def study_sha256(study: Study) -> str:
    """Return the SHA-256 of the resolved study's text, in hexadecimal."""
    return hashlib.sha256(study_text(study).encode()).hexdigest()


def save_study(study: Study, path: Path) -> None:
    """Write the resolved study, whole or not at all; an unchanged file is left alone."""
    text = study_text(study)
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return
    with whole_or_not_at_all(path) as partial:
        partial.write_text(text, encoding="utf-8")


def _check(study: Study) -> None:
    for key in ("train_sizes", "landscape_sizes"):
        _check_increasing(key, getattr(study, key))
    for key in ("datasets", "models", "seeds"):
        _check_distinct(key, getattr(study, key))
    _check_distinct("measure.volume.estimators", study.measure.volume.estimators)
    if "rays" not in study.measure.volume.estimators:
        raise StudyError(
            "measure.volume.estimators: 'rays' is missing; radii are measured in any case, and the "
            "other estimators are held against them"
        )
    for key in ("datasets", "models"):
        names = {path_name(name): name for name in getattr(study, key)}
        for name in getattr(study, key):
            if names[path_name(name)] != name:
                raise StudyError(
                    f"{key}: {name!r} and {names[path_name(name)]!r} have one name in paths, "
                    f"{path_name(name)!r}; rename the module of one"
                )
    for name in study.models:
        resolve.check_model(name)
        resolve.check_depth(name)
    for name in study.datasets:
        resolve.check_dataset(name)
        entry = resolve.dataset_entry(name)
        for key in ("train_sizes", "landscape_sizes"):
            largest = getattr(study, key)[-1]
            if entry and largest > entry.num_train:
                raise StudyError(
                    f"{key}: {largest} is more than the {entry.num_train} training examples "
                    f"of {name}"
                )
    missing = [size for size in study.train_sizes if size not in study.landscape_sizes]
    if missing:
        raise StudyError(
            f"landscape_sizes: {missing[0]} is missing; every train size must be a landscape size, "
            "so that each minimum is measured in its own landscape"
        )
    _check_thresholds(study)
    check_recipes(study)
    _check_distinct("transforms", study.transforms)
    _check_distinct("measure.flatness", study.measure.flatness)
    planes = study.measure.planes
    if planes and planes.points % 2 == 0:
        raise StudyError(
            f"measure.planes.points: {planes.points} is even; it must be odd, so that the minimum "
            "is a point of its plane"
        )
    check_paths(study)
    check_curves(study)
    if study.measure.distinct and len(study.seeds) < FEWEST_COMPARED:
        raise StudyError(
            f"measure.distinct: different minima are counted among {FEWEST_COMPARED} seeds or "
            f"more, and the study has {len(study.seeds)}"
        )
    check_gaussian(study)
    if study.measure.boundaries:
        for name in study.datasets:
            entry = resolve.dataset_entry(name)
            if entry:
                check_plane_of_inputs(name, entry.input_shape, entry.num_classes)
    for key in ("box_sizes", "perturbations"):
        values = getattr(study.measure.flatness_options, key)
        _check_increasing(f"measure.flatness_options.{key}", values)


def check_paths(study: Study) -> None:
    """Raise StudyError if a plane through paths or minima has none to go through."""
    if study.measure.trajectories and not any(r.keep_every for r in study.recipes.values()):
        raise StudyError(
            "measure.trajectories: no recipe keeps its path; give one of them `keep_every`"
        )
    points = points_placed(study)
    if study.measure.minefield and points < FEWEST_PLACED:
        raise StudyError(
            f"measure.minefield: a model and data set has {points} minima and points of paths; to "
            f"have neighbours they must be {FEWEST_PLACED} or more"
        )
    asked = study.measure.size_planes
    if asked and asked.train_sizes:
        _check_increasing("measure.size_planes.train_sizes", asked.train_sizes)
        missing = [size for size in asked.train_sizes if size not in study.train_sizes]
        if missing:
            raise StudyError(
                f"measure.size_planes.train_sizes: {missing[0]} is not a train size of the study; "
                f"allowed are {', '.join(map(str, study.train_sizes))}"
            )
    if asked and len(study.train_sizes) < 3:
        raise StudyError(
            f"measure.size_planes: a plane goes through three minima, and the study has "
            f"{len(study.train_sizes)} train sizes"
        )


def check_plane_of_inputs(dataset: str, shape: tuple[int, ...], num_classes: int) -> None:
    """Raise StudyError unless a data set's boundaries can be drawn: two numbers, two classes."""
    if shape != (2,) or num_classes != 2:
        raise StudyError(
            f"measure.boundaries: inputs of {dataset} have shape {shape} and {num_classes} "
            "classes; allowed are two numbers and two classes, as of swiss-roll and circles"
        )


def _check_distinct(key: str, values: Sequence[Any]) -> None:
    repeated = [value for value in values if values.count(value) > 1]
    if repeated:
        raise StudyError(f"{key}: {repeated[0]!r} stands twice; each may stand once")


def _check_increasing(key: str, values: list[int] | list[float]) -> None:
    for first, second in itertools.pairwise(values):
        if second <= first:
            raise StudyError(
                f"{key}: {second} follows {first}; values must be increasing, each once"
            )


def _check_thresholds(study: Study) -> None:
    volume = study.measure.volume
    _check_increasing("measure.volume.thresholds", volume.thresholds)
    if volume.threshold_kind != "loss":
        return
    for name, recipe in study.recipes.items():
        if recipe.stop_at_loss is not None and recipe.stop_at_loss >= volume.thresholds[0]:
            raise StudyError(
                f"measure.volume.thresholds: no minimum is sure to meet {volume.thresholds[0]}, "
                f"because recipes.{name}.stop_at_loss stops training at {recipe.stop_at_loss}; "
                "a threshold must be above it"
            )


def _sentence(error: ValidationError) -> str:
    """Return the first problem of a validation as key, value and what is allowed."""
    first = error.errors(include_url=False)[0]
    keys = _keys_of(first["loc"])
    path = ".".join(keys)
    if first["type"] == "extra_forbidden":
        known = list(_fields_at(keys[:-1]))
        near = get_close_matches(keys[-1], known, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        return f"{path}: unknown key{hint}; allowed are {', '.join(known)}"
    if first["type"] == "missing":
        return f"{path}: the key is missing; {_fields_at(keys[:-1])[keys[-1]].description}"
    problems = [
        e["msg"]
        for e in error.errors(include_url=False)
        if e["loc"][: len(keys)] == first["loc"][: len(keys)]
    ]
    allowed = " or ".join(dict.fromkeys(text[0].lower() + text[1:] for text in problems))
    return f"{path}: {first['input']!r} is not allowed: {allowed}"


def _keys_of(place: Sequence[int | str]) -> list[str]:
    """Return the keys of a file that pydantic's place of an error names.

    Beyond the schema's keys, a word is the branch of a union and not of the file.
    """
    keys: list[str] = []
    record: type[BaseModel] | None = Study
    is_name = False
    for part in place:
        if isinstance(part, int):
            keys.append(str(part))
            continue
        if part == "[key]" or (record is None and not is_name):
            break
        keys.append(part)
        if not is_name:
            field = record.model_fields.get(part) if record else None
            record, is_name = _below(field.annotation if field else None)
        else:
            is_name = False
    return keys


def _below(annotation: Any) -> tuple[type[BaseModel] | None, bool]:
    """Return the record that a field holds, if any, and whether it holds them by name."""
    candidates = [annotation, *get_args(annotation)]
    records = [c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)]
    return (records[0] if records else None), getattr(annotation, "__origin__", None) is dict


def _fields_at(keys: list[str]) -> dict[str, Any]:
    """Return the fields of the record at the path `keys` of the schema."""
    record: type[BaseModel] = Study
    is_name = False
    for key in keys:
        if is_name:
            # The name of a recipe is no field.
            is_name = False
            continue
        found, is_name = _below(record.model_fields[key].annotation)
        assert found is not None
        record = found
    return dict(record.model_fields)
