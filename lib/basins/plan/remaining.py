"""Which jobs a run would do, and why: what is missing, damaged, or was made for another study."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from basins.cube import stale
from basins.study import figure_names, fingerprints, jobs
from basins.study.curves import joined
from basins.study.load import load_study
from basins.study.schema import Study, StudyError

# Keys of a study on which each verb's results depend beside its recipe; as in `fingerprints.of`.
TRAIN_KEYS = ("subset_seed", "initialization_seed", "class_balanced", "device", "threads")
RAYS_KEYS = (*TRAIN_KEYS, "study", "landscape_sizes", "measure.volume")
FLATNESS_KEYS = (*TRAIN_KEYS, "study", "landscape_sizes", "measure.flatness")
PLANE_KEYS = (
    *TRAIN_KEYS,
    "study",
    "landscape_sizes",
    "measure.planes",
    "measure.volume.dtype",
)
KEYS = {
    "train": TRAIN_KEYS,
    "transform": TRAIN_KEYS,
    "flatness": FLATNESS_KEYS,
    "planes": PLANE_KEYS,
    "boundaries": (*TRAIN_KEYS, "measure.boundaries"),
    "trajectories": (
        *TRAIN_KEYS,
        "study",
        "landscape_sizes",
        "measure.trajectories",
        "measure.volume.dtype",
    ),
    "size_planes": (
        *TRAIN_KEYS,
        "study",
        "train_sizes",
        "seeds",
        "landscape_sizes",
        "measure.size_planes",
        "measure.volume.dtype",
    ),
    "curves": (*RAYS_KEYS, "train_sizes", "seeds", "measure.curves"),
    "distinct": (
        *TRAIN_KEYS,
        "study",
        "train_sizes",
        "seeds",
        "measure.distinct",
        "measure.volume.dtype",
    ),
    "minefield": (*TRAIN_KEYS, "study", "train_sizes", "seeds", "measure.minefield"),
    "guess": (*RAYS_KEYS, "seeds", "measure.guess_and_check"),
}


@dataclass(frozen=True)
class Remaining:
    """What is left to do.

    Attributes
    ----------
    blocks
        By verb, in the order of the workflow: each job or cell to be done, with the reason.
    datasets
        Data sets to be fetched.
    has_cube
        Whether the cube is there and nothing above it is done again.
    figures
        Figures to be drawn.
    has_explorer
        Whether the page for a browser is there and no figure on it is drawn again.
    has_animation
        Whether the animation is there, as the cube is, or the study has none.
    """

    blocks: dict[str, dict[jobs.Job | jobs.Cell, str]]
    datasets: list[str]
    has_cube: bool
    figures: list[str]
    has_explorer: bool
    has_animation: bool

    def reasons(self, verb: str) -> dict[str, int]:
        """Return how many jobs of a verb are done again for each reason."""
        found: dict[str, int] = {}
        for reason in self.blocks[verb].values():
            found[reason] = found.get(reason, 0) + 1
        return found


def remaining(study: Study) -> Remaining:
    """Return what a run of `study` would do here and now.

    Looks at every job file there is, reading one attribute of each.
    """
    changed = changed_keys(study)
    fetched = [name for name in study.datasets if not jobs.dataset_file(study, name).is_file()]
    every = (*jobs.verbs(study), *jobs.cell_verbs(study))
    blocks: dict[str, dict[jobs.Job | jobs.Cell, str]] = {verb: {} for verb in every}
    for job in jobs.expand(study):
        above = "its data set is fetched" if job.dataset in fetched else ""
        if job.transform and jobs.parent(study, job) in blocks["train"]:
            above = "train is done"
        for verb in jobs.verbs_of(study, job):
            reason = _reason(study, job, verb, changed) or above
            if reason:
                blocks[verb][job] = reason
                above = f"{verb} is done"
    for cell in jobs.cells(study):
        for verb in jobs.cell_verbs(study):
            reason = _reason(study, cell, verb, changed) or _made_again(study, cell, verb, blocks)
            if reason:
                blocks[verb][cell] = reason
    is_same = not any(blocks.values())
    has_cube = is_same and jobs.cube_file(study).is_file()
    missing = [
        name for name in figure_names.figures(study) if not has_cube or not _has_figure(study, name)
    ]
    has_explorer = not missing and jobs.explorer_file(study).is_file()
    is_animated = figure_names.is_animated(study)
    has_animation = has_cube and (not is_animated or jobs.animation_file(study).is_file())
    return Remaining(blocks, fetched, has_cube, missing, has_explorer, has_animation)


def _made_again(
    study: Study, cell: jobs.Cell, verb: str, blocks: dict[str, dict[jobs.Job | jobs.Cell, str]]
) -> str:
    """Return the reason if minima that a cell's verb looks at are made; '' if all are there."""
    if verb == "guess":
        return ""
    behind = jobs.minima_of_cell(study, cell)
    if verb == "curves":
        behind = joined(study, cell)
    for made in ("train", "transform"):
        if any(job in blocks.get(made, {}) for job in behind):
            return f"{made} is done"
    return ""


def _has_figure(study: Study, name: str) -> bool:
    return all(jobs.figure_file(study, name, kind).is_file() for kind in ("png", "pdf"))


def _reason(study: Study, job: jobs.Job | jobs.Cell, verb: str, changed: Iterable[str]) -> str:
    """Return why a job is to be done though its inputs are there; '' if it is not."""
    path = jobs.job_file(study, job.id, verb)
    if not path.is_file():
        return "missing"
    expected = fingerprints.of_job(study, job, verb)
    if stale.is_plainly(path, expected):
        return ""
    found = stale.fingerprint_of(path)
    if found == expected:
        return ""
    if found is None:
        return "damaged"
    recipes = list(study.recipes)
    if isinstance(job, jobs.Job):
        warm = study.recipes[job.recipe].warm_start
        recipes = [job.recipe, *([warm.recipe] if warm else [])]
    keys = [*(f"recipes.{name}." for name in recipes), *KEYS.get(verb, RAYS_KEYS)]
    words = [text for text in changed if text.startswith(tuple(keys))]
    return "; ".join(words) or "made by another version of the study"


def changed_keys(study: Study) -> list[str]:
    """Return what differs from the study of the last run, as ``key: old -> new``."""
    path = jobs.study_file(study)
    if not path.is_file():
        return []
    try:
        before = load_study(path)
    except StudyError:
        return []
    old, new = (_flat(one.model_dump(mode="json")) for one in (before, study))
    return [
        f"{key}: {old.get(key, 'absent')} -> {new.get(key, 'absent')}"
        for key in sorted({*old, *new})
        if old.get(key) != new.get(key)
    ]


def _flat(mapping: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in mapping.items():
        name = f"{prefix}{key}"
        found |= _flat(value, f"{name}.") if isinstance(value, dict) else {name: value}
    return found
