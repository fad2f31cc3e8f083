"""A study's minima, its jobs (blocks of seeds) and every path: the only place a path is spelled."""

import re
from dataclasses import dataclass
from pathlib import Path

from basins.study.schema import Study, StudyError
from basins.study.transform import EPOCH, is_around_minimum

RESULTS = Path("results")
# Where verbs write that have not given a folder their own name.
FOLDERS = {
    "train": "minima",
    "transform": "minima",
    "volume": "volumes",
    "estimate": "estimates",
    "guess": "classes",
}

# What a job's id looks like, for the workflow's wildcard.
JOB_PATTERN = r"[^/]+/[^/]+/[^/]+/n\d+/seeds-\d+([-_]\d+)*"
# The two kinds of jobs that make minima.
TRAINED_PATTERN = JOB_PATTERN.replace("[^/]+/n", "[^/@]+/n")
TRANSFORMED_PATTERN = JOB_PATTERN.replace("[^/]+/n", "[^/@]+@[^/]+/n")
CELL_PATTERN = r"[^/]+/[^/]+"


@dataclass(frozen=True)
class Job:
    """A block of seeds of one model, data set, recipe and train size.

    Its minima are those that training ends at, or with a `transform` what is made of these: the
    same function elsewhere, or where training was at an epoch.
    """

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


@dataclass(frozen=True)
class Cell:
    """All minima of one model and data set, which some verbs look at together."""

    model: str
    dataset: str
    seeds: tuple[int, ...]

    @property
    def id(self) -> str:
        """The cell's name in paths: model/dataset."""
        return f"{path_name(self.model)}/{path_name(self.dataset)}"


def cells(study: Study) -> list[Cell]:
    """Return the cells of a study."""
    seeds = tuple(sorted(study.seeds))
    return [Cell(model, dataset, seeds) for model in study.models for dataset in study.datasets]


def expand(study: Study) -> list[Job]:
    """Return the jobs of a study; together they hold each of its minima exactly once."""
    return [
        Job(model, dataset, recipe, train_size, block, transform)
        for model in study.models
        for dataset in study.datasets
        for recipe in study.recipes
        for transform in transforms(study, recipe)
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


def transforms(study: Study, recipe: str) -> tuple[str, ...]:
    """Return what is done to a recipe's minima: '' for nothing, and where else on its path."""
    epochs = (f"{EPOCH}:{number}" for number in study.recipes[recipe].measure_at)
    return ("", *study.transforms, *epochs)


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
    return [recipe_label(name, one) for name in study.recipes for one in transforms(study, name)]


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


def find_cell(study: Study, cell_id: str) -> Cell:
    """Return the cell called `cell_id`; StudyError if the study has none."""
    for cell in cells(study):
        if cell.id == cell_id:
            return cell
    raise StudyError(
        f"cell {cell_id!r} is not in study {study.study}; its first is {cells(study)[0].id!r}"
    )


def find_any(study: Study, name: str) -> Job | Cell:
    """Return the job or the cell of a name; StudyError if the study has none."""
    return find_cell(study, name) if name.count("/") == 1 else find(study, name)


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
        for transform in transforms(study, r)
        if path_name(recipe_label(r, transform)) == recipe
        for block in blocks(study, transform)
        if seed in block
    ]


def verbs(study: Study) -> tuple[str, ...]:
    """Return the verbs that job blocks of a study go through, in order."""
    return (
        "train",
        *(["transform"] if len(recipe_labels(study)) > len(study.recipes) else []),
        "rays",
        "volume",
        *(["estimate"] if asking_estimators(study) else []),
        *(["flatness"] if study.measure.flatness else []),
        *(["planes"] if study.measure.planes else []),
        *(["boundaries"] if study.measure.boundaries else []),
        *(["trajectories"] if study.measure.trajectories else []),
    )


def verbs_of(study: Study, job: Job) -> tuple[str, ...]:
    """Return the verbs that one job goes through: its minima are trained, or they are made."""
    others = {"train" if job.transform else "transform"}
    if job.transform or not study.recipes[job.recipe].keep_every:
        others.add("trajectories")
    return tuple(verb for verb in verbs(study) if verb not in others)


def cell_verbs(study: Study) -> tuple[str, ...]:
    """Return the verbs that a study's cells go through, once their minima are there."""
    measure = study.measure
    asked = {
        "minefield": measure.minefield,
        "size_planes": measure.size_planes,
        "curves": measure.curves,
        "distinct": measure.distinct,
        "guess": measure.guess_and_check,
    }
    return tuple(verb for verb, measure in asked.items() if measure)


def plane_sizes(study: Study) -> list[int]:
    """Return the three train sizes whose minima span planes."""
    sizes, asked = study.train_sizes, study.measure.size_planes
    if asked and asked.train_sizes:
        return asked.train_sizes
    return [sizes[0], sizes[len(sizes) // 2], sizes[-1]]


def asking_estimators(study: Study) -> list[str]:
    """Return the estimators that ask the network again, sorted: all but `rays`."""
    return sorted(name for name in study.measure.volume.estimators if name != "rays")


def minimum_name(job: Job, seed: int) -> str:
    """Return the name of a minimum, which keys its random directions.

    A transformed minimum has its parent's, so that what differs is the transform's doing.
    """
    return f"{job.model}/{job.dataset}/{job.recipe}/n{job.train_size}/seed{seed}"


def results_folder(study: Study) -> Path:
    """Return the folder of one study's results."""
    return RESULTS / study.study


def study_file(study: Study) -> Path:
    """Return where the resolved study is written."""
    return results_folder(study) / "study.yaml"


def dataset_file(study: Study, dataset: str) -> Path:
    """Return where the receipt of a data set is written."""
    return results_folder(study) / "datasets" / f"{path_name(dataset)}.json"


def receipt_of(study: Study, name: str) -> Path:
    """Return the receipt of the data set of a job or cell."""
    return dataset_file(study, find_any(study, name).dataset)


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
    if verb in cell_verbs(study):
        return [job_file(study, cell.id, verb) for cell in cells(study)]
    return [job_file(study, job.id, verb) for job in expand(study) if verb in verbs_of(study, job)]


def minima_of_cell(study: Study, cell: Cell) -> list[Job]:
    """Return the jobs that train the minima of a cell."""
    return [
        job
        for job in expand(study)
        if (job.model, job.dataset) == (cell.model, cell.dataset) and not job.transform
    ]


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
    return figures_folder(study) / f"{name}.{extension}"


def figures_folder(study: Study) -> Path:
    """Return the folder of a study's figures."""
    return results_folder(study) / "figures"


def explorer_file(study: Study) -> Path:
    """Return where the page of a study is written that shows its minima in a browser."""
    return results_folder(study) / "explorer.html"


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
