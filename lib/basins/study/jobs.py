"""A study's minima, its jobs (blocks of seeds) and every path: the only place a path is spelled."""

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from basins.study.schema import Study, StudyError
from basins.study.transform import is_around_minimum

RESULTS = Path("results")
# Where verbs write that have not given a folder their own name.
FOLDERS = {"train": "minima", "transform": "minima", "volume": "volumes", "estimate": "estimates"}

# What a job's id looks like, for the workflow's wildcard.
JOB_PATTERN = r"[^/]+/[^/]+/[^/]+/n\d+/seeds-\d+([-_]\d+)*"
# The two kinds of jobs that make minima.
TRAINED_PATTERN = JOB_PATTERN.replace("[^/]+/n", "[^/@]+/n")
TRANSFORMED_PATTERN = JOB_PATTERN.replace("[^/]+/n", "[^/@]+@[^/]+/n")


@dataclass(frozen=True)
class Job:
    """A block of seeds of one model, data set, recipe and train size, transformed or not."""

    model: str
    dataset: str
    recipe: str
    train_size: int
    seeds: tuple[int, ...]
    transform: str = ""

    @property
    def label(self) -> str:
        """What stands in the cube as its recipe: the recipe, and what was done to its minima."""
        return recipe_label(self.recipe, self.transform)

    @property
    def id(self) -> str:
        """The job's name in paths: model/dataset/recipe[@transform]/n<train size>/seeds-<seeds>."""
        block = list(range(self.seeds[0], self.seeds[-1] + 1))
        if len(self.seeds) > 1 and list(self.seeds) == block:
            seeds = f"{self.seeds[0]}-{self.seeds[-1]}"
        else:
            seeds = "_".join(map(str, self.seeds))
        parts = [self.model, self.dataset, self.label, f"n{self.train_size}", f"seeds-{seeds}"]
        return "/".join(map(path_name, parts))


def expand(study: Study) -> list[Job]:
    """Return the jobs of a study; together they hold each of its minima exactly once."""
    return [
        Job(model, dataset, recipe, train_size, block, transform)
        for model in study.models
        for dataset in study.datasets
        for recipe in study.recipes
        for transform in ("", *study.transforms)
        for train_size in study.train_sizes
        for block in blocks(study, transform)
    ]


def blocks(study: Study, transform: str = "") -> list[tuple[int, ...]]:
    """Return the seeds of each job, increasing; one by one where each has its own coordinates."""
    seeds = sorted(study.seeds)
    size = 1 if is_around_minimum(transform) else study.seeds_per_job
    return [tuple(seeds[start : start + size]) for start in range(0, len(seeds), size)]


def parent(study: Study, job: Job) -> Job:
    """Return the job that trains the minima which `job` transforms."""
    block = next(seeds for seeds in blocks(study) if job.seeds[0] in seeds)
    return Job(job.model, job.dataset, job.recipe, job.train_size, block)


def recipe_label(recipe: str, transform: str = "") -> str:
    """Return what a recipe's minima are called in the cube, as trained or transformed."""
    return f"{recipe}@{transform}" if transform else recipe


def parse_recipe_label(label: str) -> tuple[str, str]:
    """Return the recipe and the transform, '' if there is none.

    Examples
    --------
    >>> parse_recipe_label("adam@alpha-scale:4")
    ('adam', 'alpha-scale:4')
    """
    recipe, _, transform = label.partition("@")
    return recipe, transform


def recipe_labels(study: Study) -> list[str]:
    """Return the labels of the cube's recipes, in no particular order."""
    return [recipe_label(name, one) for name in study.recipes for one in ("", *study.transforms)]


