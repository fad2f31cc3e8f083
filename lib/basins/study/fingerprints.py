"""What a result depends on, as one hash: the same for two studies that would give the same file."""

import hashlib
import json
from typing import Any

from basins.study import jobs
from basins.study.controls import initialization_seed, subset_seed
from basins.study.recipe_keys import Recipe
from basins.study.schema import Study

SEEDS = ("subset_seed", "initialization_seed")
CONTROLS = (*SEEDS, "steps", "polish", "weight_norm")


def of(study: Study, name: str, verb: str) -> str:
    """Return a hash of exactly those keys of the study on which a result depends.

    Parameters
    ----------
    study, name
        The job, or the cell.
    verb
        One of `verbs`, or of `cell_verbs`.
    """
    return of_job(study, jobs.find_any(study, name), verb)


def of_job(study: Study, job: jobs.Job | jobs.Cell, verb: str) -> str:
    """Return the fingerprint of a job or cell that is at hand."""
    facts = (
        _facts_of_cell(study, job, verb) if isinstance(job, jobs.Cell) else _facts(study, job, verb)
    )
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _facts_of_cell(study: Study, cell: jobs.Cell, verb: str) -> dict[str, Any]:
    if verb == "guess":
        return _facts_of_class(study, cell)
    recipes = {name: _keys(recipe) for name, recipe in study.recipes.items()}
    facts = {
        "minima": [cell.model, cell.dataset, cell.seeds, study.train_sizes, recipes],
        "data": [study.subset_seed, study.initialization_seed, study.class_balanced],
        "device": [study.device, study.threads],
        verb: [study.study, getattr(study.measure, verb).model_dump(mode="json")],
    }
    if verb == "distinct":
        # Of the test set, whatever the landscapes are.
        facts["dtype"] = study.measure.volume.dtype
    elif verb != "minefield":
        facts["landscapes"] = [study.landscape_sizes, study.measure.volume.dtype]
    if verb == "curves":
        volume = study.measure.volume
        kept = ("thresholds", "threshold_kind", "coordinates", "bias_scale", "r_max", "scan_points")
        facts["volume"] = [getattr(volume, key) for key in kept]
    return facts


def _facts_of_class(study: Study, cell: jobs.Cell) -> dict[str, Any]:
    """Return what a class depends on: no training."""
    asked, volume = study.measure.guess_and_check, study.measure.volume
    assert asked is not None
    return {
        "cell": [study.study, cell.model, cell.dataset, cell.seeds, study.landscape_sizes],
        "data": [study.subset_seed, study.class_balanced],
        "device": [study.device, study.threads],
        "loss": sorted({recipe.loss for recipe in study.recipes.values()}),
        "prior": [volume.thresholds, volume.sigma, volume.dtype],
        "guess": asked.model_dump(mode="json"),
    }


def _keys(recipe: Recipe) -> dict[str, Any]:
    """Return the keys of a recipe; of its controls, those that are given.

    So a study that has none keeps the results of versions that knew none.
    """
    keys: dict[str, Any] = recipe.model_dump(mode="json")
    return {
        name: value for name, value in keys.items() if name not in CONTROLS or value is not None
    }


def _own_keys(recipe: Recipe) -> dict[str, Any]:
    """Return the keys of a recipe but its seeds, which stand with the study's."""
    return {name: value for name, value in _keys(recipe).items() if name not in SEEDS}


def _facts(study: Study, job: jobs.Job, verb: str) -> dict[str, Any]:
    seeds = [of(study, job.recipe) for of in (subset_seed, initialization_seed)]
    facts: dict[str, Any] = {
        "minima": [jobs.minimum_name(job, seed) for seed in job.seeds],
        "recipe": _own_keys(study.recipes[job.recipe]),
        "data": [*seeds, study.class_balanced],
        "device": [study.device, study.threads],
    }
    if job.transform:
        facts["transform"] = job.transform
    warm = study.recipes[job.recipe].warm_start
    if warm:
        facts["warm_start"] = _own_keys(study.recipes[warm.recipe])
    if verb == "flatness":
        measure = study.measure
        options = measure.flatness_options.model_dump(mode="json")
        facts["flatness"] = [study.study, study.landscape_sizes, sorted(measure.flatness), options]
    elif verb in {"planes", "trajectories", "boundaries"}:
        drawn = getattr(study.measure, verb)
        facts[verb] = [drawn.model_dump(mode="json") if drawn else {}]
        if verb != "boundaries":
            facts[verb] += [study.study, study.landscape_sizes, study.measure.volume.dtype]
    elif verb not in {"train", "transform"}:
        volume = study.measure.volume.model_dump(mode="json")
        if volume["sigma"] is None:
            # As versions wrote it that knew no Gaussian.
            del volume["sigma"]
        asked = [volume.pop(key) for key in ("estimators", "stderr", "max_evaluations")]
        facts["rays"] = [study.study, study.landscape_sizes, volume]
        if verb == "volume":
            facts["estimators"] = ["rays"]
        if verb == "estimate":
            facts["estimators"] = [jobs.asking_estimators(study), *asked[1:]]
    return facts
