"""Curves that a study asks for: their kinds, the minima they join, and pairs that cannot be."""

from collections.abc import Iterator
from dataclasses import dataclass

from basins.study import jobs
from basins.study.controls import subset_seed
from basins.study.schema import Study, StudyError
from basins.study.transform import is_around_minimum

LINE, BEZIER, POLYGON = "line", "bezier", "polygon"
KINDS = (BEZIER, LINE, POLYGON)
TRAINED = (BEZIER, POLYGON)


@dataclass(frozen=True)
class Join:
    """Two minima that curves join.

    Attributes
    ----------
    pair
        Of recipes, as `pair_label` names it.
    train_size, seed
        Of the first minimum; the second has this train size, too.
    first, last
        The jobs that hold the minima.
    last_seed
        Of the second minimum.
    """

    pair: str
    train_size: int
    seed: int
    first: jobs.Job
    last: jobs.Job
    last_seed: int


def pair_label(pair: list[str]) -> str:
    """Return what a pair of recipes is called in the cube.

    Examples
    --------
    >>> pair_label(["clean", "bad"])
    'clean to bad'
    """
    return " to ".join(pair)


def pair_labels(study: Study) -> list[str]:
    """Return the labels of a study's pairs, sorted."""
    return sorted(map(pair_label, study.measure.curves.pairs)) if study.measure.curves else []


def joins(study: Study, cell: jobs.Cell) -> list[Join]:
    """Return the minima of a cell that curves join, two by two.

    Minima of two recipes have one seed; of one recipe they are a seed's and the next one's, and
    the last seed has no next.
    """
    holders = {
        (job.label, job.train_size, seed): job
        for job in jobs.expand(study)
        if (job.model, job.dataset) == (cell.model, cell.dataset)
        for seed in job.seeds
    }
    return [
        Join(
            pair_label([one, other]),
            size,
            seed,
            holders[one, size, seed],
            holders[other, size, last_seed],
            last_seed,
        )
        for one, other in (study.measure.curves.pairs if study.measure.curves else [])
        for size in study.train_sizes
        for seed, last_seed in _seeds(cell, is_same=one == other)
    ]


def _seeds(cell: jobs.Cell, is_same: bool) -> Iterator[tuple[int, int]]:
    """Yield the seeds of the minima that a pair joins: of one recipe, or of two."""
    return zip(cell.seeds, cell.seeds[1:] if is_same else cell.seeds, strict=False)


def joined(study: Study, cell: jobs.Cell) -> list[jobs.Job]:
    """Return the jobs that hold the minima which curves join, each once."""
    ends = ((join.first, join.last) for join in joins(study, cell))
    return list(dict.fromkeys(job for pair in ends for job in pair))


def evenly_spread(points: int) -> list[float]:
    """Return evenly spread positions on a curve, from 0 to 1.

    Examples
    --------
    >>> evenly_spread(5)
    [0.0, 0.25, 0.5, 0.75, 1.0]
    """
    return [index / (points - 1) for index in range(points)]


def check_curves(study: Study) -> None:
    """Raise StudyError, naming the key, if a study asks for curves that it cannot have."""
    asked = study.measure.curves
    if asked is None:
        return
    if asked.points % 2 == 0:
        raise StudyError(
            f"measure.curves.points: {asked.points} is even; it must be odd, so that the corner of "
            "a polygon is one of them"
        )
    key, known = "measure.curves.pairs", jobs.recipe_labels(study)
    for pair in asked.pairs:
        if asked.pairs.count(pair) > 1:
            raise StudyError(f"{key}: {pair} stands twice; each may stand once")
        for label in pair:
            if label not in known:
                raise StudyError(
                    f"{key}: {label!r} is no recipe of the study; a curve joins minima of one "
                    f"architecture by two recipes, and allowed are {', '.join(sorted(known))}"
                )
            if is_around_minimum(jobs.parse_recipe_label(label)[1]):
                raise StudyError(
                    f"{key}: {label!r} has coordinates of its own around each minimum, in which no "
                    "other minimum lies; a curve joins minima in the same coordinates"
                )
        if pair[0] == pair[1]:
            _check_seeds(study, key, pair[0])
        recipes = [jobs.parse_recipe_label(label)[0] for label in pair]
        one, other = (study.recipes[recipe].loss for recipe in recipes)
        if one != other:
            raise StudyError(
                f"{key}: {pair[0]} is trained on {one} and {pair[1]} on {other}; a curve is "
                "trained on one loss"
            )
        if subset_seed(study, recipes[0]) != subset_seed(study, recipes[1]):
            raise StudyError(
                f"{key}: {pair[0]} and {pair[1]} have other orders of examples (`subset_seed`), so "
                "their minima are minima of two losses; a curve is trained on one"
            )


def _check_seeds(study: Study, key: str, label: str) -> None:
    """Raise StudyError unless two seeds of a recipe are there, and end in one landscape."""
    if len(study.seeds) < 2:
        raise StudyError(
            f"{key}: a curve from {label!r} to itself joins two seeds, and the study has one"
        )
    if subset_seed(study, jobs.parse_recipe_label(label)[0]) is None:
        raise StudyError(
            f"{key}: a curve from {label!r} to itself joins minima of two seeds, which are minima "
            "of one loss only if they were trained on the same examples; give the study or "
            "the recipe a subset_seed"
        )