def find(study: Study, job_id: str) -> Job:
    """Return the job called `job_id`.

    Raises
    ------
    StudyError
        If the study has no such job.
    """
    parts = job_id.split("/")
    if len(parts) == 5 and parts[3][1:].isdigit() and parts[4].startswith("seeds-"):
        numbers = parts[4].removeprefix("seeds-").replace("-", "_").split("_")
        if all(number.isdigit() for number in numbers):
            first = int(numbers[0])
            for job in _jobs_of(study, parts[0], parts[1], parts[2], int(parts[3][1:]), first):
                if job.id == job_id:
                    return job
    raise StudyError(
        f"job {job_id!r} is not in study {study.study}; its first job is {expand(study)[0].id!r}"
    )


def _jobs_of(
    study: Study, model: str, dataset: str, recipe: str, train_size: int, seed: int
) -> list[Job]:
    """Return the jobs that hold one seed; there is one unless two names look alike in paths."""
    if train_size not in study.train_sizes:
        return []
    return [
        Job(m, d, r, train_size, block, transform)
        for m in study.models
        if path_name(m) == model
        for d in study.datasets
        if path_name(d) == dataset
        for r in study.recipes
        for transform in ("", *study.transforms)
        if path_name(recipe_label(r, transform)) == recipe
        for block in blocks(study, transform)
        if seed in block
    ]


def verbs(study: Study) -> tuple[str, ...]:
    """Return the verbs that job blocks of a study go through, in order."""
    return (
        "train",
        *(["transform"] if study.transforms else []),
        "rays",
        "volume",
        *(["estimate"] if asking_estimators(study) else []),
        *(["flatness"] if study.measure.flatness else []),
        *(["planes"] if study.measure.planes else []),
        *(["boundaries"] if study.measure.boundaries else []),
    )


def verbs_of(study: Study, job: Job) -> tuple[str, ...]:
    """Return the verbs that one job goes through: its minima are trained, or they are made."""
    others = "train" if job.transform else "transform"
    return tuple(verb for verb in verbs(study) if verb != others)


def asking_estimators(study: Study) -> list[str]:
    """Return the estimators that ask the network again, sorted: all but `rays`."""
    return sorted(name for name in study.measure.volume.estimators if name != "rays")


def minimum_name(job: Job, seed: int) -> str:
    """Return the name of a minimum, which keys its random directions.

    A transformed minimum has its parent's, so that what differs is the transform's doing.
    """
    return f"{job.model}/{job.dataset}/{job.recipe}/n{job.train_size}/seed{seed}"


def fingerprint(study: Study, job_id: str, verb: str) -> str:
    """Return a hash of exactly those keys of the study on which a job's result depends.

    Parameters
    ----------
    study, job_id
        The job.
    verb
        One of `verbs`.
    """
    return fingerprint_of(study, find(study, job_id), verb)


def fingerprint_of(study: Study, job: Job, verb: str) -> str:
    """Return the fingerprint of a job that is at hand."""
    facts: dict[str, Any] = {
        "minima": [minimum_name(job, seed) for seed in job.seeds],
        "recipe": study.recipes[job.recipe].model_dump(mode="json"),
        "data": [study.subset_seed, study.initialization_seed, study.class_balanced],
        "device": [study.device, study.threads],
    }
    if job.transform:
        facts["transform"] = job.transform
    warm = study.recipes[job.recipe].warm_start
    if warm:
        facts["warm_start"] = study.recipes[warm.recipe].model_dump(mode="json")
    if verb == "flatness":
        measure = study.measure
        options = measure.flatness_options.model_dump(mode="json")
        facts["flatness"] = [study.study, study.landscape_sizes, sorted(measure.flatness), options]
    elif verb == "planes":
        planes = study.measure.planes.model_dump(mode="json") if study.measure.planes else {}
        dtype = study.measure.volume.dtype
        facts["planes"] = [study.study, study.landscape_sizes, planes, dtype]
    elif verb == "boundaries":
        drawn = study.measure.boundaries
        facts["boundaries"] = drawn.model_dump(mode="json") if drawn else {}
    elif verb not in {"train", "transform"}:
        volume = study.measure.volume.model_dump(mode="json")
        asked = [volume.pop(key) for key in ("estimators", "stderr", "max_evaluations")]
        facts["rays"] = [study.study, study.landscape_sizes, volume]
        if verb == "volume":
            facts["estimators"] = ["rays"]
        if verb == "estimate":
            facts["estimators"] = [asking_estimators(study), *asked[1:]]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def results_folder(study: Study) -> Path:
    """Return the folder of one study's results."""
    return RESULTS / study.study


def study_file(study: Study) -> Path:
    """Return where the resolved study is written."""
    return results_folder(study) / "study.yaml"


def dataset_file(study: Study, dataset: str) -> Path:
    """Return where the receipt of a data set is written."""
    return results_folder(study) / "datasets" / f"{path_name(dataset)}.json"


def receipt_of(study: Study, job_id: str) -> Path:
    """Return the receipt of a job's data set."""
    return dataset_file(study, find(study, job_id).dataset)


def dataset_named(study: Study, file_name: str) -> str:
    """Return the data set whose name looks like `file_name` in paths; StudyError if none does."""
    for dataset in study.datasets:
        if file_name in {dataset, path_name(dataset)}:
            return dataset
    raise StudyError(f"data set {file_name!r} is not in study {study.study}: {study.datasets}")


def job_file(study: Study, job_id: str, verb: str) -> Path:
    """Return where `verb` writes the result of a job."""
    return results_folder(study) / FOLDERS.get(verb, verb) / f"{job_id}.h5"


def job_files(study: Study, verb: str) -> list[Path]:
    """Return where `verb` writes the results of all jobs; none if the study does not ask for it."""
    asked = verb in verbs(study)
    return [job_file(study, job.id, verb) for job in expand(study) if asked]


def minima_file(study: Study, job_id: str) -> Path:
    """Return where the minima of a job are written."""
    return job_file(study, job_id, "train")


def rays_file(study: Study, job_id: str) -> Path:
    """Return where the radii of a job are written."""
    return job_file(study, job_id, "rays")


def volumes_file(study: Study, job_id: str) -> Path:
    """Return where the volumes of a job are written."""
    return job_file(study, job_id, "volume")


def checkpoint_file(study: Study, job_id: str, verb: str = "train") -> Path:
    """Return where an unfinished job of `verb` is kept."""
    suffix = "" if verb == "train" else f".{verb}"
    return results_folder(study) / "checkpoints" / f"{job_id}{suffix}.pt"


def cube_file(study: Study) -> Path:
    """Return where the cube of a study is written."""
    return results_folder(study) / "cube.nc"


def figure_file(study: Study, name: str, extension: str) -> Path:
    """Return where a figure is written."""
    return results_folder(study) / "figures" / f"{name}.{extension}"


def animation_file(study: Study) -> Path:
    """Return where the animation of a growing landscape is written."""
    return figure_file(study, "landscape", "gif")


def log_file(study: Study, verb: str, job_id: str) -> Path:
    """Return where a verb writes its log."""
    return results_folder(study) / "logs" / verb / f"{job_id}.log"


def benchmark_file(study: Study, verb: str, job_id: str) -> Path:
    """Return where Snakemake writes seconds and memory of a verb."""
    return results_folder(study) / "benchmarks" / verb / f"{job_id}.tsv"


def calibrations_folder() -> Path:
    """Return the folder of measured prices of machines."""
    return RESULTS / "calibrations"


def calibration_file(device: str, threads: int) -> Path:
    """Return where the prices of a device are kept."""
    name = re.sub(r"[^A-Za-z0-9]+", "-", device).strip("-").lower()
    return calibrations_folder() / f"{name}-threads-{threads}.json"


def path_name(name: str) -> str:
    """Return a model's or data set's name as it stands in paths."""
    # A colon cannot stand in file names everywhere.
    return name.replace(":", "-")
